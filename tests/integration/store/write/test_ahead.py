"""A batch that is decided while the one before it lands."""

import errno
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobserver.domain.admit import Admitted
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import User
from jobserver.errors import Error, conflict
from jobserver.store.git.packs import Pack
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.upstream import NewTips
from jobserver.store.write import turn
from jobserver.store.write.batch import Batch
from jobserver.store.write.submission import Submission, WriteResult
from jobserver.store.write.writer import Writer
from tests.site import ALICE, START, Site

BRANCH = "backends/tpp"
PATIENCE = 20  # seconds until a test gives up


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.repo.writer.enough_to_go_ahead = 1
    yield made
    made.git("fsck", "--full", "--strict")
    made.close()


def added(state: Snapshot, username: str, branch: str = BRANCH) -> Admitted:
    path = f"users/{username}.yaml"
    if state.blob(path) is not None:
        raise conflict(f"{username} exists")
    change = Change(path, None, User(username=username))
    return Admitted(state.tip, Changes(branch, "user.added", username, (change,)), SERVER, START)


class TwoBatches:
    """The second submission waits when the first one is decided.

    ``seen``: the tips that the second one was decided on. ``is_seen``: it was decided once.
    """

    def __init__(self, site: Site, branch: str = BRANCH, second: str = "emil") -> None:
        self._writer, self._branch, self._second = site.repo.writer, branch, second
        self.seen: list[str | None] = []
        self.is_seen = threading.Event()
        self.problems: list[Exception] = []  # of the second one, one for each time that it is decided
        self._outcomes: dict[str, WriteResult | Exception] = {}
        self._threads = [
            threading.Thread(target=self._submit, args=("first", branch, self._lead)),
            threading.Thread(target=self._submit, args=("second", BRANCH, self._follow)),
        ]

    def run(self) -> tuple[WriteResult | Exception, WriteResult | Exception]:
        self._threads[0].start()
        for thread in self._threads:
            thread.join(PATIENCE)
        return self._outcomes["first"], self._outcomes["second"]

    def _submit(self, name: str, branch: str, decide: Callable[[Snapshot], Admitted]) -> None:
        try:
            self._outcomes[name] = self._writer.submit(branch, lambda state: (decide(state), {}))
        except Exception as error:  # noqa: BLE001 - it is the outcome
            self._outcomes[name] = error

    def _lead(self, state: Snapshot) -> Admitted:
        ends = time.monotonic() + PATIENCE
        if self._threads[1].ident is None:
            self._threads[1].start()
            while not len(self._writer.queue) and time.monotonic() < ends:
                time.sleep(0.001)
        return added(state, "dora", self._branch)

    def _follow(self, state: Snapshot) -> Admitted:
        self.seen.append(state.tip)
        try:
            if self.problems:
                raise self.problems.pop()
            return added(state, self._second)
        finally:
            self.is_seen.set()


Move = Callable[[str, str | None, str], bool]


def lost(move: Move, *args: str) -> bool:
    return False


def refused(move: Move, *args: str) -> bool:
    raise OSError(errno.ENOSPC, "the disk is full")


def broken(move: Move, *args: str) -> bool:
    raise ZeroDivisionError


def moves_first(site: Site, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., bool], batches: TwoBatches) -> None:
    """The first move of a branch ends so, once the second submission was decided."""
    move, is_first = site.repo.writer.refs.move, [True]

    def watched(branch: str, old: str | None, new: str) -> bool:
        if is_first.pop() if is_first else False:
            assert batches.is_seen.wait(PATIENCE)
            return fault(move, branch, old, new)
        return move(branch, old, new)

    monkeypatch.setattr(site.repo.writer.refs, "move", watched)


def test_a_batch_is_decided_on_the_one_that_lands(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = TwoBatches(site)
    moves_first(site, monkeypatch, lambda move, *args: move(*args), batches)
    first, second = batches.run()
    assert isinstance(first, WriteResult)
    assert isinstance(second, WriteResult)
    assert batches.seen == [first.commit]
    assert site.git("rev-list", "-2", BRANCH).split() == [second.commit, first.commit]


@pytest.mark.parametrize("fault", [lost, refused])
def test_a_batch_that_lands_at_the_second_try_is_followed_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., bool]
) -> None:
    batches = TwoBatches(site)
    moves_first(site, monkeypatch, fault, batches)
    first, second = batches.run()
    assert isinstance(first, WriteResult)
    assert isinstance(second, WriteResult)
    assert batches.seen[-1] == first.commit
    assert len(batches.seen) == 2
    assert site.git("rev-list", "-2", BRANCH).split() == [second.commit, first.commit]


