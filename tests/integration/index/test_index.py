"""The index against the repository: whichever way it learnt of the commits, it is what a rebuild would make."""

import random
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.domain.backends import RotateBackendToken
from jobserver.domain.job_requests.requests import CancelJobs
from jobserver.domain.users import AddUser
from jobserver.errors import Code, Error
from jobserver.index.index import Index
from jobserver.index.items import detail
from jobserver.index.queries.jobs import latest_jobs
from jobserver.index.queries.requests import find_item
from jobserver.index.sqlite import schema
from jobserver.index.sqlite.build import build, rebuild
from jobserver.store.git.objects import Objects
from jobserver.store.repo import StateRepo
from tests.samples import first
from tests.site import ADMIN, ALICE, TEMPLATES, TPP, Site, job

Open = Callable[..., Index]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.repo.close()


@pytest.fixture
def opened(site: Site, tmp_path: Path) -> Iterator[Open]:
    made: list[Index] = []

    def open_index(name: str = "index.sqlite3") -> Index:
        made.append(Index(site.path, site.repo.writer.refs, tmp_path / name))
        return made[-1]

    yield open_index
    for index in made:
        index.close()


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that an index says, without the numbers it gave its branches."""
    sql = sqlite3.connect(path)
    try:
        found = {}
        for table, columns in (
            (
                "requests",
                "area, day, workspace, project, created_by, created_at, item, active, outcome, requests.jobs,"
                " succeeded, started_at, completed_at, updated_at, cancelled_by, identifier",
            ),
            (
                "jobs",
                "request, identifier, workspace, action, status, status_code, status_message, created_at,"
                " updated_at, started_at, completed_at, more",
            ),
            ("faults", "path, line, key, message"),
        ):
            found[table] = sorted(
                sql.execute(f"SELECT branches.name, {columns} FROM {table} JOIN branches ON branch = id").fetchall(),
                key=repr,
            )
        found["branches"] = sorted(sql.execute("SELECT name, tip FROM branches").fetchall())
        return found
    finally:
        sql.close()


def anything(site: Site, chance: random.Random, known: list[str]) -> None:
    """One command or another; some are refused, and that is part of it."""
    target = chance.choice(known) if known else None
    minute = chance.randrange(100)
    try:
        match chance.randrange(8):
            case 0 | 1:
                known.append(site.ask(*chance.sample(["generate", "analyse", "run_all"], 2)))
            case 2 if target:
                actions = chance.choice([(), ("generate",), ("analyse",)])
                site.do(chance.choice([ALICE, ADMIN]), CancelJobs(target, "tpp", actions))
            case 3:
                site.do(ADMIN, AddUser(f"u{minute}"))
            case 4:
                site.do(ADMIN, RotateBackendToken("tpp", f"{minute:064x}", True))
            case _ if target:
                count = chance.randrange(4)
                statuses = [chance.choice(["pending", "running", "failed", "succeeded"]) for _ in range(count + 1)]
                code = {"status_code": chance.choice(["", "cancelled_by_user", "dependency_failed"])}
                jobs = [job(f"{target[-6:]}{n}", status, minute) for n, status in enumerate(statuses)]
                site.report(*((target, reported.model_copy(update=code)) for reported in jobs))
    except Error:
        pass


@pytest.mark.parametrize("seed", first(2, range(6)))
def test_following_by_any_way_equals_a_rebuild(site: Site, opened: Open, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    told, comparing, seldom = opened("told"), opened("comparing"), opened("seldom")
    site.repo.writer.listen(told.announce, told.refs_moved)
    known: list[str] = []
    for _ in range(40):
        anything(site, chance, known)
        told.refresh()
        comparing.refresh()
        if chance.random() < 0.1:
            seldom.refresh()
    seldom.refresh()
    rebuild(site.path, site.repo.writer.refs, tmp_path / "anew")
    expected = rows(tmp_path / "anew")
    assert expected["requests"]
    for index in (told, comparing, seldom):
        assert rows(index.path) == expected
        assert index.listing(["tpp"]) == told.listing(["tpp"])
        assert index.directory() == told.directory()
    afresh = opened("anew")
    assert afresh.listing(["tpp"]) == told.listing(["tpp"])
    assert {**vars_of(afresh)} == {**vars_of(told)}


def test_who_cancelled_is_known_by_any_way(site: Site, opened: Open, tmp_path: Path) -> None:
    """The documents do not say it, only the commits do."""
    first, second, _ = site.ask("analyse"), site.ask("analyse"), site.ask("analyse")
    told, comparing = opened("told"), opened("comparing")
    site.repo.writer.listen(told.announce, told.refs_moved)
    site.do(ADMIN, CancelJobs(second, "tpp", ("generate",)))
    told.refresh()
    comparing.refresh()
    for actor, action in ((ALICE, "analyse"), (ADMIN, "generate"), (ADMIN, "analyse")):
        site.do(actor, CancelJobs(second, "tpp", (action,)))
    site.report((second, job("j1", "failed", 1)), (first, job("j2", "failed", 1)))
    told.refresh()
    comparing.refresh()
    rebuild(site.path, site.repo.writer.refs, tmp_path / "anew")
    for path in (told.path, comparing.path, tmp_path / "anew"):
        with closing(sqlite3.connect(path)) as sql:
            found = sql.execute("SELECT identifier, cancelled_by FROM requests WHERE cancelled_by != ''").fetchall()
        assert found == [(second, "admin,alice")]


def test_a_text_with_a_nul_is_the_same_however_it_came_in(site: Site, opened: Open, tmp_path: Path) -> None:
    """A pushed document may have one, and SQLite's JSON functions end a text there: a rebuild found more of it."""
    index = opened()
    identifier = site.ask()
    site.report((identifier, job("j", "running", 1, action="a\0b", message="c\0d")))
    index.refresh()
    rebuild(site.path, site.repo.writer.refs, tmp_path / "anew")
    assert rows(index.path) == rows(tmp_path / "anew")
    with index.view() as sql:
        assert sql.execute("SELECT action, status_message FROM jobs").fetchall() == [("a\ufffdb", "c\ufffdd")]


