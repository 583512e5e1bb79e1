"""Whether this server can read and write the state repository, and which documents can't be read."""

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import Error, Fault
from jobserver.index.index import Index
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.branch_guard import branch_problems
from jobserver.store.fs import write_durably
from jobserver.store.repo import StateRepo

_BLOCK = 64 * 1024  # bytes that a small batch takes


@dataclass(frozen=True, slots=True)
class Health:
    """What stops reads, and what stops writes. ``unreadable``: (branch, fault) of documents that lists leave out."""

    read_problems: list[str] = field(default_factory=list)
    write_problems: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, Fault]] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [
            *(f"read: {problem}" for problem in self.read_problems),
            *(f"write: {problem}" for problem in self.write_problems),
        ]


def check_health(repo: StateRepo, index: Index, hosted: Hosted | None = None) -> Health:
    health = Health()
    try:
        if repo.writer.refs.tip(layout.MAIN) is None:
            health.read_problems.append("the state repository has no branch main")
        health.unreadable.extend(index.faults())
        if index.problem:
            health.read_problems.append(f"{index.problem}")
    except (Error, OSError) as error:
        health.read_problems.append(f"{error}")
    health.write_problems.extend(f"{branch}: {problem}" for branch, problem in branch_problems(repo).items())
    for folder in {repo.path / "objects" / "pack", index.path.parent}:
        if problem := _cannot_write(folder):
            health.write_problems.append(f"{folder.name}: {problem}")
    if hosted is not None:
        if (since := hosted.status.down_since) is not None:
            health.write_problems.append(f"since {since:%Y-%m-%d %H:%M:%S} UTC: {hosted.status.problem}")
        for branch, problem in hosted.frozen.items():
            health.write_problems.append(f"{branch} is frozen: the hosted repository {problem}")
    return health


def _cannot_write(folder: Path) -> str:
    """Why a commit could not be written; empty if it could. Leaves no file."""
    path = folder / f"tmp_health_{secrets.token_hex(8)}"
    try:
        write_durably(path, [bytes(_BLOCK)], flags=os.O_EXCL)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    return ""
