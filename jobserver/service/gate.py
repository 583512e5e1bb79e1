"""The one door for writes: snapshot, plan, admit, commit on that snapshot, answer. Every front end calls `submit`."""

import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from jobserver.domain import names
from jobserver.domain.admit import Admitted, admit
from jobserver.domain.commands import Command
from jobserver.domain.names import branch_backend
from jobserver.domain.permissions import Actor
from jobserver.domain.plan import branch_of, plan
from jobserver.errors import not_found
from jobserver.store.repo import StateRepo
from jobserver.store.snapshot import Snapshot
from jobserver.store.writer import Written


class Random(Protocol):
    """Where the random parts of ids come from; `secrets`, or a seeded one in tests."""

    def randbits(self, k: int, /) -> int: ...


class Gate:
    """Thread-safe. ``clock`` gives aware UTC times."""

    def __init__(self, repo: StateRepo, clock: Callable[[], datetime], random: Random = secrets) -> None:
        self._repo, self._clock, self._random = repo, clock, random
        self._last = 0
        self._guard = threading.Lock()

    def _new_id(self, now: datetime) -> str:
        """Later is greater, also within a microsecond and when the clock goes back."""
        with self._guard:
            self._last = max(names.micros(now), self._last + 1)
            return names.request_id(self._last, self._random.randbits(27))

    def submit(self, actor: Actor, command: Command, via: str) -> Written:
        """Decides and writes. Returns once the commit is durable; raises `Error` with nothing changed.

        ``via`` says by which front end it came (``http``, ``cli``), for the record.
        """
        branch = branch_of(command)
        self._open(branch)
        trailers = {"Via": via, "Request-Id": f"{self._random.randbits(96):024x}"}

        def decide(state: Snapshot) -> tuple[Admitted, Mapping[str, str]]:
            now = self._clock()
            return admit(state, plan(state, command, actor, now, self._new_id(now)), actor, now), trailers

        return self._repo.writer.submit(branch, decide)

    def _open(self, branch: str) -> None:
        """A backend's branch is made when it is first needed: `backend add` writes main, and one command one branch."""
        slug = branch_backend(branch)
        writer = self._repo.writer
        if slug is None or writer.refs.tip(branch) is not None:
            return
        if not writer.look(names.MAIN, lambda state: state.backend(slug) is not None):
            raise not_found(f"there is no backend {slug!r}")
        self._repo.found(branch, "backend", self._clock())
