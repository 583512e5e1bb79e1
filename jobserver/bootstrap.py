"""The wiring of a command: settings in, connected parts out. Entry points and integration tests start here.

That of a serving process is `serving`, so that a command need not wait for what only a server uses.
"""

import contextlib
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jobserver.config import Settings
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind
from jobserver.domain.users import EnsureAdmin
from jobserver.errors import Error, invalid, not_found, unavailable
from jobserver.index.sqlite.build import Progress, rebuild
from jobserver.index.sqlite.schema import usable
from jobserver.index.sqlite.status import BranchStatus, branch_statuses
from jobserver.index.sqlite.verify import differences
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.background.archiver import Archiver
from jobserver.service.push.hook_server import answer_hook
from jobserver.service.push.receiver import Receiver
from jobserver.service.studies.registry import StudyRegistry
from jobserver.service.upstream import adoption
from jobserver.service.upstream.relay import relay
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.job_requests import JobRequestService
from jobserver.store import hooks
from jobserver.store.git.command import check_git
from jobserver.store.git.remote import Remote
from jobserver.store.keys.rotation import check_key, is_current, rotate, settle
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.release_files import ReleaseStore
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)
Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


def templates() -> Path:
    """`state_repo_template/`, which is a part of the package wherever that is. Raises `Error` (unavailable)."""
    found = Path(__file__).parent / "state_repo_template"
    if not (found / layout.MAIN).is_dir():
        raise unavailable("is not there: this installation is incomplete, install jobserver anew", str(found))
    return found


@dataclass(frozen=True, slots=True)
class App:
    """What a command works with."""

    settings: Settings
    repo: StateRepo
    gate: Gate
    studies: StudyRegistry
    requests: JobRequestService
    hosted: Hosted | None = None

    def close(self) -> None:
        if self.hosted is not None:
            self.hosted.close()
        self.gate.close()
        self.repo.close()


def connect(settings: Settings, clock: Clock = now, *, checks_key: bool = True) -> App:
    """Opens STATE_REPO, and looks at STATE_REMOTE. Raises `Error` (invalid) if it is none or its key can't be used.

    A host that can't be reached is no error: what was seen before can be read (see `Hosted.status`).
    """
    repo = StateRepo(settings.state_repo, settings.signing_key, settings.hostname, templates())
    try:
        guard_branches(repo)
        hosted = _hosted(settings.state_remote, repo, clock, settings.state_remote_pushes_per_minute)
        if hosted is not None:
            with contextlib.suppress(Error), repo.writer.locked():
                hosted.refresh()
        if hosted is None:  # else what is gone here comes from there
            repo.check_branches()
        settle(repo, clock())
        if checks_key:
            check_key(repo)
    except BaseException:
        repo.close()
        raise
    return _assemble(settings, repo, clock, hosted)


def _hosted(url: str, repo: StateRepo, clock: Clock, pushes_per_minute: float = 0) -> Hosted | None:
    """The hosted repository, if there is one, as the authority of the repository's writer."""
    if not url:
        return None
    hosted = Hosted(repo, Remote(repo.path, url), clock, pushes_per_minute)
    repo.writer.authority = hosted
    return hosted


def release_store(settings: Settings) -> ReleaseStore | None:
    """None if RELEASE_STORAGE is not set. Raises `Error` (invalid) if it is no place to keep files."""
    folder = settings.release_storage
    if folder is None:
        return None
    resolved, repository = folder.resolve(), settings.state_repo.resolve()
    if resolved == repository or repository in resolved.parents:
        raise invalid("expected a folder outside of STATE_REPO", "RELEASE_STORAGE")
    return ReleaseStore(folder)


def checkpoint(settings: Settings, clock: Clock = now) -> tuple[bool, list[str]]:
    """(whether a checkpoint was written, branches that were rewritten). Raises as `connect`."""
    app = connect(settings, clock)
    try:
        follow_up = Archiver(app.repo, app.gate)
        return follow_up.checkpoint(), follow_up.strayed
    finally:
        app.close()


def change_key(app: App, by: Actor, via: str, revoked: str = "", at: datetime | None = None, clock: Clock = now) -> str:
    """Ends the server's key, or the one that is ``revoked``; see `rotate`. Raises `Error`.

    Checkpoints say where all branches stood: before, if all counts that was signed until now, and after, by the key
    that goes on. A key that is revoked as of an earlier time vouches for nothing any more, so it says nothing either.
    """
    follow_up = Archiver(app.repo, app.gate)
    if at is None and is_current(app.repo):
        follow_up.checkpoint()
    found = rotate(app.repo, clock(), revoked, at, by, via)
    follow_up.checkpoint()
    return found


def adopt(app: App, username: str, branch: str, clock: Clock = now) -> tuple[str, str]:
    """See `adoption.adopt`. Raises `Error` (invalid) too if STATE_REMOTE is not set."""
    if app.hosted is None:
        raise invalid("is not set: there is nothing to adopt from", "STATE_REMOTE")
    receiver = Receiver(app.repo, app.gate, clock)
    return adoption.adopt(app.hosted, receiver, branch, Actor(ActorKind.USER, username))


