"""What must hold when a release's document changes, for calls, commands and pushes alike.

A release is only added to: files, reviews, uploads, tombstones and publications stay as they are. A file may be marked
as uploaded only with the approvals that its project demands at that moment. Nobody acts in another's name, except that
a backend vouches for its people. People who may administer everything are bound by all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from jobserver.domain import releases
from jobserver.domain.base.layout import branch_backend
from jobserver.domain.base.permissions import ActorKind, Permission
from jobserver.domain.base.rights import Rights
from jobserver.domain.base.rules import KeyFault, Proposal, Rules
from jobserver.domain.base.state import Change, State, changed_keys
from jobserver.domain.governance.refusals import check_backend
from jobserver.domain.outputs.airlock import event_faults
from jobserver.domain.outputs.approvals import Decisions, Standing, may_approve
from jobserver.domain.outputs.commands import decides
from jobserver.domain.outputs.documents import (
    MAX_FILES,
    MAX_STEPS,
    CheckedFile,
    CheckedRelease,
    Deed,
    Publication,
    Review,
    Tombstone,
    unknown_paths,
)
from jobserver.domain.outputs.steps import newest_time
from jobserver.errors import some

_FIXED = frozenset({"project", "author", "created_at", "vouched_by", "comment"})
_MOST_SHOWN = 20
_CLOCKS_AGREE = timedelta(minutes=1)


def _faults(proposal: Proposal, change: Change) -> list[KeyFault]:
    before, after = change.of(CheckedRelease)
    if after is None:
        return [("", "a release can't be deleted: withdraw it")]
    faults: list[KeyFault] = []
    if after.backend != branch_backend(proposal.changes.branch):
        faults.append(("backend", f"is {after.backend!r}, but the branch is {proposal.changes.branch}"))
    workspace = proposal.state.workspace(after.workspace)
    if before is None:
        faults += _new_faults(after)
        if workspace is None:
            faults.append(("workspace", f"workspace {after.workspace!r} does not exist"))
        elif after.project != workspace.project:
            faults.append(("project", f"is {after.project}, but the workspace's is {workspace.project}"))
    else:
        keys = sorted(_FIXED & changed_keys(before, after))
        faults += [(key, "can't change after the release was asked for") for key in keys]
        faults += _added_faults(before, after)
    limits = {"files": MAX_FILES, "reviews": MAX_STEPS, "publications": MAX_STEPS, "airlock": MAX_STEPS}
    faults += [(key, f"at most {most} are allowed") for key, most in limits.items() if len(getattr(after, key)) > most]
    faults += event_faults(before, after)
    faults += _time_faults(proposal, before, after)
    known = before.files if before is not None else ()
    faults += _file_faults(known, after.files)
    faults += _job_faults(proposal.state, after.files[len(known) :])
    faults += _unapproved(proposal, known, after)
    return faults[:_MOST_SHOWN]


def _new_faults(release: CheckedRelease) -> Iterator[KeyFault]:
    """A release begins with nothing but what was asked for."""
    if any(file.uploaded is not None or file.withdrawn is not None for file in release.files):
        yield "files", "no file of a new release can be uploaded or withdrawn already"
    for key in ("reviews", "publications", "withdrawn"):
        if getattr(release, key):
            yield key, "must be left out of a new release"


def _time_faults(proposal: Proposal, before: CheckedRelease | None, after: CheckedRelease) -> Iterator[KeyFault]:
    """What a push says about times: an early `created_at` would take the address of another backend's release, and
    nothing could follow a late step."""
    now = proposal.now
    if now is None or not proposal.changes.is_pushed:
        return
    if before is None and abs(after.created_at - now) > _CLOCKS_AGREE:
        yield "created_at", f"must be the time of the push ({now.isoformat()})"
    start, newest = max(now, newest_time(before)) if before is not None else now, newest_time(after)
    if newest - start > _CLOCKS_AGREE:
        yield "", f"says that something happened at {newest.isoformat()}, which is in the future"


def _added_faults(before: CheckedRelease, after: CheckedRelease) -> Iterator[KeyFault]:
    """What is changed that may only be added to, or was added in another order than it happened."""
    newest = newest_time(before)
    if after.reviews[: len(before.reviews)] != before.reviews:
        yield "reviews", "reviews can only be added, at the end"
    times = [newest, *(review.at for review in after.reviews[len(before.reviews) :])]
    if any(later <= earlier for earlier, later in pairwise(times)):
        yield "reviews", f"a review needs a later time than what happened before it ({newest.isoformat()})"
    if before.withdrawn is not None and after != before:
        yield "withdrawn", "nothing can change in a release that was withdrawn"
    if len(after.files) > len(before.files):
        if any(review.vouched_by is None for review in before.reviews):
            yield "files", "files can't be added after a person has reviewed the release"
        elif Decisions(before.reviews).has_approval():
            yield "files", "files can't be added while an approval counts: nobody has approved them"
    for review in after.reviews[len(before.reviews) :]:
        if not before.files and (review.vouched_by is None or review.decision == "approved"):
            yield "reviews", "the release has no files yet that could be reviewed"
        elif unknown := unknown_paths(after, review.files):
            yield "reviews", f"the release has no file {some(unknown)}"
        elif review.vouched_by is not None and review.decision == "approved" and review.by in before.own_deciders():
            yield "reviews", f"{review.by} has decided on the server: {review.vouched_by} can't approve in their name"
        elif not decides(before, review):
            yield "reviews", f"{review.by} has decided this already: a decision counts once"
    yield from _publication_faults(before, after)


def _publication_faults(before: CheckedRelease, after: CheckedRelease) -> Iterator[KeyFault]:
    if after.publications == before.publications:
        return
    kept = len(before.publications) - (before.open_publication is not None)
    if after.publications[:kept] != before.publications[:kept] or len(after.publications) < len(before.publications):
        yield "publications", "publications can only be added, and a publication that ended can't change"
        return
    old = before.open_publication
    changed = after.publications[kept:]
    if len(changed) != 1:
        yield "publications", "a release has one publication at a time: end it before you ask for another"
        return
    (new,) = changed
    if old is None:
        live = {file.path for file in after.live_files()}
        if missing := [path for path in new.files if path not in live]:
            yield "publications", f"{missing[0]!r} was not released, so it can't be published"
        if len(set(new.files)) < len(new.files):
            yield "publications", "names a file twice"
        if new.approved or new.ended or new.end_requested:
            yield "publications", "must be asked for before it is approved"
    elif {key for key in changed_keys(old, new) if getattr(old, key)}:
        yield "publications", "a step of a publication can't change once it is there"
    elif new.approved is not None and new.approved.by == new.requested.by:
        yield "publications", f"must be approved by somebody else than {new.requested.by}, who asked for it"


def _file_faults(before: tuple[CheckedFile, ...], after: tuple[CheckedFile, ...]) -> Iterator[KeyFault]:
    """Files are only added, at the end; a file gets its upload and its tombstone once, and keeps both."""
    if len(after) < len(before):
        yield "files", "no file can be removed from a release: withdraw it"
        return
    for old, new in zip(before, after, strict=False):
        if old is new or old == new:
            continue
        changed = changed_keys(old, new)
        if kept := {key for key in changed if key not in ("uploaded", "withdrawn") or getattr(old, key) is not None}:
            yield "files", f"{old.path!r} can't change in {', '.join(sorted(kept))}"
        elif "uploaded" in changed and old.withdrawn is not None:
            yield "files", f"{old.path!r} was withdrawn, so it can't be released"
    if len(after) > len(before):
        paths = [file.path for file in after]
        if len(set(paths)) < len(paths):
            yield "files", "two files have the same path"
        faults = [
            f"{file.path!r} {fault}" for file in after[len(before) :] if (fault := releases.path_fault(file.path))
        ]
        yield from (("files", fault) for fault in [*faults, *releases.clashes(dict.fromkeys(paths))][:_MOST_SHOWN])


def _job_faults(state: State, added: Sequence[CheckedFile]) -> Iterator[KeyFault]:
    """Jobs that are not in the record as the files say."""
    for job in dict.fromkeys(file.job for file in added if file.job is not None):
        stored = state.find(job.request)
        known = state.jobs(stored.place).get(job.identifier) if stored is not None else None
        if stored is None or known is None or (known.action, stored.request.sha) != (job.action, job.commit):
            yield "files", f"no job {job.identifier} of request {job.request} ran {job.action} at {job.commit[:10]}"


def _new_uploads(before: tuple[CheckedFile, ...], after: CheckedRelease) -> list[CheckedFile]:
    known: list[CheckedFile | None] = [*before, *[None] * (len(after.files) - len(before))]
    return [
        new
        for old, new in zip(known, after.files, strict=False)
        if old is not new and new.uploaded is not None and (old is None or old.uploaded is None)
    ]


def _unapproved(proposal: Proposal, before: tuple[CheckedFile, ...], after: CheckedRelease) -> Iterator[KeyFault]:
    """The rule that all this is for: nothing leaves without its approvals."""
    if uploads := _new_uploads(before, after):
        standing, decisions = Standing.of(proposal.state, after), Decisions(after.reviews)
        for file in uploads:
            if fault := standing.missing(file.path, decisions.on(file.path)):
                yield "files", f"may not be released: {fault}"


def _limits(rights: Rights, change: Change) -> None:
    """Raises `Error` (forbidden) for what not even an administrator may do."""
    before, after = change.of(CheckedRelease)
    rights.need(after is not None, "delete a release: withdraw it")
    assert after is not None
    is_stranger = rights.actor.kind is ActorKind.BACKEND and not rights.is_own_backend
    rights.need(not is_stranger, f"use release {after.identifier}, which another backend has")
    events = before.airlock if before is not None else ()
    rights.need(after.airlock == events or rights.is_own_backend, "record an event of Airlock: only the backend can")
    known = before.files if before is not None else ()
    if before is None:
        _may_ask(rights, after)
    elif len(after.files) > len(known):
        rights.need(rights.is_own_backend, f"add files to release {after.identifier}")
    for review in _added(before.reviews if before is not None else (), after.reviews):
        _may_review(rights, after, review)
    for file in _new_uploads(known, after):
        assert file.uploaded is not None
        rights.need(rights.is_own_backend, f"upload {file.path!r}: only the backend can")
        if not releases.may_release(rights.state, file.uploaded.by, after.workspace):
            raise releases.no_releaser(file.uploaded.by, after.workspace)
        check_backend(rights.state, file.uploaded.by, after.backend)
    for stone in _new_stones(before, after):
        _may_withdraw(rights, after, stone)
    _may_publish(rights, before, after)


def _added(before: Sequence[Review], after: Sequence[Review]) -> Sequence[Review]:
    """The new reviews; all, if the old ones are not as they were."""
    return after[len(before) :] if after[: len(before)] == before else after


def _speaks_for(rights: Rights, person: str, vouched_by: str | None) -> bool:
    """Whether the actor may act as this person: they are the person, or the backend that vouches for them."""
    if vouched_by is None:
        return rights.is_user(person)
    user = rights.state.user(person)
    return rights.is_own_backend and rights.actor.name == vouched_by and user is not None and user.active


def _may(rights: Rights, release: CheckedRelease, permission: Permission) -> bool:
    """Whether the actor has a permission in the project of the release's workspace."""
    workspace = rights.state.workspace(release.workspace)
    return rights.may(permission, workspace.project if workspace is not None else None)


