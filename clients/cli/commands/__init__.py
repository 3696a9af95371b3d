"""The commands of ``chat``, one a file."""
