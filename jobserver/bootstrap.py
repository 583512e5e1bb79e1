"""The only wiring: settings in, connected parts out. Entry points and integration tests start here."""

import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobserver.config import Settings
from jobserver.domain.commands import EnsureAdmin
from jobserver.domain.permissions import SERVER
from jobserver.service.gate import Gate
from jobserver.service.requests import Requests
from jobserver.service.studies.choose import Studies
from jobserver.store.repo import PRINCIPAL, StateRepo
from jobserver.store.signing import SigningKey

Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


def templates() -> Path:
    """`state_repo_template/`: beside the package in a checkout, in the data folder of an installed wheel."""
    beside = Path(__file__).parent.parent / "state_repo_template"
    return beside if beside.is_dir() else Path(sysconfig.get_path("data")) / "share/jobserver/state_repo_template"


@dataclass(frozen=True, slots=True)
class App:
    settings: Settings
    repo: StateRepo
    gate: Gate
    studies: Studies
    requests: Requests

    def close(self) -> None:
        self.repo.close()


def connect(settings: Settings, clock: Clock = now) -> App:
    """Opens STATE_REPO. Raises `Error` (invalid) if it is none or its key can't be used."""
    key = SigningKey.load(settings.signing_key, PRINCIPAL)
    repo = StateRepo(settings.state_repo, key, settings.hostname, templates())
    return _assemble(settings, repo, clock)


def _assemble(settings: Settings, repo: StateRepo, clock: Clock) -> App:
    gate = Gate(repo, clock)
    studies = Studies(settings.study_repos, settings.github_token, settings.github_org, clock)
    return App(settings, repo, gate, studies, Requests(repo, gate, studies))


def create(settings: Settings, clock: Clock = now) -> App:
    """Makes STATE_REPO, or completes one whose making was interrupted, with ADMIN_USERS as SuperUsers."""
    repo = StateRepo.create(settings.state_repo, settings.signing_key, settings.hostname, templates(), clock())
    app = _assemble(settings, repo, clock)
    ensure_admins(app)
    return app


def ensure_admins(app: App) -> None:
    for username in app.settings.admin_users:
        app.gate.submit(SERVER, EnsureAdmin(username), "settings")
