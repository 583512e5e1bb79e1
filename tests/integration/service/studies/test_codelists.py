"""What OpenCodelists says of a study's codelists, what counts when it says nothing, and which actions that concerns."""

import json
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs

import pytest

from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.errors import Code, Error, unavailable
from jobserver.service.studies import codelists
from jobserver.service.studies.codelists import CodelistCheck, Codelists
from tests.e2e.harness import until
from tests.receiver import Receiver, receiving

MANIFEST = json.dumps({"files": {"a.csv": {"id": "org/asthma/1a2b", "url": "x", "sha": "0" * 40}}})
FILES: Mapping[str, bytes] = {"codelists.txt": b"org/asthma/1a2b\n", "codelists.json": MANIFEST.encode()}
PIPELINE = {
    "extract": PipelineAction(run="ehrql:v1 generate-dataset d.py --output output/d.csv"),
    "model": PipelineAction(run="r:v2 m.R", needs=("extract",)),
    "tidy": PipelineAction(run="python:v2 t.py"),
}
STALE = json.dumps({"status": "error", "data": {"added": [], "removed": ["org/b/1"], "changed": ["org/asthma/1a2b"]}})
HELP = "run `opensafely codelists update`, then commit and push the changes"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long to answer itself."""
    monkeypatch.setattr(codelists, "SECONDS", 30.0)


@pytest.fixture
def opencodelists() -> Iterator[Receiver]:
    with receiving(Receiver(status=200, body=b'{"status": "ok"}')) as receiver:
        yield receiver


def lists(opencodelists: Receiver, files: object = FILES, clock: Clock | None = None) -> Codelists:
    def read(repo: str, sha: str) -> Mapping[str, bytes] | None:
        if isinstance(files, Error):
            raise files
        return files  # type: ignore[return-value]

    return Codelists(f"http://127.0.0.1:{opencodelists.port}/", read, clock or Clock())


def test_the_list_and_the_manifest_are_sent_once_for_each_commit(opencodelists: Receiver) -> None:
    clock = Clock()
    checked = lists(opencodelists, clock=clock)
    assert [checked.check("study", "a") for _ in range(2)] == [CodelistCheck()] * 2
    ((_, body),) = opencodelists.calls
    assert parse_qs(body) == {"codelists": ["org/asthma/1a2b\n"], "manifest": [MANIFEST]}
    checked.check("study", "b")
    clock.now += 601
    checked.check("study", "a")
    assert opencodelists.attempts == 3


def test_codelists_that_are_out_of_date_are_named(opencodelists: Receiver) -> None:
    opencodelists.body = STALE.encode()
    expected = f"codelists are out of date (removed org/b/1; changed org/asthma/1a2b): {HELP}"
    assert lists(opencodelists).check("study", "a") == CodelistCheck(False, expected)
    opencodelists.body = b'{"status": "error", "data": {"error": "x/y could not\\nbe found"}}'
    expected = f"codelists are out of date (x/y could not be found): {HELP}"
    assert lists(opencodelists).check("study", "a") == CodelistCheck(False, expected)
    for data in (b"null", b"[]", b'{"changed": 7, "error": []}'):
        opencodelists.body = b'{"status": "error", "data": %s}' % data
        assert lists(opencodelists).check("study", "a") == CodelistCheck(False, f"codelists are out of date: {HELP}")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"", "OpenCodelists answered 500"),
        (404, b'{"status": "ok"}', "OpenCodelists answered 404"),
        (301, b"", "OpenCodelists answered 301"),
        (200, b"", "OpenCodelists sent an answer that can't be read"),
        (200, b"<html>", "OpenCodelists sent an answer that can't be read"),
        (200, b"[" * 100_000, "OpenCodelists sent an answer that can't be read"),
        (200, b'["ok"]', "OpenCodelists sent an answer that can't be read"),
        (200, b'{"status": "fine"}', "OpenCodelists sent an answer that can't be read"),
        (200, b" " * 2_000_000, "OpenCodelists sent too much"),
        (0, b"", "OpenCodelists did not answer within 0.2 s"),
    ],
)
def test_what_is_not_an_answer_refuses_nothing(
    opencodelists: Receiver, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, reason: str
) -> None:
    """And nobody waits for it again for a minute, whatever the study."""
    if status == 0:
        monkeypatch.setattr(codelists, "SECONDS", 0.2)
    opencodelists.status, opencodelists.body = status, body
    clock = Clock()
    checked = lists(opencodelists, clock=clock)
    expected = CodelistCheck(problem=f"codelists were not checked: {reason}")
    assert checked.require("study", "a", ["extract"], PIPELINE, is_forced=False) == expected
    assert checked.check("other", "b") == expected
    until(lambda: opencodelists.attempts > 0)  # on a busy machine nobody waits any more when it arrives
    assert opencodelists.attempts == 1
    monkeypatch.setattr(codelists, "SECONDS", 30.0)
    opencodelists.status, opencodelists.body = 200, b'{"status": "ok"}'
    clock.now += 61
    assert checked.check("study", "a") == CodelistCheck()


def test_a_server_that_is_not_there_refuses_nothing(opencodelists: Receiver) -> None:
    opencodelists.port = 1
    assert "OpenCodelists can't be reached" in lists(opencodelists).check("study", "a").problem
    silent = lists(opencodelists, unavailable("GitHub did not answer within 5 s", "github.com"))
    expected = CodelistCheck(problem="codelists were not checked: GitHub did not answer within 5 s")
    assert silent.check("study", "a") == expected


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (None, ""),
        ({}, "codelists/ has no codelists.txt and no codelists.json"),
        ({"codelists.txt": b""}, "codelists/ has no codelists.json"),
        ({**FILES, "codelists.txt": b"\xff"}, "codelists/codelists.txt is not UTF-8 text"),
        ({**FILES, "codelists.json": b"{"}, "codelists/codelists.json is not what"),
        ({**FILES, "codelists.json": b"[]"}, "codelists/codelists.json is not what"),
        ({**FILES, "codelists.json": b'{"files": [1]}'}, "codelists/codelists.json is not what"),
        ({**FILES, "codelists.json": b'{"files": {"a": {}}}'}, "codelists/codelists.json is not what"),
        ({**FILES, "codelists.json": b"[" * 100_000}, "codelists/codelists.json is not what"),
    ],
)
def test_a_study_without_codelists_is_sound_and_one_with_half_of_them_is_not(
    opencodelists: Receiver, files: Mapping[str, bytes] | None, problem: str
) -> None:
    """OpenCodelists would have a fault, and count as down."""
    check = lists(opencodelists, files).check("study", "a")
    assert (check.is_ok, check.problem.startswith(problem)) == (not problem, True)
    assert opencodelists.attempts == 0


def test_a_study_that_cannot_be_read_silences_no_other(opencodelists: Receiver) -> None:
    def read(repo: str, sha: str) -> Mapping[str, bytes]:
        if repo == "away":
            raise unavailable("the study can't be read")
        return FILES

    checked = Codelists(f"http://127.0.0.1:{opencodelists.port}/", read, Clock())
    expected = CodelistCheck(problem="codelists were not checked: the study can't be read")
    assert [checked.check(repo, "a") for repo in ("away", "study")] == [expected, CodelistCheck()]
    assert opencodelists.attempts == 1


def test_only_actions_that_use_the_database_need_codelists(opencodelists: Receiver) -> None:
    opencodelists.body = STALE.encode()
    checked = lists(opencodelists)
    assert checked.require("study", "a", ["tidy"], PIPELINE, is_forced=True) == CodelistCheck()
    assert opencodelists.attempts == 0
    for actions, is_forced in ((["extract"], False), (["model"], True), (["run_all"], True)):
        with pytest.raises(Error, match="extract uses the database: codelists are out of date") as caught:
            checked.require("study", "a", actions, PIPELINE, is_forced)
        assert (caught.value.code, caught.value.where) == (Code.INVALID, "requested_actions")
    for needing in ("model", "run_all"):  # what it needs may have run before
        assert not checked.require("study", "a", [needing], PIPELINE, is_forced=False).is_ok


def test_nothing_is_checked_without_the_setting() -> None:
    def read(repo: str, sha: str) -> Mapping[str, bytes] | None:
        raise AssertionError

    assert Codelists("", read).require("study", "a", ["extract"], PIPELINE, is_forced=True) == CodelistCheck()
