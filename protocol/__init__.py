"""The wire, sans-IO: frames, ops, codec and state machines. Imports nothing of ours."""
