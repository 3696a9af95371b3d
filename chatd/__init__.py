"""The daemon: its spine, and one service per file. Imports protocol and storage."""

__version__ = "0.1.0"
