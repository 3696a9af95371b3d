"""From a committed result to the sessions that are to see it: encoded once, the same bytes to all.

This is the bus of one process. Everything here happens after the commit, in commit order, so that
a session that is in step sees a conversation's entries in their order without looking.
"""

from chatd.registry import Registry
from chatd.session import Session
from protocol.codec import encode
from protocol.messages.messaging import Entry, Event, Receipt, TypingEvent
from storage.commands import Append, Appended, Movement


class Delivery:
    """Pushes to live sessions."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def entry(self, command: Append, stored: Appended) -> None:
        """Push a new entry to every device of every member but the one that sent it."""
        conversation = stored.conversation
        device = command.device
        frame = None
        for user_id in conversation.members:
            for session in self._registry.of_user(user_id):
                if session.device is device:
                    continue
                if frame is None:
                    frame = encode(
                        Event(
                            command.cid,
                            Entry(
                                stored.seq,
                                device.user.name,
                                device.number,
                                command.n,
                                stored.at_ms,
                                command.header,
                                command.message_id,
                                command.body,
                            ),
                        )
                    )
                session.push_entry(command.cid, stored.seq, frame)

    def movement(self, movement: Movement, origin: Session | None) -> None:
        """Push a watermark to those whose entries it passed, and to the member's own devices."""
        member = movement.member
        cid = movement.conversation.cid
        if movement.senders:
            frame = encode(Receipt(cid, member.name, member.delivered, member.read_public))
            for user_id in movement.senders:
                for session in self._registry.of_user(user_id):
                    session.push(frame, lossy=False)
        if movement.read:
            own = encode(Receipt(cid, member.name, member.delivered, member.read_own))
            for session in self._registry.of_user(member.user_id):
                if session is not origin:
                    session.push(own, lossy=False)

    def typing(self, cid: bytes, origin: Session, user_ids: list[int], active: bool) -> None:
        """Push a typing note to the other members; it is dropped where there is no room."""
        name = origin.device.user.name
        frame = encode(TypingEvent(cid, name, active))
        for user_id in user_ids:
            if user_id != origin.device.user.id:
                for session in self._registry.of_user(user_id):
                    session.push(frame, lossy=True)
