"""Templates as HTTP answers: always escaped, compressed, with the headers that every page has."""

import gzip
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar

from bottle import HTTPResponse, request
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from jobserver.web.pages.assets import Assets
from jobserver.web.pages.format import github, highlight, labels, tabs, times
from jobserver.web.server.mount import links_placed

TEMPLATES = Path(__file__).parent.parent / "templates"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_COMPRESS_FROM = 1000  # bytes
_SOON = 5  # seconds


class _Compiled(BytecodeCache):
    """The code of templates, for all renderers of a process: to compile those of one page takes a tenth of a second."""

    _code: ClassVar[dict[tuple[str, str], CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._code[bucket.key, bucket.checksum] = bucket.code


def environment() -> Environment:
    """Templates with their filters; their globals are the renderer's."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_Compiled(),
    )
    templates.filters.update(
        when=when,
        span=span,
        left=left,
        expected=expected,
        exactly=exactly,
        duration=times.duration,
        took=times.took,
        elapsed=elapsed,
        so_far=so_far,
        diff=highlight.diff,
        marked=marked,
        breakable=breakable,
    )
    return templates


class Renderer:
    def __init__(self, assets: Assets, backend_name: Callable[[str], str], is_https: bool) -> None:
        self._is_https = is_https
        self._env = environment()
        self._env.globals.update(
            asset=assets.url,
            github=github,
            labels=labels,
            tab_links=tabs,
            times=times,
            badge=badge,
            backend_name=backend_name,
        )

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        return self._env.get_template(template).render(values)

    def page(self, template: str, values: Mapping[str, Any], status: int = 200) -> HTTPResponse:
        return self.answer(self.text(template, values).encode(), status)

    def answer(self, body: bytes, status: int = 200) -> HTTPResponse:
        body = links_placed(body)
        headers = {"Content-Type": "text/html; charset=utf-8", **self.headers()}
        if len(body) > _COMPRESS_FROM and "gzip" in request.get_header("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        return HTTPResponse(body, status, headers)

    def headers(self) -> dict[str, str]:
        headers = {
            "Content-Security-Policy": CSP,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Vary": "Cookie, Accept-Encoding",
        }
        if self._is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        return headers


def when(moment: datetime | int | None, now: datetime, none: str = "–") -> Markup:
    """A relative time (``3 minutes ago``), with the exact one (UTC) on hover and for machines.

    An int is microseconds since 1970; ``none`` is shown for None.
    """
    if isinstance(moment, int):
        moment = times.moment(moment)
    return _time(moment, times.ago(moment, now)) if moment is not None else Markup.escape(none)


def span(moment: datetime | int, now: datetime) -> Markup:
    """How far away a time is (``3 minutes``), with the exact one on hover; js/times.js keeps it up to date."""
    known = times.moment(moment) if isinstance(moment, int) else moment
    assert known is not None
    return _time(known, times.length(abs((now - known).total_seconds())), " data-span")


def expected(moment: int, now: datetime) -> Markup:
    """An expected time (``in 14 minutes``); ``any moment now`` once it has come, because no expectation lies in the
    past."""
    known = times.moment(moment)
    assert known is not None
    text = times.ago(known, now) if (known - now).total_seconds() >= _SOON else "any moment now"
    return _time(known, text, " data-expected")


def left(moment: int, now: datetime) -> Markup:
    """How long it is until a time; zero once it has come."""
    known = times.moment(moment)
    assert known is not None
    return _time(known, times.length(max((known - now).total_seconds(), 0)), " data-left")


def _time(moment: datetime, text: str, attribute: str = "") -> Markup:
    moment = moment.astimezone(UTC)
    exact = moment.isoformat(" ", "seconds").removesuffix("+00:00")
    # All of it is digits and our own words, so nothing has to be escaped.
    return Markup(f'<time datetime="{moment.isoformat()}" title="{exact} UTC"{attribute}>{text}</time>')


def exactly(moment: datetime) -> Markup:
    """``2026-11-24 10:00:05 UTC``; js/times.js shows it in local time to those who prefer that."""
    return _time(moment, times.exactly(moment), " data-exact")


def elapsed(start: int, end: int) -> str:
    """The time between two times in microseconds, as `times.took`."""
    return times.took((end - start) / 1_000_000)


def so_far(start: int, end: int, runs: bool = True) -> Markup:
    """As `elapsed`, of what has not ended. If it still ``runs``, js/times.js keeps it up to date."""
    text = times.running((end - start) / 1_000_000)
    moment = times.moment(start)
    assert moment is not None
    return Markup(f'<span data-since="{moment.isoformat()}">{text}</span>') if runs else Markup(text)


def marked(text: str) -> Markup:
    """Messages put code between backticks: it becomes <code>."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else Markup.escape(part)
        for number, part in enumerate(parts)
    )


def breakable(name: str) -> Markup:
    """A long name breaks after its underscores, and not anywhere."""
    return Markup("_<wbr>").join(name.split("_"))


@lru_cache(maxsize=256)
def badge(status: str, count: int | None = None, by: tuple[str, ...] = ()) -> Markup:
    """A status or outcome as a sign and a word, or ``count`` of it. ``by``: who asked, of what was cancelled.

    Cached, because lists show the same few many times."""
    word = labels.status(status, by) if count is None else f"{count} {labels.status(status).lower()}"
    sign = Markup('<span class="sign" aria-hidden="true">{}</span>').format(labels.SIGNS.get(status, "…"))
    return Markup('<span class="badge {}">{} {}</span>').format(status, sign, word)
