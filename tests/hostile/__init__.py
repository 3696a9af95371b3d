"""Attacks on a live server in its own process; the numbers are the rows of docs/threat-model.md."""