def vars_of(index: Index) -> dict[str, object]:
    directory = index.directory()
    return {name: getattr(directory, name) for name in type(directory).__slots__}


def test_a_read_sees_the_write_before_it(site: Site, opened: Open) -> None:
    index = opened()
    identifier = site.ask()
    assert [key[1] for key, _ in index.listing(["tpp"]).items] == [identifier]
    site.report((identifier, job("j1", "running", 1)))
    with index.view() as sql:
        found = find_item(sql, identifier, ["tpp"])
        assert {action: job.status for action, job in latest_jobs(sql, "trends", ["tpp"]).items()} == {
            "generate": "running"
        }
    assert found is not None
    item, jobs, _ = found
    assert detail(item, [one.as_item() for one in jobs])["status"] == "running"


def test_a_report_of_running_leaves_the_list_as_it_was(site: Site, opened: Open) -> None:
    index = opened()
    identifier = site.ask()
    before = index.listing(["tpp"])
    site.report((identifier, job("j1", "running", 1)))
    assert index.listing(["tpp"]) is before
    site.report((identifier, job("j1", "succeeded", 2)))
    assert index.listing(["tpp"]).items == ()
    site.report((identifier, job("j1", "running", 3)))
    assert index.listing(["tpp"]) == before


def test_a_wait_ends_with_a_change_of_the_list(site: Site, opened: Open) -> None:
    index = opened()
    index.start()
    etag = index.listing(["tpp"]).etag
    assert index.wait(["tpp"], etag, 0).etag == etag
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(index.wait(["tpp"], etag, 60).items[0][0][1])) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    identifier = site.ask()
    index.refs_moved()
    for thread in threads:
        thread.join()
    assert found == [identifier] * 20


def test_release_ends_every_wait(site: Site, opened: Open) -> None:
    index = opened()
    etag = index.listing(["tpp"]).etag
    thread = threading.Thread(target=index.wait, args=(["tpp"], etag, 600))
    thread.start()
    index.end_waits()
    thread.join()


def test_an_index_that_is_missing_or_foreign_is_made_anew(site: Site, opened: Open, tmp_path: Path) -> None:
    identifier = site.ask()
    for content in (None, b"", b"no database" * 100):
        path = tmp_path / f"index{content and len(content)}"
        if content is not None:
            path.write_bytes(content)
        assert [key[1] for key, _ in opened(path.name).listing(["tpp"]).items] == [identifier]
    old = tmp_path / "old"
    build(site.path, old, {})
    sql = sqlite3.connect(old)
    sql.execute("PRAGMA user_version=999")
    sql.close()
    assert opened("old").listing(["tpp"]).items


