"""The generated parts of the documentation: ``python -m tests.docs.protocol --write``."""
