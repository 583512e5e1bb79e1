"""What the pages read from the index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.domain import commands as c
from jobserver.domain.names import Kind
from jobserver.index import pages
from jobserver.index.follow import Index
from tests.site import ADMIN, ALICE, PIPELINE, Site, job


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.gate.close()
    made.repo.close()


def test_an_identifier_or_its_beginning_means_one_thing_or_nothing(site: Site, tmp_path: Path) -> None:
    one, other = site.ask("generate"), site.ask("generate")
    site.do(ADMIN, c.AddBackend("emis", "b" * 64))
    hidden = c.RequestJobs("trends", "emis", ("generate",), "0" * 40, PIPELINE)
    elsewhere = site.do(ALICE, hidden).changes.result["identifier"]
    site.report((one, job("Mixed-Case-1", "running", 1)), (one, job("abcdefgh", "running", 1)))
    site.report(
        (other, job("abcdxyz", "running", 1)), (other, job("abcd", "running", 1)), (other, job("gene", "running", 1))
    )
    common = next(at for at in range(16) if one[at] != other[at])
    assert common > 4
    index = Index(site.path, site.repo.writer.refs, tmp_path / "index.sqlite3")
    index.refresh()
    try:
        with index.view() as sql:
            for text, meant in {
                one: (Kind.REQUEST, one),
                f" {one[:-1].upper()} ": (Kind.REQUEST, one),
                one[: common + 1]: (Kind.REQUEST, one),
                one[:common]: None,  # both
                one[:3]: None,
                "a" * 16: None,  # like an identifier, and nobody's
                elsewhere: None,
                "Mixed-Case-1": (Kind.JOB, "Mixed-Case-1"),
                "Mixed": (Kind.JOB, "Mixed-Case-1"),
                "abcdef": (Kind.JOB, "abcdefgh"),
                "abcd": (Kind.JOB, "abcd"),  # exactly that one
                "gene": None,  # also an action
                "tren": None,  # a workspace
                "\x00\x00\x00\x00": None,
                "%%%%": None,
            }.items():
                assert pages.resolve(sql, text, ["tpp"]) == meant, text
            assert pages.resolve(sql, one, []) is None
    finally:
        index.close()
