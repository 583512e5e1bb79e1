"""The pages of a workspace: requesting jobs, and its audit tab."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from bottle import HTTPResponse, request

from jobserver.domain.backends import Backend
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Permission
from jobserver.domain.governance.refusals import backend_refusals, project_refusals, runner_refusals
from jobserver.domain.job_requests.refs import MAX_REF, in_words
from jobserver.domain.pipeline.graph import RUN_ALL, Selection, preview
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Error, invalid, not_found
from jobserver.index.queries.jobs import JobRow, latest_jobs
from jobserver.index.queries.requests import JobRequestRow, RequestFilter, list_requests
from jobserver.service.studies.base import Study
from jobserver.service.studies.codelists import CodelistCheck
from jobserver.web.errors import status_of
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import highlight, labels, tabs
from jobserver.web.pages.format.calls import RequestCall
from jobserver.web.pages.format.graph import counts, grouped, picture
from jobserver.web.pages.forms import graph_view, idempotency_key, own_query, text, texts
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.releases.access import has_tab
from jobserver.web.pages.sent_form import sent_form, sentence
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab, history
from jobserver.web.pages.views.following import follow_state

_LONG_URL = 8000
_KEPT = 100  # chosen actions, in the links of the picture
_WITHOUT_SENDING = {"preview": "#would-run", "filter": "#actions"}  # button -> the part of the page that it shows
_CHOICES = (
    "requested_actions",
    "backend",
    "database_name",
    "force_run_dependencies",
    "will_notify",
    "note",
    "ref",
    "find",
)


class Workspaces:
    """Added last: the address of a workspace's page, ``/<name>/``, must not hide the others."""

    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/", self.show, self.request_jobs, has_history=True)
        site.add("/<name>/audit/", self.audit)

    def show(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = context.workspace(name)
        if revision := text("at", 64):
            return self._show_as_of(context, workspace, revision)
        ref = text("ref", MAX_REF)
        study, problem = self._study(workspace, ref)
        context, status = _with_wrong_ref(context, ref, problem)
        slugs = self._services.visible.slugs()
        known = [context.directory.backends[slug] for slug in slugs]
        open_ones = [backend for backend in known if backend.active and not backend.is_paused]
        backends, refused = _within_limits(context, workspace, open_ones)
        with self._services.index.view() as sql:
            recent = list_requests(sql, RequestFilter(workspace=name), slugs, 5)[:5]
            backend = _chosen_backend(slugs) or self._usual_backend(recent, [backend.slug for backend in backends])
            waiting = self._site.waiting(context, sql, recent)
            latest = latest_jobs(sql, name, [backend])  # results on other backends say nothing about this one
        selection = _preview(study, latest)
        can_run = context.may(Permission.RUN_JOB, workspace.project)
        return self._site.page(
            context,
            "workspaces/workspace.html",
            status,
            title=f"Run · {name}",
            about=[backend],
            workspace=workspace,
            study=study,
            problem=problem,
            backend=backend,
            ref=ref,
            ref_query=own_query(ref=[ref]),
            codelists=self._codelists(workspace, study),
            barred=_barred(context, workspace, study),
            chosen_ref=in_words(study.chosen.name) if study and study.chosen else "",
            graph_address=own_query(
                backend=[backend], ref=[ref], requested_actions=list(_chosen_actions(study))[:_KEPT]
            ),
            latest=latest,
            recent=recent,
            waiting=waiting,
            follow=follow_state(self._services, context, f"workspace/{name}"),
            can_run=can_run and not workspace.archived and not refused,
            refused=refused if can_run and not workspace.archived else [],
            has_email=bool(context.user and self._services.private.email(context.user.username)),
            has_releases=has_tab(self._services, context, workspace),
            yaml=highlight.yaml(study.source, workspace.repo, study.sha) if study else "",
            **_pipeline(study, latest),
            **_form(workspace, study, backends, was_sent=bool(context.sent.typed)),
            preview=selection,
            runs=frozenset(selection.runs if selection else ()),
            call=_call(workspace, study, backend, self._services.options.base_url),
        )

    def _show_as_of(self, context: PageContext, current: Workspace, revision: str) -> HTTPResponse:
        """Its settings at a commit: its actions and requests have histories of their own."""
        repo, name = self._services.repo, current.name
        commit = history.commit_at(repo, layout.MAIN, revision, context.now)
        workspace = repo.writer.read(layout.MAIN, lambda state: state.own_workspace(name), commit)
        if workspace is None:
            raise not_found(f"workspace {name!r} did not exist at {revision}")
        return self._site.page(
            context,
            "workspaces/as_of.html",
            title=f"As it was · {name}",
            workspace=workspace,
            as_of=audit_tab.entry_of(repo, layout.MAIN, commit),
            has_releases=has_tab(self._services, context, current),
        )

    def _usual_backend(self, recent: Sequence[JobRequestRow], slugs: Sequence[str]) -> str:
        """The backend that this workspace used last, else one with a runner."""
        connected = self._services.live.contacts()
        used = [row.backend for row in recent if row.backend in slugs]
        return next(iter([*used, *(slug for slug in slugs if slug in connected), *slugs]), "")

    def _study(self, workspace: Workspace, ref: str) -> tuple[Study | None, Error | None]:
        try:
            return self._services.studies.project(workspace.repo, workspace.branch, ref), None
        except Error as error:
            return None, error

    def _codelists(self, workspace: Workspace, study: Study | None) -> CodelistCheck | None:
        """None if all is well, or no action needs them."""
        if study is None:
            return None
        check = self._services.requests.codelists.of_study(workspace.repo, study.sha, study.pipeline.actions)
        return check if check.problem else None

    def request_jobs(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = context.workspace(name)
        if part := _WITHOUT_SENDING.get(text("what")):
            query = urlencode([(key, value) for key in _CHOICES for value in texts(key)])
            return redirect(f"/{name}/?{query}{part}") if len(query) < _LONG_URL else self.show(context, name)
        written = self._services.requests.request_jobs(
            context.actor,
            workspace.name,
            tuple(texts("requested_actions")),
            text("backend", 64),
            "web",
            force_run_dependencies=bool(text("force_run_dependencies")),
            will_notify=bool(text("will_notify")),
            database_name=text("database_name", 64) or None,
            note=text("note"),
            ref=text("ref"),
            key=idempotency_key(context.actor),
        )
        return redirect(f"/job-requests/{written.changes.result['identifier']}/")

    def audit(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = context.workspace(name)
        paths = {layout.MAIN: [layout.main_path(Kind.WORKSPACE, name)]}
        return self._site.page(
            context,
            "workspaces/audit.html",
            title=f"Audit · {name}",
            workspace=workspace,
            audit=audit_tab.audit_page(self._services.repo, paths, text("before", 100)),
            has_releases=has_tab(self._services, context, workspace),
        )


def _chosen_backend(slugs: Sequence[str]) -> str:
    """The form's or the query's. Raises `Error` (invalid) for an unknown one in a query; the gate checks a form's."""
    chosen = text("backend", 64)
    if request.method != "POST" and chosen and chosen not in slugs:
        raise invalid(f"backend {chosen!r} does not exist", "backend")
    return chosen


def _with_wrong_ref(context: PageContext, ref: str, problem: Error | None) -> tuple[PageContext, int]:
    """With the error at its field, and the page's status, if the query names a ref that nobody can run."""
    if problem is None or problem.where != "ref" or context.sent.problems:
        return context, 200
    return replace(context, sent=sent_form(problem, [("ref", ref)], ())), status_of(problem)


def _within_limits(
    context: PageContext, workspace: Workspace, backends: Sequence[Backend]
) -> tuple[list[Backend], list[str]]:
    """(those of the backends that this person may use here, why they can request nothing)"""
    if context.user is None:
        return list(backends), []
    who = context.directory, context.user.username, workspace.project
    reasons = list(project_refusals(*who, context.now.date()))
    of_backends = {backend.slug: list(backend_refusals(*who, backend.slug)) for backend in backends}
    allowed = [backend for backend in backends if not of_backends[backend.slug]]
    if backends and not allowed:
        reasons += of_backends[backends[0].slug]
    return allowed, [sentence(reason.message, {context.user.username}) for reason in reasons]


def _barred(context: PageContext, workspace: Workspace, study: Study | None) -> list[str]:
    """Why some actions would be refused, whatever the backend."""
    runs = {name: action.run for name, action in study.pipeline.actions.items()} if study else {}
    refusals = runner_refusals(context.directory, workspace.project, lambda: runs)
    return [sentence(reason.message) for _, reason in refusals]


def _pipeline(study: Study | None, latest: Mapping[str, JobRow]) -> dict[str, Any]:
    """The graph with each action's latest status on the backend."""
    actions = study.pipeline.actions if study else {}
    needs = {name: action.needs for name, action in actions.items()}
    statuses = {name: latest[name].outcome if name in latest else labels.NEVER for name in needs}
    return {
        "picture": picture(needs, statuses, graph_view(_chosen_actions(study))),
        "counts": counts(needs, statuses),
        "groups": grouped(needs, statuses),
        "failed": [name for name, job in latest.items() if name in needs and job.status == "failed"],
        "latest_links": {name: tabs.job_url(job) for name, job in latest.items()},
    }


def _form(workspace: Workspace, study: Study | None, backends: Sequence[Backend], was_sent: bool) -> dict[str, Any]:
    """The choices of the form, with what the query or a refused form has chosen."""
    chosen = _chosen_actions(study)
    databases = [workspace.db, *(database for backend in backends for database in backend.databases)]
    return {
        "run_all": RUN_ALL,
        "chosen": chosen,
        "backends": backends,
        "backend_choices": [(backend.slug, backend.name) for backend in backends],
        "databases": [(database, database) for database in dict.fromkeys(databases)],
        "database": text("database_name", 64) or workspace.db,
        "note": text("note"),
        "find": text("find", 100),
        "is_forced": bool(text("force_run_dependencies")),
        "will_notify": bool(text("will_notify")) if chosen or was_sent else workspace.should_notify,
    }


def _call(workspace: Workspace, study: Study | None, backend: str, base_url: str) -> RequestCall:
    """What the form would send."""
    return RequestCall(
        f"{base_url}/api/v2/workspaces/{workspace.name}/job-requests/",
        workspace.name,
        list(_chosen_actions(study)),
        backend,
        text("database_name", 64) or workspace.db,
        is_forced=bool(text("force_run_dependencies")),
        will_notify=bool(text("will_notify")),
        ref=text("ref", MAX_REF),
    )


def _chosen_actions(study: Study | None) -> dict[str, None]:
    chosen = texts("actions") or texts("requested_actions")
    if study is None:
        return dict.fromkeys(chosen)  # a form that is sent again can keep them
    actions = study.pipeline.actions
    return dict.fromkeys(name for name in chosen if name in actions or (actions and name == RUN_ALL))


def _preview(study: Study | None, latest: Mapping[str, JobRow]) -> Selection | None:
    """What the chosen actions would run; None where none are chosen."""
    chosen = list(_chosen_actions(study))
    if study is None or not chosen:
        return None
    return preview(chosen, study.pipeline.actions, latest, bool(text("force_run_dependencies")))