def test_what_was_not_found_ahead_is_looked_for_on_the_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches may drop an object that has not landed, and then nobody can read it."""
    batches = TwoBatches(site)
    batches.problems.append(KeyError("an object"))
    moves_first(site, monkeypatch, lambda move, *args: move(*args), batches)
    first, second = batches.run()
    assert isinstance(first, WriteResult)
    assert isinstance(second, WriteResult)
    assert batches.seen == [first.commit, first.commit]


def test_nobody_is_refused_because_of_what_never_came(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = TwoBatches(site, second="dora")  # as the first one
    moves_first(site, monkeypatch, broken, batches)
    first, second = batches.run()
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, WriteResult)
    assert site.git("rev-list", "-1", BRANCH).split() == [second.commit]
    assert len(batches.seen) == 2


class SecondTry:
    """Two requests for the same new actions. The first one fails on the disk, then the second one is decided, and then
    the first one is tried again. The second one fails too."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._site = site
        self.outcomes: dict[str, WriteResult | Exception] = {}
        self._has_failed, self._is_decided = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in ("first", "second")]
        self._finish, self._save, self._add = Batch.finish, Pack.save, Batch.add
        monkeypatch.setattr(site.repo.writer.queue, "before_batch", self._wait_to_lead)
        monkeypatch.setattr(Batch, "add", lambda *args: self._start_second(*args))
        monkeypatch.setattr(Batch, "finish", lambda *args: self._let_second_go(*args))
        monkeypatch.setattr(Pack, "save", lambda *args, **options: self._save_some(*args, **options))

    def run(self) -> None:
        self._threads[0].start()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _ask(self, name: str) -> None:
        ask = RequestJobs("trends", "tpp", ("new",), "0" * 40, {"new": PipelineAction(run="python new.py")})
        try:
            self.outcomes[name] = self._site.gate.submit(ALICE, ask, "test")
        except Error as error:
            self.outcomes[name] = error

    @property
    def _is_first(self) -> bool:
        return threading.current_thread() is self._threads[0]

    def _wait_to_lead(self) -> None:
        assert self._is_first or self._has_failed.wait(PATIENCE)

    def _start_second(self, batch: Batch, submission: Submission) -> None:
        if self._threads[1].ident is None:
            self._threads[1].start()
            while not len(self._site.repo.writer.queue):
                time.sleep(0.001)
        self._add(batch, submission)
        if not self._is_first:
            self._is_decided.set()

    def _let_second_go(self, batch: Batch, failures: Mapping[str, Exception]) -> None:
        if self._is_first and failures:
            self._has_failed.set()
            assert self._is_decided.wait(PATIENCE)
        self._finish(batch, failures)

    def _save_some(self, pack: Pack, *args: Any, **options: Any) -> Path:
        if not self._is_first or not self._has_failed.is_set():
            raise OSError(errno.ENOSPC, "the disk is full")
        return self._save(pack, *args, **options)


def test_a_batch_that_lands_at_the_second_try_brings_what_the_next_one_has_made_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its pipeline would be in the memory of the next one only; the site's `git fsck` finds that."""
    both = SecondTry(site, monkeypatch)
    both.run()
    assert isinstance(both.outcomes["first"], WriteResult)
    assert isinstance(both.outcomes["second"], Error)


class AlwaysAgrees:
    """An authority that accepts every move."""

    server = "a"

    def pace(self, waiting: Callable[[], Collection[str]]) -> None: ...

    def hurry(self) -> None: ...

    def permit(self) -> None: ...

    def publish(self, new_tips: NewTips) -> Mapping[str, Exception]:
        return {}

    def await_turn(self, branches: Collection[str]) -> None: ...

    def refresh(self) -> bool:
        return False


def main_moves(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> str:
    return "main"


def few_wait(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> str:
    writer.enough_to_go_ahead = 2
    return BRANCH


def the_turn_was_long(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(turn, "MOST_IN_ONE", 1)
    return BRANCH


def a_host_has_the_last_word(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> str:
    writer.authority = AlwaysAgrees()
    return BRANCH


@pytest.mark.parametrize("reason", [main_moves, few_wait, the_turn_was_long, a_host_has_the_last_word])
def test_no_batch_is_decided_ahead_if(
    site: Site, monkeypatch: pytest.MonkeyPatch, reason: Callable[[Writer, pytest.MonkeyPatch], str]
) -> None:
    batches = TwoBatches(site, reason(site.repo.writer, monkeypatch))
    move, early = site.repo.writer.refs.move, []

    def watched(branch: str, old: str | None, new: str) -> bool:
        early.append(batches.is_seen.wait(0.1))
        return move(branch, old, new)

    monkeypatch.setattr(site.repo.writer.refs, "move", watched)
    assert all(isinstance(outcome, WriteResult) for outcome in batches.run())
    assert early == [False, True]
