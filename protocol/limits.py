"""Every bound of the wire, each with its reason.

Sizes are bytes, times are milliseconds, and the unit stands in the name. A peer that crosses a
bound gets the documented error; raising one is a compatible change, lowering one is not.
"""

from typing import Final

# Frames. The length prefix counts everything after itself: one byte of op, then the body.
MAX_FRAME_BYTES: Final = 65_536
"""An ordinary frame. Small enough to buffer for every connection, large enough for a page."""
MAX_EARLY_FRAME_BYTES: Final = 4_096
"""A frame before login: the longest is under 1 KiB. Strangers get no more memory."""
MAX_HELD_BYTES: Final = 65_536
"""Bytes kept unparsed while a login is pending: HELLO, LOGIN, SYNC and first sends."""

# Decoding. Every body is one array; the deepest declared nesting is array > list > struct > list.
MAX_UNKNOWN_FIELDS: Final = 16
"""Trailing fields of a newer peer that a receiver skips; more is malformed."""
MAX_INT: Final = 2**53 - 1
"""Every integer on the wire: exact in SQLite, in JSON and in a double."""
MAX_U32: Final = 2**32 - 1
"""Request ids, device numbers, times in milliseconds that are no dates."""

# Names and texts.
MAX_USER_BYTES: Final = 64
"""UTF-8 of a prepared user name."""
MAX_DISPLAY_NAME_BYTES: Final = 128
"""UTF-8 of a display name."""
MAX_DEVICE_NAME_BYTES: Final = 64
"""UTF-8 of a device's name."""
MAX_SOFTWARE_BYTES: Final = 64
"""Name and version of a peer's software, for logs."""
MAX_FEATURES: Final = 16
"""Features in HELLO and WELCOME: there are none yet."""
MAX_FEATURE_BYTES: Final = 32
"""The name of one feature."""
MAX_ERROR_TEXT_BYTES: Final = 256
"""The generic text of an error."""
MAX_SCRAM_BYTES: Final = 512
"""One SCRAM message: name (64), two nonces, salt, binding and proof come to about 350."""

# Identifiers: fixed sizes.
CONVERSATION_ID_BYTES: Final = 32
"""A SHA-256."""
MESSAGE_ID_BYTES: Final = 16
"""Random: nobody meets the same one twice."""
SERVER_ID_BYTES: Final = 16
"""Random, made once."""
TOKEN_BYTES: Final = 16
"""Of an invite: random, not guessable."""
SALT_BYTES: Final = 16
"""Of a SCRAM verifier."""
HASH_BYTES: Final = 32
"""SHA-256."""
KEY_BYTES: Final = 32
"""An Ed25519 public key; StoredKey and ServerKey of SCRAM-SHA-256."""
SIGNATURE_BYTES: Final = 64
"""Ed25519."""

# Messages.
MAX_HEADER_BYTES: Final = 2_048
"""The clear header: 16 asset ids of 16 bytes and 16 names of 64 bytes, with room to grow."""
MAX_BODY_BYTES: Final = 61_440
"""An opaque body: header, ids and framing still fit in one frame, in SEND and in a page."""
MAX_HEADER_ASSETS: Final = 16
"""Assets that one message may refer to."""
MAX_HEADER_USERS: Final = 16
"""Users that one message may name to be notified."""
ASSET_ID_BYTES: Final = 16
"""An id of an asset."""
MAX_UNANSWERED_SENDS: Final = 32
"""Per device and conversation. It bounds how far back a retry can reach."""
MAX_ACKS: Final = 64
"""Conversations that one ACK frame can move."""

# Pages.
MAX_PAGE_ENTRIES: Final = 512
"""Entries in one HISTORY_PAGE: the work of one read is bounded."""
MAX_PAGE_BYTES: Final = 64_512
"""Encoded entries of one HISTORY_PAGE: a frame less its overhead. The largest entry fits."""
MAX_PAGE_HEADS: Final = 100
"""Heads in one SYNC_PAGE: 100 of at most 250 bytes, and as many watermarks, fit in a frame."""
MAX_PAGE_WATERMARKS: Final = 100
"""Watermarks in one SYNC_PAGE: one for each head, as direct conversations need."""
MAX_DEVICES: Final = 64
"""Devices of one account, listed in one frame."""

# Sessions.
MAX_REQUESTS_IN_FLIGHT: Final = 256
"""Unanswered requests of one connection; beyond it the server stops reading from it."""
SCRAM_ITERATIONS: Final = 4_096
"""Exactly. The client has stretched the password with Argon2id before SCRAM sees it."""
