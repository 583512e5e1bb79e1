"""What happened on a branch that people or other systems may want to know, and who writes the messages about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jobserver.domain.users import User
from jobserver.service.accounts.private_store import Statement
from jobserver.service.notify.email.invitation import ProjectInvitation
from jobserver.service.notify.outbox import Message
from jobserver.service.notify.release_events import ReleaseEvent
from jobserver.service.writes.job_requests import RequestWithJobs


@dataclass(frozen=True, slots=True)
class News:
    """``tip``: the newest commit that was read. ``finished``: job requests that are in the archive now."""

    branch: str
    tip: str
    finished: Sequence[RequestWithJobs] = ()
    invitations: Sequence[ProjectInvitation] = ()
    first_logins: Sequence[User] = ()
    releases: Sequence[ReleaseEvent] = ()


class MessageWriter(Protocol):
    def is_needed(self) -> bool:
        """Whether anybody gets messages of this kind."""

    def about(self, news: News) -> list[Message]: ...

    def periodic(self) -> tuple[list[Message], list[Statement]]:
        """What no commit announces, with changes of the private store that belong to it. Called every few seconds."""
