"""How a runner and its server talk, as the loop sees it. Kept small, so that git can stand where HTTP stands."""

from collections.abc import Sequence
from typing import Any, Protocol


class Transport(Protocol):
    """Errors are `jobserver.errors.Error`, told apart by their code: unavailable: try again; unauthenticated or
    forbidden: the token is no good; anything else: the server refused this very thing, and says why.
    `fetch` and `report` may be called at the same time, from two threads.
    """

    def fetch(self, wait: float) -> list[Any] | None:
        """All active job requests, items as in CONTRACT section 4; None if they are what the last call returned.

        Holds for up to ``wait`` seconds while there is nothing new.
        """

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        """Sends jobs (`Job.as_payload`), all of each request in it. Returns once they are durable.

        The answer: ids of requests that the server does not know as this backend's.
        """

    def close(self) -> None: ...
