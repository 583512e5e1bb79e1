"""Forms whose session ended before they were sent: kept for an hour, for their person to send again after the login.

They may name people and how to reach them, so they are in the private store, and only that person gets them back.
Nothing is ever sent by itself: the page shows what was typed, and its button sends it.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from jobserver.service.accounts.private_store import PrivateStore

PARAMETER = "kept"  # of a page's address
SECONDS = 3600
_MOST_BYTES = 256 * 1024  # of one form
_MOST_FORMS = 5  # of one person
_NOT_KEPT = frozenset({"form", "once"})  # they belong to the page that was sent

Fields = Sequence[tuple[str, str]]
"""(name, value) as the browser sent them."""


class KeptForms:
    def __init__(self, private: PrivateStore, clock: Callable[[], datetime]) -> None:
        self._private, self._clock = private, clock

    def keep(self, username: str, path: str, fields: Fields) -> str:
        """The form's id; empty for a form without fields, or too large to keep."""
        typed = [field for field in fields if field[0] not in _NOT_KEPT]
        content = orjson.dumps(typed)
        if not typed or len(content) > _MOST_BYTES:
            return ""
        identifier, now = secrets.token_urlsafe(16), int(self._clock().timestamp())
        values = (identifier, username, path, content.decode(), now + SECONDS)
        oldest = "SELECT id FROM kept_forms WHERE username=? ORDER BY until DESC, rowid DESC LIMIT -1 OFFSET ?"
        self._private.run_all(
            [
                ("DELETE FROM kept_forms WHERE until < ?", (now,)),
                ("INSERT INTO kept_forms VALUES (?, ?, ?, ?, ?)", values),
                (f"DELETE FROM kept_forms WHERE id IN ({oldest})", (username, _MOST_FORMS)),
            ]
        )
        return identifier

    def find(self, identifier: str, username: str, path: str) -> Fields:
        """None where there is no such form any more, or it is another person's or page's."""
        now = int(self._clock().timestamp())
        rows = self._private.run(
            "SELECT fields FROM kept_forms WHERE id=? AND username=? AND path=? AND until >= ?",
            *(identifier, username, path, now),
        )
        return [(name, value) for name, value in orjson.loads(str(rows[0][0]))] if rows else []
