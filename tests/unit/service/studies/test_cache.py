"""What is remembered, for how long, and that only silence is answered from memory."""

from datetime import UTC, datetime, timedelta

import pytest

from jobserver.domain.pipeline.reader import MAX_FILE_BYTES, Pipeline
from jobserver.errors import Error, conflict, not_found, unavailable
from jobserver.service.studies.base import Branch, Study, StudyChanges, StudyRef, Tip
from jobserver.service.studies.cached_source import CachedSource

START = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)


class Place:
    """Holds one branch, whose tip is ``sha``; raises ``error`` if it is set, for those methods."""

    patience = 1.0

    def __init__(self) -> None:
        self.sha = "a" * 40
        self.error: Error | None = None
        self.failing = {"branches", "tip", "project_file"}
        self.read: list[str] = []
        self.run = "at"
        self.has: list[str] = []
        self.compared: list[str] = []

    def _fail(self, method: str) -> None:
        if self.error is not None and method in self.failing:
            raise self.error

    def check_repo(self, repo: str) -> str:
        return repo

    def repositories(self, until: float) -> tuple[str, ...]:
        return ()

    def branches(self, repo: str, until: float) -> tuple[Branch, ...]:
        self._fail("branches")
        return (Branch("main", self.sha),)

    def tip(self, repo: str, branch: str, until: float) -> str:
        self._fail("tip")
        return self.sha

    def resolve(self, repo: str, ref: str, own: str, until: float) -> StudyRef:
        self._fail("resolve")
        self.read.append(ref)
        return StudyRef(ref, self.sha, own)

    def project_file(self, repo: str, sha: str, until: float) -> bytes:
        self._fail("project_file")
        self.read.append(sha)
        return f"actions: {{a: {{run: '{self.run} {sha[0]}'}}}}".encode()

    def message(self, repo: str, sha: str, until: float) -> str:
        self._fail("message")
        return f"Commit {sha[0]}\n\nMore."

    def changes(self, repo: str, old: str, new: str, until: float) -> StudyChanges | None:
        self._fail("changes")
        self.compared.append(new)
        return StudyChanges((), ("+x",)) if new in self.has else None


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(place: Place, clock: Clock) -> CachedSource:
    return CachedSource(place, clock)


def test_a_commit_is_read_once(place: Place, known: CachedSource) -> None:
    assert known.project("r", "main") == known.project("r", "main")
    known.project("r", "other")
    assert place.read == [place.sha]
    known.project("other", "main")
    assert place.read == [place.sha, place.sha]


def test_a_comparison_is_cached_once_it_is_there(place: Place, known: CachedSource) -> None:
    assert known.changes("r", "a", "b") is None  # perhaps somebody pushes it later
    place.has.append("b")
    assert known.changes("r", "a", "b") == known.changes("r", "a", "b") == StudyChanges((), ("+x",))
    assert place.compared == ["b", "b"]


def test_the_tip_may_be_known_later_than_a_study(place: Place, known: CachedSource, clock: Clock) -> None:
    known.project("r", "main")
    clock.now += timedelta(minutes=5)
    known.tip("r", "main")
    clock.now += timedelta(minutes=5)
    place.error = unavailable("silent")
    assert known.project("r", "main").as_of == START + timedelta(minutes=5)


def test_a_known_tip_without_its_file_falls_back_to_the_study_before(
    place: Place, known: CachedSource, clock: Clock
) -> None:
    known.project("r", "main")
    clock.now += timedelta(minutes=5)
    place.sha = "b" * 40
    known.tip("r", "main")
    place.error = unavailable("silent")
    assert known.tip("r", "main") == Tip("b" * 40, START + timedelta(minutes=5))
    study = known.project("r", "main")
    assert (study.sha, study.as_of, study.pipeline.actions["a"].run) == ("a" * 40, START, "at a")


