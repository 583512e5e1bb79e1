"""The page where SuperUsers set the site message, which every page shows."""

from bottle import HTTPResponse

from jobserver.domain.site_messages import MessageLevel, SetSiteMessage
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.site import Site

_PATH = "/settings/message/"


class SiteMessagePage:
    def __init__(self, site: Site) -> None:
        self._site = site
        site.add(_PATH, self.show, self.change)

    def show(self, context: PageContext) -> HTTPResponse:
        context.check_admin()
        return self._site.page(
            context,
            "site_message.html",
            title="Site message",
            levels=[(level, level.capitalize()) for level in MessageLevel],
        )

    def change(self, context: PageContext) -> HTTPResponse:
        is_removed = text("what") == "remove"
        command = SetSiteMessage("" if is_removed else text("text", 1000), text("level", 20) or MessageLevel.INFO)
        self._site.services.gate.submit(context.actor, command, "web")
        return self._site.saved(_PATH, "Removed the message." if is_removed else "Saved.")
