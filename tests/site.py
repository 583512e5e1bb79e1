"""A small state repository to try things on: a backend, two people, a workspace; its clock moves a second a call."""

import atexit
import functools
import random
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobserver.domain.accounts import EnsureAdmin
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind, Role
from jobserver.domain.job_requests.jobs import Job, UpdateJobs
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import AddWorkspace
from jobserver.service.writes.gate import Gate
from jobserver.store.repo import StateRepo

TEMPLATES = Path(__file__).parents[1] / "state_repo_template"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ADMIN = Actor(ActorKind.USER, "admin")
ALICE = Actor(ActorKind.USER, "alice")
TPP = Actor(ActorKind.BACKEND, "tpp")
PIPELINE = {
    "generate": PipelineAction(run="python g.py"),
    "analyse": PipelineAction(needs=("generate",), run="python a.py"),
    "run_all": PipelineAction(needs=("generate", "analyse"), run=""),
}


class Seeded(random.Random):
    def randbits(self, k: int, /) -> int:
        return self.getrandbits(k)


class Site:
    """A repository with a backend, two people and a workspace; its clock moves a second a call.

    Each is a copy of the first, or of another closed one, with its key: to create one takes six times as long.
    """

    def __init__(self, folder: Path, is_template: bool = False, copy_of: "Site | None" = None) -> None:
        self.now, self.chance = START, Seeded(1)
        self.path = folder / "state.git"
        self.key = folder / "state.key"
        if is_template:
            self.repo = StateRepo.create(self.path, self.key, "jobs.example", TEMPLATES, self.now)
        else:
            template = copy_of or _template()
            shutil.copytree(template.path.parent, folder, dirs_exist_ok=True)
            self.now = template.now
            self.chance.setstate(template.chance.getstate())
            self.repo = StateRepo(self.path, self.key, "jobs.example", TEMPLATES)
        self.gate = Gate(self.repo, self.clock, self.chance)
        if is_template:
            self._fill()

    def _fill(self) -> None:
        self.do(SERVER, EnsureAdmin("admin"))
        self.do(ADMIN, AddBackend("tpp", "a" * 64, databases=("full", "slice")))
        self.do(ADMIN, AddUser("alice", roles=(Role.CORE_DEVELOPER,)))
        self.do(ADMIN, AddUser("bob"))
        self.do(ALICE, AddWorkspace("trends", "study", "main"))

    def close(self) -> None:
        self.gate.close()
        self.repo.close()

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def do(self, actor: Actor, command: Command) -> Any:
        return self.gate.submit(actor, command, "test")

    def ask(self, *actions: str) -> str:
        command = RequestJobs("trends", "tpp", actions or ("run_all",), "0" * 40, PIPELINE)
        return str(self.do(ALICE, command).changes.result["identifier"])

    def report(self, *jobs: tuple[str, Job], actor: Actor = TPP) -> Any:
        return self.do(actor, UpdateJobs("tpp", jobs))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", self.path, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def files(self, branch: str = "backends/tpp") -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", branch).split()


@functools.cache
def _template() -> Site:
    folder = Path(tempfile.mkdtemp(prefix="jobserver-small-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Site(folder, is_template=True)
    made.close()
    return made


def job(identifier: str, status: str, minute: int, action: str = "generate", message: str = "") -> Job:
    moment = START - timedelta(hours=2) + timedelta(minutes=minute)  # this site's clock hardly moves
    return Job.model_validate(
        {
            "identifier": identifier,
            "action": action,
            "status": status,
            "status_code": status,
            "status_message": message,
            "created_at": START,
            "updated_at": moment,
            "started_at": None,
            "completed_at": moment if status in ("failed", "succeeded") else None,
        }
    )