def test_an_answer_from_memory_does_not_grow_younger(place: Place, known: CachedSource, clock: Clock) -> None:
    known.project("r", "main")
    known.branches("r")
    place.error = unavailable("silent")
    for _ in range(3):
        clock.now += timedelta(minutes=5)
        assert known.project("r", "main").as_of == START
        assert known.branches("r").as_of == START


@pytest.mark.parametrize("error", [not_found("gone"), conflict("odd")])
def test_other_refusals_are_passed_on(place: Place, known: CachedSource, error: Error) -> None:
    known.project("r", "main")
    known.branches("r")
    place.error = error
    for ask in (
        lambda: known.project("r", "main"),
        lambda: known.tip("r", "main"),
        lambda: known.branches("r"),
    ):
        with pytest.raises(Error) as caught:
            ask()
        assert caught.value is error


def test_memory_is_of_the_branch_that_was_asked(place: Place, known: CachedSource) -> None:
    known.project("r", "main")
    known.branches("r")
    place.error = unavailable("silent")
    for ask in (
        lambda: known.project("r", "other"),
        lambda: known.tip("x", "main"),
        lambda: known.branches("x"),
    ):
        with pytest.raises(Error) as caught:
            ask()
        assert caught.value is place.error


def test_a_faulty_commit_is_read_once(place: Place, known: CachedSource) -> None:
    """Its faults are as lasting as a sound one's actions, and finding them may cost as much."""
    place.run = "'"  # ends the text too early
    told = set()
    for _ in range(3):
        with pytest.raises(Error) as caught:
            known.project("study", "main")
        told.add((caught.value.code, str(caught.value), caught.value.faults))
        assert caught.value.__context__ is None
    assert len(told) == 1
    assert place.read == ["a" * 40]
    place.run, place.sha = "at", "b" * 40
    assert list(known.project("study", "main").pipeline.actions) == ["a"]


def test_a_file_that_is_not_there_is_asked_for_again(place: Place, known: CachedSource) -> None:
    place.error, place.failing = not_found("Could not find project.yaml"), {"project_file"}
    with pytest.raises(Error):
        known.project("study", "main")
    place.error = None
    assert list(known.project("study", "main").pipeline.actions) == ["a"]


def test_the_largest_study_is_remembered(known: CachedSource) -> None:
    known._commits.put(("study", "a"), Study("a", Pipeline({}), "x" * MAX_FILE_BYTES))
    assert known._commits.get(("study", "a")) is not None


def test_a_study_has_its_commits_subject_if_the_source_says_it(place: Place, known: CachedSource) -> None:
    assert known.project("study", "main").subject == f"Commit {place.sha[0]}"
    place.sha, place.error, place.failing = "b" * 40, unavailable("not now"), {"message"}
    assert (known.project("study", "main").sha, known.project("study", "main").subject) == ("b" * 40, "")


def test_a_tag_is_asked_for_once_a_minute_and_a_branch_each_time(
    place: Place, clock: Clock, known: CachedSource
) -> None:
    for ref in ("refs/tags/v1", "refs/heads/dev"):
        for _ in range(3):
            assert known.project_at("r", ref, "main").chosen == StudyRef(ref, "a" * 40, "main")
    assert [place.read.count(ref) for ref in ("refs/tags/v1", "refs/heads/dev")] == [1, 3]
    clock.now += timedelta(seconds=61)
    known.project_at("r", "refs/tags/v1", "main")
    assert place.read.count("refs/tags/v1") == 2


def test_a_silent_source_still_has_the_tags_that_it_told_of(place: Place, clock: Clock, known: CachedSource) -> None:
    known.project_at("r", "refs/tags/v1", "main")
    clock.now += timedelta(days=1)
    place.error, place.failing = unavailable("silent"), {"resolve"}
    assert known.project_at("r", "refs/tags/v1", "main").sha == "a" * 40
    for ref in ("refs/tags/v2", "refs/heads/dev"):
        with pytest.raises(Error, match="silent"):
            known.project_at("r", ref, "main")
    place.error = not_found("gone")
    with pytest.raises(Error, match="gone"):
        known.project_at("r", "refs/tags/v1", "main")
