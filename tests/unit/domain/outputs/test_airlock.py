"""What Airlock tells about a request becomes commits: the author, the reviews, the decisions, and nothing twice."""

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.outputs.airlock import STEPS, RecordAirlockEvent, inferred_approvers
from jobserver.domain.outputs.approvals import Standing, file_groups, file_states, release_state
from jobserver.domain.outputs.commands import RequestRelease, WithdrawRelease
from jobserver.domain.outputs.documents import AirlockStep, CheckedRelease
from jobserver.errors import Code, Error
from tests.memory import LATER, Memory
from tests.unit.domain.outputs.releasing import (
    EMIS,
    PATH,
    RELEASE,
    TABLE,
    TPP,
    prepared,
    reviewed,
    stored,
    upload,
    user,
)


def tell(
    state: Memory, step: AirlockStep, person: str, author: str = "alice", actor: Actor = TPP, **values: object
) -> Changes:
    fields = {"updates": (), "repository": None, **values}
    command = RecordAirlockEvent("tpp", "trends", RELEASE, step, author, person, **fields)  # type: ignore[arg-type]
    return state.do(actor, command)


def told(*steps: tuple[AirlockStep, str]) -> Memory:
    state = prepared()
    for step, person in steps:
        tell(state, step, person)
    return state


def decisions(release: CheckedRelease) -> list[tuple[str, str]]:
    return [(review.by, review.decision) for review in release.reviews]


REVIEWED: tuple[tuple[AirlockStep, str], ...] = (
    ("submitted", "alice"),
    ("partially-reviewed", "carol"),
    ("reviewed", "dave"),
)


def test_the_first_event_makes_the_release_of_its_author_without_files() -> None:
    state = prepared()
    changes = tell(state, "submitted", "alice", updates=("2 files",), repository="org/outputs")
    assert (changes.event, changes.subject) == (
        "release.airlock-submitted",
        f"alice submitted release {RELEASE} of trends in Airlock",
    )
    release = stored(state)
    assert (release.author, release.vouched_by, release.project, release.files) == ("alice", "tpp", "lab/p", ())
    (event,) = release.airlock
    assert (event.step, event.by, event.updates, event.repository) == (
        "submitted",
        "alice",
        ("2 files",),
        "org/outputs",
    )


def test_that_somebody_reviewed_is_no_approval() -> None:
    release = stored(told(*REVIEWED))
    assert decisions(release) == []
    assert release.airlock_reviewers() == ["carol", "dave"]


def test_approved_in_airlock_is_the_approval_of_everybody_who_reviewed_in_this_turn() -> None:
    state = told(("submitted", "alice"), ("partially-reviewed", "erin"), ("returned", "erin"), ("resubmitted", "alice"))
    assert stored(state).airlock_reviewers() == []
    for step, person in REVIEWED[1:]:
        tell(state, step, person)
    state.do(TPP, RequestRelease("tpp", "trends", RELEASE, "alice", (TABLE,)))
    tell(state, "approved", "dave")
    release = stored(state)
    assert decisions(release) == [("carol", "approved"), ("dave", "approved")]
    assert {review.vouched_by for review in release.reviews} == {"tpp"}
    state.do(TPP, upload(TABLE))


def test_one_who_may_not_approve_does_not_count() -> None:
    state = told(("submitted", "alice"), ("partially-reviewed", "bob"), ("reviewed", "carol"))
    state.do(TPP, RequestRelease("tpp", "trends", RELEASE, "alice", (TABLE,)))
    tell(state, "approved", "carol")
    assert decisions(stored(state)) == [("carol", "approved")]
    with pytest.raises(Error, match="1 of 2 approvals"):
        state.do(TPP, upload(TABLE))


def test_returned_and_rejected_are_decisions() -> None:
    state = told(*REVIEWED)
    tell(state, "rejected", "carol")
    assert decisions(stored(state)) == [("carol", "rejected")]
    tell(state, "returned", "dave")
    assert decisions(stored(state)) == [("carol", "rejected"), ("dave", "returned")]


