"""Pairs who talk: messages a second, from SEND to the delivered receipt back at the sender.

Every message is durable before it is answered, and its acknowledgement before it is receipted. A
sender keeps ``--in-flight`` messages under way and sends the next one when a receipt arrives.
"""

import os
import time
from array import array
from dataclasses import dataclass
from typing import Final

from protocol.codec import HEADER
from protocol.derive import direct_id
from protocol.messages.messaging import Event, Sent
from protocol.ops import Op
from tests.bench.figures import percentile
from tests.bench.pool import Link, LoadFailed, Pool
from tests.server_process import ServerProcess
from tests.wire.caller import Caller, client_context
from tests.wire.hot import (
    EVENT_SEQ_OFFSET,
    AckTemplate,
    SendTemplate,
    read_int,
    receipt_delivered,
)
from tests.wire.identity import Credential

_unpack: Final = HEADER.unpack_from
_now: Final = time.perf_counter
RING: Final = 64
"""Send times kept a sender: more than may be in flight."""


@dataclass(slots=True)
class Tally:
    """What all senders together count into."""

    latencies: "array[float]"  # in quotes: array takes no subscript before Python 3.12
    done: int = 0
    under_way: int = 0
    stopping: bool = False


class Sender(Link):
    """Sends, and waits for the receipt."""

    __slots__ = ("_received", "_sent_at", "_tally", "_template", "sent")

    def __init__(self, caller: Caller, template: SendTemplate, first_n: int, tally: Tally) -> None:
        super().__init__(caller)
        self._template = template
        self._tally = tally
        self._sent_at = [0.0] * RING
        self._received = first_n - 1
        self.sent = first_n - 1

    def start(self, in_flight: int) -> None:
        """Put the first messages under way."""
        self._push(in_flight)

    def _push(self, count: int) -> None:
        template, now, n = self._template, _now(), self.sent
        self.sent = n + count
        frames = []
        for number in range(n + 1, n + count + 1):
            self._sent_at[number % RING] = now
            frames.append(template.frame(number))
        self._tally.under_way += count
        self.send(frames[0] if count == 1 else b"".join(frames))

    def on_data(self, data: bytes) -> int:
        at, end, delivered = 0, len(data), 0
        while end - at >= 5:
            size, op = _unpack(data, at)
            if end - at < size + 4:
                break
            if op == Op.RECEIPT:
                delivered = receipt_delivered(data, at)
            elif op != Op.SENT:
                raise self.unexpected(op)
            at += 4 + size
        if delivered > self._received:
            self._count(delivered)
        return at

    def _count(self, delivered: int) -> None:
        tally, now = self._tally, _now()
        count = delivered - self._received
        for n in range(self._received + 1, delivered + 1):
            tally.latencies.append(now - self._sent_at[n % RING])
        self._received = delivered
        tally.done += count
        tally.under_way -= count
        if not tally.stopping:
            self._push(count)


class Receiver(Link):
    """Acknowledges what arrives, once for each batch."""

    __slots__ = ("_seq", "_template")

    def __init__(self, caller: Caller, template: AckTemplate, seq: int) -> None:
        super().__init__(caller)
        self._template = template
        self._seq = seq

    def on_data(self, data: bytes) -> int:
        at, end, seq = 0, len(data), self._seq
        while end - at >= 5:
            size, op = _unpack(data, at)
            if end - at < size + 4:
                break
            if op != Op.EVENT:
                raise self.unexpected(op)
            pushed = read_int(data, at + EVENT_SEQ_OFFSET)[0]
            if pushed != seq + 1:
                raise LoadFailed(f"pushed seq {pushed} behind {seq}")
            seq = pushed
            at += 4 + size
        if seq != self._seq:
            self._seq = seq
            self.send(self._template.frame(seq))
        return at


class Pairs:
    """A pool of pairs on one server, ready to be measured in rounds."""

    def __init__(self, server: ServerProcess, pairs: int, in_flight: int, body_bytes: int) -> None:
        """Register everybody and exchange one message in each pair.

        Raises:
            LoadFailed: Something arrived that should not.
        """
        self.server = server
        self._pool = Pool()
        self._in_flight = in_flight
        self._tally = Tally(array("d"))
        self._senders: list[Sender] = []
        body = os.urandom(body_bytes)
        for number in range(pairs):
            self._add_pair(number, body)

    def _add_pair(self, number: int, body: bytes) -> None:
        context = client_context()
        romeo, juliet = f"romeo{number}", f"juliet{number}"
        callers = []
        for user in (romeo, juliet):
            caller = Caller(self.server.port, context)
            caller.register(Credential(user))
            caller.sync()
            callers.append(caller)
        conversation, salt = direct_id(romeo, juliet), os.urandom(12)
        # The first send names the peer and makes the conversation; it is not measured.
        callers[0].socket.sendall(SendTemplate(conversation, body, salt, juliet).frame(1))
        callers[0].expect(Sent)
        if callers[1].expect(Event).entry.seq != 1:
            raise LoadFailed("the first entry is not at seq 1")
        tally, template = self._tally, SendTemplate(conversation, body, salt)
        sender = Sender(callers[0], template, 2, tally)
        self._senders.append(sender)
        self._pool.add(sender)
        self._pool.add(Receiver(callers[1], AckTemplate(conversation), 1))

    def round(self, seconds: float) -> dict[str, float]:
        """Load the server for so long and return the figures; afterwards nothing is under way."""
        tally, server = self._tally, self.server
        del tally.latencies[:]
        tally.stopping = False
        cpu, own_cpu, done = server.cpu_s(), time.process_time(), tally.done
        begun = _now()
        until = begun + seconds
        for sender in self._senders:
            sender.start(self._in_flight)
        self._pool.run(lambda: _now() >= until)
        elapsed, messages = _now() - begun, tally.done - done
        cpu, own_cpu = server.cpu_s() - cpu, time.process_time() - own_cpu
        tally.stopping = True
        latencies = sorted(tally.latencies)
        self._pool.run(lambda: tally.under_way == 0)
        if not messages:
            raise LoadFailed("not one message came through")
        return {
            "messages_per_second": messages / elapsed,
            "server_cpu_us_per_message": cpu / messages * 1e6,
            "server_cpu_share": cpu / elapsed,
            "load_cpu_us_per_message": own_cpu / messages * 1e6,
            "p50_ms": percentile(latencies, 0.5) * 1e3,
            "p99_ms": percentile(latencies, 0.99) * 1e3,
        }

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
