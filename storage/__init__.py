"""Durable state behind one interface. Imports nothing of ours."""
