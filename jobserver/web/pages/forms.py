"""Reads forms and query parameters, and refuses forms that another site forged."""

import hashlib
from collections.abc import Collection
from urllib.parse import quote

from bottle import BaseRequest, request

from jobserver.domain.base.permissions import Actor, Role
from jobserver.domain.pipeline.reader import MAX_ACTIONS
from jobserver.errors import Error, forbidden, invalid
from jobserver.service.writes.idempotency import Key
from jobserver.web import http
from jobserver.web.pages.format.graph_groups import GROUPINGS, View
from jobserver.web.pages.sessions import Session, Sessions
from jobserver.web.server.stream import UNSIZED

_MOST_OPEN = 50  # groups of a pipeline
_MAX_BYTES = 2 * 1024 * 1024  # a form can name thousands of actions
BaseRequest.MEMFILE_MAX = _MAX_BYTES  # bottle's own limit is 100 KiB


def read_form(base_url: str) -> None:
    """Reads the form that was sent. Raises `Error`: forbidden for one from another site, invalid for a malformed one;
    and `http.TooLarge`."""
    origin = http.header("Origin")
    own_origins = http.origins(base_url)
    if http.header("Sec-Fetch-Site") not in (None, "same-origin", "none") or (origin and origin not in own_origins):
        raise forbidden("this form was sent from another site")
    body = http.read_body(_MAX_BYTES)
    if request.environ.get(UNSIZED):  # half of such a form looks like a whole one
        raise invalid("a form needs a Content-Length header; browsers send one")
    http.give(body)
    try:
        request.forms.decode()
    except UnicodeError:
        raise invalid("this form is not UTF-8 text") from None
    except (ValueError, LookupError):
        raise invalid("this form cannot be read: check its Content-Type header") from None


def is_own_form(sessions: Sessions, session: Session | None) -> bool:
    """Whether the form that was read comes from a page of this session."""
    return sessions.is_genuine(session, str(request.forms.get("form", "")))


def text(name: str, most: int = 1000) -> str:
    """A field of the form, or a parameter of the query, without the spaces around it; "" where it is missing.

    A query parameter is cut to ``most`` characters. Raises `Error` (invalid) for a longer field of a form.
    """
    is_form = request.method == "POST"
    value = str((request.forms if is_form else request.query).getunicode(name) or "").strip()
    if is_form and len(value) > most:
        raise invalid(f"too long: {len(value)} characters, the limit is {most}", name)
    return value[:most]


def texts(name: str) -> list[str]:
    """All fields of that name that are not empty. Bytes that are not UTF-8 in a query become U+FFFD."""
    if request.method == "POST":
        return [value for value in request.forms.decode().getall(name)[:MAX_ACTIONS] if value]
    values = request.query.getall(name)[:MAX_ACTIONS]
    return [value.encode("latin-1").decode(errors="replace") for value in values if value]  # WSGI's strings


def page_number(name: str) -> int:
    """A whole number from 1 up; 1 for everything else."""
    value = text(name, 6)
    return int(value) if value.isascii() and value.isdecimal() and int(value) > 0 else 1


def own_query(**kept: Collection[str]) -> str:
    """The start of a query for the same page with these values, where they are not empty; others can follow."""
    return "?" + "".join(f"{name}={quote(value)}&" for name, values in kept.items() for value in values if value)


def graph_view(chosen: Collection[str] = ()) -> View:
    """How the query wants a pipeline to be grouped. Raises `Error` (invalid)."""
    grouping = text("group", 20) if request.method != "POST" else ""
    if grouping not in ("", *GROUPINGS):
        raise invalid(f"the pipeline cannot be grouped by {grouping!r}: choose {', '.join(GROUPINGS)}", "group")
    return View(grouping, tuple(texts("open")[:_MOST_OPEN]) if grouping else (), tuple(chosen))


def unknown_button() -> Error:
    """For a form whose ``what`` is none of its page's buttons."""
    return invalid("this form is from another version of the page: reload the page and try again")


def roles() -> tuple[Role, ...]:
    """The form's roles. Raises `Error` (invalid)."""
    given = texts("roles")
    if unknown := set(given) - set(Role):
        raise invalid(f"{min(unknown)!r} is not a role; the roles are {', '.join(Role)}", "roles")
    return tuple(map(Role, given))


def idempotency_key(actor: Actor) -> Key | None:
    """Makes a form that is sent twice (a double click, a lost answer) act once; None for a form without ``once``.

    Different choices on the same page are different forms.
    """
    page_key = text("once", 64)
    fields = sorted(f"{key}={value}" for key, value in request.forms.decode().allitems() if key not in ("form", "once"))
    choices = "\n".join(fields).encode(errors="replace")
    digest = hashlib.sha256(choices).hexdigest()
    return Key.of(actor, "POST", request.path, f"{page_key} {digest}", choices) if page_key else None
