"""Golden vectors: bytes ↔ meaning, as JSON that a client in any language can be tested with.

``python -m tests.vectors.make`` writes the files; ``README.md`` beside them says how to read them.
"""
