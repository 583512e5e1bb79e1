"""The page of one job; marking one as failed that its runner has lost; who did what to it when."""

from bottle import HTTPResponse

from jobserver.domain.base.layout import Area, Place, backend_branch
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import FailJob
from jobserver.errors import conflict, not_found
from jobserver.index.queries.jobs import JobRow, last_success_before, requests_with_job
from jobserver.index.queries.requests import JobRequestRow, find_request
from jobserver.index.queries.search import resolve_identifier
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import highlight, labels, page_version
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.job_requests import JobRequests, is_cancelling, may_cancel, open_actions
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab

_STALE_MICROS = 30 * 60 * 1_000_000


class Jobs:
    def __init__(self, site: Site, requests: JobRequests) -> None:
        self._site, self._services, self._requests = site, site.services, requests
        # The short form is for people, where one job only is called so.
        for path in ("/job-requests/<request>/jobs/<identifier>/", "/jobs/<identifier>/"):
            site.add(path, self.show, self.mark_failed)
            site.add(f"{path}audit/", self.audit)

    def show(self, context: PageContext, identifier: str, request: str = "") -> HTTPResponse:
        if not request:
            with self._services.index.view() as sql:
                slugs = self._services.visible.slugs()
                owners = requests_with_job(sql, identifier, slugs)
                meant = resolve_identifier(sql, identifier, slugs) if not owners else None
            if len(owners) > 1:
                return redirect(f"/jobs/?q={identifier}")
            if meant is not None:
                return redirect(f"/{meant[0].value}s/{meant[1]}/")
        job, row, jobs = self._find(identifier, request)
        asked = self._requests.find(row.identifier)[2]
        document = asked.document
        is_open = job.status not in lifecycle.FINISHED
        heard = job.updated_at if job.updated_at is not None else labels.micros(context.now)
        backend = context.directory.backends.get(row.backend)
        action = asked.pipeline.actions.get(job.action)
        made = {one.action: one for one in jobs}
        needs = action.needs if action else ()
        with self._services.index.view() as sql:
            before = {
                need: last_success_before(sql, row.backend, row.workspace, need, row.created_at)
                for need in needs
                if need not in made
            }
        return self._site.page(
            context,
            "job.html",
            title=f"{job.action} on {row.workspace}",
            job=job,
            row=row,
            needs=[(need, made.get(need), before.get(need)) for need in needs],
            run=highlight.yaml(action.run, document.workspace.repo, document.sha) if action else "",
            parent=backend.parent_directory if backend else "",
            is_open=is_open,
            is_stale=is_open and labels.micros(context.now) - heard > _STALE_MICROS,
            can_cancel=may_cancel(context, document) and job.action in open_actions(row, jobs),
            is_cancelling=is_cancelling(row, job),
            version=page_version.of_request(row, jobs),
        )

    def _find(self, identifier: str, request: str) -> tuple[JobRow, JobRequestRow, list[JobRow]]:
        """The job, its request, and all jobs of that; without a request, the only one. Raises `Error` (not_found,
        conflict)."""
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            owners = [request] if request else requests_with_job(sql, identifier, slugs)
            if len(owners) > 1:
                raise conflict(f"several jobs are called {identifier!r}: open it from its job request")
            whole = find_request(sql, owners[0], slugs) if owners else None
        found = [job for job in whole[1] if job.identifier == identifier] if whole else []
        if not found or whole is None:
            raise not_found(f"there is no job {identifier!r}")
        return found[0], *whole

    def mark_failed(self, context: PageContext, identifier: str, request: str = "") -> HTTPResponse:
        job, row, _ = self._find(identifier, request)
        self._services.gate.submit(context.actor, FailJob(identifier, job.request, row.backend), "web")
        return redirect(labels.job_url(job))

    def audit(self, context: PageContext, identifier: str, request: str = "") -> HTTPResponse:
        job, row, _ = self._find(identifier, request)
        document = self._requests.find(row.identifier)[2].document
        paths = [Place(area, document.created_at.date(), row.identifier).job(identifier) for area in Area]
        ends = labels.moment(row.updated_at) if row.completed_at else None
        found = audit_tab.entries(self._services.repo, backend_branch(row.backend), paths, document.created_at, ends)
        return self._site.page(
            context, "audit_job.html", title=f"Audit of {job.action}", job=job, row=row, entries=found
        )