def login_token(settings: Settings, username: str) -> str:
    """What a one-time log-in link ends in. Raises `Error` (not_found), and as `connect`."""
    from jobserver.service.accounts.tokens import epoch
    from jobserver.web.pages.sessions import Sessions

    app = connect(settings)
    try:
        user = app.repo.writer.read(layout.MAIN, lambda state: state.user(username))
    finally:
        app.close()
    if user is None or not user.active:
        raise not_found(f"there is no active user {username!r}")
    private = PrivateStore(settings.private_store)
    try:
        return Sessions(settings.secret_key, private, now, settings.is_https).link(username, epoch(user))
    finally:
        private.close()


def local_actor(settings: Settings) -> Actor:
    """Whoever works on this machine acts as the first of ADMIN_USERS."""
    return Actor(ActorKind.USER, settings.admin_users[0])


def install_hooks(settings: Settings) -> None:
    """So that every push is judged, also a local one, also where no server runs."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).parent / "cli" / "hook.py")]
    known = {
        "host": settings.hostname,
        "signing_key": str(settings.signing_key.absolute()),
        "actor": str(local_actor(settings)),
        "remote": settings.state_remote,
    }
    hooks.install(settings.state_repo, command, known)


def judge_push(repository: Path, question: bytes, clock: Clock = now) -> dict[str, Any]:
    """The verdict on a push where no server runs, with the settings that `install_hooks` left. Raises `Error`."""
    try:
        known = hooks.settings(repository)
        repo = StateRepo(repository, Path(known["signing_key"]), known["host"], templates())
        hosted = _hosted(known.get("remote", ""), repo, clock)
    except (OSError, ValueError, KeyError) as error:
        raise invalid(f"`jobserver init` was never run here: {error}", str(repository)) from None
    gate = Gate(repo, clock)
    try:
        check_key(repo)  # the verdict is a receipt that it signs
        receiver = Receiver(repo, gate, clock, relay=partial(relay, hosted) if hosted is not None else None)
        return answer_hook(receiver, question, Actor.parse(known["actor"]))
    finally:
        gate.close()
        repo.close()


def rebuild_index(settings: Settings, progress: Progress) -> int:
    """Makes the index file anew; how many branches it holds. Raises as `connect`."""
    app = connect(settings)
    try:
        return rebuild(settings.state_repo, app.repo.writer.refs, settings.index, progress)
    finally:
        app.close()


def index_status(settings: Settings) -> list[BranchStatus]:
    """Raises as `connect`."""
    app = connect(settings)
    try:
        return branch_statuses(app.repo.writer.refs, settings.index)
    finally:
        app.close()


def verify_index(settings: Settings, progress: Progress) -> list[str]:
    """What of the index is not as the branches are. Raises as `connect`, and `Error` (invalid) if there is none."""
    app = connect(settings)
    try:
        if not usable(settings.index):
            raise invalid("there is no index of this version: `jobserver index rebuild` makes one", str(settings.index))
        return differences(settings.state_repo, settings.index, progress)
    finally:
        app.close()


def _assemble(settings: Settings, repo: StateRepo, clock: Clock, hosted: Hosted | None) -> App:
    gate = Gate(repo, clock)
    studies = StudyRegistry(
        settings.study_repos,
        settings.github_token,
        settings.github_org,
        clock,
        github_org_id=settings.github_org_id,
    )
    return App(settings, repo, gate, studies, JobRequestService(repo, gate, studies), hosted)


def create(settings: Settings, clock: Clock = now) -> App:
    """Makes STATE_REPO, or completes one whose making was interrupted, with ADMIN_USERS as SuperUsers."""
    check_git()
    hosted: Hosted | None = None

    def join(repo: StateRepo) -> None:
        nonlocal hosted
        guard_branches(repo)
        hosted = _hosted(settings.state_remote, repo, clock)
        if hosted is not None:
            with repo.writer.locked():
                hosted.refresh()
            hosted.check_key()
        settle(repo, clock())
        check_key(repo)

    path, key = settings.state_repo, settings.signing_key
    if settings.state_remote and not key.exists() and layout.MAIN in Remote(path, settings.state_remote).tips():
        raise invalid("there are servers already: copy their key to here (SIGNING_KEY)", str(key))
    repo = StateRepo.create(path, key, settings.hostname, templates(), clock(), join)
    app = _assemble(settings, repo, clock, hosted)
    install_hooks(settings)
    ensure_admins(app)
    return app


def ensure_admins(app: App) -> None:
    """Makes ADMIN_USERS SuperUsers, but for those whom somebody disabled: they are named in the log."""
    admins = app.settings.admin_users
    for username in admins:
        app.gate.submit(SERVER, EnsureAdmin(username), "settings")

    def disabled(state: Snapshot) -> list[str]:
        return [name for name in admins if (user := state.user(name)) is not None and not user.active]

    left = app.repo.writer.read(layout.MAIN, disabled)
    if left and app.gate.submit(SERVER, EnsureAdmin(left[0], recovers=True), "settings").changed:
        _log.warning("ADMIN_USERS: nobody was an active SuperUser: %s is one again, without old tokens", left.pop(0))
    for username in left:
        place = f"{app.settings.base_url}/users/{username}/"
        _log.warning("ADMIN_USERS: %s is disabled and stays so: a SuperUser can undo that at %s", username, place)
