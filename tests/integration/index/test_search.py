"""What the pages read from the index."""

from pathlib import Path

from jobserver.domain.backends import AddBackend
from jobserver.domain.base.layout import Kind
from jobserver.domain.job_requests.query import Query
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.index.index import Index
from jobserver.index.queries.identifiers import resolve_identifier
from jobserver.index.queries.jobs import latest_jobs
from jobserver.index.queries.search import RequestSearch
from tests.site import ADMIN, ALICE, PIPELINE, Site, job


def test_an_identifier_or_its_beginning_means_one_thing_or_nothing(site: Site, tmp_path: Path) -> None:
    one, other = site.ask("generate"), site.ask("generate")
    site.do(ADMIN, AddBackend("emis", "b" * 64))
    hidden = RequestJobs("trends", "emis", ("generate",), "0" * 40, PIPELINE)
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
                assert resolve_identifier(sql, text, ["tpp"]) == meant, text
            assert resolve_identifier(sql, one, []) is None
    finally:
        index.close()


def test_a_search_finds_an_action_among_thousands(site: Site, tmp_path: Path) -> None:
    """It looked through the first two thousand by name only."""
    many, last = site.ask("generate"), site.ask("generate")
    site.report(*((many, job(f"j{at}", "running", 1, action=f"step_{at:04}")) for at in range(2100)))
    site.report((last, job("k", "running", 2, action="zz_Final")))
    index = Index(site.path, site.repo.writer.refs, tmp_path / "index.sqlite3")
    index.refresh()

    def found(query: str, workspace: str = "") -> list[str]:
        with index.view() as sql:
            chosen = Query(words=(query,), workspace=(workspace,) if workspace else ())
            return [row.identifier for row in RequestSearch(sql, chosen, ["tpp"]).page(25).rows]

    try:
        assert found("final") == found("zz_f") == found("final", "trends") == [last]
        assert found("final", "other") == []
        assert found("step_2099") == found("STEP") == [many]
        assert set(found("trend")) == {many, last}
        site.report((last, job("k", "running", 3, action="renamed")))  # the old name stays known, and finds nothing
        index.refresh()
        assert (found("final"), found("renamed")) == ([], [last])
        with index.view() as sql:
            assert sorted(latest_jobs(sql, "trends", ["tpp"]))[:2] == ["renamed", "step_0000"]
            assert "zz_Final" not in latest_jobs(sql, "trends", ["tpp"])
    finally:
        index.close()
