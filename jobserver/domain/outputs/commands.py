"""What can be done with a release: ask for it, review it, record its files, and withdraw them.

A person acts in their own name. A backend speaks for its people: its commands name the person, and the document says
that the backend vouches for them. A backend may repeat what it said before, which changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never

from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.planning import require
from jobserver.domain.base.state import Changes, State
from jobserver.domain.outputs import publications
from jobserver.domain.outputs.approvals import Decisions, Standing, missing_approval
from jobserver.domain.outputs.documents import (
    CheckedFile,
    CheckedRelease,
    Decision,
    Deed,
    Review,
    Tombstone,
)
from jobserver.domain.outputs.steps import count_of, require_paths, standing_release, stored_release, write_release
from jobserver.errors import conflict, forbidden, invalid, not_found, some


@dataclass(frozen=True, slots=True)
class RequestRelease:
    """``identifier``: empty for a new one. A backend may name a release that exists, to add its files."""

    backend: str
    workspace: str
    identifier: str
    author: str
    files: tuple[CheckedFile, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ReviewRelease:
    """``files``: paths; empty for all files."""

    backend: str
    workspace: str
    identifier: str
    reviewer: str
    decision: Decision
    comment: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UploadReleaseFile:
    """The bytes of a file have left the backend, and are on the server's disk where nobody sees them yet."""

    backend: str
    workspace: str
    identifier: str
    path: str
    sha256: str
    user: str


@dataclass(frozen=True, slots=True)
class WithdrawRelease:
    """``files``: paths; empty for the whole release, for good."""

    backend: str
    workspace: str
    identifier: str
    person: str
    reason: str
    files: tuple[str, ...] = ()


_OfFiles: TypeAlias = RequestRelease | ReviewRelease | UploadReleaseFile | WithdrawRelease
Command: TypeAlias = _OfFiles | publications.Command


def plan(state: State, command: Command, actor: Actor, now: datetime, new_id: str) -> Changes:
    if isinstance(command, publications.Command):
        return publications.plan(state, command, actor, now)
    if isinstance(command, RequestRelease):
        return _request(state, command, actor, now, new_id)
    before, now = standing_release(state, command.workspace, command.identifier, now)
    match command:
        case ReviewRelease():
            return _review(state, before, command, actor, now)
        case UploadReleaseFile():
            return _upload(state, before, command, now)
        case WithdrawRelease():
            return _withdraw(state, before, command, actor, now)
        case _:
            assert_never(command)


def _voucher(actor: Actor) -> str | None:
    return actor.name if actor.kind is ActorKind.BACKEND else None


def _request(state: State, command: RequestRelease, actor: Actor, now: datetime, new_id: str) -> Changes:
    workspace = require(state.workspace(command.workspace), Kind.WORKSPACE, command.workspace)
    identifier = command.identifier or new_id
    before = stored_release(state, command.workspace, identifier)
    if before is not None:
        return _add_files(state, before, command, actor)
    after = CheckedRelease(
        identifier=identifier,
        workspace=command.workspace,
        project=workspace.project,
        backend=command.backend,
        author=command.author,
        created_at=now,
        vouched_by=_voucher(actor),
        comment=command.comment or None,
        files=command.files,
    )
    files = f"{count_of(len(after.files))} of " if after.files else ""
    subject = f"{command.author} asked to release {files}{command.workspace}"
    return write_release(state, None, after, "requested", subject)


def _add_files(state: State, before: CheckedRelease, command: RequestRelease, actor: Actor) -> Changes:
    if actor.kind is not ActorKind.BACKEND:
        raise conflict(f"release {before.identifier} of {before.workspace} already exists")
    known = {file.path: file for file in before.files}
    for file in command.files:
        old = known.get(file.path)
        if old is not None and (old.sha256, old.size) != (file.sha256, file.size):
            raise conflict(f"release {before.identifier} already has {file.path!r} with other contents", field="files")
    added = tuple(file for file in command.files if file.path not in known)
    after = before.model_copy(update={"files": (*before.files, *added)})
    subject = f"{actor.name} added {count_of(len(added))} to release {before.identifier} of {before.workspace}"
    return write_release(state, before, after, "files-added", subject)


