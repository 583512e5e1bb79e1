"""What people keep for themselves: saved views, which are named queries, and pinned workspaces.

In the private store, because they concern nobody else. They end with the account.
"""

from collections.abc import Collection, Mapping

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
        name, text = _name(name), _query(query)
        known = self.views(username)
        if name not in known and len(known) >= MOST_VIEWS:
            raise conflict(f"you have {MOST_VIEWS} saved views: delete one first", "name")
        self._private.run("INSERT OR REPLACE INTO saved_views VALUES (?, ?, ?)", username, name, text)
        return name

    def delete_view(self, username: str, name: str) -> None:
        self._private.run("DELETE FROM saved_views WHERE username=? AND name=?", username, name)

    def replace_views(self, username: str, views: Mapping[str, str]) -> None:
        """All of them, or none if one can't be saved. Raises `Error` (invalid, conflict)."""
        checked = {_name(name): _query(query) for name, query in views.items()}
        if len(checked) > MOST_VIEWS:
            raise conflict(f"{len(checked)} saved views, and the limit is {MOST_VIEWS}", "views")
        self._private.run_all(
            [
                ("DELETE FROM saved_views WHERE username=?", (username,)),
                *(("INSERT INTO saved_views VALUES (?, ?, ?)", (username, *view)) for view in checked.items()),
            ]
        )

    def replace_pins(self, username: str, workspaces: Collection[str]) -> None:
        """Raises `Error` (conflict) for too many."""
        if len(set(workspaces)) > _MOST_PINS:
            raise conflict(f"{len(set(workspaces))} pinned workspaces, and the limit is {_MOST_PINS}", "pinned")
        self._private.run_all(
            [
                ("DELETE FROM pins WHERE username=?", (username,)),
                *(("INSERT INTO pins VALUES (?, ?)", (username, name)) for name in sorted(set(workspaces))),
            ]
        )

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


def _name(name: str) -> str:
    """As it is kept. Raises `Error` (invalid)."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise invalid(f"expected a name of 1 to {LONGEST_NAME} characters", "name")
    return name


def _query(query: str) -> str:
    """As it is kept. Raises `Error` (invalid)."""
    text = str(parse(query))
    if not text:
        raise invalid("expected words or filters to save", "q")
    return text
