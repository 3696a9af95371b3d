"""Tests of storage/, file for file."""
