"""The tables, and how an older file comes by them.

A *thread* is what is kept or goes as a whole: a tree of responses that continue each other, or a conversation. Each
response holds its own items alone and points at the one it continues, so that a chain costs as much as was said in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

Migration: TypeAlias = Sequence[str]
"""The statements that lead from one version of the schema to the next."""

APPLICATION_ID: Final = 0x72627273
"""Marks a file as ours (`PRAGMA application_id`)."""

_FIRST: Final[Migration] = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE threads (
        seq INTEGER PRIMARY KEY,
        owner TEXT NOT NULL,
        touched_at REAL NOT NULL, -- when something was last added
        conversation TEXT,        -- its id; NULL: a tree of responses
        body BLOB                 -- of a conversation
    )
    """,
    "CREATE INDEX threads_by_age ON threads (touched_at)",
    "CREATE UNIQUE INDEX conversations ON threads (owner, conversation) WHERE conversation IS NOT NULL",
    """
    CREATE TABLE responses (
        seq INTEGER PRIMARY KEY,
        thread INTEGER NOT NULL REFERENCES threads ON DELETE CASCADE,
        parent INTEGER,                       -- the seq of the response that it continues
        owner TEXT NOT NULL,
        id TEXT NOT NULL,
        stored_at REAL NOT NULL,
        created_at INTEGER NOT NULL,
        status TEXT NOT NULL,
        model TEXT NOT NULL,
        conversation TEXT,
        runner TEXT,                          -- NULL once its status is final
        event_bytes INTEGER NOT NULL DEFAULT 0,
        body BLOB,                            -- the response without its output; NULL: deleted, but still continued
        UNIQUE (owner, id)
    )
    """,
    "CREATE INDEX responses_of_thread ON responses (thread)",
    "CREATE INDEX responses_by_parent ON responses (parent) WHERE parent IS NOT NULL",
    "CREATE INDEX responses_by_id ON responses (id)",
    "CREATE INDEX running_responses ON responses (runner) WHERE runner IS NOT NULL",
    """
    CREATE TABLE items (
        seq INTEGER PRIMARY KEY,              -- their order
        id TEXT NOT NULL,
        response INTEGER REFERENCES responses ON DELETE CASCADE,
        output INTEGER NOT NULL DEFAULT 0,    -- of a response: 0 input, 1 output
        conversation INTEGER REFERENCES threads ON DELETE CASCADE,
        body BLOB NOT NULL,
        CHECK ((response IS NULL) <> (conversation IS NULL))
    )
    """,
    "CREATE INDEX items_by_id ON items (id)",
    "CREATE INDEX items_of_response ON items (response) WHERE response IS NOT NULL",
    "CREATE UNIQUE INDEX items_of_conversation ON items (conversation, id) WHERE conversation IS NOT NULL",
    "CREATE INDEX order_of_conversation ON items (conversation) WHERE conversation IS NOT NULL",
    """
    CREATE TABLE events (
        response INTEGER NOT NULL REFERENCES responses ON DELETE CASCADE,
        last INTEGER NOT NULL,                -- number of the last event in `body`, one line each
        body BLOB NOT NULL,
        PRIMARY KEY (response, last)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE "values" (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        expires_at REAL NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (kind, key)
    )
    """,
    'CREATE INDEX values_by_expiry ON "values" (expires_at)',
    "CREATE TABLE leases (process TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    # How many responses there are, without counting them at every write.
    "CREATE TABLE totals (responses INTEGER NOT NULL)",
    "INSERT INTO totals VALUES (0)",
    """
    CREATE TRIGGER response_added AFTER INSERT ON responses
    BEGIN UPDATE totals SET responses = responses + 1; END
    """,
    """
    CREATE TRIGGER response_gone AFTER DELETE ON responses
    BEGIN UPDATE totals SET responses = responses - 1; END
    """,
)

MIGRATIONS: Final[Sequence[Migration]] = (_FIRST,)
"""What has been released is never edited: a change of the schema is one more entry. Its number is the version."""
