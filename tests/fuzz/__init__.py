"""A seeded mutation fuzzer of the wire: ``python -m tests.fuzz --frames N --seed S --json``."""