def test_the_author_withdraws_the_whole_request() -> None:
    state = told(("submitted", "alice"))
    assert tell(state, "withdrawn", "alice").subject == f"alice withdrew release {RELEASE} of trends in Airlock"
    stone = stored(state).withdrawn
    assert stone is not None
    assert (stone.by, stone.vouched_by) == ("alice", "tpp")


@pytest.mark.parametrize("step", STEPS)
def test_a_repeated_event_changes_nothing(step: AirlockStep) -> None:
    person = "alice" if step in ("submitted", "resubmitted", "withdrawn") else "carol"
    state = told(("submitted", "alice"), (step, person))
    before = stored(state)
    assert not tell(state, step, person)
    assert stored(state) == before


@pytest.mark.parametrize("step", STEPS)
def test_any_event_may_be_the_first_that_arrives(step: AirlockStep) -> None:
    release = stored(told((step, "carol")))
    assert (release.author, decisions(release), release.withdrawn) == ("alice", [], None)


def test_an_event_of_another_author_is_refused() -> None:
    state = told(("submitted", "alice"))
    with pytest.raises(Error, match=f"release {RELEASE} is alice's, not bob's") as caught:
        tell(state, "reviewed", "carol", author="bob")
    assert caught.value.code is Code.CONFLICT


@pytest.mark.parametrize("actor", [EMIS, user("alice"), user("root")])
def test_only_the_backend_itself_tells(actor: Actor) -> None:
    for state in (prepared(), told(("submitted", "alice"))):
        with pytest.raises(Error) as caught:
            tell(state, "reviewed", "carol", actor=actor)
        assert caught.value.code is Code.FORBIDDEN


@pytest.mark.parametrize(
    ("step", "person", "reason"),
    [
        ("rejected", "bob", "needs the role OutputChecker"),
        ("returned", "alice", "review their own release"),
        ("withdrawn", "bob", "cannot let bob withdraw files"),
    ],
)
def test_nobody_decides_who_may_not(step: AirlockStep, person: str, reason: str) -> None:
    state = told(("submitted", "alice"), ("partially-reviewed", "carol"))
    state.do(TPP, RequestRelease("tpp", "trends", RELEASE, "alice", (TABLE,)))
    tell(state, "approved", "carol")
    with pytest.raises(Error, match=reason) as caught:
        tell(state, step, person)
    assert caught.value.code is Code.FORBIDDEN


def test_an_unknown_author_is_refused() -> None:
    with pytest.raises(Error, match="ask for a release as ghost"):
        tell(prepared(), "submitted", "ghost", author="ghost")


def test_a_push_cannot_take_an_event_away_or_add_one_before_others() -> None:
    state = told(*REVIEWED)
    release = stored(state)
    first, second, third = release.airlock
    early = third.model_copy(update={"at": first.at})
    for events, reason in [
        ((first, second), "only be added, at the end"),
        ((first, third, second), "only be added, at the end"),
        ((first, second, third, early), "needs a later time"),
    ]:
        after = release.model_copy(update={"airlock": events})
        with pytest.raises(Error, match=reason):
            admit(
                state.on("backends/tpp"),
                Changes("backends/tpp", "pushed", "", (Change(PATH, release, after),)),
                TPP,
                LATER,
            )


def test_nothing_follows_a_withdrawal() -> None:
    state = told(("submitted", "alice"))
    state.do(TPP, WithdrawRelease("tpp", "trends", RELEASE, "alice", "a mistake"))
    with pytest.raises(Error, match="nothing can change in a release that was withdrawn"):
        tell(state, "reviewed", "carol")


