"""What a person follows: job requests of others, and whole workspaces, about which they get emails."""

from dataclasses import dataclass

from jobserver.web.pages.context import PageContext
from jobserver.web.services import Services


@dataclass(frozen=True, slots=True)
class FollowState:
    """``action``: of the form that changes it."""

    action: str
    is_on: bool
    has_address: bool


def follow_state(services: Services, context: PageContext, subject: str) -> FollowState | None:
    """``subject``: as `Subscriber` has it. None where nobody is logged in, or the server sends no email."""
    if context.user is None or not services.options.sends_email:
        return None
    username = context.user.username
    is_on = services.subscriptions.follows(username, subject)
    return FollowState(f"{followed(subject)[2]}follow/", is_on, bool(services.private.email(username)))


def followed(subject: str) -> tuple[str, str, str]:
    """(what it is, its name, its page)."""
    kind, _, name = subject.partition("/")
    return ("Job request", name, f"/job-requests/{name}/") if kind == "request" else ("Workspace", name, f"/{name}/")
