"""A process that writes until it is killed, and tells on standard output what was committed.

Each line is one committed batch: the head of the conversation and its chain value.
"""

import sys
import threading
from pathlib import Path

from protocol.derive import direct_id
from storage.commands import Acknowledge, Appended, LoggedIn, Login
from storage.state import Device
from tests.storage.helpers import DELETION, Store, append

CID = direct_id("juliet", "romeo")


def log_in(store: Store, user: str) -> Device:
    """The user's first device, with whatever counter is the next."""
    counter = 0
    while True:
        counter += 1
        result = store.do(Login(user, 1, counter))
        if isinstance(result, LoggedIn):
            return result.device


def main(folder: Path) -> None:
    """Go on from what is there: entries, a removal and an acknowledgement in each batch."""
    store = Store(folder)
    if not store.reader.users():
        store.register("romeo")
        store.register("juliet")
    romeo, juliet = log_in(store, "romeo"), log_in(store, "juliet")
    heads = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=1).heads
    n, head = (heads[0].last_n, heads[0].head) if heads else (0, 0)
    copy: threading.Thread | None = None
    while True:
        *_, last, _ = store.batch(
            *[append(romeo, "juliet", n + i, body=b"%d" % (n + i) * 900) for i in (1, 2, 3)],
            append(romeo, "juliet", n + 4, header=DELETION, body=b"", removes=head + 2),
            Acknowledge(juliet, ((CID, head + 4),)),
        )
        assert isinstance(last, Appended)
        n, head = n + 4, last.seq
        print(head, last.chain.hex(), flush=True)
        store.clock.ms += 1_000
        if copy is None and store.engine.wants_copy():
            copy = threading.Thread(target=store.engine.copy)
            copy.start()
        elif copy is not None and not copy.is_alive():
            store.engine.finish_copy()
            copy = None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
