"""The writer, by hand: what becomes of a batch when something goes wrong in the middle of it."""

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from pathlib import Path

import pytest

from jobserver.domain.admit import Admitted
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.orgs import AddOrg
from jobserver.domain.projects import AddProject, SetProjectMember
from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import User
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Code, Error, unavailable
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.upstream import NewTips, RefConflict
from jobserver.store.write.submission import RefUpdate, WriteResult
from tests.site import ADMIN, ALICE, PIPELINE, START, Site

Decide = Callable[[Snapshot], tuple[Admitted, Mapping[str, str]]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.repo.writer.authority = None
    made.git("fsck", "--full", "--strict")
    made.close()


def adds(username: str, branch: str = "main", **more: object) -> Decide:
    def decide(state: Snapshot) -> tuple[Admitted, Mapping[str, str]]:
        user = User.model_validate({"username": username, **more})
        change = Change(f"users/{username}.yaml", state.user(username), user)
        changes = Changes(branch, "user.added", f"{username}\nActor: root", (change,))
        return Admitted(state.tip, changes, SERVER, START), {}

    return decide


def together(site: Site, *work: tuple[str, Decide]) -> list[WriteResult | Exception]:
    """In one batch, in this order: the first leads, and waits for its turn."""
    writer = site.repo.writer
    results: dict[int, WriteResult | Exception] = {}

    def submit(number: int, branch: str, decide: Decide) -> None:
        try:
            results[number] = writer.submit(branch, decide)
        except Exception as error:  # noqa: BLE001 - it is the result
            results[number] = error

    threads = [threading.Thread(target=submit, args=(number, *one)) for number, one in enumerate(work)]
    pause = threading.Event()
    before_batch = writer.queue.before_batch

    def when_all_wait() -> None:
        while len(writer.queue) < len(threads):
            pause.wait(0.001)
        before_batch()

    writer.queue.before_batch = when_all_wait
    for number, thread in enumerate(threads):
        thread.start()
        while len(writer.queue) < number + 1 and thread.is_alive() and number + 1 < len(threads):
            pause.wait(0.001)
    for thread in threads:
        thread.join()
    writer.queue.before_batch = before_batch
    return [results[number] for number in range(len(work))]


def no_space(*args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_bug_in_one_command_fails_it_alone(site: Site) -> None:
    def broken(state: Snapshot) -> tuple[Admitted, Mapping[str, str]]:
        raise ZeroDivisionError

    bad, good = together(site, ("main", broken), ("main", adds("dora")))
    assert isinstance(bad, ZeroDivisionError)
    assert isinstance(good, WriteResult)
    assert site.repo.writer.tips.last_written("main")[0] == good.commit == site.repo.writer.refs.tip("main")


def test_a_change_judged_on_another_tip_is_not_committed(site: Site) -> None:
    stale = adds("dora")

    def late(state: Snapshot) -> tuple[Admitted, Mapping[str, str]]:
        admitted, more = stale(state)
        return Admitted("0" * 40, admitted.changes, SERVER, START), more

    with pytest.raises(Error, match="the branch has moved since the decision"):
        site.repo.writer.submit("main", late)


def test_a_document_too_large_to_be_read_again_is_not_written(site: Site) -> None:
    tokens = [PersonalToken(sha256="a" * 64, label="x" * 900, created_at=START)] * 100
    with pytest.raises(Error, match=r"users/dora.yaml: \d+ bytes as YAML, at most 65536"):
        site.repo.writer.submit("main", adds("dora", tokens=tokens))


def test_a_subject_can_not_add_trailers(site: Site) -> None:
    site.repo.writer.submit("main", adds("dora"))
    assert site.git("log", "-1", "--format=%s", "main") == "dora Actor: root\n"
    assert "Actor: server/jobserver" in site.git("log", "-1", "--format=%(trailers)", "main")


def test_a_lost_branch_is_decided_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = site.repo.writer
    move, moves, before = writer.refs.move, [False, True], dict(writer.tries)
    monkeypatch.setattr(writer.refs, "move", lambda *args: moves.pop(0) and move(*args))
    assert writer.submit("main", adds("dora")).changed
    assert writer.tries == {**before, 1: 1}


def test_a_branch_that_others_hold_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = site.repo.writer
    monkeypatch.setattr(writer.refs, "move", lambda *args: False)
    with pytest.raises(Error, match="other processes keep moving this branch; try again") as refused:
        writer.submit("main", adds("dora"))
    assert refused.value.code is Code.UNAVAILABLE
    with pytest.raises(Error, match="other processes keep moving this branch; try again"):
        writer.commit_files("main", {"README.md": b""}, "x", "x", START)


def test_a_full_disk_is_said_plainly(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = site.repo.writer
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(Error, match="the disk is full"):
        writer.submit("main", adds("dora"))
    with pytest.raises(Error, match="the disk is full"):
        writer.commit_files("main", {"README.md": b""}, "x", "x", START)


def test_a_lock_file_that_the_disk_refuses_is_said_plainly(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = site.repo.writer
    monkeypatch.setattr("fcntl.flock", no_space)
    with pytest.raises(Error, match="the disk is full"):
        writer.submit("main", adds("dora"))


def test_nothing_lands_on_a_main_that_was_lost(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = site.repo.writer
    move, moved = writer.refs.move, []

    def once(branch: str, old: str | None, new: str) -> bool:
        moved.append(branch)
        return len(moved) > 1 and move(branch, old, new)

    monkeypatch.setattr(writer.refs, "move", once)
    seen: list[RefUpdate] = []
    writer.listen(seen.append, lambda: None)
    first, second = together(site, ("backends/tpp", adds("x", "backends/tpp")), ("main", adds("dora")))
    assert isinstance(first, WriteResult)
    assert isinstance(second, WriteResult)
    assert moved[:1] + moved[-2:] == ["main", "main", "backends/tpp"]
    assert {landing.branch for landing in seen} >= {"main"}


def test_an_interrupt_is_told_to_all_who_wait(site: Site) -> None:
    def interrupted(state: Snapshot) -> tuple[Admitted, Mapping[str, str]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.repo.writer.submit("main", interrupted)
    assert site.repo.writer.submit("main", adds("dora")).changed


class Distant:
    """An authority that does what a test says."""

    def __init__(self, *answers: Mapping[str, Exception]) -> None:
        self.answers = list(answers)
        self.hurried = 0
        self.server = ""

    def pace(self, waiting: Callable[[], Collection[str]]) -> None:
        """Being fair is no reason to stop: whatever goes wrong here, the batch goes on."""
        assert waiting() is not None
        raise ZeroDivisionError

    def await_turn(self, branches: Collection[str]) -> None:
        self.refresh()

    def hurry(self) -> None:
        self.hurried += 1

    def permit(self) -> None:
        pass

    def publish(self, new_tips: NewTips) -> Mapping[str, Exception]:
        return self.answers.pop(0) if self.answers else {}

    def refresh(self) -> bool:
        raise unavailable("the host is down")


def test_a_branch_that_moved_is_acknowledged_when_the_host_goes_down(site: Site) -> None:
    """One branch lost, one moved, and then nobody to ask: only the lost one is refused."""
    site.repo.writer.authority = distant = Distant({"backends/tpp": RefConflict()})
    done, lost = together(site, ("main", adds("dora")), ("backends/tpp", adds("x", "backends/tpp")))
    assert isinstance(done, WriteResult)
    assert isinstance(lost, Error)
    assert str(lost) == "the host is down"
    site.repo.writer.authority.answers = [{}]
    site.repo.writer.submit("main", adds("emil"), is_urgent=True)
    assert distant.hurried == 1


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_published_write_counts_even_if_the_branch_can_not_be_moved_here(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    writer = site.repo.writer
    writer.authority = Distant()
    before = writer.refs.tip("main")
    with monkeypatch.context() as patch:
        patch.setattr(writer.refs, "move", no_space if is_refused else lambda *args: False)
        written = writer.submit("main", adds("dora"))
    assert written.changed
    assert writer.refs.tip("main") == before != written.commit
    writer.authority = None


def test_a_new_branch_begins_with_its_first_commit(site: Site) -> None:
    told: list[RefUpdate] = []
    site.repo.writer.listen(told.append, lambda: None)
    assert site.repo.writer.submit("backends/new", adds("dora", "backends/new")).changed
    assert told == []  # it came from nowhere: there is nothing to follow


# What decisions look at


def test_a_branch_is_read_as_it_is(site: Site) -> None:
    identifier = site.ask("generate")
    site.do(ADMIN, AddOrg("datalab"))
    site.do(ADMIN, AddProject("datalab/trends"))

    def look(state: Snapshot) -> None:
        assert [one.slug for one in state.backends()] == ["tpp"]
        assert state.root is not None
        assert [one.request.identifier for one in state.active()] == [identifier]
        (stored,) = state.active()
        assert state.find(identifier) == stored
        assert state.jobs(stored.place) == {}
        assert state.owner("nobody") is None
        assert state.read_file("no/such/file.txt") is None
        assert state.read_file("README.md/below") is None
        assert state.receipt() is state.checkpoint() is None

    site.repo.writer.read("backends/tpp", look)
    site.repo.writer.read("backends/none", lambda state: state.read_file("README.md"))
    assert site.repo.writer.read("backends/none", lambda state: state.find(identifier)) is None
    assert site.repo.writer.read("main", lambda state: state.own_workspace("trends")) is not None


def test_requests_whose_day_is_not_in_their_name(site: Site, tmp_path: Path) -> None:
    """Of a server before this one: their ids say nothing of the day, so every day is looked at."""
    identifier = site.ask("generate")
    clone = tmp_path / "clone"
    site.git("clone", "-q", "-b", "backends/tpp", str(site.path), str(clone))
    (source,) = clone.glob(f"active/*/{identifier}")
    made_up = {"aaaaaaaaaaaaaaaa": "active/2021-01-02", "bbbbbbbbbbbbbbbb": "archive/2021/03/04"}
    for name, day in made_up.items():
        folder = clone / day / name
        folder.mkdir(parents=True)
        text = (source / "request.yaml").read_text().replace(identifier, name)
        (folder / "request.yaml").write_text(text)
    (clone / "active" / "2021-01-02" / "cccccccccccccccc").mkdir()
    (clone / "active" / "2021-01-02" / "cccccccccccccccc" / "request.yaml").write_text("version: [\n")
    site.git("-C", str(clone), "add", ".")
    site.git("-C", str(clone), "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x")
    site.git("-C", str(clone), "push", "-q", "origin", "HEAD:refs/heads/imported")

    def look(state: Snapshot) -> list[tuple[str, date]]:
        found = [state.find(name) for name in made_up]
        assert state.find("dddddddddddddddd") is None
        assert len(list(state.active())) == 2  # the one that can't be read is passed over
        return [(one.place.folder, one.place.day) for one in found if one is not None]

    assert site.repo.writer.read("imported", look) == [
        ("active/2021-01-02/aaaaaaaaaaaaaaaa", date(2021, 1, 2)),
        ("archive/2021/03/04/bbbbbbbbbbbbbbbb", date(2021, 3, 4)),
    ]
    site.git("update-ref", "-d", "refs/heads/imported")


def test_referrers_are_found_by_their_documents(site: Site) -> None:
    site.do(ADMIN, AddOrg("datalab"))
    site.do(ADMIN, AddProject("datalab/trends"))
    site.do(ADMIN, SetProjectMember("datalab/trends", "bob", (Role.PROJECT_DEVELOPER,)))
    site.do(ALICE, AddWorkspace("grouped", "study", "main", project="datalab/trends"))
    broken = dict.fromkeys(("workspaces/broken.yaml", "projects/datalab/broken.yaml"), b"version: [\n")
    site.repo.writer.commit_files("main", broken, "x", "x", START)

    def look(state: Snapshot) -> None:
        assert state.referrers(Kind.ORG, "datalab") == [
            "projects/datalab/broken.yaml",
            "projects/datalab/trends.yaml",
        ]
        assert state.referrers(Kind.ORG, "other") == []
        assert state.referrers(Kind.PROJECT, "datalab/trends") == ["workspaces/grouped.yaml"]
        assert state.referrers(Kind.USER, "alice") == ["workspaces/grouped.yaml", "workspaces/trends.yaml"]
        assert state.referrers(Kind.USER, "bob") == ["projects/datalab/trends.yaml"]
        assert state.referrers(Kind.USER, "admin") == []

    site.repo.writer.read("main", look)
    site.repo.writer.commit_files("main", {"workspaces/broken.yaml": b""}, "x", "x", START)
    assert site.ask(*PIPELINE)