def _may_ask(rights: Rights, release: CheckedRelease) -> None:
    name, allowed = release.author, _speaks_for(rights, release.author, release.vouched_by)
    rights.need(allowed, f"ask for a release as {name}")
    may = rights.is_own_backend or _may(rights, release, Permission.RUN_JOB)
    rights.need(may, f"ask for a release of {release.workspace}: that needs a role that runs jobs there")


def _may_review(rights: Rights, release: CheckedRelease, review: Review) -> None:
    rights.need(_speaks_for(rights, review.by, review.vouched_by), f"review a release as {review.by}")
    rights.need(review.by != release.author, f"let {review.by} review their own release: that takes another person")
    may = may_approve(rights.state, review.by, release.workspace)
    rights.need(may, f"let {review.by} review outputs of {release.workspace}: that needs the role OutputChecker")
    check_backend(rights.state, review.by, release.backend)


def _new_stones(before: CheckedRelease | None, after: CheckedRelease) -> set[Tombstone]:
    """Each once, and also one that another file had before: somebody may have copied it."""
    old = [before.withdrawn, *(file.withdrawn for file in before.files)] if before is not None else []
    new = [after.withdrawn, *(file.withdrawn for file in after.files)]
    old += [None] * (len(new) - len(old))
    return {stone for known, stone in zip(old, new, strict=False) if stone is not None and stone != known}


