"""Why a person cannot request jobs of a workspace on a backend, beyond their permissions: what is over or lacking.

It counts when jobs are requested. Nothing that was requested before is stopped by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobserver.domain.base.layout import Kind, main_path
from jobserver.domain.governance.project_limits import ProjectStatus
from jobserver.domain.pipeline.commands import runner_type
from jobserver.errors import MAX_FAULTS, Fault, forbidden, some

if TYPE_CHECKING:
    from datetime import date

    from jobserver.domain.base.state import Main, State
    from jobserver.domain.projects import Project
    from jobserver.domain.users import User


@dataclass(frozen=True, slots=True)
class Refusal:
    """``key``: of the document that says so."""

    kind: Kind
    name: str
    key: str
    message: str

    def fault(self, state: State) -> Fault:
        line = state.line_of(self.kind, self.name, self.key)
        return Fault(self.message, main_path(self.kind, self.name), line, self.key)


def refusals(main: Main, username: str, project: str | None, backend: str, day: date) -> list[Refusal]:
    """Why this person cannot request jobs of the project (or of a workspace without one) on this backend."""
    return [*project_refusals(main, username, project, day), *backend_refusals(main, username, project, backend)]


def project_refusals(main: Main, username: str, project: str | None, day: date) -> Iterator[Refusal]:
    """Those that hold for every backend."""
    document = main.project(project) if project is not None else None
    user = main.user(username)
    if document is not None:
        yield from _ended(document, day)
    if user is not None:
        yield from _untrained(user, document, day)


def backend_refusals(main: Main, username: str, project: str | None, backend: str) -> Iterator[Refusal]:
    document = main.project(project) if project is not None else None
    user = main.user(username)
    if document is not None and not _allows(document.backends, backend):
        message = f"the project may not use backend {backend}: expected {_named(document.backends)}"
        yield _of_project(document, "backends", message)
    if user is not None and not _allows(user.backends, backend):
        message = f"{username} may not use backend {backend}: expected {_named(user.backends)}"
        yield Refusal(Kind.USER, username, "backends", message)


def check_backend(main: Main, username: str, backend: str) -> None:
    """Raises `Error` (forbidden) unless the person may use the backend, whatever the project."""
    for refusal in backend_refusals(main, username, None, backend):
        raise forbidden(refusal.message)


def runner_refusals(
    main: Main, project: str | None, runs: Callable[[], Mapping[str, str]]
) -> Iterator[tuple[list[str], Refusal]]:
    """(actions, why they can't run) for each image that the project may not use. ``runs``: action -> its command; few
    projects need them."""
    document = main.project(project) if project is not None else None
    if document is None or document.runner_types is None:
        return
    actions: dict[str, list[str]] = {}
    for action, run in runs().items():
        actions.setdefault(runner_type(run), []).append(action)
    for image, names in actions.items():
        if image not in document.runner_types:
            expected = f"expected {_named(document.runner_types)}"
            message = f"the project may not use the runner type {image!r:.80} ({some(names)}): {expected}"
            yield names, _of_project(document, "runner_types", message)


def check_runner_types(
    main: Main, project: str | None, runs: Callable[[], Mapping[str, str]], lines: Mapping[str, int]
) -> None:
    """Raises `Error` (forbidden) that names the lines of project.yaml, which the record does not have."""
    faults = [
        Fault(reason.message, "project.yaml", lines.get(action, 0), f"actions.{action}.run")
        for actions, reason in runner_refusals(main, project, runs)
        for action in actions
    ]
    if faults:
        raise forbidden("; ".join(map(str, faults[:MAX_FAULTS])), faults=faults)


def is_ongoing(project: Project, day: date) -> bool:
    """Whether people may go on working on the project."""
    return not any(_ended(project, day))


def _ended(project: Project, day: date) -> Iterator[Refusal]:
    if project.status not in (None, ProjectStatus.ONGOING):
        message = f"the project is {project.status}: people can request jobs for an ongoing project only"
        yield _of_project(project, "status", message)
    if is_over(project.end_date, day):
        yield _of_project(project, "end_date", f"the project ended on {project.end_date}")


def _untrained(user: User, project: Project | None, day: date) -> Iterator[Refusal]:
    if is_over(user.trained_until, day):
        message = f"the training of {user.username} ended on {user.trained_until}"
        yield Refusal(Kind.USER, user.username, "trained_until", message)
    if user.trained_until is None and project is not None and project.requires_training:
        message = f"the project requires training, and no training of {user.username} is recorded"
        yield _of_project(project, "requires_training", message)


def _of_project(project: Project, key: str, message: str) -> Refusal:
    return Refusal(Kind.PROJECT, f"{project.org}/{project.slug}", key, message)


def is_over(last_day: str | None, day: date) -> bool:
    """Whether ``day`` is after the last day, which still counts. None does not end."""
    return last_day is not None and day.isoformat() > last_day


def _allows(backends: tuple[str, ...] | None, backend: str) -> bool:
    return backends is None or backend in backends


def _named(backends: tuple[str, ...] | None) -> str:
    return " or ".join(backends or ())
