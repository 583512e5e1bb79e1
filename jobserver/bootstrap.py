"""The wiring of a command: takes settings, returns connected parts. Commands and integration tests start here.

`serving` wires a server. The two are apart so that a command does not load what only a server uses.
"""

import contextlib
import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import Error, invalid, unavailable
from jobserver.service.accounts.admins import ensure_admins
from jobserver.service.notify.email import mail
from jobserver.service.notify.email.mail import Console, Mailer, Mailgun
from jobserver.service.notify.email.smtp import SmtpMailer, SmtpServer
from jobserver.service.push.hook_server import answer_hook
from jobserver.service.push.receiver import Receiver
from jobserver.service.studies.codelists import Codelists
from jobserver.service.studies.registry import StudyRegistry
from jobserver.service.upstream.relay import relay
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.job_requests import JobRequestService
from jobserver.store import hooks, proxies
from jobserver.store.fs import reason
from jobserver.store.git.command import check_git
from jobserver.store.git.remote import Remote
from jobserver.store.keys.rotation import check_key, settle
from jobserver.store.release_files import ReleaseStore
from jobserver.store.repo import StateRepo

if TYPE_CHECKING:  # a push is judged without them
    from jobserver.config.settings import Settings

Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


def templates() -> Path:
    """`state_repo_template/`, the first files of a repository. Raises `Error` (unavailable) if it is missing."""
    folder = Path(__file__).parent / "state_repo_template"
    if not (folder / layout.MAIN).is_dir():
        raise unavailable("is missing: this installation is incomplete, install jobserver again", str(folder))
    return folder


@dataclass(frozen=True, slots=True)
class App:
    """The parts that a command works with."""

    settings: "Settings"
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


def connect(settings: "Settings", clock: Clock = now, *, checks_key: bool = True) -> App:
    """Opens STATE_REPO, and reads STATE_REMOTE. Raises `Error` (invalid) if there is no repository or no usable key.

    A host that can't be reached is not an error: the branches here can still be read (see `Hosted.status`).
    """
    repo = StateRepo(settings.state_repo, settings.signing_key, settings.hostname, templates())
    try:
        guard_branches(repo)
        hosted = _hosted(settings.state_remote, repo, clock, settings.state_remote_pushes_per_minute)
        if hosted is not None:
            with contextlib.suppress(Error), repo.writer.locked():
                hosted.refresh()
        else:  # with a host, a missing branch is fetched from there
            repo.check_branches()
        settle(repo, clock())
        if checks_key:
            check_key(repo)
    except BaseException:
        repo.close()
        raise
    return _assemble(settings, repo, clock, hosted)


def create(settings: "Settings", clock: Clock = now) -> App:
    """Creates STATE_REPO, with ADMIN_USERS as SuperUsers. Completes a creation that was interrupted."""
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
        raise invalid("other servers exist already: copy their key to here (SIGNING_KEY)", str(key))
    repo = StateRepo.create(path, key, settings.hostname, templates(), clock(), join)
    app = _assemble(settings, repo, clock, hosted)
    install_hooks(settings)
    ensure_admins(repo, app.gate, settings.admin_users, settings.base_url)
    return app


def _hosted(url: str, repo: StateRepo, clock: Clock, pushes_per_minute: float = 0) -> Hosted | None:
    """The hosted repository, if there is one, as the authority of the repository's writer."""
    if not url:
        return None
    hosted = Hosted(repo, Remote(repo.path, url), clock, pushes_per_minute)
    repo.writer.authority = hosted
    return hosted


def _assemble(settings: "Settings", repo: StateRepo, clock: Clock, hosted: Hosted | None) -> App:
    gate = Gate(repo, clock)
    studies = StudyRegistry(
        settings.study_repos,
        settings.github_token,
        settings.github_org,
        clock,
        github_org_id=settings.github_org_id,
    )
    codelists = Codelists(settings.opencodelists_url, studies.codelist_files)
    return App(settings, repo, gate, studies, JobRequestService(repo, gate, studies, codelists), hosted)


def release_store(settings: "Settings") -> ReleaseStore | None:
    """None if RELEASE_STORAGE is not set. Raises `Error` (invalid) if files can't be kept there."""
    folder = settings.release_storage
    if folder is None:
        return None
    resolved, repository = folder.resolve(), settings.state_repo.resolve()
    if resolved == repository or repository in resolved.parents:
        raise invalid("expected a folder outside STATE_REPO", "RELEASE_STORAGE")
    return ReleaseStore(folder)


def make_mailer(settings: "Settings") -> Mailer | None:
    """None if EMAIL_BACKEND is not set."""
    match mail.kind(settings.email_backend):
        case mail.CONSOLE:
            return Console(settings.sender)
        case mail.MAILGUN:
            return Mailgun(settings.mailgun_api_key, settings.sender, settings.mailgun_url)
        case mail.SMTP:
            port = settings.smtp_port or 0
            user, password = settings.smtp_user, settings.smtp_password
            return SmtpMailer(SmtpServer(settings.smtp_host, port, user, password, settings.smtp_tls), settings.sender)
    return None


def check_settings(settings: "Settings") -> None:
    """What `init` and `serve` ask of settings that need more than a look at their text. Raises `Error`."""
    proxies.check()
    certificates = os.environ.get("SSL_CERT_FILE", "")
    if certificates:
        try:
            ssl.create_default_context(cafile=certificates)
        except OSError as error:
            expected = "expected a readable file of certificates in PEM"
            raise invalid(f"{expected}, but {certificates}: {reason(error)}", "SSL_CERT_FILE") from None
    if settings.sentry_dsn:
        from jobserver.service import sentry

        sentry.check(settings.sentry_dsn)
    release_store(settings)


def check_private_store(settings: "Settings") -> None:
    """Creates the private store if it is missing. Raises `Error` if it can't be used."""
    from jobserver.service.accounts.private_store import PrivateStore

    PrivateStore(settings.private_store).close()


def local_actor(settings: "Settings") -> Actor:
    """The first of ADMIN_USERS: commands and local pushes on this machine act as them unless they name somebody."""
    return Actor(ActorKind.USER, settings.admin_users[0])


def install_hooks(settings: "Settings") -> None:
    """Has git ask about every push, also a local one, and also while no server runs."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).parent / "cli" / "hook.py")]
    known = {
        "host": settings.hostname,
        "signing_key": str(settings.signing_key.absolute()),
        "actor": str(local_actor(settings)),
        "remote": settings.state_remote,
    }
    hooks.install(settings.state_repo, command, known)


def judge_push(repository: Path, question: bytes, clock: Clock = now) -> dict[str, Any]:
    """Answers the hook about a push while no server runs, with the settings that `install_hooks` kept.

    Raises `Error`.
    """
    try:
        known = hooks.settings(repository)
        repo = StateRepo(repository, Path(known["signing_key"]), known["host"], templates())
        hosted = _hosted(known.get("remote", ""), repo, clock)
    except (OSError, ValueError, KeyError) as error:
        raise invalid(f"`jobserver init` was never run here: {error}", str(repository)) from None
    gate = Gate(repo, clock)
    try:
        check_key(repo)  # it signs the receipt
        receiver = Receiver(repo, gate, clock, relay=partial(relay, hosted) if hosted is not None else None)
        return answer_hook(receiver, question, Actor.parse(known["actor"]))
    finally:
        gate.close()
        repo.close()
