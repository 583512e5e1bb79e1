"""The form that creates a workspace, and the lists of repositories and branches that it suggests."""

from collections.abc import Sequence

import orjson
from bottle import HTTPResponse

from jobserver.domain.base.permissions import Permission
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Error, forbidden
from jobserver.service.studies.repository_list import Repositories
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site

_MOST_BRANCHES = 2000
_LIST_SECONDS = 8.0


class NewWorkspace:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/workspaces/new/", self.show, self.create)
        site.add("/workspaces/new/branches/", self.branches)
        site.add("/workspaces/new/repositories/", self.repositories)

    def show(self, context: PageContext, branches: Sequence[str] = (), branches_hint: str = "") -> HTTPResponse:
        """``branches``: of the repository that was typed, after the button that lists them; the hint is about those."""
        _check_allowed(context)
        offered = self._services.studies.repositories()
        projects = [name for name in context.directory.projects if context.may(Permission.RUN_JOB, name)]
        databases = sorted({db for backend in context.directory.backends.values() for db in backend.databases})
        return self._site.page(
            context,
            "workspaces/new_workspace.html",
            title="New workspace",
            repos=_with_used(context, offered),
            offered=offered,
            org=self._services.studies.github_org,
            projects=[("", "None"), *((name, name) for name in projects)],
            databases=[(name, name) for name in databases or ("full", "slice")],
            values={key: text(key, 500) for key in ("name", "repo", "branch", "db", "project")},  # of a link, too
            branches=branches,
            branches_hint=branches_hint,
        )

    def create(self, context: PageContext) -> HTTPResponse:
        _check_allowed(context)
        if text("what") == "branches":  # the button, for browsers without JavaScript
            return self.show(context, *self._branches(text("repo", 500)))
        name = text("name", 200).lower()
        branch, project = text("branch", 255) or "main", text("project", 200) or None
        command = AddWorkspace(name, text("repo", 500), branch, text("db", 64) or "full", project)
        self._services.workspaces.add(context.actor, command, "web")
        return redirect(f"/{name}/")

    def branches(self, context: PageContext) -> HTTPResponse:
        """JSON for the branch picker."""
        _check_allowed(context)
        branches, hint = self._branches(text("repo", 500))
        return self._json({"branches": branches, "hint": hint})

    def repositories(self, context: PageContext) -> HTTPResponse:
        """JSON for the repository picker: the list that the page did not wait for."""
        _check_allowed(context)
        offered = self._services.studies.repositories(wait=_LIST_SECONDS)
        values = {"offered": offered, "org": self._services.studies.github_org, "now": context.now}
        hint = self._site.render.text("workspaces/repository_hint.html", values).strip()
        return self._json({"repositories": _with_used(context, offered), "hint": hint})

    def _json(self, data: object) -> HTTPResponse:
        headers = {"Content-Type": "application/json", **self._site.render.headers()}
        return HTTPResponse(orjson.dumps(data), 200, headers)

    def _branches(self, repo: str) -> tuple[list[str], str]:
        """(branch names, a hint for the field); where they cannot be listed, none and the reason."""
        try:
            branches = [branch.name for branch in self._services.studies.branches(repo)][:_MOST_BRANCHES]
        except Error as error:
            return [], str(error)
        return branches, f"{len(branches)} branch{'es' if len(branches) != 1 else ''}. Type to filter them."


def _check_allowed(context: PageContext) -> None:
    """Raises `Error`. People who cannot create a workspace do not see the lists either, also where pages are public."""
    actor = context.actor
    if not context.can_add_workspaces:
        raise forbidden(f"{actor.name} cannot create workspaces: that needs a role that can run jobs")


def _with_used(context: PageContext, offered: Repositories) -> list[str]:
    """The repositories that are offered, and those that workspaces use; by name."""
    known = [*(workspace.repo for workspace in context.directory.workspaces.values()), *offered.names]
    names = {name.lower() if name.startswith("https:") else name: name for name in known}  # GitHub ignores case
    return [names[key] for key in sorted(names)]
