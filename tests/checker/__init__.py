"""Judges a history that clients wrote down: was anything lost, doubled, swapped or left out?

The verdict rests on the clients' logs alone; the server is never asked, and its files never read.
"""

from tests.checker.check import Verdict, check
from tests.checker.history import (
    Acked,
    Acknowledged,
    Device,
    Entry,
    Head,
    Pushed,
    Record,
    Refused,
    Session,
    Started,
    Taken,
    Watermark,
)

__all__ = [
    "Acked",
    "Acknowledged",
    "Device",
    "Entry",
    "Head",
    "Pushed",
    "Record",
    "Refused",
    "Session",
    "Started",
    "Taken",
    "Verdict",
    "Watermark",
    "check",
]
