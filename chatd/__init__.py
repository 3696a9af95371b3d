"""The daemon: its spine, and one service per file. Imports protocol and storage."""
