"""The asyncio client library: ``from clients.sdk import Client``; see ``docs/client.md``."""

from clients.sdk.client import Client
from clients.sdk.environment import Environment
from clients.sdk.errors import ChatError
from clients.sdk.events import Event, Message
from clients.sdk.keystore import system_keyring
from clients.sdk.streams import EventStream, MessageHandle

__all__ = [
    "ChatError",
    "Client",
    "Environment",
    "Event",
    "EventStream",
    "Message",
    "MessageHandle",
    "system_keyring",
]
