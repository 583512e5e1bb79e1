"""The tables of the index file, and how to recognise a file that is not ours or has another version.

SQLite in WAL mode: readers see the state of one commit while the next is applied. `synchronous=NORMAL`: after a power
loss the newest transactions may be missing, but none is incomplete. The tips in ``branches`` then say which changes to
apply again.
"""

import sqlite3
from pathlib import Path
from typing import TypeVar

from jobserver.index.sqlite import days, releases

C = TypeVar("C", bound=sqlite3.Connection)
VERSION = 10
APPLICATION = 0x6A6F6273  # "jobs"

WAIT_SECONDS = 30.0  # for another process that writes

TABLES = (
    """
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
    sha TEXT NOT NULL,
    first_action TEXT NOT NULL,  -- of those that were requested
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
CREATE TABLE tallies (         -- how many requests have these values
    branch INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    created_by TEXT NOT NULL,
    project TEXT NOT NULL,       -- or ''
    outcome TEXT NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (branch, workspace, created_by, project, outcome)
) WITHOUT ROWID;
CREATE TABLE actions (         -- what was ever run, or requested first; a row stays when the last job of it is gone
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
    + days.TABLES
    + releases.TABLES
)
_ADD_ACTION = """
    INSERT INTO actions SELECT new.branch, new.workspace, new.{0} WHERE new.workspace IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM actions WHERE branch = new.branch AND workspace = new.workspace AND action = new.{0});"""
_COUNTED = "branch, workspace, created_by, project, outcome"
_ONE_MORE = """
    INSERT INTO tallies
    VALUES (new.branch, new.workspace, new.created_by, ifnull(new.project, ''), new.outcome, 1)
    ON CONFLICT DO UPDATE SET requests = requests + 1;"""
_ONE_LESS = """
    UPDATE tallies SET requests = requests - 1 WHERE branch = old.branch AND workspace = old.workspace
        AND created_by = old.created_by AND project = ifnull(old.project, '') AND outcome = old.outcome;
    DELETE FROM tallies WHERE branch = old.branch AND workspace = old.workspace
        AND created_by = old.created_by AND project = ifnull(old.project, '') AND outcome = old.outcome
        AND requests = 0;"""
_IS_OTHER = " OR ".join(f"old.{name} IS NOT new.{name}" for name in _COUNTED.split(", "))
TALLIES = f"""
SELECT branch, workspace, created_by, ifnull(project, '') AS project, outcome, count(*) AS requests
FROM {{}}requests GROUP BY {_COUNTED}
"""
"""What the table `tallies` has. The parameter is the schema, such as ``live.``."""
# A rebuild creates these after loading the rows: one sort is faster than a search for each row.
INDEXES = f"""
CREATE UNIQUE INDEX requests_identifier ON requests (identifier, branch);
CREATE INDEX requests_active ON requests (branch, created_at, identifier) WHERE active;
CREATE INDEX requests_unmoved ON requests (branch) WHERE area = 'active' AND NOT active;
CREATE INDEX requests_created ON requests (created_at, identifier);
CREATE INDEX requests_outcome ON requests (outcome, created_at, identifier);
CREATE INDEX requests_workspace ON requests (workspace, created_at, identifier);
CREATE INDEX requests_person ON requests (created_by, created_at, identifier);
CREATE INDEX requests_project ON requests (project, created_at, identifier);
CREATE INDEX requests_backend ON requests (branch, created_at, identifier);
CREATE INDEX requests_commit ON requests (sha);
CREATE INDEX requests_first_action ON requests (first_action);
CREATE INDEX jobs_identifier ON jobs (identifier);
CREATE INDEX jobs_action ON jobs (branch, workspace, action, created_at, status);
CREATE INDEX jobs_code ON jobs (status_code);
CREATE INDEX faults_path ON faults (branch, path);
INSERT INTO actions SELECT branch, workspace, action FROM jobs WHERE workspace IS NOT NULL
UNION SELECT branch, workspace, first_action FROM requests;
INSERT INTO tallies {TALLIES.format("")};
CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN {_ADD_ACTION.format("action")} END;
CREATE TRIGGER jobs_updated AFTER UPDATE OF workspace, action ON jobs
WHEN old.workspace IS NOT new.workspace OR old.action IS NOT new.action
BEGIN {_ADD_ACTION.format("action")} END;
CREATE TRIGGER requests_inserted AFTER INSERT ON requests BEGIN {_ADD_ACTION.format("first_action")} {_ONE_MORE} END;
CREATE TRIGGER requests_deleted AFTER DELETE ON requests BEGIN {_ONE_LESS} END;
CREATE TRIGGER requests_updated AFTER UPDATE OF {_COUNTED} ON requests
WHEN {_IS_OTHER}
BEGIN {_ONE_LESS} {_ADD_ACTION.format("first_action")} {_ONE_MORE} END;
{days.INDEXES}
{releases.INDEXES}
"""


def connect(path: Path) -> sqlite3.Connection:
    """Callers begin transactions themselves. The page cache is small, because the system caches the file for all
    connections.
    """
    return connect_as(path, sqlite3.Connection)


def connect_as(path: Path, kind: type[C]) -> C:
    connection = sqlite3.connect(
        path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, factory=kind
    )
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
