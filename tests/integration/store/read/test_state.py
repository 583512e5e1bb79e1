"""`State`, which `plan` and `admit` read: the fake in memory and the snapshot of a real branch answer alike."""

import subprocess
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TypeAlias

import pytest

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import AUDIT, CHECKPOINT_PATH, MAIN, RECEIPT_PATH, Area, Kind, Place, main_path
from jobserver.domain.base.state import State, Stored
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest, RequestedWorkspace
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.projects import Project
from jobserver.domain.record import Checkpoint, Receipt
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.yaml import codec
from tests.memory import ID, NOW, Memory, job

Files: TypeAlias = Mapping[str, AnyDocument | None]  # None: a file that can't be read
Open: TypeAlias = Callable[[str, Mapping[str, Files]], State]

TPP = "backends/tpp"
OTHER, THIRD = "2" * 16, "3" * 16
PLACE = Place(Area.ACTIVE, NOW.date(), ID)
OLDER = Place(Area.ACTIVE, date(2026, 11, 1), OTHER)
ARCHIVED = Place(Area.ARCHIVE, date(2026, 10, 31), THIRD)
TRENDS = Workspace(
    name="trends", project="lab/p", repo="study", branch="main", db="full", created_by="alice", created_at=NOW
)
REQUEST = JobRequest(
    identifier=ID,
    backend="tpp",
    created_by="alice",
    created_at=NOW,
    sha="0" * 40,
    requested_actions=("generate",),
    database_name="full",
    workspace=RequestedWorkspace.model_validate(
        TRENDS.model_dump(exclude={"version", "project", "archived", "should_notify"})
    ),
)
PIPELINE = StoredPipeline(actions={"generate": PipelineAction(run="python g.py")})
ALICE, BOB = User(username="alice"), User(username="bob", active=False)
EMIS, BACKEND = (Backend(slug=slug, name=slug.upper(), created_at=NOW) for slug in ("emis", "tpp"))
MESSAGE = SiteMessage(text="No jobs run on Friday")
LAB = Org(slug="lab", name="Lab", members=(Member(username="bob"),))
P = Project(slug="p", name="P", org="lab", members=(Member(username="alice"),))
DOCUMENTS: Files = {
    main_path(Kind.BACKEND, "tpp"): BACKEND,
    main_path(Kind.BACKEND, "emis"): EMIS,
    main_path(Kind.USER, "bob"): BOB,
    main_path(Kind.USER, "alice"): ALICE,
    main_path(Kind.ORG, "lab"): LAB,
    "messages/site.yaml": MESSAGE,
    main_path(Kind.PROJECT, "lab/p"): P,
    main_path(Kind.WORKSPACE, "trends"): TRENDS,
}


def in_memory(branch: str, branches: Mapping[str, Files]) -> Memory:
    state = Memory()
    for name, files in branches.items():
        state.files[name] = {path: document or ALICE for path, document in files.items()}
        state.broken |= {path for path, document in files.items() if document is None}
    return state.on(branch)


