"""The whole system through real processes: `chatd` and `chat`, as a user runs them."""
