"""What a connection is once it is logged in: a device, its subscription, and what it has missed.

The rule of live delivery: a session that is in step gets every new entry; one whose outbox is full
gets none, and the conversation is *behind* for it until the client has pulled HISTORY up to the
last entry that was left out. Nothing is buffered for it beyond its outbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatd.log import get
from protocol.codec import encode
from protocol.messages.messaging import Resync
from storage.state import Device

if TYPE_CHECKING:
    from chatd.transport import Peer

log = get(__name__)

_RESYNC = encode(Resync())


class Session:
    """A device that is connected."""

    __slots__ = ("behind", "device", "missed", "peer", "proof", "reads", "subscribed")

    def __init__(self, peer: Peer, device: Device) -> None:
        self.peer = peer
        self.device = device
        self.subscribed = False
        """True from the first SYNC on: before it the client could not tell what it has."""
        self.behind: dict[bytes, int] = {}
        """Conversation id -> highest entry that was left out. At most one row a conversation."""
        self.missed = False
        """True if anything was left out since the last RESYNC was sent."""
        self.reads = 0
        """HISTORY and SYNC requests under way."""
        self.proof: object = None
        """The password exchange that PROVE began."""

    def push_entry(self, cid: bytes, seq: int, frame: bytes) -> None:
        """Deliver an entry live, or leave it for HISTORY."""
        if not self.subscribed:
            return
        if self.peer.slow or cid in self.behind:
            self.behind[cid] = seq
            self.missed = self.missed or self.peer.slow
            return
        self.peer.push(frame)

    def push(self, frame: bytes, *, lossy: bool) -> None:
        """Deliver a receipt (or, lossy, a typing note) live.

        A receipt that is left out comes again by SYNC.
        """
        if not self.subscribed:
            return
        if self.peer.slow:
            self.missed = self.missed or not lossy
            return
        self.peer.push(frame)

    def caught_up(self) -> None:
        """The outbox is empty again: tell the client that it missed something, once."""
        if self.missed:
            self.missed = False
            self.peer.write(_RESYNC)

    def read_up_to(self, cid: bytes, seq: int) -> bool:
        """HISTORY is answered up to ``seq``: in step again if nothing above was left out.

        Returns:
            Whether something was: then the client must ask for more.
        """
        left_out = self.behind.get(cid)
        if left_out is None:
            return False
        if left_out > seq:
            return True
        del self.behind[cid]
        return False
