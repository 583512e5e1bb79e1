"""What state follows from the decisions on a release's files, and when a file may leave its backend."""

import pytest

from jobserver.domain.base.permissions import Role
from jobserver.domain.outputs.approvals import (
    ReleaseState,
    Standing,
    file_groups,
    file_states,
    missing_approval,
    release_state,
)
from jobserver.domain.outputs.commands import RequestRelease, WithdrawRelease
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.domain.outputs.publications import ApprovePublication, EndPublication, RequestPublication
from tests.memory import Memory
from tests.unit.domain.outputs.releasing import (
    CHART,
    CHECKERS,
    RELEASE,
    TABLE,
    TPP,
    asked,
    prepared,
    reviewed,
    stored,
    upload,
    uploaded,
    user,
    with_roles,
)

RELEASE_OF = ("tpp", "trends", RELEASE)


def state_of(state: Memory) -> ReleaseState:
    release = stored(state)
    return release_state(file_groups(release), Standing.of(state, release))


def files_of(state: Memory) -> list[str]:
    release = stored(state)
    return [str(word) for word in file_states(release, Standing.of(state, release)).values()]


def test_a_release_goes_from_request_to_withdrawal() -> None:
    state = prepared()
    asked(state)
    assert (state_of(state), files_of(state)) == ("requested", ["requested"] * 2)
    reviewed(state, "carol")
    assert (state_of(state), files_of(state)) == ("under review", ["under review"] * 2)
    reviewed(state, "dave", "approved", TABLE.path)
    assert (state_of(state), files_of(state)) == ("under review", ["approved", "under review"])
    reviewed(state, "dave", "rejected", CHART.path)
    assert (state_of(state), files_of(state)) == ("approved", ["approved", "rejected"])
    uploaded(state, TABLE)
    assert (state_of(state), files_of(state)) == ("released", ["released", "rejected"])
    state.do(user("alice"), RequestPublication(*RELEASE_OF))
    assert state_of(state) == "released"
    state.do(user("pam"), ApprovePublication(*RELEASE_OF))
    assert (state_of(state), files_of(state)) == ("published", ["published", "rejected"])
    state.do(user("pam"), EndPublication(*RELEASE_OF, "a mistake"))
    assert state_of(state) == "released"
    state.do(user("carol"), WithdrawRelease(*RELEASE_OF, "carol", "small numbers", (TABLE.path,)))
    assert (state_of(state), files_of(state)) == ("rejected", ["withdrawn", "rejected"])
    state.do(user("carol"), WithdrawRelease(*RELEASE_OF, "carol", "all of it"))
    assert (state_of(state), files_of(state)) == ("withdrawn", ["withdrawn"] * 2)


def test_a_release_without_files_has_a_state_too() -> None:
    state = prepared()
    state.do(TPP, RequestRelease(*RELEASE_OF, "alice"))
    assert state_of(state) == "requested"
    reviewed(state, "carol", "rejected", actor=TPP)
    assert state_of(state) == "rejected"
    state.do(TPP, WithdrawRelease(*RELEASE_OF, "alice", "not needed"))
    assert state_of(state) == "withdrawn"


@pytest.mark.parametrize("number", [None, 1, 2, 3])
def test_a_project_says_how_many_people_must_approve(number: int | None) -> None:
    state = prepared(number)
    asked(state, TABLE)
    for count in range(number or 2):
        assert f"{count} of {number or 2} approvals" in fault(state)
        reviewed(state, CHECKERS[count])
    assert fault(state) == ""
    state.do(TPP, upload())


def fault(state: Memory) -> str:
    release = stored(state)
    return missing_approval(release, TABLE.path, Standing.of(state, release))


def test_the_newest_decision_of_a_person_counts() -> None:
    state = prepared()
    asked(state, TABLE)
    reviewed(state, "carol")
    reviewed(state, "dave")
    reviewed(state, "dave", "rejected", TABLE.path)
    assert fault(state) == "'output/table.csv' is rejected by dave"
    reviewed(state, "dave")
    assert fault(state) == ""


def test_what_was_decided_before_a_return_counts_no_longer() -> None:
    state = prepared()
    asked(state)
    for name in ("carol", "dave"):
        reviewed(state, name)
    reviewed(state, "erin", "returned")
    assert state_of(state) == "requested"
    assert "0 of 2" in fault(state)
    for name in ("carol", "dave"):
        reviewed(state, name)
    assert fault(state) == ""


@pytest.mark.parametrize("active", [True, False])
def test_an_approval_counts_only_while_its_author_may_approve(active: bool) -> None:
    state = prepared()
    asked(state)
    for name in ("carol", "dave"):
        reviewed(state, name)
    roles = (Role.OUTPUT_CHECKER,) if not active else ()
    with_roles(state, "dave", *roles, active=active)
    assert fault(state) == ("'output/table.csv' has 1 of 2 approvals (carol); dave may not approve outputs here now")
    reviewed(state, "erin")
    assert fault(state) == ""


def test_a_workspace_that_is_in_another_project_now_keeps_the_stricter_rule() -> None:
    state = prepared(3)
    asked(state)
    reviewed(state, "carol")
    workspace = state.workspace("trends")
    assert workspace is not None
    state.put(workspace.model_copy(update={"project": "lab/loose"}))
    assert "1 of 3" in fault(state)


def test_groups_say_the_same_as_the_files() -> None:
    state = prepared()
    release: CheckedRelease = asked(state)
    reviewed(state, "carol", "approved", TABLE.path)
    release = reviewed(state, "dave")
    groups = {group.decisions: group.count for group in file_groups(release)}
    assert groups == {(("carol", "approved"), ("dave", "approved")): 1, (("dave", "approved"),): 1}
