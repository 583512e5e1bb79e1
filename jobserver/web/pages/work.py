"""The pages about work: the front page, the event log, a job request, a job."""

from urllib.parse import urlencode

from bottle import HTTPResponse, request

from jobserver.domain import commands as c
from jobserver.domain import lifecycle, names
from jobserver.domain.documents import Job, JobRequest
from jobserver.domain.names import Area, Place, backend_branch
from jobserver.domain.permissions import Permission
from jobserver.domain.plan_requests import expand
from jobserver.errors import invalid, not_found
from jobserver.index import items, pages
from jobserver.index.pages import Cube, Filter, JobRow, Row
from jobserver.service.requests import Seen
from jobserver.web.pages import history, versions, words
from jobserver.web.pages.estimate import estimate, timeline
from jobserver.web.pages.graph import picture
from jobserver.web.pages.site import Look, Site, once, redirect, text, texts

_PAGE = 25


class Work:
    def __init__(self, site: Site) -> None:
        self._site, self._stand = site, site.stand
        self._cube: tuple[tuple[str, ...], Cube] = ((), Cube([]))
        site.add("/", self.home)
        site.add("/jobs/", self.log)
        site.add("/job-requests/", lambda look: redirect("/jobs/", 301))
        site.add("/job-requests/<identifier>/", self.request)
        site.add("/job-requests/<identifier>/cancel/", post=self.cancel)
        site.add("/job-requests/<identifier>/rerun/", post=self.rerun)
        site.add("/job-requests/<identifier>/audit/", self.audit)
        site.add("/jobs/<identifier>/", self.job, self.mark_failed)

    def home(self, look: Look) -> HTTPResponse:
        slugs = self._stand.visible.slugs()
        username = look.user.username if look.user else ""
        with self._stand.index.view() as sql:
            latest = pages.requests(sql, Filter(), slugs, 10)[:10]
            mine = pages.running(sql, slugs, username) if username else []
            recent = pages.requests(sql, Filter(username=username), slugs, 20) if username else []
            queues = {slug: pages.queue(sql, slug) for slug in slugs}
        used = dict.fromkeys(row.workspace for row in recent)
        workspaces = [one for one in look.directory.workspaces.values() if not one.archived]
        own = [one for one in workspaces if one.created_by == username or one.name in used]
        return self._site.page(
            look,
            "home.html",
            title="Home",
            latest=latest,
            mine=mine,
            own=own,
            workspaces=workspaces,
            queues=queues,
            seen=self._stand.live.seen(),
        )

    # The event log

    def log(self, look: Look) -> HTTPResponse:
        slugs = self._stand.visible.slugs()
        chosen = Filter(
            text("status") if text("status") in words.STATUS else "",
            text("backend", 64),
            text("workspace", 128),
            text("username", 64),
            text("q", 100),
            _before(text("before")),
        )
        with self._stand.index.view() as sql:
            if chosen.query and (found := pages.resolve(sql, chosen.query, slugs)) is not None:
                return redirect(f"/{found[0].value}s/{found[1]}/")
            rows = pages.requests(sql, chosen, slugs, _PAGE)
            tips = self._stand.index.tips()
            if self._cube[0] != tips:
                self._cube = tips, pages.cube(sql)
        counts = self._cube[1].counts(chosen, slugs)
        older = f"{rows[_PAGE - 1].created_at}.{rows[_PAGE - 1].identifier}" if len(rows) > _PAGE else ""
        return self._site.page(
            look,
            "log.html",
            title="Event log",
            rows=rows[:_PAGE],
            chosen=chosen,
            counts=counts,
            older=older,
            url=_url,
            total=sum(counts["status"].values()),
        )

    # One job request

    def request(self, look: Look, identifier: str) -> HTTPResponse:
        row, jobs, document = self._find(identifier, text("at", 64))
        at = text("at", 64)
        pipeline = document.pipeline
        order = {action: number for number, action in enumerate(pipeline)}
        jobs.sort(key=lambda job: order.get(job.action, len(order)))
        statuses = {job.action: job.status for job in jobs}
        actions = [job.action for job in jobs if job.action in pipeline]
        if not actions:
            wanted = expand(document.requested_actions, pipeline)
            actions = [action for action in pipeline if action in wanted]
        needs = {action: [one for one in pipeline[action].needs if one in actions] for action in actions}
        now = words.micros(look.now)
        with self._stand.index.view() as sql:
            past = pages.durations(sql, row.backend, row.workspace, actions)
            ahead = [one for one in pages.running(sql, [row.backend]) if one.created_at < row.created_at]
            before = pages.previous(sql, row, self._stand.visible.slugs())
        return self._site.page(
            look,
            "request.html",
            title=f"{', '.join(row.actions[:3])} on {row.workspace}",
            row=row,
            jobs=jobs,
            at=at,
            document=document,
            picture=picture(needs, statuses) if actions else None,
            bars=timeline(jobs, row.created_at, now) if jobs else [],
            estimate=estimate(jobs, needs, past, now) if jobs and not at else None,
            ahead=len(ahead) if not at and row.status in ("pending", "unknown") else 0,
            before=before,
            problem=next((job for job in jobs if job.action == "__error__"), None),
            can_cancel=not at and self._may_cancel(look, document) and bool(_open_actions(row, jobs)),
            can_rerun=not at and look.may(Permission.RUN_JOB, document.project),
            cancelling=[job.action for job in jobs if _is_cancelling(row, job)],
            sources=_sources(document),
            parent=look.directory.backends[row.backend].parent_directory
            if row.backend in look.directory.backends
            else "",
            finished=lifecycle.FINISHED,
            version=versions.of_request(row, jobs),
        )

    def _find(self, identifier: str, at: str = "") -> tuple[Row, list[JobRow], JobRequest]:
        """As it is, or was at a commit or time. Raises `Error` (not_found, invalid)."""
        slugs = self._stand.visible.slugs()
        with self._stand.index.view() as sql:
            found = pages.request(sql, identifier, slugs) if names.is_request_id(identifier) else None
        if found is None:
            raise not_found(f"there is no job request {identifier!r}")
        row, jobs = found
        branch = backend_branch(row.backend)
        writer = self._stand.repo.writer
        commit = history.commit_at(self._stand.repo, branch, at) if at else None

        def read(state):  # type: ignore[no-untyped-def]
            stored = state.find(identifier)
            return None if stored is None else Seen(stored, tuple(state.jobs(stored.place).values()))

        seen = writer.look(branch, read, at=commit)
        if seen is None:
            raise not_found(f"there was no job request {identifier} at {at}")
        if at:
            row, jobs = _as_rows(row, seen)
        return row, jobs, seen.stored.request

    def _may_cancel(self, look: Look, document: JobRequest) -> bool:
        own = look.user is not None and document.created_by == look.user.username
        return own or look.may(Permission.CANCEL_JOB, document.project)

    def cancel(self, look: Look, identifier: str) -> HTTPResponse:
        self._find(identifier)
        self._stand.requests.cancel(look.actor, identifier, tuple(texts("actions")), "web")
        return redirect(f"/job-requests/{identifier}/")

    def rerun(self, look: Look, identifier: str) -> HTTPResponse:
        """Again at the branch's newest commit: all that was asked for, or what failed."""
        row, jobs, document = self._find(identifier)
        failed = tuple(
            dict.fromkeys(job.action for job in jobs if job.status == "failed" and job.action in document.pipeline)
        )
        actions = failed if text("what") == "failed" else document.requested_actions
        if not actions:
            raise invalid("nothing has failed", "what")
        written = self._stand.requests.ask(
            look.actor,
            row.workspace,
            actions,
            row.backend,
            "web",
            force_run_dependencies=document.force_run_dependencies and text("what") != "failed",
            will_notify=document.will_notify,
            database_name=document.database_name,
            key=once(look.actor),
        )
        return redirect(f"/job-requests/{written.changes.result['identifier']}/")

    def audit(self, look: Look, identifier: str) -> HTTPResponse:
        row, _, document = self._find(identifier)
        day = document.created_at.date()
        folders = [Place(area, day, identifier).folder for area in Area]
        ends = words.moment(row.updated_at) if row.completed_at else None
        found = history.entries(self._stand.repo, backend_branch(row.backend), folders, document.created_at, ends)
        subject = f"Job request {identifier}"
        return self._site.page(
            look,
            "audit.html",
            title=f"Audit: {subject}",
            subject=subject,
            back=f"/job-requests/{identifier}/",
            entries=found,
        )

    # One job

    def job(self, look: Look, identifier: str) -> HTTPResponse:
        slugs = self._stand.visible.slugs()
        with self._stand.index.view() as sql:
            found = pages.job(sql, identifier, slugs)
            if found is None and (meant := pages.resolve(sql, identifier, slugs)) is not None:
                return redirect(f"/{meant[0].value}s/{meant[1]}/")
            whole = pages.request(sql, found.request, slugs) if found else None
        if found is None or whole is None:
            raise not_found(f"there is no job {identifier!r}")
        row, jobs = whole
        stale = found.updated_at is not None and words.micros(look.now) - found.updated_at > 30 * 60 * 1_000_000
        may_cancel = self._may_cancel(look, self._find(row.identifier)[2])
        return self._site.page(
            look,
            "job.html",
            title=f"{found.action} on {row.workspace}",
            job=found,
            row=row,
            is_stale=stale and found.status not in lifecycle.FINISHED,
            can_cancel=may_cancel and found.action in _open_actions(row, jobs),
            is_cancelling=_is_cancelling(row, found),
            finished=lifecycle.FINISHED,
            version=versions.of_request(row, jobs),
        )

    def mark_failed(self, look: Look, identifier: str) -> HTTPResponse:
        slugs = self._stand.visible.slugs()
        with self._stand.index.view() as sql:
            found = pages.job(sql, identifier, slugs)
            whole = pages.request(sql, found.request, slugs) if found else None
        if found is None or whole is None:
            raise not_found(f"there is no job {identifier!r}")
        self._stand.gate.submit(look.actor, c.FailJob(identifier, found.request, whole[0].backend), "web")
        return redirect(f"/jobs/{identifier}/")


