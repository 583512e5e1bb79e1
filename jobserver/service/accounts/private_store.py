"""What is never in git: how to reach people, which must stay erasable, and what is live but outlives a process: used
login links, ended sessions, when tokens and backends were last heard of. A small SQLite file of mode 0600.

Losing it loses no job: only email and the memory of who was here depend on it. Times are seconds since 1970.
"""

import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobserver.errors import invalid, unavailable
from jobserver.store.fs import reason

_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]++)+")
_TELEPHONE = re.compile(r"\+?[0-9(][0-9 ()./-]{2,30}( ?(x|ext\.?) ?[0-9]{1,8})?")
Statement = tuple[str, tuple[object, ...]]  # in SQL, with its values
_SCHEMA = """
CREATE TABLE IF NOT EXISTS contacts (username TEXT PRIMARY KEY, email TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS project_contacts (project TEXT PRIMARY KEY, email TEXT NOT NULL, telephone TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (mark TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token_use (sha256 TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (backend TEXT, hour INTEGER, PRIMARY KEY (backend, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_seen (backend TEXT PRIMARY KEY, at INTEGER NOT NULL, flags TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (github_id INTEGER PRIMARY KEY, is_out INTEGER NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS firsts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (about TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notified (branch TEXT PRIMARY KEY, tip TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL, receiver TEXT NOT NULL,
    subject TEXT NOT NULL, content TEXT NOT NULL, queued_at INTEGER NOT NULL, due INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, problem TEXT NOT NULL DEFAULT '', given_up INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS outbox_queues ON outbox (given_up, receiver, number);
CREATE TABLE IF NOT EXISTS webhooks (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, url TEXT NOT NULL,
    secret TEXT NOT NULL, scope TEXT NOT NULL, events TEXT NOT NULL, created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS email_choices (username TEXT PRIMARY KEY, choice TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscriptions (username TEXT, subject TEXT, PRIMARY KEY (username, subject)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subscriptions_of ON subscriptions (subject);
CREATE TABLE IF NOT EXISTS kept_forms (id TEXT PRIMARY KEY, username TEXT NOT NULL, path TEXT NOT NULL,
    fields TEXT NOT NULL, until INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS saved_views (username TEXT, name TEXT, query TEXT NOT NULL, PRIMARY KEY (username, name))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pins (username TEXT, workspace TEXT, PRIMARY KEY (username, workspace)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS readings (backend TEXT, request TEXT, since INTEGER NOT NULL, heard_at INTEGER NOT NULL,
    jobs TEXT NOT NULL, PRIMARY KEY (backend, request)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS silences (backend TEXT PRIMARY KEY, last_seen INTEGER NOT NULL) WITHOUT ROWID;
"""

_VERSION = 1  # to raise with a change that earlier versions can't work with


