"""The same key finds the commit that it made: by any process, within a day, and from the server's own trailers only."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from jobserver.cache import Cache
from jobserver.domain.backends import AddBackend
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.domain.job_requests.requests import CancelJobs, RequestJobs
from jobserver.errors import Code, Error
from jobserver.service.writes import idempotency
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key, Ledger
from jobserver.store.repo import StateRepo
from tests.integration.service.push.pushing import Push
from tests.site import ADMIN, ALICE, PIPELINE, TEMPLATES, TPP, Seeded, Site, job

ASK = RequestJobs("trends", "tpp", ("generate",), "0" * 40, PIPELINE)


def key(name: str = "once", body: bytes = b"{}") -> Key:
    return Key.of(ALICE, "POST", "/x/", name, body)


def test_a_key_is_of_its_actor_method_path_and_name() -> None:
    one = Key.of(ALICE, "POST", "/x/", "k", b"")
    others = [
        Key.of(ADMIN, "POST", "/x/", "k", b""),
        Key.of(ALICE, "PUT", "/x/", "k", b""),
        Key.of(ALICE, "POST", "/y/", "k", b""),
        Key.of(ALICE, "POST", "/x/", "l", b""),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 5
    assert {one.body, *(other.body for other in others)} == {"e3b0c44298fc1c149afbf4c8996fb924"}
    assert Key.of(ALICE, "POST", "/x/", "k", b"a").digest == one.digest
    assert Key.of(ALICE, "POST", "/x/", "k", b"a").body != one.body
    assert one.trailer == f"{one.digest} {one.body}"


def test_the_same_again_is_answered_as_it_was(site: Site) -> None:
    first = site.gate.submit(ALICE, ASK, "http", key())
    assert f"Idempotency-Key: {key().trailer}\n" in site.git("log", "-1", "--format=%B", "backends/tpp")
    site.ask()
    again = site.gate.submit(ALICE, ASK, "http", key())
    assert (again.commit, again.changed, again.branch) == (first.commit, True, "backends/tpp")
    assert again.changes.result == first.changes.result
    assert len(site.git("rev-list", "backends/tpp").split()) == 3
    with pytest.raises(Error, match="was used with another body") as caught:
        site.gate.submit(ALICE, ASK, "http", key(body=b"[]"))
    assert (caught.value.code, caught.value.where) == (Code.CONFLICT, "Idempotency-Key")


def test_a_repeated_call_ends_what_a_crash_left_of_the_first(site: Site) -> None:
    add = AddBackend("emis", "b" * 64)
    first = site.gate.submit(ADMIN, add, "http", key())
    site.git("update-ref", "refs/kept/emis", "refs/heads/backends/emis")
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    repo = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)  # the next process
    gate = Gate(repo, site.clock, Seeded(2))
    assert gate.submit(ADMIN, add, "http", key()).commit == first.commit
    gate.close()
    repo.close()
    assert "Event: branch.opened" in site.git("log", "-1", "--format=%B", "backends/emis")


def test_a_key_of_what_changed_nothing_is_a_key_too(site: Site) -> None:
    identifier = site.ask("generate")
    report = UpdateJobs("tpp", ((identifier, job("a", "running", 1)),))
    site.gate.submit(TPP, report, "http")
    first = site.gate.submit(TPP, report, "http", key())
    assert not first.changed
    site.report((identifier, job("a", "running", 2)))
    assert site.gate.submit(TPP, report, "http", key()).commit == first.commit
    newer = UpdateJobs("tpp", ((identifier, job("a", "succeeded", 3)),))
    with pytest.raises(Error, match="was used with another body"):
        site.gate.submit(TPP, newer, "http", key(body=b"[]"))
    done = site.gate.submit(ALICE, CancelJobs(identifier, "tpp", ("generate",)), "http", key("c"))
    again = site.gate.submit(ALICE, CancelJobs(identifier, "tpp", ("generate",)), "http", key("c"))
    assert (again.commit, again.changes.result) == (done.commit, {"identifier": identifier})
    idle = site.gate.submit(ALICE, CancelJobs(identifier, "tpp", ("generate",)), "http", key("d"))
    assert not idle.changed
    again = site.gate.submit(ALICE, CancelJobs(identifier, "tpp", ("generate",)), "http", key("d"))
    assert (again.commit, again.changes.result) == (idle.commit, {"identifier": identifier})


def test_a_key_of_a_command_without_changes_is_forgotten_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.gate.ledger, "_idle", Cache(2))
    for name in ("a", "b", "c"):
        assert not site.gate.submit(TPP, UpdateJobs("tpp", ()), "http", key(name)).changed
    assert not site.gate.submit(TPP, UpdateJobs("tpp", ()), "http", key("a", body=b"[]")).changed
    with pytest.raises(Error, match="another body"):
        site.gate.submit(TPP, UpdateJobs("tpp", ()), "http", key("c", body=b"[]"))


def test_another_server_finds_it_too(site: Site) -> None:
    first = site.gate.submit(ALICE, ASK, "http", key())
    repo = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    gate = Gate(repo, site.clock, Seeded(2))
    assert gate.submit(ALICE, ASK, "http", key()).commit == first.commit
    gate.close()
    repo.close()


def test_a_report_again_names_what_it_named_in_vain(site: Site) -> None:
    identifier = site.ask("generate")
    report = UpdateJobs("tpp", ((identifier, job("a", "running", 1)), ("unknown", job("b", "running", 1))))
    first = site.gate.submit(TPP, report, "http", key())
    again = site.gate.submit(TPP, report, "http", key())
    assert (again.commit, again.changes.result["ignored"]) == (first.commit, ["unknown"])
    both = UpdateJobs("tpp", ((identifier, job("c", "running", 1)), ("unknown", job("c", "running", 1))))
    assert site.gate.submit(TPP, both, "http", key()).commit == first.commit  # whatever it would say now


def test_after_a_day_a_key_is_free(site: Site) -> None:
    first = site.gate.submit(ALICE, ASK, "http", key())
    at = datetime.fromtimestamp(site.repo.writer.read("backends/tpp", lambda state: state.time), UTC)
    site.now = at + timedelta(hours=24, seconds=-1)  # its clock moves a second a call
    found = site.gate.ledger.find(key())
    assert found is not None
    assert found.commit == first.commit
    assert site.gate.ledger.find(key()) is None
    fresh = Ledger(site.repo, site.clock)
    assert fresh.find(key()) is None
    fresh.close()
    second = site.gate.submit(ALICE, ASK, "http", key())
    assert second.commit != first.commit


def test_a_commit_that_claims_to_be_old_hides_no_key(site: Site) -> None:
    """After a restart a used key once made a second request: a runner's push dated 1970 stood above its commit."""
    first = site.gate.submit(ALICE, ASK, "http", key())
    push = Push(site, "backends/tpp")
    push.commit(at="1970-01-02T00:00:00Z")
    push.land()
    fresh = Ledger(site.repo, site.clock)
    found = fresh.find(key())
    fresh.close()
    assert found is not None
    assert found.commit == first.commit


