"""Lists: every list is filtered by query parameters, and read page by page in one way.

`limit` is the largest number of items in an answer. `after` names the last item of the page before. The answer has
`results`, and `next`: the URL of the next page, or null on the last one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from bottle import HTTPResponse, request

from jobserver.errors import invalid
from jobserver.web import http

PAGING = ("limit", "after")
DEFAULT, MOST = 100, 1000
T = TypeVar("T")


def text(name: str) -> str:
    """A query parameter; "" without it. Bytes that are not UTF-8 become U+FFFD, so that they match nothing."""
    value: str = request.query.get(name, "")
    return value.encode("latin-1").decode(errors="replace")  # WSGI's strings hold the bytes of the request


def named(name: str, known: Collection[str]) -> str:
    """A filter by something that has to exist; "" without it. Raises `Error` (invalid)."""
    value = text(name)
    if value and value not in known:
        raise invalid(f"{value[:100]!r} does not exist", name)
    return value


def flag(name: str) -> bool | None:
    """A filter that is true or false; None without it. Raises `Error` (invalid)."""
    value = text(name)
    if value not in ("", "true", "false"):
        raise invalid(f"expected true or false, found {value[:100]!r}", name)
    return value == "true" if value else None


def limit() -> int:
    """Raises `Error` (invalid)."""
    value = text("limit")
    if not value:
        return DEFAULT
    if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= MOST):
        raise invalid(f"expected a whole number from 1 to {MOST}, found {value[:20]!r}", "limit")
    return int(value)


def page(base_url: str, results: Sequence[Mapping[str, Any]], after: str | None) -> HTTPResponse:
    """One page. ``after``: the name of its last item if there are more."""
    following = None
    if after is not None:
        kept = [(key, value) for key, value in request.query.allitems() if key != "after"]
        path = quote(request.environ.get("PATH_INFO", "").encode("latin-1", "replace"), safe="/-._~")
        following = f"{base_url}{path}?{urlencode([*kept, ('after', after)], encoding='latin-1')}"
    return http.answer({"next": following, "results": results})


def page_of(
    base_url: str, documents: Iterable[tuple[str, T]], as_item: Callable[[T], Mapping[str, Any]]
) -> HTTPResponse:
    """One page of ``documents``, which are (name, document), in the order of their names."""
    after = text("after")
    return _first(base_url, [pair for pair in documents if pair[0] > after], as_item)


def page_in_order(
    base_url: str, documents: Sequence[tuple[str, T]], as_item: Callable[[T], Mapping[str, Any]]
) -> HTTPResponse:
    """One page of ``documents``, which are (name, document), in another order than that of their names."""
    after = named("after", [name for name, _ in documents])
    position = next((number for number, (name, _) in enumerate(documents) if name == after), -1)
    return _first(base_url, documents[position + 1 :], as_item)


def _first(base_url: str, rest: Sequence[tuple[str, T]], as_item: Callable[[T], Mapping[str, Any]]) -> HTTPResponse:
    size = limit()
    shown = rest[:size]
    return page(base_url, [as_item(document) for _, document in shown], shown[-1][0] if len(rest) > size else None)