def check_email(text: str) -> str:
    """The address. Raises `Error` (invalid)."""
    address = text.strip()
    if len(address) > 254 or not _EMAIL.fullmatch(address):
        raise invalid("expected an address such as alice@example.org", "email")
    return address


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach whoever leads a project. Empty: not known, or erased."""

    email: str = ""
    telephone: str = ""

    def checked(self) -> "Contact":
        """As it is kept. Raises `Error` (invalid)."""
        telephone = self.telephone.strip()
        if telephone and not _TELEPHONE.fullmatch(telephone):
            raise invalid("expected a number such as +44 20 7946 0000", "telephone")
        return Contact(check_email(self.email) if self.email.strip() else "", telephone)


class PrivateStore:
    """Thread-safe. Raises `Error` (unavailable) where the file can't be used."""

    def __init__(self, path: Path) -> None:
        self._guard = threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._sql = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA secure_delete=ON")  # erased means erased
            version = self._sql.execute("PRAGMA user_version").fetchone()[0]
            if version < _VERSION:
                self._sql.execute(f"PRAGMA user_version={_VERSION}")
            if version <= _VERSION:
                self._sql.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise unavailable(f"PRIVATE_STORE can't be used: {reason(error)}", str(path)) from None
        if version > _VERSION:
            self._sql.close()
            message = f"was made by a newer jobserver (version {version}; this one knows up to {_VERSION})"
            raise unavailable(f"{message}: upgrade jobserver, or restore a backup from before the upgrade", str(path))

    def close(self) -> None:
        self._sql.close()

    def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._guard:
            try:
                return self._sql.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise unavailable(f"PRIVATE_STORE can't be used: {reason(error)}") from None

    def run_all(self, statements: Iterable[Statement]) -> None:
        """Runs all of these or none, durably."""
        with self._guard:
            try:
                self._sql.execute("BEGIN IMMEDIATE")
                try:
                    for statement, values in statements:
                        self._sql.execute(statement, values)
                    self._sql.execute("COMMIT")
                except BaseException:
                    self._sql.rollback()
                    raise
            except sqlite3.Error as error:
                raise unavailable(f"PRIVATE_STORE can't be used: {reason(error)}") from None

    def email(self, username: str) -> str:
        """Empty if none is known."""
        rows = self.run("SELECT email FROM contacts WHERE username=?", username)
        return str(rows[0][0]) if rows else ""

    def usernames(self, email: str) -> list[str]:
        """The people with this address, in any case of letters."""
        rows = self.run("SELECT username FROM contacts WHERE lower(email) = lower(?) ORDER BY username", email)
        return [str(row[0]) for row in rows]

    def use_up(self, mark: str, until: int, now: int) -> bool:
        """Whether this mark (a login link's, a session's) had not been used before; remembered until ``until``."""
        self.run("DELETE FROM used WHERE until < ?", now)
        return bool(self.run("INSERT INTO used VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1", mark, until))

    def is_used(self, mark: str) -> bool:
        return bool(self.run("SELECT 1 FROM used WHERE mark=?", mark))

    def token_uses(self) -> dict[str, int]:
        """SHA-256 of a token -> when it was last used, to within a minute."""
        return {str(sha): int(str(used_at)) for sha, used_at in self.run("SELECT sha256, at FROM token_use")}

    def used_token(self, sha256: str, used_at: int) -> None:
        self.run("INSERT OR REPLACE INTO token_use VALUES (?, ?)", sha256, used_at)

    def heard(self, backend: str, heard_at: int, flags: str) -> None:
        self.run("INSERT OR REPLACE INTO last_seen VALUES (?, ?, ?)", backend, heard_at, flags)
        self.run("INSERT OR IGNORE INTO seen VALUES (?, ?)", backend, heard_at // 3600)

    def last_heard(self) -> dict[str, tuple[int, str]]:
        """backend -> (when, its flags as JSON)."""
        rows = self.run("SELECT backend, at, flags FROM last_seen")
        return {str(backend): (int(str(heard_at)), str(flags)) for backend, heard_at, flags in rows}

    def hours_heard(self, backend: str, since: int) -> set[int]:
        """Hours (since 1970) in which the backend was heard of."""
        rows = self.run("SELECT hour FROM seen WHERE backend=? AND hour >= ?", backend, since // 3600)
        return {int(str(row[0])) for row in rows}

    def used_marks(self, kind: str) -> set[str]:
        """Marks that begin with ``kind/`` and are used up, without it."""
        rows = self.run("SELECT mark FROM used WHERE mark BETWEEN ? AND ?", f"{kind}/", f"{kind}0")
        return {str(row[0]).removeprefix(f"{kind}/") for row in rows}

    def members(self) -> dict[int, tuple[bool, float]]:
        """GitHub's number -> (whether it has left, when GitHub said so)."""
        rows = self.run("SELECT github_id, is_out, at FROM members")
        return {int(str(number)): (bool(has_left), float(str(answered_at))) for number, has_left, answered_at in rows}

    def set_member(self, github_id: int, has_left: bool, answered_at: float) -> None:
        self.run("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", github_id, has_left, answered_at)

    def first(self, name: str, number: int) -> int:
        """The number that was first given for this name: ``number``, if none was."""
        self.run("INSERT INTO firsts VALUES (?, ?) ON CONFLICT DO NOTHING", name, number)
        return int(str(self.run("SELECT number FROM firsts WHERE name=?", name)[0][0]))

    def known_first(self, name: str) -> int:
        """The number that was first given for this name; 0 if none was."""
        rows = self.run("SELECT number FROM firsts WHERE name=?", name)
        return int(str(rows[0][0])) if rows else 0

    def forget_first(self, name: str, number: int) -> None:
        """What has this number is there no longer. A number that another server gave since stays."""
        self.run("DELETE FROM firsts WHERE name=? AND number=?", name, number)

    def notices(self) -> dict[str, str]:
        """What SuperUsers are to look at, until one says that they did: username -> what was said."""
        return {str(about): str(text) for about, text in self.run("SELECT about, said FROM notices ORDER BY about")}

    def set_notice(self, about: str, text: str) -> None:
        """Empty: it was looked at."""
        if text:
            self.run("INSERT OR REPLACE INTO notices VALUES (?, ?)", about, text)
        else:
            self.run("DELETE FROM notices WHERE about=?", about)

    def notified(self, branch: str) -> str | None:
        """The commit of the branch up to which everything to send about it is in the outbox."""
        rows = self.run("SELECT tip FROM notified WHERE branch=?", branch)
        return str(rows[0][0]) if rows else None

    def start_notifying(self, tips: Mapping[str, str]) -> None:
        """Of branches that nobody got messages about so far, what comes after these tips is news."""
        self.run_all([("INSERT OR IGNORE INTO notified VALUES (?, ?)", item) for item in tips.items()])

    @staticmethod
    def set_notified(branch: str, tip: str) -> Statement:
        """For `run_all`, beside the statements that put the messages into the outbox."""
        return "INSERT OR REPLACE INTO notified VALUES (?, ?)", (branch, tip)

    def set_email(self, username: str, email: str) -> None:
        """Empty erases it."""
        if email:
            self.run("INSERT OR REPLACE INTO contacts VALUES (?, ?)", username, check_email(email))
        else:
            self.run("DELETE FROM contacts WHERE username=?", username)

    def forget(self, username: str) -> None:
        """For a new account: an earlier one of this name may have left something."""
        tables = ("contacts", "email_choices", "subscriptions", "saved_views", "pins", "kept_forms")
        self.run_all([(f"DELETE FROM {table} WHERE username=?", (username,)) for table in tables])

    def project_contact(self, project: str) -> Contact:
        """Of ``org/slug``."""
        rows = self.run("SELECT email, telephone FROM project_contacts WHERE project=?", project)
        return Contact(str(rows[0][0]), str(rows[0][1])) if rows else Contact()

    def set_project_contact(self, project: str, contact: Contact) -> None:
        """An empty one erases it. Raises `Error` (invalid)."""
        kept = contact.checked()
        if kept == Contact():
            self.run("DELETE FROM project_contacts WHERE project=?", project)
        else:
            self.run("INSERT OR REPLACE INTO project_contacts VALUES (?, ?, ?)", project, kept.email, kept.telephone)
