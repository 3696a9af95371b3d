"""What all connections share: the receive buffer, the handlers, the flush, the deadlines.

Time is counted in ticks of ``TICK_MS``: one sweep a tick looks at every peer, so that no
connection needs a timer of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeVar, cast

from chatd.committer import Committer
from chatd.environment import Environment
from chatd.log import get
from chatd.ratelimit import TokenBuckets
from chatd.registry import Registry
from chatd.session import Session
from chatd.settings import Limits
from chatd.tls import TlsContexts
from chatd.tls_channel import READ_BYTES, TlsChannel
from chatd.transport import HASTY, QUEUED, RECEIVE_BYTES, Handler, Peer
from protocol.declare import Message
from protocol.errors import ErrorCode
from protocol.state import State
from storage.commands import Touch

M = TypeVar("M", bound=Message)

log = get(__name__)

TICK_MS: Final = 500
RECONNECT_MS: Final = 1_000
"""What clients of a draining server are told to wait; they add their own jitter."""
LOOKUPS_BURST: Final = 100
"""Names that an account may ask about at once: a whole address book, once."""
LOOKUPS_PER_SECOND: Final = 1
ALL_LOOKUPS_BURST: Final = 2_000
"""The same of all accounts together: who owns many accounts scrapes no faster for it."""
ALL_LOOKUPS_PER_SECOND: Final = 20
_SLICE: Final = 1_000
"""Peers looked at without letting others run: about a millisecond."""
_LINGER_MS: Final = 2_000
"""How long a closed connection may take to send its last bytes."""
_GRACE: Final = 2
"""A client pings every keepalive; silence of twice that is a dead link."""


class Hub:
    """Every connection, from its first byte to its last."""

    def __init__(
        self,
        environment: Environment,
        committer: Committer,
        registry: Registry,
        bounds: Limits,
        tls: TlsContexts | None,
    ) -> None:
        self.environment = environment
        self.committer = committer
        self.registry = registry
        self.bounds = bounds
        self.handlers: dict[int, Handler] = {}
        self.outbox_bytes = bounds.outbox_bytes
        self.receive_view = memoryview(bytearray(RECEIVE_BYTES))
        self.plain_view = memoryview(bytearray(READ_BYTES))
        self._tls = tls
        self.peers: set[Peer] = set()
        self.sends: TokenBuckets[int] = TokenBuckets(
            bounds.sends_per_second, bounds.sends_burst, environment.monotonic_ms
        )
        """Budgets by device id."""
        self.requests: TokenBuckets[int] = TokenBuckets(
            bounds.requests_per_second, bounds.requests_burst, environment.monotonic_ms
        )
        self.acks: TokenBuckets[int] = TokenBuckets(
            bounds.acks_per_second, bounds.acks_burst, environment.monotonic_ms
        )
        self._lookups: TokenBuckets[int] = TokenBuckets(
            LOOKUPS_PER_SECOND, LOOKUPS_BURST, environment.monotonic_ms
        )
        """Budgets by user id: more devices ask no faster."""
        self._all_lookups: TokenBuckets[None] = TokenBuckets(
            ALL_LOOKUPS_PER_SECOND, ALL_LOOKUPS_BURST, environment.monotonic_ms
        )
        self.tick = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self._strangers: Counter[str] = Counter()
        self._unauthenticated = 0
        self._dirty: list[Peer] = []
        self._blocked: list[Peer] = []
        self._sweeping: list[Peer] = []
        self._handshake_ticks = _ticks(bounds.handshake_ms)
        self._login_ticks = _ticks(bounds.login_ms)
        self._frame_ticks = _ticks(bounds.frame_ms)
        self._silence_ticks = _ticks(bounds.keepalive_ms * _GRACE)
        environment.call_later(TICK_MS, self._sweep)

    def on(self, cls: type[M], handler: Callable[[Peer, M], None]) -> None:
        """Have a service handle a message; each one has one handler."""
        assert cls.OP not in self.handlers, cls
        self.handlers[cls.OP] = cast(Handler, handler)

    def __call__(self) -> Peer:
        """Make the protocol of a new connection."""
        return Peer(self)

    def channel(self) -> TlsChannel | None:
        """Return TLS for a new connection, with the current certificate; None without TLS."""
        return None if self._tls is None else TlsChannel(self._tls.context)

    def admit(self, peer: Peer) -> ErrorCode | None:
        """Take a new connection in, or return why not."""
        if self.draining:
            return ErrorCode.DRAINING
        network = network_of(peer.address)
        if (
            len(self.peers) >= self.bounds.max_connections
            or self._unauthenticated >= self.bounds.max_unauthenticated
            or self._strangers[network] >= self.bounds.max_unauthenticated_per_address
        ):
            log.info("connection_refused", address=peer.address, connections=len(self.peers))
            return ErrorCode.BUSY
        self.peers.add(peer)
        self._strangers[network] += 1
        self._unauthenticated += 1
        return None

    def known(self, peer: Peer) -> None:
        """A peer has logged in: it no longer counts as a stranger."""
        network = network_of(peer.address)
        self._unauthenticated -= 1
        self._strangers[network] -= 1
        if not self._strangers[network]:
            del self._strangers[network]

    def leave(self, peer: Peer) -> None:
        """A connection is gone."""
        if peer not in self.peers:
            return
        self.peers.discard(peer)
        session = peer.session
        if session is None:
            self.known(peer)
        else:
            self.registry.remove(session)
            self.committer.submit(Touch(session.device), _ignore)

    def begin(self, peer: Peer, request: int, budget: TokenBuckets[int]) -> Session | None:
        """Count a request of a logged-in peer against its budget.

        Returns:
            Its session; None if the request was refused and answered.
        """
        session = peer.session
        assert session is not None  # the state table lets requests through only behind a login
        peer.begin_request()
        wait_ms = budget.take(session.device.id)
        if not wait_ms:
            return session
        peer.error(request, ErrorCode.RATE_LIMITED, wait_ms)
        return None

    def throttle(self, peer: Peer) -> Session:
        """Count an ACK or a PING: never refused, but over its budget the peer is read slower."""
        session = peer.session
        assert session is not None  # as in begin()
        self.slow_down(peer, self.acks.take(session.device.id))
        return session

    def slow_down(self, peer: Peer, wait_ms: int) -> None:
        """Read nothing from a peer for a while; one that waits already waits no longer."""
        if wait_ms and not peer.hasty:
            peer.pause(HASTY)
            self.environment.call_later(wait_ms, peer.resume, HASTY)

    def look_up(self, session: Session) -> int:
        """Count a question whether a user exists; return how long it has to wait, or 0."""
        return self._lookups.take(session.device.user.id) or self._all_lookups.take(None)

    def run(self, peer: Peer, request: int, work: Coroutine[None, None, None]) -> None:
        """Run what a request needs more than one step for; a fault in it is answered."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001  logged and told; only this request is lost
                log.error("request_failed", error, address=peer.address)
                if peer.session is None:
                    peer.refuse(ErrorCode.INTERNAL)
                elif not peer.closing:
                    peer.error(request, ErrorCode.INTERNAL)

        task = self.environment.spawn(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cut(self, device_ids: list[int], code: ErrorCode) -> None:
        """End the sessions of devices that may no longer act."""
        for device_id in device_ids:
            session = self.registry.of_device(device_id)
            if session is not None:
                session.peer.go_away(code)

    def flush_later(self, peer: Peer) -> None:
        """Flush a peer at the end of this tick."""
        if not self._dirty:
            self.environment.call_soon(self._flush)
        self._dirty.append(peer)

    def abort_later(self, peer: Peer) -> None:
        """Give a closed connection a moment to send its last bytes, then cut it."""
        self.environment.call_later(_LINGER_MS, peer.abort)

    @property
    def overloaded(self) -> bool:
        """Whether the writer's queue is full: stop reading from whoever feeds it."""
        return self.committer.full

    def when_free(self, peer: Peer) -> None:
        """Read from a peer again once the writer's queue was taken."""
        if not self._blocked:
            self.committer.when_free(self._unblock)
        self._blocked.append(peer)

    def _unblock(self) -> None:
        blocked, self._blocked = self._blocked, []
        for peer in blocked:
            peer.resume(QUEUED)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for peer in dirty:
            peer.flush()

    def _sweep(self) -> None:
        self.tick += 1
        self.environment.call_later(TICK_MS, self._sweep)
        if not self._sweeping:
            self._sweeping = list(self.peers)
            self._sweep_slice()

    def _sweep_slice(self) -> None:
        for peer in self._sweeping[-_SLICE:]:
            if not peer.closing:
                self._check(peer)
        del self._sweeping[-_SLICE:]
        if self._sweeping:
            self.environment.call_soon(self._sweep_slice)

    def _check(self, peer: Peer) -> None:
        tick = self.tick
        late = ""
        if peer.shaking_hands and tick - peer.since > self._handshake_ticks:
            late = "handshake"
        elif peer.session is None and tick - peer.since > self._login_ticks:
            late = "login"
        elif peer.paused_by_us:
            return  # it may have said more than was read
        elif peer.partial_since and tick - peer.partial_since > self._frame_ticks:
            late = "frame"
        elif peer.session is not None and tick - peer.heard > self._silence_ticks:
            late = "keepalive"
        if late:
            log.info("deadline_exceeded", address=peer.address, reason=late)
            if peer.connection.state is State.READY and late == "keepalive":
                peer.abort()  # nobody is there to be told
            else:
                peer.refuse(ErrorCode.DEADLINE_EXCEEDED)


def _ticks(time_ms: int) -> int:
    return max(1, -(-time_ms // TICK_MS))


def network_of(address: str) -> str:
    """Return what counts as one stranger: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return parsed.packed[:8].hex()
    return address


def _ignore(_: object) -> None:
    return