def test_a_key_that_no_commit_names(site: Site) -> None:
    site.ask()
    assert site.gate.ledger.find(key()) is None


@pytest.mark.parametrize(
    "message",
    [
        "x\n\nIdempotency-Key: {0}\n\nand more",
        "x\n\nIdempotency-Key: {0}\nand more",
        "Idempotency-Key: {0}\n\nand more",
    ],
)
def test_a_pushed_message_does_not_answer_a_key(site: Site, message: str) -> None:
    """It once was: whoever knew somebody's key could have its POST taken for done. Now it is refused, too."""
    push = Push(site, "main")
    push.commit(("README.md", "x"), message=message.format(key().trailer))
    with pytest.raises(Error, match="only the server may write"):
        push.send(ADMIN)
    push.land()
    assert site.gate.ledger.find(key()) is None


def test_old_entries_are_thrown_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_MOST", 1)
    site.gate.submit(ALICE, ASK, "http", key("first"))
    site.now += timedelta(hours=25)
    site.gate.submit(ALICE, ASK, "http", key("second"))
    site.gate.submit(ALICE, ASK, "http", key("third"))
    assert site.gate.ledger.find(key("second")) is not None
    assert site.gate.ledger.find(key("third")) is not None
    assert len(site.gate.ledger._done) == 2


def test_calls_with_one_key_run_one_after_the_other(site: Site) -> None:
    entered, order = threading.Event(), list[str]()

    def second() -> None:
        entered.set()
        with site.gate.ledger.holding(key()):
            order.append("second")

    thread = threading.Thread(target=second)
    with site.gate.ledger.holding(key()):
        thread.start()
        entered.wait()
        with site.gate.ledger.holding(key("else")):
            order.append("another key")
        order.append("first")
    thread.join()
    assert order == ["another key", "first", "second"]
    assert site.gate.ledger._held == {}
