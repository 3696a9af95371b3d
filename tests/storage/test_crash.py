"""``kill -9`` of a writing process, again and again: nothing that it told of is lost."""

import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

from protocol.derive import chain_entry
from protocol.messages.messaging import Entry
from tests.storage.crash_writer import CID, log_in
from tests.storage.helpers import Store, heads_of

ROUNDS = 5


def test_committed_batches_survive_when_the_process_is_killed(tmp_path: Path) -> None:
    told: dict[int, bytes] = {}
    for number in range(ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.crash_writer", str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(20 + 17 * number):
            head, chain = process.stdout.readline().split()
            told[int(head)] = bytes.fromhex(chain)
        process.kill()
        for line in process.stdout:  # what it told before it died counts; half a line does not
            if line.endswith("\n"):
                head, chain = line.split()
                told[int(head)] = bytes.fromhex(chain)
        process.stdout.close()
        assert process.wait() == -9
        expect(tmp_path, told)


def expect(folder: Path, told: dict[int, bytes]) -> None:
    store = Store(folder)
    try:
        assert store.reader.check() == []
        juliet = log_in(store, "juliet")
        entries = store.history(juliet, "romeo").entries
        chain = CID
        for seq, entry in enumerate(entries, 1):
            assert entry.seq == entry.n == seq
            assert (entry.body is None) == (seq % 4 == 2)
            chain = chain_entry(chain, Entry(*astuple(entry)))
            assert told.get(seq, chain) == chain
        assert max(told) <= len(entries) <= max(told) + 4  # a batch may be stored and untold
        assert len(entries) % 4 == 0  # whole batches only
        assert heads_of(store.reader, juliet)[CID] == (len(entries), len(entries), 0)
    finally:
        store.close()