def _before(value: str) -> tuple[int, str] | None:
    at, _, identifier = value.partition(".")
    return (int(at), identifier) if at.isascii() and at.isdecimal() and len(at) < 19 and identifier else None


def _url(**changes: str) -> str:
    """This view with some of its filters changed."""
    kept = {key: request.query.getunicode(key) for key in ("q", "status", "backend", "workspace", "username")}
    wanted = {key: value for key, value in {**kept, **changes}.items() if value}
    return f"/jobs/?{urlencode(wanted)}" if wanted else "/jobs/"


def _open_actions(row: Row, jobs: list[JobRow]) -> list[str]:
    """What can still be cancelled; before the runner has made jobs, all that was asked for."""
    if not jobs:
        return [action for action in row.actions if action not in row.cancelled]
    return [job.action for job in jobs if job.status not in lifecycle.FINISHED and job.action not in row.cancelled]


def _is_cancelling(row: Row, job: JobRow) -> bool:
    return job.status not in lifecycle.FINISHED and job.action in row.cancelled


def _sources(document: JobRequest) -> dict[str, str]:
    """action -> the script that it runs, on GitHub at the commit, where the study is there."""
    repo = document.workspace.repo
    if not repo.startswith("https://github.com/"):
        return {}
    found = {}
    for name, action in document.pipeline.items():
        script = next((word for word in action.run.split() if "/" in word and "." in word and ":" not in word), "")
        if script and all(char.isalnum() or char in "/._-" for char in script) and ".." not in script:
            found[name] = f"{repo}/blob/{document.sha}/{script}"
    return found


