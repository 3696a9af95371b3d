"""What commands print, as data: one row is one line of ``--json``. Documented in docs/client.md.

Rows are plain dictionaries of JSON values with a ``type``; new fields and types may be added,
present ones keep their meaning. Text output is made from the same rows, see ``render.py``.
"""

from clients.sdk.accounts_api import Device, Invite
from clients.sdk.conversations import Conversation
from clients.sdk.events import (
    ChainBroken,
    ConnectionChanged,
    Event,
    Message,
    MessageStateChanged,
    ReadElsewhere,
    ReceiptMoved,
    Typing,
)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Row = dict[str, Json]


def message(m: Message) -> Row:
    """A message of a conversation."""
    return {
        "type": "message",
        "peer": m.peer,
        "seq": m.seq,
        "from": m.sender,
        "device": m.device,
        "at_ms": m.at_ms,
        "id": m.message_id,
        "text": m.text,
        "removed": m.removed,
        "mine": m.mine,
        "state": m.state,
        "reason": m.reason,
    }


def event(e: Event) -> Row | None:
    """Something that happened besides messages; None for what is not shown."""
    match e:
        case MessageStateChanged():
            return {
                "type": "state",
                "peer": e.peer,
                "id": e.message_id,
                "state": e.state,
                "seq": e.seq,
                "reason": e.reason,
            }
        case ReceiptMoved():
            return {"type": "receipt", "peer": e.peer, "delivered": e.delivered, "read": e.read}
        case ReadElsewhere():
            return {"type": "read_elsewhere", "peer": e.peer, "seq": e.seq}
        case Typing():
            return {"type": "typing", "peer": e.peer, "active": e.active}
        case ConnectionChanged():
            return {
                "type": "connection",
                "online": e.online,
                "reason": e.reason,
                "retry_in_ms": e.retry_in_ms,
            }
        case ChainBroken():
            return {"type": "chain_broken", "peer": e.peer, "seq": e.seq}
        case _:
            return None


def conversation(c: Conversation) -> Row:
    """Where a conversation stands on this device."""
    return {
        "type": "conversation",
        "peer": c.peer,
        "head": c.head,
        "stored": c.position,
        "read": c.read,
        "peer_delivered": c.peer_delivered,
        "peer_read": c.peer_read,
        "chain_broken_at": c.broken,
    }


def device(d: Device) -> Row:
    """A device of the account."""
    return {
        "type": "device",
        "number": d.number,
        "name": d.name,
        "created_ms": d.created_ms,
        "last_seen_ms": d.last_seen_ms,
        "connected": d.connected,
        "this": d.this,
    }


def invite(i: Invite) -> Row:
    """An invite."""
    return {"type": "invite", "link": i.link, "uses": i.uses, "expires_ms": i.expires_ms}


def done(what: str, **more: Json) -> Row:
    """Something without a result was done."""
    return {"type": "done", "what": what, **more}


def error(code: str, text: str, exit_code: int) -> Row:
    """Why a command failed."""
    return {"type": "error", "code": code, "text": text, "exit": exit_code}


def note(text: str) -> Row:
    """A remark about how the answer came to be."""
    return {"type": "note", "text": text}
