"""The operations that faults are tried on. Each works on a folder with a state repository, and tells its promises."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.accounts import EnsureAdmin
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind, Role
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.outputs.documents import CheckedFile
from jobserver.domain.plan import Command
from jobserver.domain.record import RecordCheckpoint
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Error
from jobserver.index.index import Index
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.service.releases.upload import ReleaseService, Upload
from jobserver.service.writes.gate import Gate
from jobserver.store.checked_files import CheckedFileStore
from jobserver.store.fs import disk_errors
from jobserver.store.keys.rotation import rotate, settle
from jobserver.store.release_files import ReleaseStore
from jobserver.store.repo import StateRepo
from jobserver.store.write import compactor
from tests.site import ADMIN, ALICE, PIPELINE, TEMPLATES, TPP, job
from tests.zips import GOOD, md5_of, zipped

Promise = Callable[[str], None]
"""Told the ``Request-Id`` or the commit of each write once it was acknowledged."""
HOST = "jobs.example"
CHECKED = ReleaseName("tpp", "trends", "01J9ZQ4V8N6T3W5X7Y9A1B2C3D")
TABLE, CHART = "output/table.csv", "output/plots/chart.svg"
CHECKED_BYTES = {TABLE: b"a,b\n", CHART: b"<svg/>"}


def now() -> datetime:
    return datetime.now(UTC)


class Place:
    """A state repository in a folder, opened as a process does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.key = folder, folder / "state.git", folder / "state.key"

    @contextmanager
    def open(self) -> Iterator[tuple[StateRepo, Gate]]:
        repo = StateRepo(self.path, self.key, HOST, TEMPLATES)
        gate = Gate(repo, now)
        try:
            settle(repo, now())
            yield repo, gate
        finally:
            gate.close()
            repo.close()


def ask(number: int, backend: str = "tpp") -> Command:
    return RequestJobs("trends", backend, ("generate",), f"{number:040x}", PIPELINE)


def template(folder: Path) -> None:
    """What most operations begin with: some history, an active request, packs."""
    place = Place(folder)
    repo = StateRepo.create(place.path, place.key, HOST, TEMPLATES, now())
    gate = Gate(repo, now)
    gate.submit(SERVER, EnsureAdmin("admin"), "test")
    for slug in ("tpp", "emis"):
        gate.submit(ADMIN, AddBackend(slug, (slug[0] * 64).replace("t", "f"), databases=("full", "slice")), "test")
    gate.submit(ADMIN, AddUser("alice", roles=(Role.CORE_DEVELOPER,)), "test")
    gate.submit(ADMIN, AddUser("jane", roles=(Role.OUTPUT_CHECKER,)), "test")
    gate.submit(ALICE, AddWorkspace("trends", "study", "main"), "test")
    for number in range(3):
        gate.submit(ALICE, ask(number), "test")
    _approved_release(place, repo, gate)
    gate.close()
    repo.close()


def _approved_release(place: Place, repo: StateRepo, gate: Gate) -> None:
    """Two checkers let two files out; one has left."""
    gate.submit(ADMIN, AddUser("carol", roles=(Role.OUTPUT_CHECKER,)), "test")
    service = checked_releases_of(place, repo, gate)
    files = [
        CheckedFile(path=path, size=len(data), sha256=sha256(data).hexdigest()) for path, data in CHECKED_BYTES.items()
    ]
    service.request(TPP, CHECKED, "alice", files, "test")
    for name in ("carol", "jane"):
        service.review(Actor(ActorKind.USER, name), CHECKED, name, "approved", "test")
    service.upload_file(TPP, CHECKED, TABLE, CHECKED_BYTES[TABLE], "carol", "test")


# Operations


def commit(place: Place, promise: Promise) -> None:
    with place.open() as (_, gate):
        promise(gate.submit(ALICE, ask(100), "test").commit)


def batch(place: Place, promise: Promise) -> None:
    """Nine commands on three branches, in two batches: the second one is decided while the first one lands."""
    with place.open() as (repo, gate):
        repo.writer.enough_to_go_ahead = 2
        commands: list[tuple[Actor, Command]] = [
            (ALICE, ask(number, ("tpp", "emis")[number % 2])) for number in range(200, 206)
        ]
        commands += [(ADMIN, AddUser(f"user{number}")) for number in range(3)]

        def submit(actor: Actor, command: Command) -> None:
            with contextlib.suppress(Error):
                promise(gate.submit(actor, command, "test").commit)

        threads = [threading.Thread(target=submit, args=one) for one in commands]
        with contextlib.suppress(OSError), repo.writer.locked():
            for thread in threads:
                thread.start()
            ends = monotonic() + 1  # a fault may have ended the first one
            while len(repo.writer.queue) < len(threads) - 1 and monotonic() < ends:
                threading.Event().wait(0.001)
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def report(place: Place, promise: Promise) -> None:
    """A report that finishes a request, which moves it to the archive."""
    with place.open() as (repo, gate):
        active = repo.writer.read("backends/tpp", lambda state: [one.request.identifier for one in state.active()])
        jobs = tuple((one, job(f"j{one}", "succeeded", 5)) for one in active[:2])
        promise(gate.submit(TPP, UpdateJobs("tpp", jobs), "test").commit)


