"""What can be asked of an open account: each operation takes parameters and yields rows.

The process that holds the store performs them, for itself or for another process of the same user
(see ``agent.py``); so parameters and rows are JSON, and an operation does not know who asked.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

from clients.cli import rows
from clients.cli.exits import TEMPORARY, Failed
from clients.cli.rows import Json, Row
from clients.cli.watching import watch
from clients.sdk.client import Client
from clients.sdk.errors import ChatError, NotDelivered, Temporary
from clients.sdk.streams import MessageHandle

Params = Mapping[str, Json]
Operation = Callable[[Client, Params], AsyncGenerator[Row, None]]

MAX_TEXTS: Final = 64
"""Messages in one ``send``; the caller repeats it for more."""


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise Failed("invalid_input", f"{name} must be a text")
    return value


def _integer(params: Params, name: str) -> int:
    value = params.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Failed("invalid_input", f"{name} must be an integer")
    return value


def _optional_integer(params: Params, name: str) -> int | None:
    return None if params.get(name) is None else _integer(params, name)


async def send(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Queue texts to one peer, and wait until all are sent unless told not to."""
    texts = params.get("texts")
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TEXTS:
        raise Failed("invalid_input", f"1 to {MAX_TEXTS} texts are sent at a time")
    peer, timeout_ms = _text(params, "peer"), _integer(params, "timeout_ms")
    handles = [await client.send(peer, str(text)) for text in texts]
    waiting: Exception | None = None
    if params.get("wait"):
        waiting = await _wait(client, handles, timeout_ms)
    for handle in handles:
        yield _state(handle)
    if waiting is not None:
        why = str(waiting) or f"no answer within {timeout_ms // 1000} s"
        raise Failed("temporary", f"queued, not sent: {why}; it leaves when connected", TEMPORARY)
    reasons = [handle.reason for handle in handles if handle.state == "refused"]
    if "not_found" in reasons:
        raise Failed("not_found", f"there is no user {peer} on this server")
    if reasons:
        raise Failed("not_delivered", f"the server refused it: {reasons[0]}")


async def _wait(client: Client, handles: list[MessageHandle], timeout_ms: int) -> Exception | None:
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await client.wait_online()
            for handle in handles:
                try:
                    await handle.wait_sent()
                except NotDelivered:
                    pass  # its row says so
    except (TimeoutError, Temporary) as error:
        return error
    return None


def _state(handle: MessageHandle) -> Row:
    return {
        "type": "state",
        "peer": handle.peer,
        "id": handle.message_id,
        "state": handle.state,
        "seq": handle.seq,
        "reason": handle.reason,
    }


async def history(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Messages of one conversation, after what the server has was fetched if it can be."""
    peer = _text(params, "peer")
    if not params.get("offline"):
        try:
            await client.wait_synced()
        except ChatError as error:
            yield rows.note(f"what is stored here: {error}")
    found = await client.history(
        peer,
        before=_optional_integer(params, "before"),
        after=_optional_integer(params, "after"),
        at_ms=_optional_integer(params, "at_ms"),
        limit=_integer(params, "limit"),
    )
    for message in found:
        yield rows.message(message)
    if params.get("read") and found:
        await client.mark_read(peer, max(message.seq for message in found))


async def status(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Who this is, whether the server is reached, what waits, where each conversation stands."""
    reason: str | None = None
    try:
        await client.wait_synced()
    except ChatError as error:
        reason = str(error)
    mine = await client.me()
    yield {
        "type": "status",
        "account": client.folder.name,
        "user": mine.user,
        "device": mine.device,
        "device_name": mine.device_name,
        "server": f"{mine.server.host}:{mine.server.port}",
        "online": client.online,
        "reason": reason,
        "waiting": await client.waiting(),
    }
    for conversation in await client.conversations():
        yield rows.conversation(conversation)


async def devices(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """The account's devices."""
    await client.wait_online()
    for device in await client.devices():
        yield rows.device(device)


async def rename_device(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Give a device another name."""
    await client.wait_online()
    number, name = _integer(params, "number"), _text(params, "name")
    await client.rename_device(number, name)
    yield rows.done("rename_device", number=number, name=name)


async def revoke_device(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Cut a device off."""
    await client.wait_online()
    number = _integer(params, "number")
    await client.revoke_device(number)
    yield rows.done("revoke_device", number=number)


async def change_password(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Replace the password."""
    await client.wait_online()
    await client.change_password(_text(params, "old"), _text(params, "new"))
    yield rows.done("change_password")


async def create_invite(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Make an invite."""
    await client.wait_online()
    made = await client.create_invite(_integer(params, "uses"), _integer(params, "expires_in_ms"))
    yield rows.invite(made)


async def delete_account(client: Client, params: Params) -> AsyncGenerator[Row, None]:
    """Delete the account, here and on the server."""
    await client.wait_online()
    user = (await client.me()).user
    await client.delete_account(_text(params, "password"))
    yield rows.done("delete_account", user=user)


OPERATIONS: Final[dict[str, Operation]] = {
    "send": send,
    "watch": watch,
    "history": history,
    "status": status,
    "devices": devices,
    "rename_device": rename_device,
    "revoke_device": revoke_device,
    "change_password": change_password,
    "create_invite": create_invite,
    "delete_account": delete_account,
}
"""By the name that travels between processes."""

ENDLESS: Final = frozenset({"watch"})
"""Not waited for when the process that performs them ends."""
