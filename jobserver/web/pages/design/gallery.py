"""The pages `/design/`: an index, and one page for each component."""

from collections.abc import Callable, Mapping
from typing import Any

from bottle import HTTPResponse

from jobserver.errors import not_found
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.design import samples
from jobserver.web.pages.format import times
from jobserver.web.pages.site import Site

_Values = Callable[[int], Mapping[str, Any]]
COMPONENTS: dict[str, tuple[str, _Values]] = {
    "status": ("A status: a sign, a word and a colour.", lambda now: {}),
    "summary": ("What a page answers first.", lambda now: {}),
    "graph": ("A pipeline: its actions, what they need, and their statuses.", lambda now: samples.graph()),
    "timeline": ("When the jobs of a request waited and ran.", samples.timeline),
    "chart": ("How something changed over time, with its numbers in a table beside it.", samples.runs),
    "table": ("Things of one kind, one in a row.", samples.requests),
    "field": ("What a person types or chooses, and what is wrong with it.", lambda now: samples.form()),
    "message": ("What a person should know about the page.", lambda now: {}),
}
"""Name -> (what it is, what its page shows)."""


class Design:
    def __init__(self, site: Site) -> None:
        self._site = site
        site.add("/design/", self.index, filters=())
        site.add("/design/<name>/", self.show, filters=())

    def index(self, context: PageContext) -> HTTPResponse:
        return self._site.page(context, "design/index.html", title="Design", components=COMPONENTS)

    def show(self, context: PageContext, name: str) -> HTTPResponse:
        if name not in COMPONENTS:
            raise not_found(f"component {name!r} does not exist")
        meaning, values = COMPONENTS[name]
        return self._site.page(
            context,
            f"design/{name}.html",
            title=f"{name.capitalize()} · Design",
            name=name,
            meaning=meaning,
            **values(times.micros(context.now)),
        )
