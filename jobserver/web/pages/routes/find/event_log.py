"""The event log: job requests to search and filter, of all workspaces or of one, as a page or as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bottle import HTTPResponse

from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests.query import FILTERS, Query, parse
from jobserver.domain.waiting.waiting import Waiting
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error, invalid, not_found
from jobserver.index.queries.requests import JobRequestRow
from jobserver.index.queries.search import Matches, Position, RequestSearch
from jobserver.service.accounts.preferences import LONGEST_NAME
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import times
from jobserver.web.pages.forms import text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.releases.access import has_tab
from jobserver.web.pages.sent_form import sentence
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import search

_PAGE = 25
_NOTHING = Matches((), None)
_CSV_ROWS, _CSV_STEPS = 10_000, 50
_CSV = ("id", "requested", "status", "workspace", "project", "backend", "by", "commit", "actions", "jobs", "succeeded",
        "started", "completed")  # fmt: skip


class EventLog:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/jobs/", self.show, self.save, filters=search.PARAMETERS)
        site.add("/job-requests/", lambda context: redirect("/jobs/", 301))
        own = [name for name in search.PARAMETERS if name != "workspace"]
        site.add("/<workspace>/logs/", self.show, filters=own)

    def show(self, context: PageContext, workspace: str = "") -> HTTPResponse:
        """``workspace``: only the requests of this one, on a tab of its pages."""
        document = context.directory.workspace(workspace)
        if workspace and document is None:
            raise not_found(f"workspace {workspace!r} does not exist")
        try:
            query = search.query_of_url()
            if workspace and query.workspace:
                return redirect(search.search_url("/jobs/", query))
            reply = self._search(context, query, document)
        except Error as error:
            if error.code is not Code.INVALID:
                raise
            reply = self._page(context, document, _Shown(text("q", search.LONGEST), error=error))
        return reply

    def save(self, context: PageContext) -> HTTPResponse:
        """Saves or deletes a view."""
        username, operation, name = context.actor.name, text("what"), text("name")
        if operation == "save-view":
            name = self._services.preferences.save_view(username, name, text("q", search.LONGEST))
            url = search.search_url("/jobs/", parse(text("q", search.LONGEST)))
            return self._site.saved(url, f"Saved the view {name}.")
        if operation == "delete-view":
            self._services.preferences.delete_view(username, name)
            return self._site.saved("/jobs/", f"Deleted the view {name}.")
        raise invalid("expected save-view or delete-view", "what")

    def _search(self, context: PageContext, query: Query, workspace: Workspace | None) -> HTTPResponse:
        slugs = self._services.visible.slugs()
        resolved = query.resolved(context.user.username if context.user else "", context.now.date())
        if workspace is not None:
            resolved = resolved.replaced(workspace=[workspace.name])
        with self._services.index.view() as sql:
            search.check_values(sql, context.directory, resolved, slugs)
            if workspace is None and (place := search.identified(sql, query, slugs)):
                return redirect(place)
            requests = RequestSearch(sql, resolved, slugs)
            if text("format") == "csv":
                return _download(_all_rows(requests))
            matches, counts = requests.page(_PAGE, _before(text("before"))), requests.counts()
            total = requests.total(counts) if counts is not None else None
            values = counts if counts is not None else RequestSearch(sql, search.only_fields(resolved), slugs).counts()
            jobs = search.jobs_beginning_with(sql, query, slugs)
            waiting = self._site.waiting(context, sql, matches.rows)
        shown = _Shown(
            str(query), query, matches, total, values or {}, [*search.places(context, query), *jobs], waiting
        )
        return self._page(context, workspace, shown)

    def _page(self, context: PageContext, workspace: Workspace | None, shown: "_Shown") -> HTTPResponse:
        address = f"/{workspace.name}/logs/" if workspace else "/jobs/"
        hidden = {"workspace"} if workspace else set()
        values = {name: counter for name, counter in shown.values.items() if name not in hidden}
        older = shown.matches.older
        return self._site.page(
            context,
            "requests/event_log.html",
            400 if shown.error else 200,
            title=f"Event log · {workspace.name}" if workspace else "Event log",
            workspace=workspace,
            has_releases=has_tab(self._services, context, workspace),
            address=address,
            shown=shown,
            before=text("before"),
            is_mine=shown.query.by == ("me",),
            mine_url=search.search_url(address, shown.query.replaced(by=() if shown.query.by == ("me",) else ("me",))),
            chips=search.chips(address, shown.query),
            facets=search.facets(
                address, shown.query, values, shown.total is not None, self._services.index.backend_name
            ),
            older_url=search.search_url(address, shown.query, before=f"{older[0]}.{older[1]}") if older else "",
            newest_url=search.search_url(address, shown.query),
            csv_url=search.search_url(address, shown.query, format="csv"),
            filters=FILTERS,
            views=_views(self._services.preferences.views(context.user.username) if context.user else {}),
            longest_name=LONGEST_NAME,
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """``text``: in the search box. ``total`` is None if too many match to count them."""

    text: str
    query: Query = field(default_factory=Query)
    matches: Matches = _NOTHING
    total: int | None = 0
    values: Mapping[str, Counter[str]] = field(default_factory=dict)
    places: Sequence[search.Destination] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    error: Error | None = None

    @property
    def problems(self) -> list[str]:
        """What is wrong with the query."""
        faults = self.error.faults if self.error else ()
        messages = [fault.message for fault in faults] or ([self.error.message] if self.error else [])
        return [sentence(message) for message in messages]

    @property
    def looked_back_to(self) -> int | None:
        """When the oldest request was made that the search looked at, if it stopped there without a full page."""
        older = self.matches.older
        return older[0] if older and len(self.matches.rows) < _PAGE else None


def _views(saved: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(name, query, URL)."""
    return [(name, query, search.text_url(query)) for name, query in saved.items()]


def _before(value: str) -> Position | None:
    """The place in the list where the page begins; None for the newest."""
    created_at, _, identifier = value.partition(".")
    is_number = created_at.isascii() and created_at.isdecimal() and len(created_at) < 19
    return (int(created_at), identifier) if is_number and identifier else None


def _all_rows(requests: RequestSearch) -> Iterator[JobRequestRow]:
    """The newest matches, _CSV_ROWS at most."""
    before, count = None, 0
    for _ in range(_CSV_STEPS):
        matches = requests.page(min(_CSV_ROWS - count, 1000), before)
        yield from matches.rows
        before, count = matches.older, count + len(matches.rows)
        if before is None or count >= _CSV_ROWS:
            return


def _download(rows: Iterator[JobRequestRow]) -> HTTPResponse:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(_CSV)
    writer.writerows(map(_cells, rows))
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="job-requests.csv"',
        "Cache-Control": "no-store",
    }
    return HTTPResponse(file.getvalue().encode(), 200, headers)


def _cells(row: JobRequestRow) -> list[object]:
    created, started, completed = map(_moment, (row.created_at, row.started_at, row.completed_at))
    about = [row.workspace, row.project or "", row.backend, row.created_by, row.sha, " ".join(row.actions)]
    return [row.identifier, created, row.outcome, *about, row.jobs, row.succeeded, started, completed]


def _moment(micros: int | None) -> str:
    moment = times.moment(micros) if micros is not None else None
    return timestamp(moment) if moment is not None else ""