@pytest.fixture(params=["in memory", "in git"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one branch of a repository that holds these files."""
    if request.param == "in memory":
        return in_memory

    def in_git(branch: str, branches: Mapping[str, Files]) -> Snapshot:
        subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
        stream = b"".join(imported(name, files) for name, files in branches.items())
        subprocess.run(["git", "-C", tmp_path, "fast-import", "--quiet"], input=stream, check=True)
        objects = Objects(tmp_path)
        heads = {name: Head.read(name, tip(tmp_path, name), objects) for name in (branch, MAIN)}
        return Snapshot(objects, heads[branch], heads[MAIN])

    return in_git


def imported(branch: str, files: Files) -> bytes:
    """One commit in the format of git-fast-import(1)."""
    head = f"commit refs/heads/{branch}\ncommitter x <x@example.org> 1764000000 +0000\ndata 1\nx\n".encode()
    texts = {path: codec.write(document) if document else b"broken: [\n" for path, document in files.items()}
    return head + b"".join(b"M 644 inline %s\ndata %d\n%s\n" % (p.encode(), len(t), t) for p, t in texts.items())


def tip(repository: Path, branch: str) -> str | None:
    command = ["git", "-C", repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None


def test_a_document_of_main_is_read_by_its_name_from_every_branch(state: Open) -> None:
    seen = state(TPP, {MAIN: DOCUMENTS, TPP: {PLACE.request: REQUEST}})
    assert seen.branch == TPP
    assert (seen.backend("tpp"), seen.backend("emis"), seen.backend("none")) == (BACKEND, EMIS, None)
    assert (seen.user("alice"), seen.user("bob"), seen.user("none")) == (ALICE, BOB, None)
    assert (seen.org("lab"), seen.org("none")) == (LAB, None)
    assert seen.site_message() == MESSAGE
    assert (seen.project("lab/p"), seen.project("lab/none"), seen.project("none/p")) == (P, None, None)
    assert (seen.workspace("trends"), seen.workspace("none")) == (TRENDS, None)


def test_lists_of_main_are_in_the_order_of_their_paths(state: Open) -> None:
    seen = state(MAIN, {MAIN: DOCUMENTS})
    assert list(seen.backends()) == [EMIS, BACKEND]
    assert list(seen.users()) == [ALICE, BOB]
    assert list(seen.projects()) == [P]


def test_a_document_of_main_that_cannot_be_read_is_a_fault_and_in_no_list(state: Open) -> None:
    seen = state(MAIN, {MAIN: dict.fromkeys(DOCUMENTS)})
    for path, read in (
        ("backends/tpp.yaml", lambda: seen.backend("tpp")),
        ("users/alice.yaml", lambda: seen.user("alice")),
        ("orgs/lab.yaml", lambda: seen.org("lab")),
        ("projects/lab/p.yaml", lambda: seen.project("lab/p")),
        ("workspaces/trends.yaml", lambda: seen.workspace("trends")),
    ):
        with pytest.raises(Error) as refused:
            read()
        assert refused.value.code is Code.INVALID
        assert str(refused.value).startswith(path)
    assert not [*seen.backends(), *seen.users(), *seen.projects()]


def test_a_request_is_found_in_both_areas_whatever_day_its_id_is_of(state: Open) -> None:
    older, archived = (REQUEST.model_copy(update={"identifier": name}) for name in (OTHER, THIRD))
    files: Files = {ARCHIVED.request: archived, PLACE.request: REQUEST, OLDER.request: older}
    seen = state(TPP, {MAIN: DOCUMENTS, TPP: files})
    assert seen.find(ID) == Stored(PLACE, REQUEST)
    assert seen.find(OTHER) == Stored(OLDER, older)
    assert seen.find(THIRD) == Stored(ARCHIVED, archived)
    assert seen.find("4" * 16) is None
    assert list(seen.active()) == [Stored(OLDER, older), Stored(PLACE, REQUEST)]


def test_a_request_that_cannot_be_read_is_a_fault_and_not_active(state: Open) -> None:
    seen = state(TPP, {MAIN: DOCUMENTS, TPP: {PLACE.request: None, PLACE.pipeline: None}})
    assert not list(seen.active())
    for read in (lambda: seen.find(ID), lambda: seen.pipeline(PLACE)):
        with pytest.raises(Error) as refused:
            read()
        assert refused.value.code is Code.INVALID


def test_a_pipeline_stands_beside_its_request(state: Open) -> None:
    seen = state(TPP, {MAIN: DOCUMENTS, TPP: {PLACE.request: REQUEST, PLACE.pipeline: PIPELINE}})
    assert seen.pipeline(PLACE) == PIPELINE
    assert seen.pipeline(OLDER) is None


def test_jobs_are_those_of_one_request_that_can_be_read(state: Open) -> None:
    first, second, other = job("j1"), job("j2", "running", 5), job("j4")
    files: Files = {
        PLACE.request: REQUEST,
        PLACE.job("j2"): second,
        PLACE.job("j1"): first,
        PLACE.job("j3"): None,
        OLDER.request: REQUEST.model_copy(update={"identifier": OTHER}),
        OLDER.job("j4"): other,
    }
    seen = state(TPP, {MAIN: DOCUMENTS, TPP: files})
    assert seen.jobs(PLACE) == {"j1": first, "j2": second}
    assert seen.jobs(OLDER) == {"j4": other}
    assert seen.jobs(ARCHIVED) == {}


def test_a_job_is_owned_by_the_active_request_whose_folder_has_its_file(state: Open) -> None:
    files: Files = {PLACE.job("j1"): job("j1"), PLACE.job("j2"): None, ARCHIVED.job("j3"): job("j3")}
    seen = state(TPP, {MAIN: DOCUMENTS, TPP: {PLACE.request: REQUEST, **files}})
    assert [seen.owner(name) for name in ("j1", "j2", "j3", "j4")] == [ID, ID, None, None]


def test_referrers_are_the_paths_of_the_documents_on_main_that_name_something(state: Open) -> None:
    seen = state(MAIN, {MAIN: DOCUMENTS})
    assert sorted(seen.referrers(Kind.USER, "alice")) == ["projects/lab/p.yaml", "workspaces/trends.yaml"]
    assert seen.referrers(Kind.USER, "bob") == ["orgs/lab.yaml"]
    assert seen.referrers(Kind.ORG, "lab") == ["projects/lab/p.yaml"]
    assert seen.referrers(Kind.PROJECT, "lab/p") == ["workspaces/trends.yaml"]
    assert seen.referrers(Kind.PROJECT, "lab/none") == []


def test_a_document_that_cannot_be_read_refers_to_nothing_but_a_project_to_its_org(state: Open) -> None:
    seen = state(MAIN, {MAIN: dict.fromkeys(DOCUMENTS)})
    assert seen.referrers(Kind.USER, "alice") == []
    assert seen.referrers(Kind.PROJECT, "lab/p") == []
    assert seen.referrers(Kind.ORG, "lab") == ["projects/lab/p.yaml"]


def test_the_branch_audit_has_one_receipt_and_one_checkpoint(state: Open) -> None:
    receipt = Receipt(number=1, branch=MAIN, old="1" * 40, new="2" * 40, pusher="user/root", received_at=NOW)
    checkpoint = Checkpoint(number=2, tips={MAIN: "1" * 40}, made_at=NOW)
    branches: Mapping[str, Files] = {
        MAIN: DOCUMENTS,
        AUDIT: {RECEIPT_PATH: receipt, CHECKPOINT_PATH: checkpoint},
    }
    seen = state(AUDIT, branches)
    assert (seen.receipt(), seen.checkpoint()) == (receipt, checkpoint)


def test_a_branch_that_does_not_exist_holds_nothing(state: Open) -> None:
    seen = state(AUDIT, {MAIN: DOCUMENTS})
    assert (seen.receipt(), seen.checkpoint(), seen.find(ID), seen.owner("j"), list(seen.active())) == (
        None, None, None, None, [])  # fmt: skip
    assert seen.user("alice") == ALICE
