"""What people keep for themselves: saved views, which are named queries, and pinned workspaces.

In the private store, because they concern nobody else. They end with the account.
"""

from jobserver.domain.job_requests.query import parse
from jobserver.errors import conflict, invalid
from jobserver.service.accounts.private_store import PrivateStore

MOST_VIEWS, LONGEST_NAME = 50, 60
_MOST_PINS = 200


class Preferences:
    def __init__(self, private: PrivateStore) -> None:
        self._private = private

    def views(self, username: str) -> dict[str, str]:
        """name -> query, in the order of the names."""
        rows = self._private.run("SELECT name, query FROM saved_views WHERE username=? ORDER BY name", username)
        return {str(name): str(query) for name, query in rows}

    def save_view(self, username: str, name: str, query: str) -> str:
        """Replaces the view of that name. Returns the name as it is kept.

        Raises `Error`: invalid for a malformed name or query, conflict for too many views.
        """
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise invalid(f"expected a name of 1 to {LONGEST_NAME} characters", "name")
        text = str(parse(query))
        if not text:
            raise invalid("expected words or filters to save", "q")
        known = self.views(username)
        if name not in known and len(known) >= MOST_VIEWS:
            raise conflict(f"you have {MOST_VIEWS} saved views: delete one first", "name")
        self._private.run("INSERT OR REPLACE INTO saved_views VALUES (?, ?, ?)", username, name, text)
        return name

    def delete_view(self, username: str, name: str) -> None:
        self._private.run("DELETE FROM saved_views WHERE username=? AND name=?", username, name)

    def pinned(self, username: str) -> frozenset[str]:
        """Names of workspaces."""
        rows = self._private.run("SELECT workspace FROM pins WHERE username=?", username)
        return frozenset(str(name) for (name,) in rows)

    def pin(self, username: str, workspace: str, is_pinned: bool) -> None:
        """Raises `Error` (conflict) for too many."""
        if not is_pinned:
            self._private.run("DELETE FROM pins WHERE username=? AND workspace=?", username, workspace)
        elif len(self.pinned(username) - {workspace}) >= _MOST_PINS:
            raise conflict(f"you have pinned {_MOST_PINS} workspaces: unpin one first", "workspace")
        else:
            self._private.run("INSERT OR IGNORE INTO pins VALUES (?, ?)", username, workspace)
