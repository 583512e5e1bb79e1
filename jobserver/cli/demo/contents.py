"""What the demo's server starts with: a study with two branches, two people, three backends and two workspaces."""

import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.backends import AddBackend, ConnectController, RotateBackendToken
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser, AddUserToken
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Error
from jobserver.service.accounts.tokens import new_token
from jobserver.service.writes.gate import Gate
from jobserver.store.git.command import commit_of, git

ADA, BEN = "ada", "ben"
POLLS, PULLS, CALLED = "demo", "demo-git", "demo-rap"  # backends, by how their runners learn of requests
ADMISSIONS, DRAFT = "admissions", "admissions-draft"  # workspaces
_PEOPLE = {ADA: "Ada", BEN: "Ben"}
_BACKENDS = {POLLS: "Demo backend", PULLS: "Demo backend with git", CALLED: "Demo backend with a controller"}
_WORKSPACES = {ADMISSIONS: "main", DRAFT: "draft"}
_STUDY, _STUDY_OF_THE_DRAFT = Path(__file__).parent / "study", Path(__file__).parent / "draft"
# Ben's mistake: the column has another name.
_MISTAKE = ('row["admissions"]', 'row["admission"]')


@dataclass(frozen=True, slots=True)
class DemoTokens:
    """The new tokens of each backend and person."""

    backends: Mapping[str, str]
    people: Mapping[str, str]


def prepare(settings: Settings, controller: str) -> DemoTokens:
    """Creates or completes the study and the state repository. ``controller``: its URL."""
    assert settings.study_repos is not None
    study = settings.study_repos / "hospital-admissions"
    if not study.exists():
        _create_study(study)
    if commit_of(study, "refs/heads/draft") is None:  # a demo of version 0.2.0 had one branch
        _create_draft(study)
    admin = Actor(ActorKind.USER, "admin")
    app = bootstrap.create(settings)
    try:
        backends, people = {}, {}
        for slug, name in _BACKENDS.items():
            backends[slug], digest = new_token()
            if not _is_added(app.gate, admin, AddBackend(slug, digest, name, ("full",))):
                app.gate.submit(admin, RotateBackendToken(slug, digest), "demo")
        app.gate.submit(admin, ConnectController(CALLED, controller, repositories=""), "demo")
        for username, name in _PEOPLE.items():
            people[username], digest = new_token()
            _is_added(app.gate, admin, AddUser(username, name, (Role.CORE_DEVELOPER,)))
            app.gate.submit(admin, AddUserToken(username, _token_name(datetime.now(UTC)), digest), "demo")
        for workspace, branch in _WORKSPACES.items():
            _is_added(app.gate, admin, AddWorkspace(workspace, study.name, branch))
    finally:
        app.close()
    return DemoTokens(backends, people)


def _token_name(now: datetime) -> str:
    """People read it in the settings. Each start of the demo adds a token, so names include microseconds."""
    return f"demo {now:%Y-%m-%d %H.%M.%S.%f} UTC"


def _is_added(gate: Gate, admin: Actor, command: Command) -> bool:
    """False if an earlier demo in this folder has added it."""
    try:
        gate.submit(admin, command, "demo")
    except Error as error:
        if error.code != "conflict":
            raise
        return False
    return True


def _create_study(folder: Path) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    _copy(_STUDY, partial)
    git(partial, "init", "--quiet", "--initial-branch=main")
    _commit(partial, ADA, "Admissions by week")
    partial.rename(folder)


def _create_draft(folder: Path) -> None:
    git(folder, "switch", "--quiet", "--force-create", "draft", "main")
    _copy(_STUDY_OF_THE_DRAFT, folder)
    _commit(folder, BEN, "Add a confidence interval")
    model = folder / "analysis" / "model.py"
    model.write_text(model.read_text().replace(*_MISTAKE))
    _commit(folder, BEN, "Read the counts by their new name")
    git(folder, "switch", "--quiet", "main")


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for copied in (target, *target.rglob("*")):  # an installation may be read-only
        copied.chmod(copied.stat().st_mode | stat.S_IWUSR)


def _commit(folder: Path, author: str, subject: str) -> None:
    name = ("-c", f"user.name={_PEOPLE[author]}", "-c", f"user.email={author}@users.localhost")
    git(folder, "add", "--all")
    git(folder, *name, "-c", "commit.gpgsign=false", "commit", "--quiet", f"--message={subject}")