def new_backend(place: Place, promise: Promise) -> None:
    with place.open() as (_, gate):
        promise(gate.submit(ADMIN, AddBackend("new", "b" * 64, databases=("full",)), "test").commit)
        promise(gate.submit(ALICE, ask(300, "new"), "test").commit)


def checkpoint(place: Place, promise: Promise) -> None:
    with place.open() as (repo, gate):
        tips = {branch: tip for branch, tip in repo.writer.refs.branches().items() if branch != "audit"}
        promise(gate.submit(SERVER, RecordCheckpoint(tips, 0), "test").commit)


def maintenance(place: Place, promise: Promise) -> None:
    with place.open() as (repo, gate):
        promise(gate.submit(ALICE, ask(400), "test").commit)
        repo.maintain()
        promise(gate.submit(ALICE, ask(401), "test").commit)


def join(place: Place, promise: Promise) -> None:
    """The packs of the last four batches become one."""
    packs = place.path / "objects" / "pack"
    before = set(packs.glob("pack-*.idx"))
    with place.open() as (_, gate):
        for number in range(500, 504):
            promise(gate.submit(ALICE, ask(number), "test").commit)
    with disk_errors():
        compactor.join([found.with_suffix("") for found in sorted(set(packs.glob("pack-*.idx")) - before)], packs)


def rotation(place: Place, promise: Promise) -> None:
    with place.open() as (repo, gate):
        rotate(repo, now())
        promise(gate.submit(ALICE, ask(600), "test").commit)


def init(place: Place, promise: Promise) -> None:
    """In a folder with nothing in it."""
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url=f"https://{HOST}",
        state_repo=place.path,
        signing_key=place.key,
        admin_users="admin",
    )
    app = bootstrap.create(settings)
    try:
        promise(app.repo.writer.refs.tip("main") or "")
    finally:
        app.close()


def index(place: Place, promise: Promise) -> None:
    """The index is made and follows a write."""
    with place.open() as (repo, gate):
        follower = Index(place.path, repo.writer.refs, place.folder / "state.index.sqlite3")
        repo.writer.listen(follower.announce, follower.refs_moved)
        promise(gate.submit(ALICE, ask(700), "test").commit)
        follower.refresh()
        follower.close()


def release(place: Place, promise: Promise) -> None:
    """A backend's zip, looked through, stored, recorded and named."""
    with place.open() as (repo, gate):
        service = releases_of(place, repo, gate)
        kept, _ = service.upload(TPP, Upload("trends", md5_of(GOOD), "jane", zipped(GOOD)), "test")
        promise(kept.commit)


def checked_upload(place: Place, promise: Promise) -> None:
    """The second file of an approved release leaves its backend."""
    with place.open() as (repo, gate):
        service = checked_releases_of(place, repo, gate)
        service.upload_file(TPP, CHECKED, CHART, CHECKED_BYTES[CHART], "carol", "test")
        promise(repo.writer.refs.tip("backends/tpp") or "")


def withdrawal(place: Place, promise: Promise) -> None:
    """The file that has left is withdrawn, and erased."""
    with place.open() as (repo, gate):
        service = checked_releases_of(place, repo, gate)
        promise(
            service.withdraw(Actor(ActorKind.USER, "carol"), CHECKED, "carol", "small numbers", "test", [TABLE]).commit
        )


def checked_releases_of(place: Place, repo: StateRepo, gate: Gate) -> CheckedReleaseService:
    storage = place.folder / "releases"
    storage.mkdir(exist_ok=True)
    return CheckedReleaseService(CheckedFileStore(storage), repo, gate, now)


def releases_of(place: Place, repo: StateRepo, gate: Gate) -> ReleaseService:
    return ReleaseService(ReleaseStore(place.folder / "releases"), repo, gate, now)


@dataclass(frozen=True, slots=True)
class Operation:
    """``is_new``: it begins with an empty folder."""

    run: Callable[[Place, Promise], None]
    is_new: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__


OPERATIONS = [
    Operation(commit),
    Operation(batch),
    Operation(report),
    Operation(new_backend),
    Operation(checkpoint),
    Operation(maintenance),
    Operation(join),
    Operation(rotation),
    Operation(init, is_new=True),
    Operation(index),
    Operation(release),
    Operation(checked_upload),
    Operation(withdrawal),
]