def test_two_processes_share_one_file(site: Site, opened: Open) -> None:
    first, second = opened(), opened()
    for _ in range(3):
        identifier = site.ask()
        for index in (first, second):
            assert index.listing(["tpp"]).items[0][0][1] == identifier
        first, second = second, first


def test_unreadable_documents_are_named_and_left_out(site: Site, opened: Open, tmp_path: Path) -> None:
    index = opened()
    good, bad = site.ask(), site.ask()
    clone = tmp_path / "clone"
    for arguments in (
        ["clone", "-q", "-b", "backends/tpp", str(site.path), str(clone)],
        ["-C", str(clone), "config", "user.name", "x"],
        ["-C", str(clone), "config", "user.email", "x@y"],
    ):
        subprocess.run(["git", *arguments], check=True)
    (request,) = clone.glob(f"active/*/{bad}/request.yaml")
    text = request.read_text()
    request.write_text(text.replace("database_name: full", "database_name: [1]"))
    (clone / "stray.txt").write_text("x")
    commit = ["git", "-C", str(clone)]
    subprocess.run([*commit, "add", "."], check=True)
    subprocess.run([*commit, "commit", "-qm", "x"], check=True)
    subprocess.run([*commit, "push", "-q"], check=True)
    assert [key[1] for key, _ in index.listing(["tpp"]).items] == [good]
    assert [(branch, fault.path, fault.key) for branch, fault in index.faults()] == [
        ("backends/tpp", request.relative_to(clone).as_posix(), "database_name"),
        ("backends/tpp", "stray.txt", ""),
    ]
    site.repo.writer.tips.mark_good(
        "backends/tpp", site.git("rev-parse", "backends/tpp").strip()
    )  # judged by older rules
    written = site.report((bad, job("j1", "running", 1)), (good, job("j2", "running", 1)))
    assert written.changes.result["ignored"] == [bad]
    subprocess.run([*commit, "pull", "-q", "--rebase"], check=True)
    request.write_text(text)
    (clone / "stray.txt").unlink()
    subprocess.run([*commit, "commit", "-qam", "mended"], check=True)
    subprocess.run([*commit, "push", "-q"], check=True)
    assert list(index.faults()) == []
    assert len(index.listing(["tpp"]).items) == 2


def test_another_server_writes_and_this_one_sees_it(site: Site, opened: Open) -> None:
    index = opened()
    other = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    other.maintain()
    site.repo.maintain()
    other.close()
    identifier = site.ask()
    assert index.listing(["tpp"]).items[0][0][1] == identifier
    assert TPP.name in index.directory().backends


def test_no_two_threads_read_objects_by_the_same_reader(
    site: Site, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in search of a stale read: `main` and the rows were read by one reader, each under a lock of its own."""
    index = opened()
    index.refresh()
    site.gate.submit(ADMIN, AddUser("dave"), "test")
    site.ask()
    raw, inside, go = Objects.raw, threading.Event(), threading.Event()
    readers: list[Objects] = []

    def slow(self: Objects, sha: bytes) -> bytes:
        readers.append(self)
        if not inside.is_set():
            inside.set()
            assert go.wait(30)
        return raw(self, sha)

    monkeypatch.setattr(Objects, "raw", slow)
    other = threading.Thread(target=index._rows.catch_up, args=("backends/tpp",))
    other.start()
    assert inside.wait(30)
    try:
        assert index.directory().user("dave") is not None
        assert readers[0] not in readers[1:]
    finally:
        go.set()
        other.join()


def test_no_reader_gets_older_rows_because_another_process_writes_for_long(
    site: Site, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: what had just been acknowledged was not there to be read while a second server wrote the same file."""
    monkeypatch.setattr(schema, "WAIT_SECONDS", 0.05)
    index = opened()
    index.refresh()
    other = sqlite3.connect(index.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    identifier = site.ask()
    with pytest.raises(Error, match="another process") as caught, index.view():
        raise AssertionError("older rows were handed out")
    assert caught.value.code is Code.UNAVAILABLE
    other.execute("ROLLBACK")
    other.close()
    with index.view() as sql:
        assert find_item(sql, identifier, ["tpp"]) is not None
