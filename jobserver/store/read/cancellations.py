"""Who cancelled actions of job requests: the commits say it, the documents do not."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jobserver.domain.base.permissions import ActorKind
from jobserver.store.git.command import git

_EVENT = "job-request.cancelled"
_EARLIER_SECONDS = 60  # documents are created a moment before their commit
_LATER_SECONDS = 86_400


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


def cancellers_by_action(
    repository: Path, tip: str, request: str, since: datetime, until: datetime | None = None
) -> Mapping[str, str]:
    """Action of the job request -> the username of the first who cancelled it.

    ``until``: when the request had finished. Raises `Error` (unavailable) if git fails.
    """
    log = git(
        repository,
        "log",
        "--reverse",
        "--fixed-strings",
        "--all-match",
        f"--grep=Event: {_EVENT}",
        f"--grep=Job-Request: {request}",
        "--patch",
        "-M",
        "-U0",
        "--no-color",
        "--format=%x00%(trailers:key=Actor,valueonly,separator=%x2C)",
        f"--since={int(since.timestamp()) - _EARLIER_SECONDS}",
        *([f"--until={int(until.timestamp()) + _LATER_SECONDS}"] if until is not None else []),
        "--end-of-options",
        tip,
    )
    by_action: dict[str, str] = {}
    for entry in log.split("\0")[1:]:
        actor, _, patch = entry.partition("\n")
        kind, _, username = actor.partition("/")
        added = [line[3:].strip("'\"") for line in patch.splitlines() if line.startswith("+- ")]
        for action in added if kind == ActorKind.USER else ():
            by_action.setdefault(action, username)
    return by_action