def _as_rows(row: Row, seen: Seen) -> tuple[Row, list[JobRow]]:
    """What git says of another time, in the shapes of the index."""
    request_ = seen.stored.request
    ordered = sorted(seen.jobs, key=lambda one: (one.created_at, one.identifier))
    jobs = [_as_row(request_.identifier, job) for job in ordered]
    status = lifecycle.request_status([job.status for job in jobs])
    ends = [job.completed_at for job in jobs]
    starts = [job.started_at for job in jobs if job.started_at]
    done = lifecycle.finished(seen.jobs)
    return (
        Row(
            row.identifier, row.backend, row.workspace, row.project, row.created_by, row.created_at, status, len(jobs),
            sum(job.status == "succeeded" for job in jobs), min(starts, default=None),
            max((end for end in ends if end), default=None) if done else None, None,
            row.actions, request_.cancelled_actions, row.sha,
        ),
        jobs,
    )  # fmt: skip


def _as_row(request_: str, job: Job) -> JobRow:
    said = (job.identifier, request_, job.action, job.status, job.status_code, job.status_message)
    times = (job.updated_at, job.started_at, job.completed_at)
    updated, started, completed = (None if time is None else words.micros(time) for time in times)
    return JobRow(*said, words.micros(job.created_at), updated, started, completed, items.job_item(job))
