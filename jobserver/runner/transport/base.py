"""The protocol between a runner and its server, as the loop sees it: small, so that both HTTP and git fit."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from jobserver.domain.base.values import timestamp

_MAX_REFUSED = 50  # requests that the Flags name


class Transport(Protocol):
    """Raises `Error`: unavailable to try again, unauthenticated or forbidden if the token is wrong, anything else if
    the server refused the call. Two threads may call `fetch` and `report` at the same time.

    ``refused``: request id -> why it is not run, for the last list; or branch -> why none of it is.
    """

    refused: Mapping[str, str]

    def fetch(self, wait: float) -> list[Any] | None:
        """All active job requests, as items of docs/contract.md. None if nothing has changed since the last call.

        Waits up to ``wait`` seconds for a change.
        """

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        """Reports jobs (`RunnerJob.as_payload`), with all jobs of each request. Returns once they are durable.

        Returns the ids of requests that the server does not have for this backend.
        """

    def close(self) -> None: ...


def flags(now: datetime, refused: Iterable[str] = (), since: str = "") -> str:
    """The header Flags: what the 2025 runner reports with every call. This runner can't be paused and has no database.

    Also names the requests (or the branch) that are not run because the server did not sign them, ``since`` when.
    """
    moment = timestamp(now)
    off = {"v": None, "ts": None}
    names = " ".join(list(refused)[:_MAX_REFUSED])
    return json.dumps(
        {
            "last-seen-at": {"v": moment, "ts": moment},
            "paused": off,
            "mode": off,
            "manual-db-maintenance": off,
            "refusing": {"v": names, "ts": since} if names else off,
        }
    )
