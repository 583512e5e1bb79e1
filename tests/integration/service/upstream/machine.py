"""A server with a clone of its own of one hosted repository."""

import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUser
from jobserver.service.push.receiver import Receiver
from jobserver.service.upstream.relay import relay
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key
from jobserver.store.git.remote import Remote
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult
from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.site import ADMIN, ALICE, PIPELINE, TEMPLATES, Seeded


class Machine:
    """A server with a clone of its own."""

    def __init__(self, folder: Path, host: Host, number: int, per_minute: float = 0) -> None:
        folder.mkdir(exist_ok=True)
        self.number, self.late = number, timedelta()
        self.path = folder / f"{number}.git"
        self.remote = Remote(self.path, host.url(number))
        self.joined: list[Hosted] = []

        def join(repo: StateRepo) -> None:
            hosted = Hosted(repo, self.remote, self.clock, per_minute)
            repo.writer.authority = hosted
            self.joined.append(hosted)
            with repo.writer.locked():
                hosted.refresh()

        if self.path.exists():
            self.repo = StateRepo(self.path, folder / "key", "jobs.example", TEMPLATES)
            join(self.repo)
        else:
            self.repo = StateRepo.create(self.path, folder / "key", "jobs.example", TEMPLATES, self.clock(), join)
        self.hosted = self.joined[0]
        self.gate = Gate(self.repo, self.clock, Seeded(number))
        self.receiver = Receiver(self.repo, self.gate, self.clock, relay=partial(relay, self.hosted))

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.late

    def add(self, username: str) -> WriteResult:
        return self.gate.submit(ADMIN, AddUser(username), "test")

    def ask(self, backend: str = "tpp", workspace: str = "trends", key: Key | None = None) -> WriteResult:
        return self.gate.submit(ALICE, RequestJobs(workspace, backend, ("run_all",), "0" * 40, PIPELINE), "test", key)

    def refresh(self) -> None:
        with self.repo.writer.locked():
            self.hosted.refresh()

    def tip(self, branch: str) -> str | None:
        return self.repo.writer.refs.tip(branch)

    def close(self) -> None:
        self.hosted.close()
        self.gate.close()
        self.repo.close()


def count(host: Host, trailer: str, branch: str = "backends/tpp") -> int:
    return git(host.path, "log", "--format=%B", branch).count(trailer)


def copy(machine: Machine, folder: Path) -> None:
    """Its key, as an admin copies it to another machine."""
    folder.mkdir(exist_ok=True)
    shutil.copy(machine.repo.writer.keys.path, folder / "key")
