"""The event log: job requests to search and filter, of all workspaces or of one."""

from collections import Counter
from collections.abc import Container, Sequence
from urllib.parse import urlencode

from bottle import HTTPResponse, request

from jobserver.domain.job_requests.outcomes import REQUEST_OUTCOMES
from jobserver.errors import Fault, invalid, not_found
from jobserver.index.queries.counts import RequestCounts, count_requests
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.index.queries.search import resolve_identifier
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.releases import has_tab
from jobserver.web.pages.site import Site

_PAGE = 25
_FACETS = {"status": "Status", "backend": "Backend", "workspace": "Workspace", "username": "Person"}
_KEYS = ("q", *_FACETS)
_FILTERS = (*_KEYS, "before")


class EventLog:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        self._counts: tuple[tuple[str, ...], RequestCounts] = (
            (),
            RequestCounts([]),
        )  # with the tips that it was read at
        site.add("/jobs/", self.show, filters=_FILTERS)
        site.add("/job-requests/", lambda context: redirect("/jobs/", 301))
        site.add("/<workspace>/logs/", self.show, filters=[name for name in _FILTERS if name != "workspace"])

    def show(self, context: PageContext, workspace: str = "") -> HTTPResponse:
        """``workspace``: only the requests of this one, on a tab of its pages."""
        slugs = self._services.visible.slugs()
        document = context.directory.workspace(workspace)
        if workspace and document is None:
            raise not_found(f"workspace {workspace!r} does not exist")
        chosen = _chosen(workspace)
        with self._services.index.view() as sql:
            tips = self._services.index.tips()
            if self._counts[0] != tips:
                self._counts = tips, count_requests(sql)
            all_counts = self._counts[1]
            _check(context, chosen, slugs, all_counts)
            if chosen.query and (match := resolve_identifier(sql, chosen.query, slugs)) is not None:
                return redirect(f"/{match[0].value}s/{match[1]}/")
            rows = list_requests(sql, chosen, slugs, _PAGE)
        counts = all_counts.by_field(chosen, slugs)
        facets = [
            (key, label, getattr(chosen, key), counts[key])
            for key, label in _FACETS.items()
            if not (workspace and key == "workspace")
        ]
        return self._site.page(
            context,
            "requests/event_log.html",
            title=f"Event log of {workspace}" if workspace else "Event log",
            workspace=document,
            has_releases=has_tab(self._services, context, document),
            address=f"/{workspace}/logs/" if workspace else "/jobs/",
            rows=rows[:_PAGE],
            chosen=chosen,
            facets=facets,
            total=_total(chosen, counts["status"]),
            older=f"{rows[_PAGE - 1].created_at}.{rows[_PAGE - 1].identifier}" if len(rows) > _PAGE else "",
            url=_url,
        )


def _chosen(workspace: str) -> RequestFilter:
    """The filters of the query, with ``workspace`` in place of that filter if it is not empty."""
    return RequestFilter(
        status=text("status", 64),
        backend=text("backend", 64),
        workspace=workspace or text("workspace", 128),
        username=text("username", 64),
        query=text("q", 100),
        before=_before(text("before")),
    )


def _check(context: PageContext, chosen: RequestFilter, slugs: Sequence[str], counts: RequestCounts) -> None:
    """Raises `Error` (invalid) for a value that neither exists nor has any request."""
    existing: dict[str, Container[str]] = {
        "status": REQUEST_OUTCOMES,
        "backend": slugs,
        "workspace": context.directory.workspaces,
        "username": context.directory.users,
    }
    faults = []
    for name, names in existing.items():
        value = getattr(chosen, name)
        if value and value not in names and not counts.has(name, value, slugs):
            faults.append(Fault(f"{_FACETS[name].lower()} {value!r} does not exist", key=name))
    if faults:
        raise invalid(str(faults[0]), faults=faults)


def _total(chosen: RequestFilter, by_status: Counter[str]) -> int:
    """The number of requests that match: each counter applies all filters except its own."""
    return by_status[chosen.status] if chosen.status else by_status.total()


def _before(value: str) -> tuple[int, str] | None:
    """The place in the list where the page begins; None for the newest."""
    created_at, _, identifier = value.partition(".")
    is_number = created_at.isascii() and created_at.isdecimal() and len(created_at) < 19
    return (int(created_at), identifier) if is_number and identifier else None


def _url(address: str, **changes: str) -> str:
    """This page's URL with some of its filters changed."""
    values = {key: request.query.getunicode(key) for key in _KEYS} | changes
    query = urlencode({key: value for key, value in values.items() if value})
    return f"{address}?{query}" if query else address
