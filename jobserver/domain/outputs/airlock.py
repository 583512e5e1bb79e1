"""What Airlock tells about a request to release files: who submitted, reviewed, returned or approved it, and when.

Airlock tells no votes before the end: that a person reviewed is not an approval. When Airlock asks for the files to be
released, each of them was approved by everybody who reviewed since the request was last submitted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeAlias, get_args

from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.planning import require
from jobserver.domain.base.rules import KeyFault
from jobserver.domain.base.state import Changes, Main, State
from jobserver.domain.outputs.approvals import may_check
from jobserver.domain.outputs.commands import decides
from jobserver.domain.outputs.documents import AirlockEvent, AirlockStep, CheckedRelease, Decision, Review, Tombstone
from jobserver.domain.outputs.steps import newest_time, standing_release, stored_release, write_release
from jobserver.errors import conflict

STEPS: tuple[AirlockStep, ...] = get_args(AirlockStep)
_DECISIONS: dict[str, Decision] = {"rejected": "rejected", "returned": "returned"}
_REPEATABLE: frozenset[AirlockStep] = frozenset({"partially-reviewed", "reviewed", "released"})
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RecordAirlockEvent:
    """``author``: who asked for the release. ``person``: who did this. ``repository``: where on GitHub its issue is, if
    Airlock says so. The first event about a release makes its document, which has no files yet."""

    backend: str
    workspace: str
    identifier: str
    step: AirlockStep
    author: str
    person: str
    updates: tuple[str, ...] = ()
    repository: str | None = None


Command: TypeAlias = RecordAirlockEvent


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    """Each event is one commit, with the decision or the withdrawal that it is. A repeated event changes nothing."""
    workspace = require(state.workspace(command.workspace), Kind.WORKSPACE, command.workspace)
    before = stored_release(state, command.workspace, command.identifier)
    verb = f"airlock-{command.step}"
    if before is not None:
        before, now = standing_release(state, command.workspace, command.identifier, now)
        if before.author != command.author:
            raise conflict(f"release {before.identifier} is {before.author}'s, not {command.author}'s")
        if _is_repeated(before, command):
            return write_release(state, before, before, verb, "")
    release = before or CheckedRelease(
        identifier=command.identifier,
        workspace=command.workspace,
        project=workspace.project,
        backend=command.backend,
        author=command.author,
        created_at=now,
        vouched_by=command.backend,
    )
    event = AirlockEvent(
        step=command.step, by=command.person, at=now, updates=command.updates, repository=command.repository
    )
    after = release.model_copy(update={"airlock": (*release.airlock, event)})
    if before is not None:
        after = _with_consequence(state, after, command, now)
    verb_done = "withdrew" if command.step == "withdrawn" else in_words(command.step)
    subject = f"{command.person} {verb_done} release {command.identifier} of {command.workspace} in Airlock"
    return write_release(state, before, after, verb, subject)


def _with_consequence(state: State, release: CheckedRelease, command: Command, now: datetime) -> CheckedRelease:
    if decision := _DECISIONS.get(command.step):
        return with_reviews(release, [command.person], decision, now)
    if command.step == "approved" and release.files:
        return with_reviews(release, inferred_approvers(state, release), "approved", now)
    if command.step == "withdrawn" and release.withdrawn is None:
        reason = "The author withdrew the request in Airlock"
        stone = Tombstone(by=command.person, at=now, reason=reason, vouched_by=release.backend)
        return release.model_copy(update={"withdrawn": stone})
    return release


def _is_repeated(release: CheckedRelease, command: RecordAirlockEvent) -> bool:
    """Whether Airlock has told this already. A review counts once in each turn, however late it is told again."""
    same = [event for event in release.airlock if (event.step, event.by) == (command.step, command.person)]
    if not same or same[-1] is release.airlock[-1]:
        return bool(same)
    return command.step in _REPEATABLE and same[-1] in (release.airlock_turn() or ())


def inferred_approvers(main: Main, release: CheckedRelease, releaser: str | None = None) -> list[str]:
    """Whose approval of all files follows from what Airlock says: those who reviewed in this turn, and ``releaser`` who
    lets the files out now. Not who has decided on the server, whose own word counts, or who may not approve."""
    if release.airlock_turn() is None:
        return []
    own = release.own_deciders()
    people = dict.fromkeys([*release.airlock_reviewers(), *([releaser] if releaser is not None else [])])
    return [
        name
        for name in people
        if name != release.author and name not in own and may_check(main, name, release.workspace, release.backend)
    ]


def with_reviews(release: CheckedRelease, people: list[str], decision: Decision, now: datetime) -> CheckedRelease:
    """With a review of all files by each of these people for whom it is a new decision."""
    for name in people:
        review = Review(by=name, at=now, decision=decision, vouched_by=release.backend)
        if decides(release, review):
            release = release.model_copy(update={"reviews": (*release.reviews, review)})
            now += _TICK
    return release


def in_words(step: AirlockStep) -> str:
    return "reviewed" if step == "partially-reviewed" else step


def event_faults(before: CheckedRelease | None, after: CheckedRelease) -> Iterator[KeyFault]:
    """Events are only added, at the end, each with a later time."""
    known = before.airlock if before is not None else ()
    if after.airlock[: len(known)] != known:
        yield "airlock", "events of Airlock can only be added, at the end"
    start = newest_time(before) if before is not None else after.created_at
    times = [event.at for event in after.airlock[len(known) :]]
    is_early = bool(times) and (times[0] < start or (times[0] == start and before is not None))
    if is_early or any(later <= earlier for earlier, later in pairwise(times)):
        yield "airlock", f"an event needs a later time than what happened before it ({start.isoformat()})"
