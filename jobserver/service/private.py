"""What must stay erasable, and so is never in git: how to reach people. A small SQLite file of mode 0600.

Losing it loses no job: nothing but email depends on it.
"""

import os
import re
import sqlite3
import threading
from pathlib import Path

from jobserver.errors import invalid, unavailable

_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS contacts (username TEXT PRIMARY KEY, email TEXT NOT NULL) WITHOUT ROWID;
"""


def check_email(text: str) -> str:
    """The address. Raises `Error` (invalid)."""
    address = text.strip()
    if len(address) > 254 or not _EMAIL.fullmatch(address):
        raise invalid("expected an address such as alice@example.org", "email")
    return address


class PrivateStore:
    """Thread-safe. Raises `Error` (unavailable) where the file can't be used."""

    def __init__(self, path: Path) -> None:
        self._guard = threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._sql = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA secure_delete=ON")  # erased means erased
            self._sql.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise unavailable(f"PRIVATE_STORE can't be used: {error}", str(path)) from None

    def close(self) -> None:
        self._sql.close()

    def _run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._guard:
            try:
                return self._sql.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise unavailable(f"PRIVATE_STORE can't be used: {error}") from None

    def email(self, username: str) -> str:
        """Empty if none is known."""
        rows = self._run("SELECT email FROM contacts WHERE username=?", username)
        return str(rows[0][0]) if rows else ""

    def set_email(self, username: str, email: str) -> None:
        """Empty erases it."""
        if email:
            self._run("INSERT OR REPLACE INTO contacts VALUES (?, ?)", username, check_email(email))
        else:
            self._run("DELETE FROM contacts WHERE username=?", username)
