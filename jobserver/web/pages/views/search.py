"""What a search page shows beside the requests: filters with their numbers, and workspaces, projects, people and jobs
that the words name. Reads the query from the URL."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from jobserver.domain.job_requests.query import FILTERS, Query, of_values, parse
from jobserver.errors import Fault, invalid
from jobserver.index.directory import Directory
from jobserver.index.queries.identifiers import resolve_identifier
from jobserver.index.queries.jobs import jobs_identified
from jobserver.index.queries.search import has_requests
from jobserver.index.queries.terms import FIELDS
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import labels, tabs
from jobserver.web.pages.forms import text, texts

PARAMETERS = ("q", *FILTERS, "username", "before", "format")
"""Of the URL. ``username`` is the old name of ``by``."""
_LABELS = {"status": "Status", "backend": "Backend", "workspace": "Workspace", "by": "Person", "project": "Project"}
LONGEST = 2000  # characters that are read of a query; it is refused from `query.MAX_TEXT` on
_MENU = 50  # values in a menu
_FEW = 6  # workspaces, projects, people


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a filter in a menu. ``count`` is None if too many match to count them."""

    text: str
    url: str
    count: int | None
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    label: str
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Destination:
    """Something other than a request that the words of a search name."""

    kind: str
    name: str
    url: str


def query_of_url() -> Query:
    """The words and filters of ``q`` and of the other parameters. Raises `Error` (invalid)."""
    typed = parse(text("q", LONGEST))
    given = {name: _parameter(name) for name in FILTERS}
    given["by"] += _parameter("username")
    more = of_values({name: values for name, values in given.items() if values})
    days = {name: more.values(name) for name in ("since", "until") if more.values(name)}  # a form changes them
    return typed.joined(more).replaced(**days)


def _parameter(name: str) -> list[str]:
    return [value for value in map(str.strip, texts(name)) if value]


def check_values(sql: sqlite3.Connection, directory: Directory, query: Query, slugs: Sequence[str]) -> None:
    """Raises `Error` (invalid) for each name that neither exists nor has any request."""
    existing: dict[str, Container[str]] = {
        "backend": slugs,
        "workspace": directory.workspaces,
        "by": directory.users,
        "project": directory.projects,
    }
    faults = [
        Fault(f"{_LABELS[name].lower()} {value!r} does not exist", key=name)
        for name, names in existing.items()
        for value in query.values(name)
        if value not in names and not has_requests(sql, name, value, slugs)
    ]
    faults += [
        Fault(f"organisation {slug!r} does not exist", key="org") for slug in query.org if slug not in directory.orgs
    ]
    if faults:
        raise invalid(faults[0].message, faults[0].key, faults)


def only_fields(query: Query) -> Query:
    """The filters by values that requests are always counted by."""
    return Query(**{name: query.values(name) for name in (*FIELDS, "org")})


def search_url(address: str, query: Query, **more: str) -> str:
    """The URL of a search."""
    return _encoded(address, {"q": str(query), **more})


def text_url(text_: str) -> str:
    """The URL of a search in the event log for what was typed."""
    return _encoded("/jobs/", {"q": text_})


def _encoded(address: str, parameters: Mapping[str, str]) -> str:
    encoded = urlencode({name: value for name, value in parameters.items() if value}, safe=":/,")
    return f"{address}?{encoded}" if encoded else address


def chips(address: str, query: Query) -> list[tuple[str, str]]:
    """(what is applied, the URL without it) for each value and word."""
    shown = [
        (f"{name}:{value}", search_url(address, query.replaced(**{name: _without(query.values(name), value)})))
        for name in FILTERS
        for value in query.values(name)
    ]
    words = [
        (f"“{word}”", search_url(address, query.replaced(words=_without(query.words, word)))) for word in query.words
    ]
    return [*shown, *words]


def _without(values: Sequence[str], value: str) -> list[str]:
    return [other for other in values if other != value]


def facets(
    address: str,
    query: Query,
    counts: Mapping[str, Counter[str]],
    is_counted: bool,
    backend_name: Callable[[str], str],
) -> list[Facet]:
    """``counts``: of the filters to show. Each choice adds its value to the filter, or takes it away."""
    shown = {"status": labels.status, "backend": backend_name}
    return [
        Facet(
            _LABELS[name],
            [
                _choice(address, query, name, *item, is_counted, shown.get(name, str))
                for item in values.most_common(_MENU)
                if item[0]
            ],
        )
        for name, values in counts.items()
    ]


def _choice(
    address: str, query: Query, name: str, value: str, count: int, is_counted: bool, shown: Callable[[str], str]
) -> Choice:
    term = of_values({name: [value]}).values(name)[0]
    chosen = query.values(name)
    values = _without(chosen, term) if term in chosen else [*chosen, term]
    url = search_url(address, query.replaced(**{name: values}))
    return Choice(shown(value), url, count if is_counted else None, term in chosen)


def identified(sql: sqlite3.Connection, query: Query, slugs: Sequence[str]) -> str:
    """The page of the one request or job whose id, or the beginning of it, is all that was typed; empty if none is."""
    typed = [*query.words, *query.id]
    if len(typed) != 1 or query not in (Query(words=query.words), Query(id=query.id)):
        return ""
    match = resolve_identifier(sql, typed[0], slugs)
    return f"/{match[0].value}s/{match[1]}/" if match else ""


def jobs_beginning_with(sql: sqlite3.Connection, query: Query, slugs: Sequence[str]) -> list[Destination]:
    jobs = [job for word in (*query.words, *query.id) for job in jobs_identified(sql, word, slugs, _FEW)]
    return [Destination("Job", job.identifier, tabs.job_url(job)) for job in jobs[:_FEW]]


def places(context: PageContext, query: Query) -> list[Destination]:
    """Workspaces, projects and people that all words are part of; only for a query that has nothing but words."""
    words = [word.lower() for word in query.words]
    if not words or query != Query(words=query.words):
        return []
    directory = context.directory
    titles = {name: f"{name} {project.name}" for name, project in directory.projects.items()}
    workspaces = _named(words, {name: name for name in directory.workspaces})
    all_workspaces = Destination("Workspaces", "All of them", f"/workspaces/?{urlencode({'q': ' '.join(words)})}")
    return [
        *(Destination("Workspace", name, f"/{name}/") for name in workspaces[:_FEW]),
        *([all_workspaces] if len(workspaces) > _FEW else []),
        *(
            Destination("Project", directory.projects[name].name, f"/orgs/{name}/")
            for name in _named(words, titles)[:_FEW]
        ),
        *(
            Destination("Person", name, search_url("/jobs/", Query(by=(name,))))
            for name in _named(words, _people(directory))[:_FEW]
        ),
    ]


def _people(directory: Directory) -> dict[str, str]:
    return {name: f"{name} {user.name}" for name, user in directory.users.items()}


def _named(words: Sequence[str], texts_: Mapping[str, str]) -> list[str]:
    """The keys whose text contains every word."""
    return [name for name, text_ in texts_.items() if all(word in text_.lower() for word in words)]
