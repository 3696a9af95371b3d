"""Tests of the `chat` command."""