def _may_withdraw(rights: Rights, release: CheckedRelease, stone: Tombstone) -> None:
    rights.need(_speaks_for(rights, stone.by, stone.vouched_by), f"withdraw files as {stone.by}")
    is_checker = may_approve(rights.state, stone.by, release.workspace)
    allowed = is_checker or stone.by == release.author or rights.may(Permission.ADMINISTER)
    rights.need(allowed, f"let {stone.by} withdraw files of {release.workspace}")


def _may_publish(rights: Rights, before: CheckedRelease | None, after: CheckedRelease) -> None:
    """Developers of the project ask, and publishers decide, each in their own name."""
    old = before.publications if before is not None else ()
    steps: tuple[tuple[str, Callable[[Publication], Deed | None], Permission], ...] = (
        ("ask to publish", lambda step: step.requested, Permission.RUN_JOB),
        ("publish", lambda step: step.approved, Permission.PUBLISH_OUTPUT),
        ("ask to unpublish", lambda step: step.end_requested, Permission.RUN_JOB),
        ("unpublish", lambda step: step.ended, Permission.PUBLISH_OUTPUT),
    )
    for number, publication in enumerate(after.publications):
        for action, deed_of, permission in steps:
            deed = deed_of(publication)
            if deed is None or (number < len(old) and deed_of(old[number]) == deed):
                continue
            rights.need(rights.is_user(deed.by), f"{action} as {deed.by}")
            rights.need(_may(rights, after, permission), f"{action} files of {after.workspace}")


def _everybody(rights: Rights, change: Change) -> bool:
    """`_limits` has said who may, step by step."""
    return True


RULES = Rules(faults=_faults, create=_everybody, update=_everybody, limits=_limits)
