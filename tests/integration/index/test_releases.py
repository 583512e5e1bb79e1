"""Rows of checked releases: as the documents are, followed or built anew, and fast with many files."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from time import thread_time

import pytest

from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.outputs.commands import RequestRelease, ReviewRelease, UploadReleaseFile, WithdrawRelease
from jobserver.domain.outputs.documents import CheckedFile
from jobserver.domain.users import AddUser, DisableUser
from jobserver.index.index import Index
from jobserver.index.queries.releases import newest_files, releases_named, releases_of, versions_of
from jobserver.index.sqlite.verify import differences
from tests.site import ADMIN, TPP, Site

FIRST, SECOND = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D", "01J9ZQ4V8N6T3W5X7Y9A1B2C4E"


def file(path: str, text: str = "x") -> CheckedFile:
    return CheckedFile(path=path, size=len(text), sha256=sha256(text.encode()).hexdigest())


@pytest.fixture
def index(site: Site, tmp_path: Path) -> Iterator[Index]:
    for name in ("carol", "dave"):
        site.do(ADMIN, AddUser(name, roles=(Role.OUTPUT_CHECKER,)))
    index = Index(site.path, site.repo.writer.refs, tmp_path / "index")
    yield index
    index.close()


def released(site: Site, identifier: str, *files: CheckedFile) -> None:
    name = ("tpp", "trends", identifier)
    site.do(TPP, RequestRelease(*name, "alice", files))
    for person in ("carol", "dave"):
        site.do(Actor(ActorKind.USER, person), ReviewRelease(*name, person, "approved"))
    for each in files:
        site.do(TPP, UploadReleaseFile(*name, each.path, each.sha256, "carol"))


def test_rows_follow_the_documents(site: Site, index: Index) -> None:
    released(site, FIRST, file("a.csv"), file("b.csv"))
    site.now += timedelta(hours=1)
    released(site, SECOND, file("a.csv", "newer"))
    with index.view() as sql:
        assert [release.identifier for release in releases_of(sql, "trends", ["tpp"])] == [SECOND, FIRST]
        assert releases_of(sql, "trends", []) == releases_of(sql, "other", ["tpp"]) == []
        newest = newest_files(sql, "trends", ["tpp"])
        assert [(item.path, item.release, item.number) for item in newest] == [
            ("a.csv", SECOND, 0),
            ("b.csv", FIRST, 1),
        ]
        assert newest_files(sql, "trends", ["tpp"], is_public=True) == []
    site.do(Actor(ActorKind.USER, "carol"), WithdrawRelease("tpp", "trends", SECOND, "carol", "small numbers"))
    with index.view() as sql:
        assert [item.release for item in newest_files(sql, "trends", ["tpp"])] == [FIRST, FIRST]
        assert [(item.release, item.is_gone) for item in versions_of(sql, "trends", "a.csv", ["tpp"])] == [
            (SECOND, True),
            (FIRST, False),
        ]
        (summary,) = releases_named(sql, SECOND, ["tpp"])
        assert (summary.state(index.directory()), summary.author, summary.files) == ("withdrawn", "alice", 1)
    assert differences(site.path, index.path) == []


def test_the_state_of_a_row_depends_on_who_may_approve_now(site: Site, index: Index) -> None:
    site.do(TPP, RequestRelease("tpp", "trends", FIRST, "alice", (file("a.csv"),)))
    for person in ("carol", "dave"):
        site.do(Actor(ActorKind.USER, person), ReviewRelease("tpp", "trends", FIRST, person, "approved"))

    def state() -> str:
        with index.view() as sql:
            (summary,) = releases_named(sql, FIRST, ["tpp"])
        return summary.state(index.directory())

    assert state() == "approved"
    site.do(ADMIN, DisableUser("dave"))
    assert state() == "under review"


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM releases", "UPDATE releases SET author = 'x'", "DELETE FROM release_files"]
)
def test_rows_that_somebody_changed_are_named(site: Site, index: Index, statement: str, sampled: bool) -> None:
    released(site, FIRST, file("a.csv"))
    index.refresh()
    with index._rows._database.write() as sql:
        sql.execute(statement)
    assert "the release" in "\n".join(differences(site.path, index.path, sampled=sampled))


def test_ten_thousand_files_are_listed_fast(site: Site, index: Index) -> None:
    files = tuple(file(f"output/{number}.csv") for number in range(10_000))
    site.do(TPP, RequestRelease("tpp", "trends", FIRST, "alice", files))
    index.refresh()
    started = thread_time()  # not what others do meanwhile
    with index.view() as sql:
        (summary,) = releases_of(sql, "trends", ["tpp"])
        assert (summary.files, [group.count for group in summary.groups]) == (10_000, [10_000])
    assert thread_time() - started < 1
