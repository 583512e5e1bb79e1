"""How a runner and its server talk, as the loop sees it. Kept small, so that git can stand where HTTP stands."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from jobserver.domain.base.values import timestamp

_MOST = 50  # requests that the Flags name


class Transport(Protocol):
    """Errors are `jobserver.errors.Error`, told apart by their code: unavailable: try again; unauthenticated or
    forbidden: the token is no good; anything else: the server refused this very thing, and says why.
    `fetch` and `report` may be called at the same time, from two threads.

    ``refused``: request id -> why it is left alone, of the last list; or branch -> why all of it is.
    """

    refused: Mapping[str, str]

    def fetch(self, wait: float) -> list[Any] | None:
        """All active job requests, items as in docs/contract.md; None if they are what the last call returned.

        Holds for up to ``wait`` seconds while there is nothing new.
        """

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        """Sends jobs (`Job.as_payload`), all of each request in it. Returns once they are durable.

        The answer: ids of requests that the server does not know as this backend's.
        """

    def close(self) -> None: ...


def flags(now: datetime, refused: Iterable[str] = (), since: str = "") -> str:
    """The header Flags: what the 2025 runner tells of itself with every call (this one can't be paused and has no
    database), and the ids of requests that are left alone as nobody vouches for them (or the branch), ``since`` when.
    """
    moment = timestamp(now)
    off = {"v": None, "ts": None}
    said = " ".join(list(refused)[:_MOST])
    return json.dumps(
        {
            "last-seen-at": {"v": moment, "ts": moment},
            "paused": off,
            "mode": off,
            "manual-db-maintenance": off,
            "refusing": {"v": said, "ts": since} if said else off,
        }
    )
