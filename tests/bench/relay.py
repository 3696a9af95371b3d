"""The limit to stay near: a bare relay with the wire's frames, TLS and group commit, no more.

It checks no login, keeps no accounts, answers no history and recovers nothing: it numbers messages,
writes sends and acknowledgements to a file, calls fsync once for all that gathered meanwhile, and
only then answers and forwards. What chatd takes beyond that is the price of what chatd does.

    python -m tests.bench.relay --port N --folder DIR
"""

import argparse
import asyncio
import os
import signal
import ssl
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, cast

import msgpack
import uvloop

from protocol.codec import HEADER, encode, frame, pack
from protocol.messages.messaging import SyncPage
from protocol.messages.session import Accepted, Welcome
from protocol.ops import Op
from tests.wire.certificate import self_signed

_WELCOME: Final = encode(
    Welcome(1, "relay", (), bytes(16), bytes(32), bytes(32), 0, 0, bytes(64), 3_600_000)
)
RING_BYTES: Final = 32 * 1024 * 1024
"""The file is overwritten from its beginning, as a write-ahead log is: a file that grows makes each
sync write its size, too."""
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
"""More than all clients can have under way."""


class Log:
    """A file, written and synced in a thread, one batch at a time."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._file = path.open("w+b", buffering=0)
        self._file.write(bytes(RING_BYTES))
        os.fsync(self._file.fileno())
        self._loop = loop
        self._waiting: list[Waiting] = []
        self._busy = False
        self._batches: SimpleQueue[list[Waiting]] = SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def append(
        self,
        record: bytes,
        sender: "Connection",
        answer: bytes,
        others: list["Connection"],
        event: bytes,
    ) -> None:
        """Write ``record``; once it is on disk, answer the sender and tell the others."""
        self._waiting.append((record, sender, answer, others, event))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._start)  # with all that this tick brings

    def _start(self) -> None:
        batch, self._waiting = self._waiting, []
        self._busy = bool(batch)
        if batch:
            self._batches.put(batch)

    def _write(self) -> None:
        while True:
            batch = self._batches.get()
            if self._file.tell() > RING_BYTES - MAX_BATCH_BYTES:
                self._file.seek(0)
            self._file.write(b"".join([row[0] for row in batch]))
            os.fdatasync(self._file.fileno())
            self._loop.call_soon_threadsafe(self._finish, batch)

    def _finish(self, batch: list["Waiting"]) -> None:
        self._loop.call_soon(self._start)
        written: dict[Connection, list[bytes]] = {}
        for _, sender, answer, others, event in batch:
            if answer:
                written.setdefault(sender, []).append(answer)
            for other in others:
                if other is not sender:
                    written.setdefault(other, []).append(event)
        for connection, frames in written.items():
            connection.transport.write(b"".join(frames))


Waiting = tuple[bytes, "Connection", bytes, list["Connection"], bytes]
"""What is written, who asked for it, the answer, and what all the others get."""


class Relay:
    """Who is there, and how long each list is."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.users: dict[str, Connection] = {}
        self.lists: dict[bytes, list[Any]] = {}  # [length, connections]


class Connection(asyncio.BufferedProtocol):
    """One client, taken at its word."""

    # One buffer for all: what it holds is used up before the next connection reads. Without it
    # uvloop would map and unmap 256 KiB for each TLS record.
    _buffer = bytearray(65_536)
    _view = memoryview(_buffer)
    transport: asyncio.Transport

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._rest = b""
        self._user = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        data = self._rest + self._view[:nbytes]
        at, end = 0, len(data)
        while end - at >= 5:
            size, op = HEADER.unpack_from(data, at)
            if end - at < size + 4:
                break
            body = data[at + 5 : at + 4 + size]
            at += 4 + size
            if op == Op.SEND:
                self._on_send(body)
            elif op == Op.ACK:
                self._on_ack(body)
            else:
                self._on_other(op, msgpack.unpackb(body))
        self._rest = data[at:]

    def _on_send(self, body: bytes) -> None:
        request, name, n, message_id, header, text, *peer = msgpack.unpackb(body)
        found = self._relay.lists.get(name)
        if found is None:
            members = [self, *(self._relay.users[user] for user in peer)]
            found = self._relay.lists[name] = [0, members]
        found[0] += 1
        seq, at_ms = found[0], int(time.time() * 1_000)
        event = frame(
            Op.EVENT, pack((name, (seq, self._user, 1, n, at_ms, header, message_id, text)))
        )
        answer = frame(Op.SENT, pack((request, seq, at_ms, bytes(32))))
        self._relay.log.append(event, self, answer, found[1], event)

    def _on_ack(self, body: bytes) -> None:
        for name, seq in msgpack.unpackb(body)[0]:
            receipt = frame(Op.RECEIPT, pack((name, self._user, seq, 0)))
            self._relay.log.append(receipt, self, b"", self._relay.lists[name][1], receipt)

    def _on_other(self, op: int, fields: list[Any]) -> None:  # Any: taken at its word
        answer = b""
        if op == Op.HELLO:
            answer = _WELCOME
        elif op in (Op.REGISTER, Op.LOGIN):
            self._user = fields[1]
            self._relay.users[self._user] = self
            answer = encode(Accepted(fields[0], self._user, 1, None))
        elif op == Op.SYNC:
            answer = encode(SyncPage(fields[0], 0, (), (), 0))
        self.transport.write(answer)


async def serve(port: int, folder: Path) -> None:
    """Relay until SIGTERM."""
    loop = asyncio.get_running_loop()
    certificate, key = self_signed(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    relay = Relay(Log(folder / "relay.log", loop))
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(
        lambda: Connection(relay), "127.0.0.1", port, ssl=context, backlog=1_024
    )
    await stopped.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Relay messages with nothing but a group commit.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.folder))


if __name__ == "__main__":
    main()
