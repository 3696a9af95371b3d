"""Tests mirror the source, file for file; whole-system programs stand beside them."""
