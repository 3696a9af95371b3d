"""Tests of chatd/commands/, through the command line."""
