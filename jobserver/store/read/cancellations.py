"""Who cancelled actions of job requests: the commits say it, the documents do not."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jobserver.domain.base.permissions import ActorKind
from jobserver.store.git.command import git

_EVENT = "job-request.cancelled"
_EARLIER_SECONDS = 60  # documents are created a moment before their commit


def cancellers(
    repository: Path, tip: str, without: str | None = None, since: datetime | None = None
) -> Mapping[str, tuple[str, ...]]:
    """Job request -> the usernames of those who cancelled actions of it, in the order of their first cancellation.

    Reads the history of the commit ``tip``: without that of the commit ``without``, and not further back than
    ``since``. Raises `Error` (unavailable) if git fails.
    """
    limits = [f"^{without}"] if without else []
    options = [f"--since={int(since.timestamp()) - _EARLIER_SECONDS}"] if since else []
    log = git(
        repository,
        "log",
        "--reverse",
        "--fixed-strings",
        f"--grep=Event: {_EVENT}",
        "--format=%x00%(trailers:key=Event,key=Actor,key=Job-Request,only=true)",
        *options,
        "--end-of-options",
        tip,
        *limits,
    )
    usernames: dict[str, dict[str, None]] = {}
    for entry in log.split("\0")[1:]:
        trailers = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line)
        kind, _, username = trailers.get("Actor", "").partition("/")
        if trailers.get("Event") == _EVENT and kind == ActorKind.USER:
            usernames.setdefault(trailers.get("Job-Request", ""), {})[username] = None
    return {request: tuple(names) for request, names in usernames.items()}
