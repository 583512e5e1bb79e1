"""admit(state, changes, actor, now) -> Admitted: the one place that decides.

Judges the changes and not the command that they came from, so that a page, the API, a command and a pushed commit are
judged alike. Each noun gives the `Rules` for its documents. Only this module makes an `Admitted`, and the store
commits nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from jobserver.domain import backends, orgs, projects, record, releases, site_messages, users, workspaces
from jobserver.domain.base.layout import AUDIT, MAIN, DocPath, Kind, branch_backend, misplaced, parse_path
from jobserver.domain.base.permissions import Actor, Permission
from jobserver.domain.base.reserved import is_page
from jobserver.domain.base.rights import Rights
from jobserver.domain.base.rules import Proposal, Rules
from jobserver.domain.base.state import Change, Changes, Move, State
from jobserver.domain.job_requests import jobs, limits, requests
from jobserver.domain.job_requests.folders import folder_faults
from jobserver.domain.outputs import rules as outputs
from jobserver.domain.outputs import views
from jobserver.domain.tokens import duplicate_tokens
from jobserver.errors import Fault, invalid

# Which rules a commit was judged by. Since 2: no two users or backends share a token, and usernames differ by more than
# case; a release needs a user with the right to it; users who are enabled again begin new sessions; a pushed commit is
# not older than the one before it, and has none of the trailers that only the server writes. Since 3: no workspace is
# called `schemas`. Since 4: a request on a backend with a controller names a database and a repository that the
# controller takes; jobs are requested within the limits of their project and person (`governance`); there are documents
# of releases, whose files leave only with the approvals of other people (`outputs`).
POLICY = 4


def newer_policy(policy: str) -> str:
    """Why this version can't judge or follow a commit with this trailer `Policy:`; empty if it can."""
    if not (policy.isascii() and policy.isdecimal()) or len(policy) > 9 or int(policy) <= POLICY:
        return ""
    return f"was made by a newer jobserver (Policy: {policy}; this version knows up to {POLICY}): upgrade jobserver"


_RULES: dict[Kind, Rules] = {
    Kind.BACKEND: backends.RULES,
    Kind.USER: users.RULES,
    Kind.ORG: orgs.RULES,
    Kind.PROJECT: projects.RULES,
    Kind.WORKSPACE: workspaces.RULES,
    Kind.MESSAGE: site_messages.RULES,
    Kind.REQUEST: requests.RULES,
    Kind.PIPELINE: requests.PIPELINE_RULES,
    Kind.JOB: jobs.RULES,
    Kind.RELEASE: outputs.RULES,
    Kind.RECEIPT: record.RULES,
    Kind.CHECKPOINT: record.RULES,
    Kind.IMPORT: record.RULES,
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """Changes that may be committed on ``tip`` and nowhere else."""

    tip: str | None
    changes: Changes
    actor: Actor
    now: datetime


def admit(state: State, changes: Changes, actor: Actor, now: datetime, policy: int = POLICY) -> Admitted:
    """Raises `Error` (forbidden, or invalid with every fault). Commits of the past are judged by the ``policy`` of
    their time."""
    rights = Rights(state, actor, changes)
    if faults := list(_path_faults(changes)):
        raise invalid(str(faults[0]), faults=faults)
    for change in (*changes.changes, *changes.unchanged):
        _check_right(rights, change)
    for move in changes.moves:
        _check_right_to_move(rights, move)
    if changes.release is not None:
        releases.check_right(rights, changes.release, policy)
    if changes.view is not None:
        views.check_right(rights, changes.view)
    proposal = Proposal(state, changes, policy, now)
    if policy >= 4 and not record.is_import(changes.event):
        limits.check_limits(proposal, actor)
    if faults := _faults(proposal):
        raise invalid(str(faults[0]), faults=faults)
    return Admitted(state.tip, changes, actor, now)


def find_faults(state: State, changes: Changes) -> list[Fault]:
    """Every fault that `admit` would find, whoever makes the changes: for people who edit documents by hand."""
    return list(_path_faults(changes)) or _faults(Proposal(state, changes, POLICY, None))


def _path_faults(changes: Changes) -> Iterator[Fault]:
    for change in changes.changes:
        path = parse_path(changes.branch, change.path)
        if path is None:
            yield Fault(misplaced(changes.branch, change.path), change.path)
            continue
        document = change.after or change.before
        assert document is not None
        for key, message in document.path_faults(path):
            yield Fault(message, change.path, key=key)


def _check_right(rights: Rights, change: Change) -> None:
    """Raises `Error` (forbidden) unless the actor may make this change."""
    path = _path(rights.changes, change)
    rules = _RULES[path.kind]
    if rights.is_server:
        # It writes ADMIN_USERS, receipts, checkpoints and what it imports, and nothing else.
        is_imported = record.is_import(rights.changes.event) and path.kind in record.IMPORTED_KINDS
        rights.need((rules.by_server or is_imported) and change.after is not None, "change this")
        return
    rights.need(rights.changes.branch != AUDIT, f"write {AUDIT}")
    rules.limits(rights, change)
    if change.before is None:
        operation, right = "create", rules.create
    elif change.after is not None:
        operation, right = "update", rules.update
    else:
        operation, right = "delete", rules.delete
    allowed = rights.may(Permission.ADMINISTER) or right(rights, change)
    rights.need(allowed, f"{operation} the {path.kind.value} {path.name}")


def _check_right_to_move(rights: Rights, move: Move) -> None:
    allowed = rights.is_own_backend or rights.is_server or rights.may(Permission.ADMINISTER)
    rights.need(allowed, f"move job request {move.place.identifier}")


def _faults(proposal: Proposal) -> list[Fault]:
    changes = proposal.changes
    faults = [fault for change in changes.changes for fault in _document_faults(proposal, change)]
    if changes.release is not None:
        faults += releases.faults(proposal.state, changes.release)
    if changes.view is not None:
        faults += views.faults(proposal.state, changes.view)
    if changes.branch == MAIN:
        if proposal.policy >= 2:
            faults += [*users.duplicate_usernames(proposal), *duplicate_tokens(proposal)]
        faults += _deletions(proposal)
    elif branch_backend(changes.branch) is not None:
        faults += folder_faults(proposal)
    return faults


def _document_faults(proposal: Proposal, change: Change) -> Iterator[Fault]:
    path = _path(proposal.changes, change)
    if change.before is None and is_page(path.kind, path.name, proposal.policy):
        key = "name" if path.kind is Kind.WORKSPACE else "slug"
        message = f"{path.name.rpartition('/')[2]!r} is reserved for a page of the server: choose another name"
        yield Fault(message, change.path, key=key)
    for key, message in _RULES[path.kind].faults(proposal, change):
        yield Fault(message, change.path, key=key)


def _deletions(proposal: Proposal) -> Iterator[Fault]:
    """Deleted documents that others refer to. Whether changed documents refer to existing ones is their noun's rule."""
    changed = {change.path: change.after for change in proposal.changes.changes}
    for name in sorted(name for name, after in changed.items() if after is None):
        path = parse_path(MAIN, name)
        assert path is not None
        if path.kind is Kind.BACKEND:
            yield Fault("a backend cannot be deleted, because it has a branch: set `active: false`", name)
        for other in proposal.state.referrers(path.kind, path.name):
            if other not in changed:
                yield Fault(f"{other} refers to it", name)


def _path(changes: Changes, change: Change) -> DocPath:
    path = parse_path(changes.branch, change.path)
    assert path is not None  # `_path_faults` comes first
    return path
