"""A workspace by week and a backend by day: how much ran, how it ended, how long it took or waited."""

from datetime import timedelta
from urllib.parse import urlencode

from bottle import HTTPResponse

from jobserver.errors import not_found
from jobserver.index.queries.history import (
    action_summaries,
    backend_days,
    job_days,
    running_jobs,
    workspace_days,
)
from jobserver.index.queries.requests import queue
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import times
from jobserver.web.pages.forms import page_number, text
from jobserver.web.pages.history import figures
from jobserver.web.pages.routes.releases.access import has_tab
from jobserver.web.pages.site import Site

_WEEKS = 26
_DAYS = 30
_RUNS = 10  # of each action
_PAGE = 50


class Trends:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/trends/", self.workspace, filters=("q", "page"))
        site.add("/backends/<slug>/history/", self.backend, filters=())

    def workspace(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = context.workspace(name)
        slugs, first = self._services.visible.slugs(), figures.monday(context.now, _WEEKS - 1)
        with self._services.index.view() as sql:
            rows = workspace_days(sql, name, slugs, figures.day_of(first))
            actions = action_summaries(sql, name, slugs, _RUNS)
        query, number = text("q", 200), page_number("page")
        matches = [row for row in actions if query.lower() in row.action.lower()]
        weeks = figures.weeks(rows, first, context.now)
        return self._site.page(
            context,
            "history/workspace.html",
            title=f"Trends · {name}",
            workspace=workspace,
            has_releases=has_tab(self._services, context, workspace),
            weeks=weeks,
            chart=figures.weeks_chart(weeks),
            actions=[
                (row, figures.success_rate(row.succeeded, row.ended - row.succeeded))
                for row in matches[(number - 1) * _PAGE : number * _PAGE]
            ],
            total=len(matches),
            runs=_RUNS,
            query=query,
            this_url=f"/{name}/trends/" + (f"?{urlencode({'q': query})}" if query else ""),
            page_number=number,
            has_more=len(matches) > number * _PAGE,
        )

    def backend(self, context: PageContext, slug: str) -> HTTPResponse:
        backend = context.directory.backends.get(slug)
        if backend is None or slug not in self._services.visible.slugs():
            raise not_found(f"backend {slug!r} does not exist")
        first = context.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS - 1)
        since = figures.day_of(first)
        with self._services.index.view() as sql:
            now, running = queue(sql, slug), running_jobs(sql, slug)
            jobs, requests = job_days(sql, slug, since, times.micros(context.now)), backend_days(sql, slug, since)
        days = figures.days(jobs, requests, first, context.now)
        return self._site.page(
            context,
            "history/backend.html",
            title=f"History · {backend.name}",
            backend=backend,
            days=days,
            online={day.date(): hours for day, hours in self._services.live.hours_by_day(slug)},
            running=running,
            waiting=now.active - now.running,
            busy=figures.busy_chart(days),
            waits=figures.waits_chart(days),
        )
