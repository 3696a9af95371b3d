-- Accounts, devices, invites; conversations, members, the log and its cursors.
-- Integers named *_ms are Unix milliseconds; "changed" and "commit_no" count group commits.

CREATE TABLE meta (
    key   TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('commit_no', 0), ('indexed', 0);

CREATE TABLE users (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,      -- PRECIS-prepared, never reused
    display_name TEXT    NOT NULL,
    state        INTEGER NOT NULL,             -- 0 active, 1 disabled, 2 deleted
    invited_by   INTEGER REFERENCES users (id),
    created_ms   INTEGER NOT NULL,
    salt         BLOB    NOT NULL,             -- SCRAM verifier (RFC 5802), empty once deleted
    stored_key   BLOB    NOT NULL,
    server_key   BLOB    NOT NULL,
    next_device  INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER NOT NULL REFERENCES users (id),
    number       INTEGER NOT NULL,             -- 1, 2, 3 … within the user, never reused
    name         TEXT    NOT NULL,
    login_key    BLOB    NOT NULL,
    signing_key  BLOB    NOT NULL,
    counter      INTEGER NOT NULL,             -- the last login counter that was accepted
    created_ms   INTEGER NOT NULL,
    last_seen_ms INTEGER,
    revoked_ms   INTEGER,
    UNIQUE (user_id, number)
) STRICT;

CREATE TABLE invites (
    token_hash BLOB    PRIMARY KEY,            -- SHA-256: a copy of the database lets nobody in
    kind       INTEGER NOT NULL,               -- 0 a new account, 1 a new password for user_id
    user_id    INTEGER REFERENCES users (id),  -- who invites (none: the admin), or whose password
    uses_left  INTEGER NOT NULL,
    expires_ms INTEGER,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_user ON invites (user_id, expires_ms);

CREATE TABLE conversations (
    id        INTEGER PRIMARY KEY,
    cid       BLOB    NOT NULL UNIQUE,         -- 32 bytes, computed by clients
    kind      INTEGER NOT NULL,                -- 0 direct
    first_seq INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    conv_id     INTEGER NOT NULL REFERENCES conversations (id),
    user_id     INTEGER NOT NULL REFERENCES users (id),
    delivered   INTEGER NOT NULL,              -- watermarks: 0 <= read <= delivered <= head
    read_own    INTEGER NOT NULL,
    read_public INTEGER NOT NULL,
    changed     INTEGER NOT NULL,              -- commit in which a watermark last moved
    PRIMARY KEY (conv_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, conv_id);

-- What a member may read: from_seq <= seq <= to_seq (open: no upper bound).
CREATE TABLE intervals (
    conv_id  INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq   INTEGER,
    PRIMARY KEY (conv_id, user_id, from_seq),
    FOREIGN KEY (conv_id, user_id) REFERENCES members (conv_id, user_id)
) STRICT, WITHOUT ROWID;

-- Appended in commit order, once for all readers. Found through log_index, which follows behind.
CREATE TABLE log (
    id         INTEGER PRIMARY KEY,
    conv_id    INTEGER NOT NULL,
    seq        INTEGER NOT NULL,               -- dense from 1 within the conversation
    device_id  INTEGER NOT NULL,
    n          INTEGER NOT NULL,               -- dense from 1 for each (device, conversation)
    prev_seq   INTEGER NOT NULL,               -- this device's entry n - 1 here, 0 for none
    at_ms      INTEGER NOT NULL,
    commit_no  INTEGER NOT NULL,
    message_id BLOB    NOT NULL,
    header     BLOB    NOT NULL,
    body       BLOB,                           -- NULL in a tombstone
    chain      BLOB    NOT NULL,               -- L_seq
    body_hash  BLOB,                           -- in a tombstone
    removed_by INTEGER                         -- seq of the entry that removed the body
) STRICT;

-- From (conversation, seq) to the log; holds every entry up to the mark meta.indexed.
CREATE TABLE log_index (
    conv_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    log_id  INTEGER NOT NULL,
    PRIMARY KEY (conv_id, seq)
) STRICT, WITHOUT ROWID;

-- The offline queue: what lies above a device's acked is still to be delivered to it.
CREATE TABLE cursors (
    conv_id   INTEGER NOT NULL,
    device_id INTEGER NOT NULL,
    acked     INTEGER NOT NULL,
    last_n    INTEGER NOT NULL,                -- highest n stored of this device here
    last_seq  INTEGER NOT NULL,                -- and where: the head of the chain of prev_seq
    PRIMARY KEY (conv_id, device_id)
) STRICT, WITHOUT ROWID;
