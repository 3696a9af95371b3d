"""Sending, acknowledging, reading, typing: what clients do to conversations.

The hot path: no task and no future here, only a call into the committer and one back.
"""

from functools import lru_cache, partial
from typing import Final

from chatd.committer import Committer
from chatd.delivery import Delivery
from chatd.hub import RECONNECT_MS, Hub
from chatd.log import get
from chatd.readers import Readers
from chatd.refusals import error_code
from chatd.session import Session
from chatd.transport import Peer
from protocol.derive import direct_id
from protocol.errors import ErrorCode
from protocol.header import ClearHeader, HeaderError, Kind, decode_header
from protocol.messages.messaging import Acks, Read, Send, Sent, Typing
from protocol.messages.session import Ok
from storage.commands import Acknowledge, Append, Appended, MarkRead, Moved, Refusal, Refused

log = get(__name__)

_decode_header: Final = lru_cache(maxsize=1_024)(decode_header)
"""Most messages have one of a few headers."""


class Messaging:
    """Handles SEND, ACK, READ and TYPING."""

    def __init__(
        self, hub: Hub, committer: Committer, delivery: Delivery, readers: Readers
    ) -> None:
        self._hub = hub
        self._committer = committer
        self._delivery = delivery
        self._readers = readers
        hub.on(Send, self._on_send)
        hub.on(Acks, self._on_acks)
        hub.on(Read, self._on_read)
        hub.on(Typing, self._on_typing)

    def _on_send(self, peer: Peer, message: Send) -> None:
        session = self._hub.begin(peer, message.request, self._hub.sends)
        if session is None:
            return
        if self._hub.draining:
            peer.error(message.request, ErrorCode.DRAINING, RECONNECT_MS)
            return
        device = session.device
        if message.peer is not None and message.conversation != direct_id(
            device.user.name, message.peer
        ):
            peer.error(message.request, ErrorCode.NOT_FOUND)
            return
        removes = 0
        if message.header != b"\x90":
            checked = _check_header(message.header)
            if isinstance(checked, ErrorCode):
                peer.error(message.request, checked)
                return
            removes = checked.target
        command = Append(
            device,
            message.conversation,
            message.n,
            message.message_id,
            message.header,
            message.body,
            message.peer,
            removes,
        )
        self._committer.submit(
            command, partial(self._sent, peer, message.request, command), len(message.body)
        )

    def _sent(self, peer: Peer, request: int, command: Append, result: Appended | Refused) -> None:
        if type(result) is Appended:
            peer.reply(Sent(request, result.seq, result.at_ms, result.chain))
            if not result.repeated:
                self._delivery.entry(command, result)
        else:
            assert type(result) is Refused
            peer.error(request, error_code(result.reason))
            if result.reason is Refusal.NOT_FOUND and peer.session is not None:
                # It tells who does not exist: as good as a look-up.
                self._hub.slow_down(peer, self._hub.look_up(peer.session))

    def _on_acks(self, peer: Peer, message: Acks) -> None:
        session = self._hub.throttle(peer)
        acks = tuple([(ack.conversation, ack.seq) for ack in message.acks])
        self._committer.submit(Acknowledge(session.device, acks), partial(self._moved, session))

    def _moved(self, session: Session, result: Moved | Refused) -> None:
        if type(result) is Refused:
            return  # the disk is full to the last byte; clients assert it again when they connect
        assert type(result) is Moved
        for movement in result.movements:
            self._delivery.movement(movement, session)

    def _on_read(self, peer: Peer, message: Read) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return

        def done(result: Moved | Refused) -> None:
            if type(result) is Refused:
                peer.error(message.request, error_code(result.reason))
                return
            assert type(result) is Moved
            peer.reply(Ok(message.request))
            self._moved(session, result)

        command = MarkRead(session.device, message.conversation, message.seq, message.public)
        self._committer.submit(command, done)

    def _on_typing(self, peer: Peer, message: Typing) -> None:
        session = peer.session
        assert session is not None
        if self._hub.requests.take(session.device.id):
            return  # never answered, so never refused: it is only a hint
        user_id = session.device.user.id

        def members(user_ids: list[int]) -> None:
            if user_id in user_ids and not peer.closing:
                self._delivery.typing(message.conversation, session, user_ids, message.active)

        known = self._committer.peek(message.conversation)
        if known is not None:
            members(list(known.members))
        else:
            self._readers.submit(
                lambda reader: reader.members(message.conversation),
                members,
                lambda: None,  # never answered, whatever happens
            )


def _check_header(data: bytes) -> ClearHeader | ErrorCode:
    """Return the header of a message that may be stored, or why it may not."""
    try:
        header = _decode_header(data)
    except HeaderError:
        return ErrorCode.HEADER_INVALID
    if header.roster:
        return ErrorCode.STALE_ROSTER  # no roster version is computed yet: only the empty one holds
    if header.assets:
        return ErrorCode.ASSET_UNKNOWN  # there are no assets yet, so nobody may read one
    if header.expires_ms is not None:
        return ErrorCode.HEADER_INVALID
    if header.kind == Kind.MESSAGE:
        return ErrorCode.HEADER_INVALID if header.target else header
    if header.kind == Kind.DELETION:
        return header if header.target else ErrorCode.HEADER_INVALID
    return ErrorCode.HEADER_INVALID
