"""Nothing leaves without its approvals, and nobody acts in another's name: by commands, and by pushes of documents."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.base.permissions import Actor, Role
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.outputs.commands import RequestRelease, ReviewRelease, WithdrawRelease
from jobserver.domain.outputs.documents import (
    CheckedFile,
    CheckedRelease,
    Deed,
    FileJob,
    Publication,
    Review,
    Tombstone,
)
from jobserver.domain.outputs.publications import (
    ApprovePublication,
    EndPublication,
    RequestPublication,
    RequestUnpublication,
)
from jobserver.domain.plan import Command
from jobserver.domain.projects import SetOutputApprovals
from jobserver.domain.workspaces import ConnectWorkspace
from jobserver.errors import Code, Error
from tests.memory import LATER, NOW, Memory, job
from tests.unit.domain.admitting import PLACE, REQUEST
from tests.unit.domain.outputs.releasing import (
    CHART,
    EMIS,
    PATH,
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
ROOT, ALICE, CAROL = user("root"), user("alice"), user("carol")
DEED = Deed(by="root", at=LATER)
MINUTE = timedelta(minutes=1)


def refused(state: Memory, actor: Actor, command: Command, code: Code, text: str) -> None:
    with pytest.raises(Error) as refusal:
        state.do(actor, command)
    assert refusal.value.code is code, refusal.value
    assert text in str(refusal.value)


def push(state: Memory, actor: Actor, after: CheckedRelease | None, path: str = PATH) -> None:
    branch = state.on("backends/tpp")
    changes = Changes("backends/tpp", "pushed", "", (Change(path, branch.release("trends", RELEASE), after),))
    state.apply(admit(branch, changes, actor, LATER))


def push_refused(state: Memory, actor: Actor, text: str, **update: Any) -> None:
    with pytest.raises(Error) as refusal:
        push(state, actor, stored(state).model_copy(update=update))
    assert text in str([str(refusal.value), *map(str, refusal.value.faults)])


def review(name: str, **more: Any) -> Review:
    return Review(by=name, at=LATER, decision="approved", **more)


def approved() -> Memory:
    state = prepared()
    asked(state)
    for name in ("carol", "dave"):
        reviewed(state, name)
    return state


def test_what_two_others_approved_may_leave() -> None:
    state = approved()
    assert uploaded(state).files[0].uploaded is not None
    refused(state, TPP, upload(), Code.CONFLICT, "has already been uploaded")


def test_the_author_approves_nothing() -> None:
    state = prepared()
    with_roles(state, "alice", Role.OUTPUT_CHECKER)
    asked(state)
    for actor in (ALICE, TPP):
        command = ReviewRelease(*RELEASE_OF, "alice", "approved")
        refused(state, actor, command, Code.FORBIDDEN, "alice review their own release")
    push_refused(state, ALICE, "alice review their own release", reviews=(review("alice"),))


def test_a_persons_approval_counts_once() -> None:
    state = prepared()
    asked(state)
    reviewed(state, "carol")
    refused(state, CAROL, ReviewRelease(*RELEASE_OF, "carol", "approved"), Code.CONFLICT, "counts once")
    release = stored(state)
    push_refused(state, CAROL, "counts once", reviews=(*release.reviews, review("carol")))
    assert reviewed(state, "carol", actor=TPP) == release, "a backend may repeat what it said"
    refused(state, TPP, upload(), Code.FORBIDDEN, "1 of 2 approvals (carol)")


def test_an_approval_of_a_checker_who_lost_the_role_does_not_count() -> None:
    state = approved()
    with_roles(state, "dave")
    refused(state, TPP, upload(), Code.FORBIDDEN, "dave may not approve outputs here now")
    push_refused(state, TPP, "1 of 2 approvals", files=(marked(TABLE, "carol"), CHART))


def marked(file: CheckedFile, by: str) -> CheckedFile:
    return file.model_copy(update={"uploaded": Deed(by=by, at=LATER)})


def test_one_of_two_approvals_is_not_enough() -> None:
    state = prepared()
    asked(state)
    reviewed(state, "carol")
    refused(state, TPP, upload(), Code.FORBIDDEN, "1 of 2 approvals")
    push_refused(state, TPP, "1 of 2 approvals", files=(marked(TABLE, "carol"), CHART))


def test_only_the_backend_says_what_left_it() -> None:
    state = approved()
    for actor in (ROOT, CAROL, EMIS):
        refused(state, actor, upload(), Code.FORBIDDEN, "cannot")
        push_refused(state, actor, "cannot", files=(marked(TABLE, "carol"), CHART))
    refused(state, TPP, upload(name="alice"), Code.FORBIDDEN, "alice is not an active user who can release files")
    refused(state, TPP, upload(name="nobody"), Code.FORBIDDEN, "nobody is not an active user")


def test_another_backend_has_no_part_in_a_release() -> None:
    state = approved()
    file = CheckedFile(path="new.csv", size=1, sha256="c" * 64)
    for command in (
        RequestRelease(*RELEASE_OF, "alice", (TABLE, CHART)),
        RequestRelease(*RELEASE_OF, "alice", (file,)),
        ReviewRelease(*RELEASE_OF, "erin", "approved"),
        ReviewRelease(*RELEASE_OF, "carol", "approved"),
        WithdrawRelease(*RELEASE_OF, "alice", "x"),
        RequestRelease("tpp", "trends", "0" * 26, "alice", (file,)),
    ):
        refused(state, EMIS, command, Code.FORBIDDEN, "emis cannot")


def test_other_bytes_than_those_that_were_approved_do_not_leave() -> None:
    state = approved()
    command = replace(upload(), sha256="f" * 64)
    refused(state, TPP, command, Code.INVALID, "is not the one that was asked for")
    refused(state, TPP, replace(upload(), path="other.csv"), Code.NOT_FOUND, "has no file 'other.csv'")
    other = TABLE.model_copy(update={"sha256": "f" * 64})
    refused(state, TPP, RequestRelease(*RELEASE_OF, "alice", (other,)), Code.CONFLICT, "with other contents")
    for actor in (ROOT, TPP):
        push_refused(state, actor, "can't change in sha256", files=(other, CHART))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "C:/x", "con", "a\\b", " ", "OUTPUT/table.csv"])
def test_a_path_that_leads_out_or_clashes_is_refused(path: str) -> None:
    file = CheckedFile(path=path, size=1, sha256="c" * 64)
    state = prepared()
    command = RequestRelease(*RELEASE_OF, "alice", (TABLE, file))
    with pytest.raises(Error) as refusal:
        state.do(TPP, command)
    assert refusal.value.code is Code.INVALID
    assert repr(path) in str(refusal.value) or "are the same" in str(refusal.value)
    release = asked(state)
    push_refused(state, TPP, "", files=(*release.files, file))


def test_nobody_reviews_in_anothers_name() -> None:
    state = prepared()
    asked(state)
    for actor in (ROOT, ALICE, user("dave")):
        command = ReviewRelease(*RELEASE_OF, "carol", "approved")
        refused(state, actor, command, Code.FORBIDDEN, "review a release as carol")
        push_refused(state, actor, "review a release as carol", reviews=(review("carol"),))
        push_refused(state, actor, "review a release as carol", reviews=(review("carol", vouched_by="tpp"),))
    push_refused(state, EMIS, "emis cannot", reviews=(review("carol", vouched_by="emis"),))


def test_a_person_without_the_role_reviews_nothing() -> None:
    state = prepared()
    asked(state)
    for name in ("root", "bob", "pam", "greta"):
        for actor in (user(name), TPP):
            command = ReviewRelease(*RELEASE_OF, name, "approved")
            refused(state, actor, command, Code.FORBIDDEN, "needs the role OutputChecker")
        push_refused(state, user(name), "needs the role OutputChecker", reviews=(review(name),))
    refused(state, TPP, ReviewRelease(*RELEASE_OF, "nobody", "approved"), Code.FORBIDDEN, "review a release as nobody")


def test_what_is_in_a_release_stays_there() -> None:
    state = approved()
    uploaded(state)
    state.do(CAROL, WithdrawRelease(*RELEASE_OF, "carol", "small numbers", (CHART.path,)))
    release = stored(state)
    table, chart = release.files
    other = chart.model_copy(update={"withdrawn": Tombstone(by="root", at=LATER, reason="x")})
    updates: list[dict[str, Any]] = [
        {"files": (table,)},
        {"files": (table, chart.model_copy(update={"withdrawn": None}))},
        {"files": (table, other)},
        {"files": (table.model_copy(update={"uploaded": None}), chart)},
        {"files": (table, table)},
        {"reviews": release.reviews[:1]},
        {"reviews": release.reviews[::-1]},
        {"reviews": ()},
        {"author": "root"},
        {"project": "lab/loose"},
        {"comment": "x"},
        {"vouched_by": None},
        {"backend": "emis"},
        {"created_at": NOW - timedelta(days=1)},
    ]
    for update in updates:
        push_refused(state, ROOT, "", **update)
    with pytest.raises(Error, match="delete a release: withdraw it"):
        push(state, ROOT, None)
    assert stored(state) == release


def test_a_tombstone_is_not_copied_to_other_files() -> None:
    state = approved()
    uploaded(state)
    state.do(CAROL, WithdrawRelease(*RELEASE_OF, "carol", "small numbers", (CHART.path,)))
    table, chart = stored(state).files
    forged = table.model_copy(update={"withdrawn": chart.withdrawn})
    push_refused(state, ROOT, "withdraw files as carol", files=(forged, chart))


def test_who_may_withdraw() -> None:
    for name in ("carol", "alice", "root"):
        state = approved()
        uploaded(state)
        state.do(user(name), WithdrawRelease(*RELEASE_OF, name, "a mistake"))
        assert stored(state).live_files() == []
        refused(state, user(name), WithdrawRelease(*RELEASE_OF, name, "again"), Code.CONFLICT, "was withdrawn by")
        refused(state, TPP, upload(), Code.CONFLICT, "was withdrawn")
        refused(state, CAROL, ReviewRelease(*RELEASE_OF, "carol", "rejected"), Code.INVALID, "nothing can change")
    state = approved()
    for name in ("bob", "pam", "greta"):
        refused(state, user(name), WithdrawRelease(*RELEASE_OF, name, "x"), Code.FORBIDDEN, f"let {name} withdraw")
    refused(state, ROOT, WithdrawRelease(*RELEASE_OF, "carol", "x"), Code.FORBIDDEN, "withdraw files as carol")
    refused(state, CAROL, WithdrawRelease(*RELEASE_OF, "carol", " "), Code.INVALID, "say why")


def test_only_governance_says_how_many_approvals_it_takes() -> None:
    state = prepared(3)
    command = SetOutputApprovals("lab/p", 1)
    for name in ("root", "alice", "carol"):
        refused(state, user(name), command, Code.FORBIDDEN, "needs the role GovernanceReviewer")
    project = state.project("lab/p")
    assert project is not None
    for after in (None, project.model_copy(update={"output_approvals": None})):
        changes = Changes("main", "pushed", "", (Change("projects/lab/p.yaml", project, after),))
        with pytest.raises(Error, match="GovernanceReviewer"):
            admit(state, changes, ROOT, LATER)
    state.do(user("greta"), command)
    changed = state.project("lab/p")
    assert changed is not None
    assert changed.output_approvals == 1
    asked(state)
    reviewed(state, "carol")
    uploaded(state)


def test_a_workspace_does_not_move_to_where_its_outputs_need_fewer_approvals() -> None:
    """Move, release, and move back: then one person would be enough."""
    state = prepared()
    command = ConnectWorkspace("trends", "lab/loose")
    refused(state, ROOT, command, Code.FORBIDDEN, "outputs need fewer approvals there")
    workspace = state.workspace("trends")
    assert workspace is not None
    moved = workspace.model_copy(update={"project": "lab/loose"})
    changes = Changes("main", "pushed", "", (Change("workspaces/trends.yaml", workspace, moved),))
    with pytest.raises(Error, match="GovernanceReviewer"):
        admit(state, changes, ROOT, LATER)
    state = prepared(3)
    refused(state, ROOT, ConnectWorkspace("trends", None), Code.FORBIDDEN, "move trends out of lab/p")
    state.do(user("greta"), SetOutputApprovals("lab/p", 1))
    state.do(ROOT, command)
    state.do(ROOT, ConnectWorkspace("trends", "lab/p"))


ADDED = CheckedFile(path="output/added.csv", size=1, sha256="c" * 64)


def test_files_are_added_by_the_backend_until_a_person_reviews() -> None:
    state = prepared()
    state.do(TPP, RequestRelease(*RELEASE_OF, "alice"))
    for actor in (CAROL, TPP):
        refused(state, actor, ReviewRelease(*RELEASE_OF, "carol", "approved"), Code.INVALID, "no files yet")
    state.do(TPP, RequestRelease(*RELEASE_OF, "carol", (TABLE,)))
    reviewed(state, "carol", "rejected", actor=TPP)
    state.do(TPP, RequestRelease(*RELEASE_OF, "carol", (TABLE, ADDED)))
    for name in ("carol", "dave"):
        reviewed(state, name, actor=TPP)
    more = RequestRelease(*RELEASE_OF, "carol", (CHART,))
    refused(state, TPP, more, Code.INVALID, "can't be added while an approval counts")
    assert stored(state).author == "alice"
    assert not state.do(TPP, RequestRelease(*RELEASE_OF, "carol", (TABLE,))), "the same call again changes nothing"
    uploaded(state, TABLE)
    reviewed(state, "erin")
    refused(state, TPP, RequestRelease(*RELEASE_OF, "carol", (CHART,)), Code.INVALID, "after a person has reviewed")
    push_refused(state, ROOT, "add files to release", files=(*stored(state).files, CHART))


def test_who_may_ask_for_a_release() -> None:
    command = RequestRelease(*RELEASE_OF, "alice", (TABLE,))
    state = prepared()
    refused(state, ROOT, command, Code.FORBIDDEN, "ask for a release as alice")
    refused(state, user("pam"), replace(command, author="pam"), Code.FORBIDDEN, "needs a role that runs jobs")
    refused(state, TPP, replace(command, author="nobody"), Code.FORBIDDEN, "ask for a release as nobody")
    refused(state, TPP, replace(command, workspace="nowhere"), Code.NOT_FOUND, "'nowhere' does not exist")
    refused(state, TPP, replace(command, identifier="../../x"), Code.INVALID, "16 to 40 letters and digits")
    state.do(ALICE, command)
    assert stored(state).vouched_by is None
    refused(state, ALICE, command, Code.CONFLICT, "already exists")


def test_a_release_begins_with_what_was_asked_for() -> None:
    state = prepared()
    release = asked(state)
    state.files["backends/tpp"].clear()
    stone = Tombstone(by="root", at=NOW, reason="x")
    for update in ({"reviews": (review("carol"),)}, {"files": (marked(TABLE, "carol"),)}, {"withdrawn": stone}):
        changed = release.model_copy(update={**update, "author": "root", "vouched_by": None})
        with pytest.raises(Error):
            push(state, ROOT, changed)


def test_a_file_names_only_a_job_that_wrote_it_for_all_that_the_record_knows() -> None:
    state = prepared()
    state.put(REQUEST)
    state.put_job(PLACE, job("j", "succeeded"))
    known = FileJob(request=REQUEST.identifier, identifier="j", action="generate", commit=REQUEST.sha)
    for wrong in ({"identifier": "k"}, {"action": "analyse"}, {"commit": "1" * 40}, {"request": "2" * 16}):
        file = TABLE.model_copy(update={"job": known.model_copy(update=wrong)})
        refused(state, ALICE, RequestRelease(*RELEASE_OF, "alice", (file,)), Code.INVALID, "no job ")
    state.do(ALICE, RequestRelease(*RELEASE_OF, "alice", (TABLE.model_copy(update={"job": known}),)))
    assert stored(state).files[0].job == known


def published() -> Memory:
    state = approved()
    uploaded(state, TABLE)
    state.do(ALICE, RequestPublication(*RELEASE_OF, comment="for the paper"))
    state.do(user("pam"), ApprovePublication(*RELEASE_OF))
    return state


def test_a_publication_is_asked_for_and_approved_and_ends_the_same_way() -> None:
    state = published()
    assert stored(state).public_paths() == {TABLE.path}
    refused(state, ALICE, RequestPublication(*RELEASE_OF), Code.CONFLICT, "was asked for by alice already")
    refused(state, ALICE, EndPublication(*RELEASE_OF, "x"), Code.FORBIDDEN, "alice cannot unpublish")
    state.do(ALICE, RequestUnpublication(*RELEASE_OF, "a mistake"))
    refused(state, ALICE, RequestUnpublication(*RELEASE_OF), Code.CONFLICT, "has asked for the end")
    assert stored(state).public_paths() == {TABLE.path}
    state.do(user("pam"), EndPublication(*RELEASE_OF, "a mistake"))
    assert stored(state).public_paths() == frozenset()
    state.do(ALICE, RequestPublication(*RELEASE_OF, (TABLE.path, TABLE.path)))
    assert [publication.files for publication in stored(state).publications] == [(TABLE.path,)] * 2
    release = stored(state)
    state.files["backends/tpp"][PATH] = release.model_copy(update={"publications": ()})
    twice = Publication(files=(TABLE.path, TABLE.path), requested=DEED)
    push_refused(state, ROOT, "names a file twice", publications=(twice,))


def test_what_is_withdrawn_is_public_no_longer() -> None:
    state = published()
    state.do(CAROL, WithdrawRelease(*RELEASE_OF, "carol", "small numbers", (TABLE.path,)))
    assert stored(state).public_paths() == frozenset()


def test_nobody_publishes_alone_or_for_somebody_else() -> None:
    state = approved()
    refused(state, ALICE, RequestPublication(*RELEASE_OF), Code.CONFLICT, "no files that could be published")
    refused(state, ALICE, ApprovePublication(*RELEASE_OF), Code.CONFLICT, "nothing of")
    uploaded(state, TABLE)
    refused(state, ALICE, RequestPublication(*RELEASE_OF, (CHART.path,)), Code.INVALID, "was not released")
    refused(state, user("pam"), RequestPublication(*RELEASE_OF), Code.FORBIDDEN, "pam cannot ask to publish")
    state.do(ROOT, RequestPublication(*RELEASE_OF))
    refused(state, ROOT, ApprovePublication(*RELEASE_OF), Code.FORBIDDEN, "root cannot publish")
    with_roles(state, "root", Role.SUPER_USER, Role.OUTPUT_PUBLISHER)
    refused(state, ROOT, ApprovePublication(*RELEASE_OF), Code.INVALID, "somebody else than root")
    refused(state, ALICE, ApprovePublication(*RELEASE_OF), Code.FORBIDDEN, "alice cannot publish")
    release = stored(state)
    (publication,) = release.publications
    for name in ("pam", "root"):
        forged = publication.model_copy(update={"approved": Deed(by=name, at=LATER)})
        push_refused(state, ROOT, "", publications=(forged,))
    whole = Publication(files=(TABLE.path,), requested=DEED, approved=DEED)
    push_refused(state, ROOT, "", publications=(publication, whole))
    push_refused(state, ROOT, "", publications=())


@pytest.mark.parametrize("make", [lambda: "x" * 10_001, lambda: "a\ud800"])
def test_a_comment_that_no_document_can_have(make: Callable[[], str]) -> None:
    state = prepared()
    asked(state)
    refused(state, CAROL, ReviewRelease(*RELEASE_OF, "carol", "approved", make()), Code.INVALID, "")


def test_a_release_has_at_most_ten_thousand_files() -> None:
    files = tuple(CheckedFile(path=f"output/{n}.csv", size=1, sha256="c" * 64) for n in range(10_001))
    state = prepared()
    refused(state, TPP, RequestRelease(*RELEASE_OF, "alice", files), Code.INVALID, "10000")
    state.do(TPP, RequestRelease(*RELEASE_OF, "alice", files[:-1]))
    refused(state, TPP, RequestRelease(*RELEASE_OF, "alice", files[-1:]), Code.INVALID, "at most 10000")


def test_a_push_says_the_time_as_it_is() -> None:
    state = approved()
    uploaded(state)
    release = stored(state)
    late = Tombstone(by="root", at=datetime.max.replace(tzinfo=UTC), reason="x")
    push_refused(state, ROOT, "which is in the future", withdrawn=late)
    push_refused(state, ROOT, "which is in the future", withdrawn=late.model_copy(update={"at": LATER + 2 * MINUTE}))
    state.files["backends/tpp"].clear()
    new = CheckedRelease(**{**dict(release), "author": "alice", "vouched_by": None, "files": (TABLE,), "reviews": ()})
    for wrong in (datetime.min.replace(tzinfo=UTC), LATER - 2 * MINUTE, LATER + 2 * MINUTE):
        with pytest.raises(Error, match="created_at: must be the time of the push"):
            push(state, ALICE, new.model_copy(update={"created_at": wrong}))
    push(state, ALICE, new.model_copy(update={"created_at": LATER}))


def test_a_release_whose_time_is_the_last_there_is_takes_no_more_steps() -> None:
    state = prepared()
    late = asked(state).model_copy(update={"created_at": datetime.max.replace(tzinfo=UTC)})
    state.files["backends/tpp"][PATH] = late
    refused(state, CAROL, ReviewRelease(*RELEASE_OF, "carol", "approved"), Code.CONFLICT, "nothing is later")