def _review(state: State, before: CheckedRelease, command: ReviewRelease, actor: Actor, now: datetime) -> Changes:
    require_paths(before, command.files)
    verb = {"approved": "approved", "rejected": "rejected", "returned": "returned"}[command.decision]
    files = f"{count_of(len(command.files))} of " if command.files else ""
    subject = f"{command.reviewer} {verb} {files}release {before.identifier} of {before.workspace}"
    review = Review(
        by=command.reviewer,
        at=now,
        decision=command.decision,
        comment=command.comment or None,
        files=command.files,
        vouched_by=_voucher(actor),
    )
    after = before.model_copy(update={"reviews": (*before.reviews, review)})
    if not decides(before, review):
        if actor.kind is not ActorKind.BACKEND:
            raise conflict(f"{review.by} has {verb} this already: {_OTHERS}" if verb != "returned" else _RETURNED)
        after = before
    return write_release(state, before, after, "reviewed", subject)


_OTHERS = "an approval counts once, and others must come from other people"
_RETURNED = "nothing was decided since the release was asked for or returned"


def decides(release: CheckedRelease, review: Review) -> bool:
    """Whether the review changes what its author has decided on any file."""
    decisions = Decisions(release.reviews)
    if review.decision == "returned":
        return bool(release.reviews) and release.reviews[-1].decision != "returned"
    paths = review.files or [file.path for file in release.files] or [""]
    return any(decisions.on(path).get(review.by) != review.decision for path in paths)


def _upload(state: State, before: CheckedRelease, command: UploadReleaseFile, now: datetime) -> Changes:
    file = before.file(command.path)
    if file is None:
        raise not_found(f"release {before.identifier} has no file {command.path!r}")
    if before.is_gone(file):
        raise conflict(f"{command.path!r} of release {before.identifier} was withdrawn")
    if file.sha256 != command.sha256:
        raise invalid(f"the SHA-256 of {command.path!r} is not the one that was asked for: {file.sha256}")
    if file.uploaded is not None:
        raise conflict(f"this version of {command.path!r} has already been uploaded")
    if fault := missing_approval(before, file.path, Standing.of(state, before)):
        raise forbidden(f"may not be released: {fault}")
    uploaded = file.model_copy(update={"uploaded": Deed(by=command.user, at=now)})
    files = tuple(uploaded if other is file else other for other in before.files)
    subject = f"{command.user} released {file.path} of {before.workspace}"
    return write_release(state, before, before.model_copy(update={"files": files}), "file-uploaded", subject)


def _withdraw(state: State, before: CheckedRelease, command: WithdrawRelease, actor: Actor, now: datetime) -> Changes:
    if not command.reason.strip():
        raise invalid("say why it is withdrawn", "reason", field="reason")
    if before.withdrawn is not None:
        if actor.kind is ActorKind.BACKEND:
            return write_release(state, before, before, "withdrawn", "")
        raise conflict(f"release {before.identifier} was withdrawn by {before.withdrawn.by}")
    require_paths(before, command.files)
    stone = Tombstone(by=command.person, at=now, reason=command.reason, vouched_by=_voucher(actor))
    if not command.files:
        after = before.model_copy(update={"withdrawn": stone})
        subject = f"{command.person} withdrew release {before.identifier} of {before.workspace}"
        return write_release(state, before, after, "withdrawn", subject)
    wanted = set(command.files)
    files = tuple(
        file.model_copy(update={"withdrawn": stone}) if file.path in wanted and file.withdrawn is None else file
        for file in before.files
    )
    if files == before.files:
        raise conflict(f"withdrawn already: {some(sorted(wanted))}")
    subject = f"{command.person} withdrew {some(sorted(wanted))} of {before.workspace}"
    return write_release(state, before, before.model_copy(update={"files": files}), "withdrawn", subject)
