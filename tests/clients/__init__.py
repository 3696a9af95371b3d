"""Tests of clients/, file for file."""
