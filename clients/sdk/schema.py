"""The client store's tables. The version is SQLite's ``user_version``.

History: 1 = the first.
"""

from typing import Final

VERSION: Final = 1

MIGRATIONS: Final[dict[int, str]] = {
    1: """
CREATE TABLE account (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    user TEXT NOT NULL,
    device INTEGER,                   -- NULL until the server has answered
    state TEXT NOT NULL,              -- registering, enrolling, active, restored, revoked, closed
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    tls TEXT NOT NULL,                -- pinned, ca, off
    server_id BLOB NOT NULL,
    server_key BLOB NOT NULL,
    device_name TEXT NOT NULL,
    login_key BLOB NOT NULL,          -- private seeds
    signing_key BLOB NOT NULL,
    counter INTEGER NOT NULL,         -- of the last LOGIN that may have been sent
    tls_key_hash BLOB,                -- of the last WELCOME that was verified
    since INTEGER NOT NULL            -- commit of the last complete SYNC's first page
);

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    conversation BLOB NOT NULL UNIQUE,
    peer TEXT NOT NULL,
    known INTEGER NOT NULL,           -- the server has it: sends need not name the peer
    next_n INTEGER NOT NULL,          -- of the next message queued here
    head INTEGER NOT NULL,            -- highest seq heard of
    position INTEGER NOT NULL,        -- every entry in (lowest - 1, position] is stored
    chain BLOB,                       -- L of position; NULL: not known yet
    lowest INTEGER NOT NULL,          -- lowest stored seq of that run; position + 1 if empty
    lowest_chain BLOB,                -- L of lowest - 1; NULL: not known yet
    first_seq INTEGER NOT NULL,       -- lowest seq that may be read
    broken INTEGER NOT NULL,          -- seq of the first broken link of the chain; 0: none
    acked INTEGER NOT NULL,           -- what the server has been told, as far as it confirmed
    read INTEGER NOT NULL,            -- own read watermark
    read_public INTEGER NOT NULL,
    read_told INTEGER NOT NULL,       -- the server has confirmed it
    seen INTEGER NOT NULL,            -- handed out by unseen() and marked
    peer_delivered INTEGER NOT NULL,
    peer_read INTEGER NOT NULL
);

CREATE TABLE entries (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq INTEGER NOT NULL,
    user TEXT NOT NULL,
    device INTEGER NOT NULL,
    n INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    header BLOB NOT NULL,
    message_id BLOB NOT NULL,
    body BLOB,
    body_hash BLOB,
    removed_by INTEGER,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;
CREATE INDEX entries_by_time ON entries (conversation, at_ms);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    n INTEGER NOT NULL,               -- 0 once refused
    message_id BLOB NOT NULL UNIQUE,
    header BLOB NOT NULL,
    body BLOB NOT NULL,
    queued_ms INTEGER NOT NULL,
    reason TEXT                       -- NULL: waiting for SENT; else why it was refused
);
CREATE INDEX outbox_order ON outbox (conversation, n);
""",
}
