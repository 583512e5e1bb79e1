"""Commands that list and show things, as calls of a server: the rows that they print on the server's machine too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jobserver.cli.calls.client import ServerClient
from jobserver.errors import Code, Error

Row = dict[str, Any]
_ALL = 1_000_000
_ACTIVE = "status:requested,pending,running"


def workspaces(project: str | None) -> list[Row]:
    keys = ("name", "archived", "project", "repo", "branch", "db", "created_by")
    return _rows("workspaces/", _picked(*keys), {"project": project} if project is not None else {})


def orgs() -> list[Row]:
    return _rows("orgs/", lambda item: {**_picked("slug")(item), "members": _names(item), "name": item["name"]})


def projects() -> list[Row]:
    return _rows("projects/", lambda item: {**_picked("project")(item), "members": _names(item), "name": item["name"]})


def project(name: str) -> tuple[Row, list[str]]:
    """The project, and the names of its workspaces."""
    with ServerClient.from_env() as server:
        item = server.get(f"projects/{quote(name)}/").json()
    return item, [row["name"] for row in workspaces(name)]


def message() -> Row:
    with ServerClient.from_env() as server:
        shown: Row = server.get("site-message/").json()
    return shown


def users() -> list[Row]:
    return _rows("users/", _picked("username", "active", "roles", "name"))


def backends() -> list[Row]:
    def row(item: Mapping[str, Any]) -> Row:
        head = {"slug": item["slug"], "active": item["active"], "paused": not item["accepts_requests"]}
        return {**head, "databases": item["databases"], "name": item["name"]}

    return _rows("backends/", row)


def controllers() -> list[Row]:
    def row(item: Mapping[str, Any]) -> Row:
        head = {"backend": item["slug"], "url": item["controller"]["url"], "problem": item["controller"]["problem"]}
        return {**head, "last_seen": item["last_seen"], "active_requests": item["active_requests"], "not_created": None}

    with ServerClient.from_env() as server:
        items = list(server.items("backends/", {}, _ALL))
    return [row(item) for item in items if item["controller"] is not None]


def releases(workspace: str | None) -> list[Row]:
    """Of one workspace, or of all whose releases this person may see."""
    if workspace is not None:
        return _releases_of(workspace)
    rows = []
    for name in [row["name"] for row in workspaces(None)]:
        try:
            rows += _releases_of(name)
        except Error as error:
            if error.code is not Code.FORBIDDEN:
                raise
    return rows


def preview(workspace: str, actions: Sequence[str], backend: str, is_forced: bool, ref: str | None) -> Row:
    """What a request would run."""
    fields = {"requested_actions": list(actions), "backend": backend, "force_run_dependencies": is_forced, "ref": ref}
    with ServerClient.from_env() as server:
        item: Row = server.send("POST", f"workspaces/{quote(workspace, safe='')}/preview/", fields)
    return item


def user(username: str) -> Row:
    """As `user show` has it, as far as a server tells others."""
    with ServerClient.from_env() as server:
        item = server.get(f"users/{quote(username, safe='')}/").json()
    memberships = {
        kind: {
            f"{row['org']}/{row['slug']}" if "org" in row else row["slug"]: row["roles"] for row in item["roles"][kind]
        }
        for kind in ("orgs", "projects")
    }
    head = {key: item[key] for key in ("username", "name", "active")}
    return {**head, "roles": item["roles"]["global"], **memberships}


def webhooks(workspace: str) -> list[Row]:
    def row(item: Mapping[str, Any]) -> Row:
        keys = ("events", "url", "created_by", "created_at")
        return {**_picked("number", "kind")(item), "scope": f"workspace/{workspace}", **_picked(*keys)(item)}

    return _rows(f"workspaces/{quote(workspace, safe='')}/webhooks/", row)


def job_requests(identifier: str | None) -> list[Row]:
    """One job request, or those that are active; newest first, with their jobs."""
    with ServerClient.from_env() as server:
        active = [] if identifier else server.items("job-requests/", {"q": _ACTIVE}, _ALL)
        names = [identifier] if identifier else [item["identifier"] for item in active]
        items = [server.get(f"job-requests/{quote(name, safe='')}/").json() for name in names]
    return [{**item, "workspace": item["workspace"]["name"]} for item in items]


def _rows(path: str, as_row: Callable[[Mapping[str, Any]], Row], params: Mapping[str, str] | None = None) -> list[Row]:
    with ServerClient.from_env() as server:
        return [as_row(item) for item in server.items(path, params or {}, _ALL)]


def _picked(*keys: str) -> Callable[[Mapping[str, Any]], Row]:
    return lambda item: {key: item[key] for key in keys}


def _names(item: Mapping[str, Any]) -> list[str]:
    return [member["username"] for member in item["members"]]


def _releases_of(workspace: str) -> list[Row]:
    url = f"workspaces/{quote(workspace, safe='')}"
    vouched = _rows(f"{url}/releases/", _release(workspace))
    return newest_first([*vouched, *_rows(f"{url}/outputs/", _checked_release)])


VOUCHED = "vouched for by the backend"
"""What lists say in place of a state."""


def newest_first(releases: Sequence[Row]) -> list[Row]:
    """By workspace, the newest of each first."""
    by_time = sorted(releases, key=lambda row: str(row["received_at"]), reverse=True)
    return sorted(by_time, key=lambda row: str(row["workspace"]))


def checked_release(backend: str, workspace: str, identifier: str) -> Row:
    path = "/".join(quote(part, safe="") for part in (workspace, "outputs", backend, identifier))
    with ServerClient.from_env() as server:
        item: Row = server.get(f"workspaces/{path}/").json()
    return item


def _checked_release(item: Mapping[str, Any]) -> Row:
    head = {key: item[key] for key in ("workspace", "identifier", "backend")}
    counts = {"files": item["files"], "size": item["size"], "commit": ""}
    return {**head, "user": item["author"], "received_at": item["created_at"], **counts, "state": item["state"]}


def _release(workspace: str) -> Callable[[Mapping[str, Any]], Row]:
    def row(item: Mapping[str, Any]) -> Row:
        head = {"workspace": workspace, "identifier": item["identifier"], "backend": item["backend"]}
        counts = {"files": len(item["files"]), "size": item["size"], "commit": item["commit"]}
        return {
            **head,
            "user": item["released_by"],
            "received_at": item["received_at"],
            **counts,
            "state": VOUCHED,
        }

    return row
