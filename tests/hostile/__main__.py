"""Row 26 as a report: the longest time that any hostile input keeps the loop from the others.

Prints milliseconds of the loop's processor time for each kind of input; exits 1 over the bound.
A stopwatch, so no part of the suite.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from protocol import limits
from protocol.header import PLAIN
from protocol.ops import Op
from tests.hostile.attacker import packed, raw_frame, user
from tests.server_process import ServerProcess
from tests.wire.caller import Caller, Closed

BOUND_MS = 5.0
SETTINGS: dict[str, int | bool | str] = {"accounts.registration": "open"}
FLIGHT_BYTES = limits.MAX_FRAME_BYTES


def many(frame: bytes) -> bytes:
    """Return as many of a frame as one read of the server takes."""
    return frame * (FLIGHT_BYTES // len(frame))


def inputs() -> dict[str, bytes]:
    """Return what is sent, by name: single frames at their bounds, and reads full of small ones."""
    cid, body = bytes(32), bytes(limits.MAX_BODY_BYTES)
    acks = [[bytes((n,)) * 32, 1] for n in range(limits.MAX_ACKS)]
    return {
        "largest SEND": packed(Op.SEND, 1, cid, 1, bytes(16), PLAIN, body),
        "deep SEND": raw_frame(Op.SEND, b"\x91" * (FLIGHT_BYTES - 1)),
        "wide SEND": raw_frame(Op.SEND, b"\xdc\xff\xf0" + b"\x90" * (FLIGHT_BYTES - 16)),
        "fullest ACK": packed(Op.ACK, acks),
        "read full of ACK": many(packed(Op.ACK, acks)),
        "read full of PING": many(packed(Op.PING, 1)),
        "read full of TYPING": many(packed(Op.TYPING, cid, True)),
        "read full of READ": many(packed(Op.READ, 1, cid, 1, True)),
        "read full of LIST_DEVICES": many(packed(Op.LIST_DEVICES, 1)),
        "read full of SEND": many(packed(Op.SEND, 1, cid, 1, bytes(16), PLAIN, b"")),
    }


def worst_of(data: bytes) -> dict[str, float]:
    """Send an input to a new server, wait until it was handled, and return each door's worst."""
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder), settings=SETTINGS, program="tests.hostile.timed")
        with server:
            attacker, _ = user(server, "attacker")
            witness = Caller(server.port)
            with attacker, witness:
                attacker.socket.settimeout(0.5)
                try:
                    attacker.socket.sendall(data)
                    while attacker.socket.recv(65_536):
                        pass
                except (TimeoutError, Closed, OSError):
                    witness.hello()
            server.stop()
            line = server.log_text().rpartition("WORST ")[2]
    found: dict[str, int] = json.loads(line)
    return {door: us / 1_000 for door, us in found.items()}


def main() -> int:
    """Measure each input and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    arguments = parser.parse_args()
    figures = {name: worst_of(data) for name, data in inputs().items()}
    longest = {name: max(doors.values()) for name, doors in figures.items()}
    if arguments.json:
        print(json.dumps({"bound_ms": BOUND_MS, "longest_ms": longest, "doors_ms": figures}))
    else:
        for name, doors in figures.items():
            door = max(doors, key=lambda at: doors[at])
            print(f"{longest[name]:8.2f} ms  {name} ({door})")
    return 1 if max(longest.values()) > BOUND_MS else 0


if __name__ == "__main__":
    sys.exit(main())
