"""Tests of chatd/, file for file."""
