"""The reference of the API for people who write scripts, made from openapi.json."""

from functools import cached_property

from bottle import HTTPResponse
from markupsafe import Markup

from jobserver.web.api.openapi import reference
from jobserver.web.api.openapi.document import describe
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site


class ApiReference:
    def __init__(self, site: Site) -> None:
        self._site = site
        site.add("/api/", self.show, is_open=True)
        site.add("/api/v2/", lambda context: redirect("/api/", 302), is_open=True)

    @cached_property
    def _content(self) -> Markup:
        """Made when somebody asks for it first: a server that starts is in a hurry."""
        base_url = self._site.services.options.base_url
        document = describe(base_url)
        values = {
            "base_url": base_url,
            "sections": reference.sections(document),
            "errors": reference.errors(document),
            "shapes": reference.shapes(document),
        }
        return Markup(self._site.render.text("api/content.html", values))

    def show(self, context: PageContext) -> HTTPResponse:
        return self._site.page(context, "api/reference.html", title="API", content=self._content)
