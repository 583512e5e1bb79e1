"""Workspaces: list, show, create and change them; the statuses of a workspace's actions."""

from typing import Any

from bottle import HTTPResponse, request

from jobserver.domain.base.permissions import Actor
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, ConnectWorkspace, Workspace
from jobserver.errors import invalid, not_found
from jobserver.index.items import time_text
from jobserver.index.queries.jobs import latest_jobs
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import Keys, require_person
from jobserver.web.services import Services

FILTERS = ("project", "org", "created_by", "archived", *lists.PAGING)
_CHANGES = ("archived", "should_notify", "repo", "branch", "db")


class WorkspacesApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._services, self._index, self._visible = services, services.index, services.visible
        self._base_url, self._keys = services.options.base_url, keys

    def index(self, actor: Actor) -> HTTPResponse:
        require_person(actor)
        directory = self._index.directory()
        project, org = lists.named("project", directory.projects), lists.named("org", directory.orgs)
        person, archived = lists.named("created_by", directory.users), lists.flag("archived")
        workspaces = (
            (name, workspace)
            for name, workspace in directory.workspaces.items()
            if project in ("", workspace.project)
            and (not org or (workspace.project or "").startswith(f"{org}/"))
            and person in ("", workspace.created_by)
            and archived in (None, workspace.archived)
        )
        return lists.page_of(self._base_url, workspaces, _item)

    def show(self, actor: Actor, name: str) -> HTTPResponse:
        require_person(actor)
        return http.answer(_item(self._find(name)))

    def create(self, actor: Actor) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        command = AddWorkspace(
            fields.text("name"),
            fields.text("repo"),
            fields.text("branch"),
            fields.text("db", None) or "full",
            fields.text("project", None),
        )
        fields.done()
        written = self._services.workspaces.add(actor, command, "http", key)
        location = f"{self._base_url}/api/v2/workspaces/{command.name}/"
        return http.written(_item(self._find(command.name)), written.commit, 201, {"Location": location})

    def edit(self, actor: Actor, name: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        if fields.has("project"):  # one call is one commit, and a move to another project has rules of its own
            fields.none_of(_CHANGES, "change the project in a call of its own")
            move = ConnectWorkspace(name, fields.text("project", None))
            fields.done()
            written = self._services.gate.submit(actor, move, "http", key)
        else:
            change = ChangeWorkspace(
                name,
                archived=fields.flag("archived", None),
                should_notify=fields.flag("should_notify", None),
                repo=fields.text("repo", None),
                branch=fields.text("branch", None),
                db=fields.text("db", None),
            )
            fields.done()
            written = self._services.workspaces.change(actor, change, "http", key)
        return http.written(_item(self._find(name)), written.commit)

    def statuses(self, actor: Actor, name: str) -> HTTPResponse:
        """The latest status of each action on one backend: the token's own, that of the query, or the last used one.

        With ``field=outcome``, the outcome of each.
        """
        field = request.query.get("field", "status")
        if field not in ("status", "outcome"):
            raise invalid("expected status or outcome", "field")
        if self._index.directory().workspace(name) is None:
            return HTTPResponse(b"", 404)
        slugs, is_named = self._visible.chosen(actor)
        with self._index.view() as sql:
            if not is_named:
                slugs = [row.backend for row in list_requests(sql, RequestFilter(workspace=name), slugs, 1)[:1]]
            latest = latest_jobs(sql, name, slugs)
            return http.answer({action: getattr(job, field) for action, job in sorted(latest.items())})

    def _find(self, name: str) -> Workspace:
        """Raises `Error` (not_found)."""
        workspace = self._index.directory().workspace(name)
        if workspace is None:
            raise not_found(f"Workspace {name[:100]} does not exist")
        return workspace


def _item(workspace: Workspace) -> dict[str, Any]:
    return {
        "name": workspace.name,
        "project": workspace.project,
        "repo": workspace.repo,
        "branch": workspace.branch,
        "db": workspace.db,
        "created_by": workspace.created_by,
        "created_at": time_text(workspace.created_at),
        "archived": workspace.archived,
        "should_notify": workspace.should_notify,
    }
