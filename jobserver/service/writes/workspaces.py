"""Adds and changes workspaces, for every front end.

Looks up the repository and the branch before it calls the gate, so that no commit waits for GitHub, and only for people
who may name them: others would learn which repositories and branches there are.
"""

from dataclasses import replace

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.users import User
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, changeable
from jobserver.errors import forbidden, not_found
from jobserver.service.studies.registry import StudyRegistry
from jobserver.service.writes.gate import Gate, repeated_answer
from jobserver.service.writes.idempotency import Key
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult


class WorkspaceService:
    def __init__(self, repo: StateRepo, gate: Gate, studies: StudyRegistry) -> None:
        self._repo, self._gate, self._studies = repo, gate, studies

    def add(self, actor: Actor, command: AddWorkspace, via: str, key: Key | None = None) -> WriteResult:
        """Raises `Error`, also for a repository or branch that does not exist."""
        if key is not None and (done := self._gate.ledger.find(key)) is not None:
            return repeated_answer(done, {})

        def check(state: Snapshot) -> None:
            if Permission.RUN_JOB not in permissions_of(state, _user(state, actor), command.project):
                where = f"in {command.project}" if command.project else "outside a project"
                raise forbidden(f"{actor.name} cannot create a workspace {where}")

        self._repo.writer.read(layout.MAIN, check)
        repo = self._studies.check_repo(command.repo)
        self._studies.resolve(repo, command.branch)
        return self._gate.submit(actor, replace(command, repo=repo), via, key)

    def change(self, actor: Actor, command: ChangeWorkspace, via: str, key: Key | None = None) -> WriteResult:
        """Raises `Error`, also for a new repository or branch that does not exist."""

        def check(state: Snapshot) -> tuple[str, str]:
            workspace = state.workspace(command.name)
            if workspace is None:
                raise not_found(f"workspace {command.name!r} does not exist")
            allowed = changeable(state, _user(state, actor), workspace)
            if denied := [
                key for key in ("repo", "branch") if getattr(command, key) is not None and key not in allowed
            ]:
                raise forbidden(f"{actor.name} cannot change the {' and '.join(denied)} of workspace {command.name}")
            return workspace.repo, workspace.branch

        repo, branch = self._repo.writer.read(layout.MAIN, check)
        if command.repo is not None:
            command = replace(command, repo=self._studies.check_repo(command.repo))
        if command.repo is not None or command.branch is not None:
            self._studies.resolve(command.repo or repo, command.branch or branch)
        return self._gate.submit(actor, command, via, key)


def _user(state: Snapshot, actor: Actor) -> User:
    """Raises `Error` (forbidden)."""
    user = state.user(actor.name)
    if user is None or not user.active:
        raise forbidden(f"{actor.name} is not an active user")
    return user
