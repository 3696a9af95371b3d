"""The numbers of all operations. Append-only: a number keeps its meaning for ever.

0x01–0x0f session, 0x10–0x1f messaging, 0x20–0x2f account and devices. What each carries is
declared in ``protocol/messages``; in which states it is legal, in ``protocol/state.py``.
"""

from enum import IntEnum, unique


@unique
class Role(IntEnum):
    """Which side of a connection one is."""

    CLIENT = 0
    SERVER = 1


@unique
class Op(IntEnum):
    """Every operation, by the number that stands in the frame header."""

    HELLO = 0x01
    WELCOME = 0x02
    REGISTER = 0x03
    SCRAM_FIRST = 0x04
    SCRAM_CHALLENGE = 0x05
    SCRAM_FINAL = 0x06
    LOGIN = 0x07
    ACCEPTED = 0x08
    PING = 0x09
    PONG = 0x0A
    BYE = 0x0B
    GOAWAY = 0x0C
    OK = 0x0D
    ERROR = 0x0E

    SEND = 0x10
    SENT = 0x11
    EVENT = 0x12
    ACK = 0x13
    READ = 0x14
    RECEIPT = 0x15
    TYPING = 0x16
    TYPING_EVENT = 0x17
    HISTORY = 0x18
    HISTORY_PAGE = 0x19
    SYNC = 0x1A
    SYNC_PAGE = 0x1B
    RESYNC = 0x1C

    LIST_DEVICES = 0x20
    DEVICE_LIST = 0x21
    RENAME_DEVICE = 0x22
    REVOKE_DEVICE = 0x23
    PROVE = 0x24
    CHANGE_PASSWORD = 0x25
    DELETE_ACCOUNT = 0x26
    PROVED = 0x27
    GET_PROFILE = 0x28
    PROFILE = 0x29
    SET_DISPLAY_NAME = 0x2A
    CREATE_INVITE = 0x2B
    INVITE = 0x2C
