"""`chatd` and `python -m chatd`: the daemon and its administration."""

import os

from chatd import server
from chatd.commands.root import start


def main() -> None:
    """Run the command line."""
    # Whatever is made from here on, by us or by SQLite, is the owner's alone.
    os.umask(0o077)
    start(server)


if __name__ == "__main__":
    main()
