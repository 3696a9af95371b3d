"""Every message of the protocol, declared as data, one file an area."""

from protocol.messages import account, messaging, session

__all__ = ["account", "messaging", "session"]
