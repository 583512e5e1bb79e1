"""Where a person can go: pages, backends, and what `search` finds. For the palette, which asks while somebody types."""

import sqlite3
from collections.abc import Sequence

from jobserver.domain.job_requests.query import Query
from jobserver.index.queries.search import RequestSearch
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import labels, tabs
from jobserver.web.pages.views import search
from jobserver.web.pages.views.search import Destination

_MOST_WORDS, _REQUESTS = 6, 5


def pages(context: PageContext) -> list[Destination]:
    """The pages that are not about one thing."""
    links = [("Home", "/"), *tabs.main(context.is_admin, context.manages_users)]
    if context.user is not None:
        links += [("Settings", "/settings/"), ("Invitations", "/invitations/")]
    if context.can_add_workspaces:
        links.append(("New workspace", "/workspaces/new/"))
    links.append(("Keyboard", "/settings/keyboard/"))
    return [Destination("Page", name, url) for name, url in links]


def destinations(
    sql: sqlite3.Connection, context: PageContext, typed: str, backends: Sequence[str]
) -> list[Destination]:
    """The best first; the last is the search for what was typed. All pages, if nothing was."""
    words = tuple(typed.split()[:_MOST_WORDS])
    if not words:
        return pages(context)
    query = Query(words=words)
    exact = search.identified(sql, query, backends)
    named = [
        page
        for page in (*pages(context), *_backends(context, backends))
        if all(word.lower() in page.name.lower() for word in words)
    ]
    rows = RequestSearch(sql, query, backends).page(_REQUESTS).rows
    return [
        *([Destination("Id", typed, exact)] if exact else []),
        *named,
        *search.places(context, query),
        *search.jobs_beginning_with(sql, query, backends),
        *(
            Destination(
                f"Request, {labels.status(row.outcome).lower()}",
                f"{', '.join(row.actions[:3])} on {row.workspace}",
                f"/job-requests/{row.identifier}/",
            )
            for row in rows
        ),
        Destination("Search", f"“{typed}” in the event log", search.search_url("/jobs/", query)),
    ]


def _backends(context: PageContext, slugs: Sequence[str]) -> list[Destination]:
    known = [context.directory.backends[slug] for slug in slugs if slug in context.directory.backends]
    return [
        Destination(
            "Backend",
            backend.slug if backend.name == backend.slug else f"{backend.name} ({backend.slug})",
            f"/backends/{backend.slug}/" if context.is_admin else "/status/",
        )
        for backend in known
    ]