def test_who_may_not_use_the_backend_lets_nothing_out_of_it() -> None:
    state = told(*REVIEWED)
    state.do(TPP, RequestRelease("tpp", "trends", RELEASE, "alice", (TABLE,)))
    tell(state, "approved", "dave")
    carol = state.user("carol")
    assert carol is not None
    state.put(carol.model_copy(update={"backends": ("emis",)}))
    with pytest.raises(Error, match=r"1 of 2 approvals \(dave\); carol may not approve outputs here now"):
        state.do(TPP, upload(TABLE, "dave"))
    with pytest.raises(Error, match="carol may not use backend tpp"):
        reviewed(state, "carol", "rejected")
    reviewed(state, "erin")
    with pytest.raises(Error, match="carol may not use backend tpp") as caught:
        state.do(TPP, upload(TABLE, "carol"))
    assert caught.value.code is Code.FORBIDDEN
    state.do(TPP, upload(TABLE, "dave"))


def test_reviews_in_airlock_make_it_under_review_before_there_are_decisions() -> None:
    def state_of(state: Memory) -> tuple[str, list[str]]:
        release = stored(state)
        standing = Standing.of(state, release)
        files = [str(word) for word in file_states(release, standing).values()]
        return release_state(file_groups(release), standing), files

    state = told(("submitted", "alice"))
    assert state_of(state) == ("requested", [])
    tell(state, "partially-reviewed", "carol")
    assert state_of(state) == ("under review", [])
    tell(state, "returned", "carol")
    assert state_of(state) == ("requested", [])
    for step, person in (("resubmitted", "alice"), *REVIEWED[1:]):
        tell(state, step, person)  # type: ignore[arg-type]
    state.do(TPP, RequestRelease("tpp", "trends", RELEASE, "alice", (TABLE,)))
    assert state_of(state) == ("under review", ["under review"])
    tell(state, "approved", "dave")
    assert state_of(state) == ("approved", ["approved"])
    tell(state, "withdrawn", "alice")
    assert state_of(state) == ("withdrawn", ["withdrawn"])


def asked_and_approved() -> Memory:
    state = told(*REVIEWED)
    state.do(TPP, RequestRelease("tpp", "trends", RELEASE, "alice", (TABLE,)))
    return state


def test_airlock_does_not_approve_for_who_decided_on_the_server() -> None:
    state = asked_and_approved()
    reviewed(state, "carol", "rejected")
    assert "carol" not in inferred_approvers(state, stored(state), "carol")
    tell(state, "approved", "carol")
    assert decisions(stored(state)) == [("carol", "rejected"), ("dave", "approved")]
    with pytest.raises(Error, match="carol has decided on the server: tpp can't approve in their name"):
        reviewed(state, "carol", actor=TPP)
    with pytest.raises(Error, match="is rejected by carol"):
        state.do(TPP, upload(TABLE))


def test_what_was_reviewed_in_airlock_before_a_return_on_the_server_is_over() -> None:
    state = asked_and_approved()
    tell(state, "approved", "dave")
    reviewed(state, "erin", "returned")
    tell(state, "reviewed", "dave")
    tell(state, "approved", "dave")
    assert inferred_approvers(state, stored(state), "dave") == []
    assert decisions(stored(state))[2:] == [("erin", "returned")]
    with pytest.raises(Error, match="0 of 2 approvals"):
        state.do(TPP, upload(TABLE))
    for step, person in (("resubmitted", "alice"), *REVIEWED[1:], ("approved", "dave")):
        tell(state, step, person)  # type: ignore[arg-type]
    state.do(TPP, upload(TABLE))


def test_a_review_that_is_told_again_later_changes_nothing() -> None:
    state = told(*REVIEWED)
    before = stored(state)
    assert not tell(state, "partially-reviewed", "carol")
    assert stored(state) == before
    for step, person in (("returned", "erin"), ("resubmitted", "alice"), ("partially-reviewed", "carol")):
        assert tell(state, step, person)  # type: ignore[arg-type]
    assert stored(state).airlock_reviewers() == ["carol"]
