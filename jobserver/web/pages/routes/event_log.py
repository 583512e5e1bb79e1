"""The event log: job requests to search and filter, of all workspaces or of one."""

from collections import Counter
from collections.abc import Container, Sequence
from urllib.parse import urlencode

from bottle import HTTPResponse, request

from jobserver.errors import Fault, invalid, not_found
from jobserver.index.queries.counts import RequestCounts, count_requests
from jobserver.index.queries.requests import RequestFilter, list_requests
from jobserver.index.queries.search import resolve_identifier
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import labels
from jobserver.web.pages.forms import text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.routes.releases import has_tab
from jobserver.web.pages.site import Site

_PAGE = 25
_KEYS = ("q", "status", "backend", "workspace", "username")
_FILTERS = (*_KEYS, "before")


class EventLog:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        self._cube: tuple[tuple[str, ...], RequestCounts] = ((), RequestCounts([]))
        site.add("/jobs/", self.show, filters=_FILTERS)
        site.add("/job-requests/", lambda context: redirect("/jobs/", 301))
        site.add("/<workspace>/logs/", self.show, filters=[name for name in _FILTERS if name != "workspace"])

    def show(self, context: PageContext, workspace: str = "") -> HTTPResponse:
        """``workspace``: the log of this one only, among its own pages."""
        slugs = self._services.visible.slugs()
        known = context.directory.workspace(workspace)
        if workspace and known is None:
            raise not_found(f"there is no workspace {workspace!r}")
        chosen = RequestFilter(
            text("status", 64),
            text("backend", 64),
            workspace or text("workspace", 128),
            text("username", 64),
            text("q", 100),
            _before(text("before")),
        )
        with self._services.index.view() as sql:
            tips = self._services.index.tips()
            if self._cube[0] != tips:
                self._cube = tips, count_requests(sql)
            self._check(context, chosen, slugs)
            if chosen.query and (found := resolve_identifier(sql, chosen.query, slugs)) is not None:
                return redirect(f"/{found[0].value}s/{found[1]}/")
            rows = list_requests(sql, chosen, slugs, _PAGE)
        counts = self._cube[1].by_field(chosen, slugs)
        older = f"{rows[_PAGE - 1].created_at}.{rows[_PAGE - 1].identifier}" if len(rows) > _PAGE else ""
        facets = [
            (key, name, getattr(chosen, key), counts[key])
            for key, name in (("status", "Status"), ("backend", "Backend"), ("workspace", "Workspace"),
                              ("username", "Person"))
            if not (workspace and key == "workspace")
        ]  # fmt: skip
        return self._site.page(
            context,
            "log.html",
            title=f"Event log of {workspace}" if workspace else "Event log",
            workspace=known,
            has_releases=has_tab(self._services, context, known),
            address=f"/{workspace}/logs/" if workspace else "/jobs/",
            rows=rows[:_PAGE],
            chosen=chosen,
            facets=facets,
            total=_matching(chosen, counts["status"]),
            older=older,
            url=_url,
        )

    def _check(self, context: PageContext, chosen: RequestFilter, slugs: Sequence[str]) -> None:
        """Raises `Error` (invalid) for a filter that names nothing: neither what there is, nor what there was."""
        directory = context.directory
        known: dict[str, tuple[str, Container[str]]] = {
            "status": (chosen.status, labels.STATUS),
            "backend": (chosen.backend, slugs),
            "workspace": (chosen.workspace, directory.workspaces),
            "username": (chosen.username, directory.users),
        }
        faults = [
            Fault(f"there is no {name} {value!r}", key=name)
            for name, (value, there) in known.items()
            if value and value not in there and not self._cube[1].has(name, value, slugs)
        ]
        if faults:
            raise invalid(str(faults[0]), faults=faults)


def _matching(chosen: RequestFilter, by_status: Counter[str]) -> int:
    """How many requests the filters leave: each count is of all filters but its own."""
    return by_status[chosen.status] if chosen.status else by_status.total()


def _before(value: str) -> tuple[int, str] | None:
    at, _, identifier = value.partition(".")
    return (int(at), identifier) if at.isascii() and at.isdecimal() and len(at) < 19 and identifier else None


def _url(address: str, **changes: str) -> str:
    """This view with some of its filters changed."""
    kept = {key: request.query.getunicode(key) for key in _KEYS}
    wanted = {key: value for key, value in {**kept, **changes}.items() if value}
    return f"{address}?{urlencode(wanted)}" if wanted else address
