"""The tables of the index file, and how to recognise a file that is not ours or has another version.

SQLite in WAL mode: readers see the state of one commit while the next is applied. `synchronous=NORMAL`: after a power
loss the newest transactions may be missing, but none is incomplete. The tips in ``branches`` then say which changes to
apply again.
"""

import sqlite3
from pathlib import Path

VERSION = 6
APPLICATION = 0x6A6F6273  # "jobs"

WAIT_SECONDS = 30.0  # for another process that writes

TABLES = """
CREATE TABLE branches (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    tip TEXT NOT NULL            -- the commit that all rows of this branch are of
);
CREATE TABLE requests (
    branch INTEGER NOT NULL,
    identifier TEXT NOT NULL,
    area TEXT NOT NULL,          -- active or archive: the folder
    day TEXT NOT NULL,
    workspace TEXT NOT NULL,
    project TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL, -- times are microseconds since 1970
    item TEXT NOT NULL,          -- JSON, as a runner gets it
    active INTEGER NOT NULL,     -- 1: a runner has to look at it
    outcome TEXT NOT NULL,       -- the status, or cancelled
    jobs INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    updated_at INTEGER,
    cancelled_by TEXT NOT NULL DEFAULT '' -- usernames, separated by commas: from the commits
);
CREATE TABLE jobs (
    branch INTEGER NOT NULL,
    request TEXT NOT NULL,
    identifier TEXT NOT NULL,
    workspace TEXT,              -- of its request; NULL while that can't be read
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    status_code TEXT NOT NULL,
    status_message TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    started_at INTEGER,
    completed_at INTEGER,
    more TEXT,                   -- JSON of the fields that only some runners send
    PRIMARY KEY (branch, request, identifier)
) WITHOUT ROWID;
CREATE TABLE actions (         -- what was ever run; a row stays when the last job of it is gone
    branch INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    action TEXT NOT NULL,
    PRIMARY KEY (branch, workspace, action)
) WITHOUT ROWID;
CREATE TABLE faults (
    branch INTEGER NOT NULL,
    path TEXT NOT NULL,
    line INTEGER NOT NULL,
    key TEXT NOT NULL,
    message TEXT NOT NULL
);
"""
_ADD_ACTION = """BEGIN
    INSERT INTO actions SELECT new.branch, new.workspace, new.action WHERE new.workspace IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM actions WHERE branch = new.branch AND workspace = new.workspace AND action = new.action);
END;"""
# A rebuild creates these after loading the rows: one sort is faster than a search for each row.
INDEXES = f"""
CREATE UNIQUE INDEX requests_identifier ON requests (identifier, branch);
CREATE INDEX requests_active ON requests (branch, created_at, identifier) WHERE active;
CREATE INDEX requests_unmoved ON requests (branch) WHERE area = 'active' AND NOT active;
CREATE INDEX requests_created ON requests (created_at, identifier);
CREATE INDEX requests_outcome ON requests (outcome, created_at, identifier);
CREATE INDEX requests_workspace ON requests (workspace, created_at, identifier);
CREATE INDEX requests_person ON requests (created_by, created_at, identifier);
CREATE INDEX requests_facets ON requests (branch, workspace, created_by, outcome);
CREATE INDEX jobs_identifier ON jobs (identifier);
CREATE INDEX jobs_action ON jobs (branch, workspace, action, created_at, status);
CREATE INDEX faults_path ON faults (branch, path);
INSERT INTO actions SELECT DISTINCT branch, workspace, action FROM jobs WHERE workspace IS NOT NULL;
CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs {_ADD_ACTION}
CREATE TRIGGER jobs_updated AFTER UPDATE OF workspace, action ON jobs {_ADD_ACTION}
"""


def connect(path: Path) -> sqlite3.Connection:
    """Callers begin transactions themselves. The page cache is small, because the system caches the file for all
    connections.
    """
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA cache_size=-1024")
    return connection


def create(path: Path) -> sqlite3.Connection:
    """A new, empty file at ``path`` without indexes, for loading: not durable, and not to be shared until it is
    complete.
    """
    connection = connect(path)
    connection.executescript(
        f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={VERSION};"
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;" + TABLES
    )
    return connection


def usable(path: Path) -> bool:
    """Whether the file at ``path`` is an index of this version."""
    if not path.is_file():
        return False
    connection = sqlite3.connect(path)
    try:
        marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        connection.execute("SELECT count(*) FROM branches").fetchone()
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return marks == [APPLICATION, VERSION]
