"""The pages of workspaces: making one, asking for jobs on it, its past, its switches."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import orjson
from bottle import HTTPResponse, request

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Permission
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.pipeline.graph import RUN_ALL, Selection, select
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, Workspace
from jobserver.errors import Code, Error, Fault, forbidden, invalid, not_found
from jobserver.index.queries.jobs import JobRow, latest_jobs
from jobserver.index.queries.requests import JobRequestRow, RequestFilter, list_requests
from jobserver.service.studies.base import Study
from jobserver.service.studies.repository_list import Repositories
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import highlight, labels
from jobserver.web.pages.format.graph import counts, grouped, picture
from jobserver.web.pages.forms import idempotency_key, text, texts
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.releases import has_tab
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab

_MOST_BRANCHES = 2000
_LIST_SECONDS = 8.0
_MENDED_HERE = (Code.INVALID, Code.CONFLICT, Code.NOT_FOUND)  # shown on the form, which keeps what was chosen
_LONG_URL = 8000
_CHOICES = ("requested_actions", "backend", "database_name", "force_run_dependencies", "will_notify")


def _check_maker(context: PageContext) -> None:
    """Which studies and branches there are is told to who may make a workspace of them, also where pages are public.

    Raises `Error`.
    """
    actor = context.actor
    if not context.can_add_workspaces:
        raise forbidden(f"{actor.name} may make no workspace: it needs a role that may run jobs, somewhere")


class Workspaces:
    """Added last: a workspace's page stands at the root, beside all others."""

    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/workspaces/new/", self.new, self.create)
        site.add("/workspaces/new/branches/", self.branches)
        site.add("/workspaces/new/repositories/", self.repositories)
        site.add("/<name>/", self.show, self.ask)
        site.add("/<name>/switch/", post=self.switch)
        site.add("/<name>/audit/", self.audit)

    # Making one

    def new(
        self, context: PageContext, error: Error | None = None, branches: Sequence[str] = (), said: str = ""
    ) -> HTTPResponse:
        """``branches``, and what is ``said`` of them: of the repository that was typed, where they were asked for."""
        _check_maker(context)
        offered = self._services.studies.repositories()
        projects = [name for name in context.directory.projects if context.may(Permission.RUN_JOB, name)]
        wanted = {key: text(key, 500) for key in ("name", "repo", "branch", "db", "project")}
        databases = sorted({db for backend in context.directory.backends.values() for db in backend.databases})
        return self._site.page(
            context,
            "new_workspace.html",
            400 if error else 200,
            title="New workspace",
            repos=_with_used(context, offered),
            offered=offered,
            org=self._services.studies.github_org,
            projects=projects,
            databases=databases or ["full", "slice"],
            wanted=wanted,
            branches=branches,
            said=said,
            error=error,
        )

    def create(self, context: PageContext) -> HTTPResponse:
        _check_maker(context)
        if text("what") == "branches":  # the picker's way without JavaScript
            return self.new(context, None, *self._branches(text("repo", 500)))
        name = text("name", 200).lower()
        try:
            repo = self._services.studies.check_repo(text("repo", 500))
            branch = text("branch", 255) or "main"
            self._services.studies.resolve(repo, branch)
            command = AddWorkspace(name, repo, branch, text("db", 64) or "full", text("project", 200) or None)
            self._services.gate.submit(context.actor, command, "web")
        except Error as error:
            if error.code not in _MENDED_HERE:
                raise
            return self.new(context, error)
        return redirect(f"/{name}/")

    def branches(self, context: PageContext) -> HTTPResponse:
        """For the branch picker."""
        _check_maker(context)
        found, said = self._branches(text("repo", 500))
        return self._json({"branches": found, "said": said})

    def repositories(self, context: PageContext) -> HTTPResponse:
        """For the repository picker: what its page could not wait for."""
        _check_maker(context)
        offered = self._services.studies.repositories(wait=_LIST_SECONDS)
        values = {"repos": _with_used(context, offered), "offered": offered, "org": self._services.studies.github_org}
        said = self._site.render.text("offered.html", {**values, "now": context.now}).strip()
        return self._json({"repositories": values["repos"], "said": said})

    def _json(self, data: object) -> HTTPResponse:
        headers = {"Content-Type": "application/json", **self._site.render.headers()}
        return HTTPResponse(orjson.dumps(data), 200, headers)

    def _branches(self, repo: str) -> tuple[list[str], str]:
        """Their names, and what to say of them; or none, and why."""
        try:
            found = [branch.name for branch in self._services.studies.branches(repo)][:_MOST_BRANCHES]
        except Error as error:
            return [], str(error)
        return found, f"{len(found)} branch{'es' if len(found) != 1 else ''}: type to choose."

    # One

    def _find(self, context: PageContext, name: str) -> Workspace:
        found = context.directory.workspace(name)
        if found is None:
            raise not_found(f"there is no workspace {name!r}, and no other page at this address")
        return found

    def show(self, context: PageContext, name: str, error: Error | None = None) -> HTTPResponse:
        workspace = self._find(context, name)
        at = text("at", 64)
        if at:
            commit = audit_tab.commit_at(self._services.repo, layout.MAIN, at)
            was = self._services.repo.writer.read(layout.MAIN, lambda state: state.own_workspace(name), commit=commit)
            if was is None:
                raise not_found(f"there was no workspace {name!r} at {at}")
            workspace = was
        study, problem = self._study(workspace)
        slugs = self._services.visible.slugs()
        backends = [context.directory.backends[slug] for slug in slugs if context.directory.backends[slug].active]
        with self._services.index.view() as sql:
            recent = list_requests(sql, RequestFilter(workspace=name), slugs, 5)[:5]
            backend = self._backend(slugs) or self._usual(recent, [one.slug for one in backends])
            latest = latest_jobs(sql, name, [backend])  # what has run on another one says nothing of this one
        actions = study.pipeline.actions if study else {}
        needs = {action: one.needs for action, one in actions.items()}
        statuses = {action: _status(latest, action) for action in needs}
        wanted = texts("actions") or texts("requested_actions")
        chosen = dict.fromkeys(action for action in wanted if action in actions or (actions and action == RUN_ALL))
        return self._site.page(
            context,
            "workspace.html",
            400 if error else 200,
            title=name,
            workspace=workspace,
            at=at,
            study=study,
            problem=problem,
            backends=backends,
            backend=backend,
            databases=dict.fromkeys([workspace.db, *(db for one in backends for db in one.databases)]),
            database=text("database_name", 64) or workspace.db,
            is_forced=bool(text("force_run_dependencies")),
            will_notify=bool(text("will_notify")) if chosen or error else workspace.should_notify,
            latest=latest,
            latest_links={action: labels.job_url(job) for action, job in latest.items()},
            recent=recent,
            failed=[action for action in needs if action in latest and latest[action].status == "failed"],
            picture=picture(needs, statuses),
            counts=counts(needs, statuses),
            groups=grouped(needs, statuses),
            can_run=not at and not workspace.archived and context.may(Permission.RUN_JOB, workspace.project),
            can_switch=not at and context.may(Permission.RUN_JOB, workspace.project),
            has_releases=has_tab(self._services, context, workspace),
            chosen=chosen,
            preview=self._preview(name, list(chosen), study, backend) if study and chosen else None,
            yaml=highlight.yaml(study.source, workspace.repo, study.sha) if study else "",
            error=error,
            run_all=RUN_ALL,
        )

    def _preview(self, name: str, chosen: list[str], study: Study, backend: str) -> Selection:
        with self._services.index.view() as sql:
            jobs = latest_jobs(sql, name, [backend])
        pipeline = {
            action: PipelineAction(needs=tuple(one.needs), run=one.run)
            for action, one in study.pipeline.actions.items()
        }
        done = [action for action, job in jobs.items() if job.status == "succeeded"]
        return select(chosen, pipeline, done, bool(text("force_run_dependencies")))

    @staticmethod
    def _backend(slugs: Sequence[str]) -> str:
        """The one that was chosen. Raises `Error` (invalid) in a query that names none; a form is judged elsewhere."""
        chosen = text("backend", 64)
        if request.method != "POST" and chosen and chosen not in slugs:
            raise invalid(f"there is no backend {chosen!r}", "backend")
        return chosen

    def _usual(self, recent: list[JobRequestRow], slugs: list[str]) -> str:
        """The backend that was used last here; or else one that somebody runs."""
        seen = self._services.live.contacts()
        used = [row.backend for row in recent if row.backend in slugs]
        return next(iter([*used, *(slug for slug in slugs if slug in seen), *slugs]), "")

    def _study(self, workspace: Workspace) -> tuple[Study | None, list[Fault]]:
        try:
            return self._services.studies.project(workspace.repo, workspace.branch), []
        except Error as error:
            return None, list(error.faults) or [Fault(str(error))]

    def ask(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = self._find(context, name)
        if text("what") == "preview":
            kept = urlencode([(key, value) for key in _CHOICES for value in texts(key)])
            return redirect(f"/{name}/?{kept}#would-run") if len(kept) < _LONG_URL else self.show(context, name)
        try:
            written = self._services.requests.request_jobs(
                context.actor,
                workspace.name,
                tuple(texts("requested_actions")),
                text("backend", 64),
                "web",
                force_run_dependencies=bool(text("force_run_dependencies")),
                will_notify=bool(text("will_notify")),
                database_name=text("database_name", 64) or None,
                key=idempotency_key(context.actor),
            )
        except Error as error:
            if error.code not in _MENDED_HERE:
                raise
            return self.show(context, name, error)
        return redirect(f"/job-requests/{written.changes.result['identifier']}/")

    def switch(self, context: PageContext, name: str) -> HTTPResponse:
        self._find(context, name)
        what, on = text("what"), bool(text("on"))
        commands = {
            "archived": ChangeWorkspace(name, archived=on),
            "notify": ChangeWorkspace(name, should_notify=on),
        }
        if what not in commands:
            raise invalid("expected archived or notify", "what")
        command = commands[what]
        self._services.gate.submit(context.actor, command, "web")
        return redirect(f"/{name}/")

    def audit(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = self._find(context, name)
        paths = [layout.main_path(Kind.WORKSPACE, name)]
        found = audit_tab.entries(self._services.repo, layout.MAIN, paths)
        return self._site.page(
            context,
            "audit_workspace.html",
            title=f"Audit of {name}",
            workspace=workspace,
            entries=found,
            has_releases=has_tab(self._services, context, workspace),
        )


def _with_used(context: PageContext, offered: Repositories) -> list[str]:
    """What there is to choose from, and what workspaces use though nobody offers it; by name."""
    known = [*(one.repo for one in context.directory.workspaces.values()), *offered.names]
    names = {name.lower() if name.startswith("https:") else name: name for name in known}  # GitHub's have no case
    return [names[key] for key in sorted(names)]


def _status(latest: Mapping[str, JobRow], action: str) -> str:
    return latest[action].status if action in latest else labels.NEVER
