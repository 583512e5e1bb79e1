"""Templates as answers: escaped always, with the headers that every page has."""

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from bottle import HTTPResponse, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jobserver.web.pages.assets import Assets
from jobserver.web.pages.format import highlight, labels
from jobserver.web.server.mount import links_placed

TEMPLATES = Path(__file__).parent.parent / "templates"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_WORTH_PACKING = 1000  # bytes


class Renderer:
    """``clock``: aware, UTC."""

    def __init__(self, assets: Assets, is_https: bool) -> None:
        self._is_https = is_https
        self._env = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.globals.update(asset=assets.url, words=labels, badge=badge)
        self._env.filters.update(when=when, clock=labels.clock, diff=highlight.diff, marked=marked)

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        return self._env.get_template(template).render(values)

    def page(self, template: str, values: Mapping[str, Any], status: int = 200) -> HTTPResponse:
        return self.answer(self.text(template, values).encode(), status)

    def answer(self, body: bytes, status: int = 200) -> HTTPResponse:
        body = links_placed(body)
        headers = {"Content-Type": "text/html; charset=utf-8", **self.headers()}
        if len(body) > _WORTH_PACKING and "gzip" in request.get_header("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        return HTTPResponse(body, status, headers)

    def headers(self) -> dict[str, str]:
        found = {
            "Content-Security-Policy": CSP,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Vary": "Cookie, Accept-Encoding",
        }
        if self._is_https:
            found["Strict-Transport-Security"] = "max-age=31536000"
        return found


def when(at: datetime | int | None, now: datetime, none: str = "–") -> Markup:
    """A time, relative, with the exact one (UTC) on hover and for machines."""
    if isinstance(at, int):
        at = labels.moment(at)
    if at is None:
        return Markup.escape(none)
    at = at.astimezone(UTC)
    exact = at.isoformat(" ", "seconds").removesuffix("+00:00")
    # Digits and words of ours: nothing in it has to be escaped.
    return Markup(f'<time datetime="{at.isoformat()}" title="{exact} UTC">{labels.ago(at, now)}</time>')


def marked(text: str) -> Markup:
    """What stands between backticks as code, as messages have it."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else Markup.escape(part)
        for number, part in enumerate(parts)
    )


@lru_cache(maxsize=256)
def badge(status: str, count: int | None = None) -> Markup:
    """A status as a sign and a word, or ``count`` of it; kept, because lists are full of the same few."""
    word = labels.said(status) if count is None else f"{count} {labels.said(status).lower()}"
    sign = Markup('<span class="sign" aria-hidden="true">{}</span>').format(labels.SIGNS.get(status, "…"))
    return Markup('<span class="badge {}">{} {}</span>').format(status, sign, word)
