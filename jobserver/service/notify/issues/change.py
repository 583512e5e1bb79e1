"""What is to become of the issue of one release, as the outbox keeps it."""

from dataclasses import asdict, dataclass

import orjson

from jobserver.service.notify.outbox import Message

PENDING, UNDER_REVIEW, WITH_REQUESTER = "Pending review", "Under review", "With requester"
STATUS_LABELS = frozenset({PENDING, UNDER_REVIEW, WITH_REQUESTER})
"""The labels that this program sets and removes. Others on an issue stay."""


@dataclass(frozen=True, slots=True)
class IssueChange:
    """``repository``: ``org/name``. ``release``: with its backend. ``event``: different for each event.

    ``title`` and ``body``: of a new issue, if there is none yet. ``comment``: may be empty. ``label``: one of
    `STATUS_LABELS`, or empty for none of them.
    """

    repository: str
    release: str
    event: str
    title: str
    body: str
    comment: str
    label: str
    is_closed: bool

    def queued(self) -> Message:
        """For the outbox, which keeps the changes of one repository in order."""
        subject = f"the issue of release {self.release}"
        return Message(
            f"github/{self.event}", f"github/{self.repository}", subject, orjson.dumps(asdict(self)).decode()
        )

    @classmethod
    def of(cls, message: Message) -> "IssueChange":
        return cls(**orjson.loads(message.content))
