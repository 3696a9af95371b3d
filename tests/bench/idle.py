"""What a connection costs while nothing happens: logged in, synced, a message sent and received."""

import os
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from protocol.derive import direct_id
from protocol.header import PLAIN
from protocol.messages.messaging import Ack, Acks, Event, Receipt, Send, Sent
from protocol.messages.session import Ping, Pong
from tests.bench.pool import LoadFailed
from tests.server_process import ServerProcess
from tests.wire.caller import Caller, client_context
from tests.wire.identity import Credential

WARM_PAIRS = 10
"""Opened first: what the server makes once, for its first clients, is not theirs."""
THREADS = 8
"""Pairs opened at the same time, so that they share commits."""
IDLE_S = 3.0
"""How long the idle server's processor time is watched."""


def measure(server: ServerProcess, connections: int) -> dict[str, float]:
    """Open connections in pairs, pass one message each way, and weigh the server.

    Raises:
        LoadFailed: A connection was lost meanwhile.
    """
    context = client_context()
    callers: list[Caller] = []
    pairs = connections // 2
    try:
        for number in range(WARM_PAIRS):
            callers += _pair(server, f"warm{number}", context)
        before = server.memory_kib()
        begun = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            made = pool.map(lambda number: _pair(server, str(number), context), range(pairs))
            for pair in made:
                callers += pair
        elapsed = time.perf_counter() - begun
        cpu = server.cpu_s()
        time.sleep(IDLE_S)
        cpu = server.cpu_s() - cpu
        after = server.memory_kib()
        for caller in callers:
            if caller.call(Ping(7), Pong).nonce != 7:
                raise LoadFailed("PONG with another nonce")
    finally:
        for caller in callers:
            caller.close()
    return {
        "connections": pairs * 2,
        "kb_per_connection": (after["Rss"] - before["Rss"]) / (pairs * 2),
        "kb_per_connection_pss": (after["Pss"] - before["Pss"]) / (pairs * 2),
        "server_rss_mib": after["Rss"] / 1024,
        "idle_cpu_percent": cpu / IDLE_S * 100,
        "registered_per_second": pairs * 2 / elapsed,
    }


def _pair(server: ServerProcess, name: str, context: ssl.SSLContext) -> list[Caller]:
    users = f"romeo{name}", f"juliet{name}"
    callers = []
    for user in users:
        caller = Caller(server.port, context)
        caller.register(Credential(user))
        caller.sync()
        callers.append(caller)
    conversation = direct_id(*users)
    for seq, (sender, reader, peer) in enumerate(
        ((callers[0], callers[1], users[1]), (callers[1], callers[0], users[0])), 1
    ):
        request = sender.next_request()
        sender.call(
            Send(request, conversation, 1, os.urandom(16), PLAIN, os.urandom(100), peer), Sent
        )
        reader.expect(Event)
        reader.send(Acks((Ack(conversation, seq),)))
        sender.expect(Receipt)
    return callers
