"""Tests of protocol/, file for file."""
