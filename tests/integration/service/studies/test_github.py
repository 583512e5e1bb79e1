"""Studies on GitHub, against a server on loopback: what is found, what is missing, every kind of silence."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobserver.errors import Code, Error
from jobserver.service.studies.base import MAX_PROJECT_BYTES, Branch
from jobserver.service.studies.registry import StudyRegistry

from .fake_github import RATE_LIMIT, FakeGitHub, FakeRepo, fake_github, sha1

REPO = "https://github.com/org/study"
PROJECT = b"version: '3.0'\nactions:\n  a: {run: x}\n  b: {run: y, needs: [a]}\n"
START = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)

Ask = Callable[[StudyRegistry], object]
TROUBLES: list[Any] = [
    (500, "Server Error"),
    (502, "Bad Gateway"),
    (401, "Bad credentials"),
    (403, RATE_LIMIT),
    (403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
    (403, "Resource not accessible by personal access token"),
    (429, "Too many requests"),
    (451, "Repository access blocked"),
    "garbage",
    "hang",
    "drip",
]


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def server() -> Iterator[FakeGitHub]:
    with fake_github() as running:
        running.repos["org/study"] = FakeRepo()
        yield running


@pytest.fixture
def repo(server: FakeGitHub) -> FakeRepo:
    return server.repos["org/study"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def studies_at(url: str, clock: Clock, org: str = "", token: str = "", time_out: float = 10) -> StudyRegistry:
    return StudyRegistry(None, token, org, clock, github_url=url, github_time_out=time_out)


@pytest.fixture
def studies(server: FakeGitHub, clock: Clock) -> StudyRegistry:
    return studies_at(server.url, clock)


def refusal(ask: Callable[[], object]) -> Error:
    with pytest.raises(Error) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize("branch", ["main", "feature/a/b", "50%#1&x=y", "größe", "a+b"])
def test_a_study_is_read_at_the_tip_of_its_branch(studies: StudyRegistry, repo: FakeRepo, branch: str) -> None:
    repo.commit("other", {"README.md": b""})
    sha = repo.commit(branch, {"README.md": b"", "project.yaml": PROJECT})
    assert studies.resolve(REPO, branch) == sha
    study = studies.project(REPO, branch)
    assert (study.sha, study.source, study.as_of) == (sha, PROJECT.decode(), None)
    assert list(study.pipeline.actions) == ["a", "b"]
    assert study.subject == f"Message of {sha[:7]}"


def test_the_commits_between_two_of_them(studies: StudyRegistry, repo: FakeRepo, server: FakeGitHub) -> None:
    shas = [repo.commit("main", {"project.yaml": PROJECT}) for _ in range(60)]
    changes = studies.changes(REPO, shas[0], shas[2])
    assert changes is not None
    assert [commit.sha for commit in changes.commits] == [shas[2], shas[1]]
    newest = changes.commits[0]
    assert (newest.subject, newest.author) == (f"Message of {shas[2][:7]}", "Alice Ng")
    assert newest.committed_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert (changes.diff, changes.is_cut) == ((), False)
    calls = len(server.seen)
    assert studies.changes(REPO, shas[0], shas[2]) == changes
    assert len(server.seen) == calls  # commits do not change
    back = studies.changes(REPO, shas[2], shas[0])
    assert back is not None
    assert back.commits == ()
    many = studies.changes(REPO, shas[0], shas[-1])
    assert many is not None
    assert (len(many.commits), many.commits[0].sha, many.is_cut) == (50, shas[-1], True)
    assert studies.changes(REPO, shas[0], "f" * 40) is None
    assert studies.changes(REPO, shas[0], "main") is None
    server.trouble = (500, "Server Error")
    assert refusal(lambda: studies.changes(REPO, shas[1], shas[2])).code is Code.UNAVAILABLE


def test_branches_over_several_pages(studies: StudyRegistry, repo: FakeRepo, server: FakeGitHub) -> None:
    made = {f"feature/{i:03}": repo.commit(f"feature/{i:03}", {}) for i in range(230)}
    assert studies.branches(REPO) == [Branch(name, sha) for name, sha in made.items()]
    assert len(server.seen) == 3


def test_a_commit_is_read_once(studies: StudyRegistry, repo: FakeRepo, server: FakeGitHub) -> None:
    repo.commit("main", {"project.yaml": PROJECT})
    first = studies.project(REPO, "main")
    server.seen.clear()
    assert studies.project(REPO, "main") == first
    assert server.seen == ["/repos/org/study/git/ref/heads/main"]
    repo.commit("main", {"project.yaml": b"actions: {c: {run: z}}"})
    assert list(studies.project(REPO, "main").pipeline.actions) == ["c"]


def test_a_renamed_repository_is_read_at_the_commit(studies: StudyRegistry, server: FakeGitHub) -> None:
    renamed = server.repos["org/renamed"] = FakeRepo()
    renamed.commit("main", {"project.yaml": b"actions: {wrong: {run: x}}"})
    sha = renamed.commit("dev", {"project.yaml": PROJECT})
    server.moved["org/study"] = "org/renamed"
    study = studies.project(REPO, "dev")
    assert (study.sha, study.source) == (sha, PROJECT.decode())


def test_a_name_of_the_organisation_does_not_lead_out_of_it(
    server: FakeGitHub, clock: Clock, repo: FakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub leads from a repository's old name to wherever it was moved; what it says of it is used till it moves."""
    repo.commit("main", {"project.yaml": PROJECT})
    studies = studies_at(server.url, clock, org="Org")
    asks: list[Ask] = [
        lambda s: s.project(REPO, "main"),
        lambda s: s.branches(REPO),
        lambda s: s.resolve(REPO, "main"),
    ]
    monkeypatch.setattr("jobserver.service.studies.github._SEEN_SECONDS", 0.0)
    for name in ("org/renamed", "mallory/study"):
        server.repos[name] = FakeRepo()
        server.repos[name].commit("main", {"project.yaml": PROJECT})
    for ask in asks:
        ask(studies)
    server.moved["org/study"] = "org/renamed"
    for ask in asks:
        ask(studies)
    server.moved["org/study"] = "mallory/study"
    for ask in asks:
        refused = refusal(lambda ask=ask: ask(studies))
        assert refused.code is Code.FORBIDDEN
        assert refused.message == (
            "'org/study' was moved to 'mallory/study'; you can use only repositories of 'Org' (GITHUB_ORG)"
        )


def test_another_organisation_of_the_same_name_is_not_it(server: FakeGitHub, clock: Clock, repo: FakeRepo) -> None:
    repo.commit("main", {"project.yaml": PROJECT})
    for number, is_fine in ((server.org_id, True), (666, False)):
        studies = StudyRegistry(None, "", "org", clock, github_url=server.url, github_org_id=number)
        if is_fine:
            studies.project(REPO, "main")
        else:
            refused = refusal(lambda studies=studies: studies.project(REPO, "main"))
            assert (refused.code, "is not the organisation of GITHUB_ORG_ID" in refused.message) == (
                Code.FORBIDDEN,
                True,
            )


def test_the_token_is_sent_only_if_there_is_one(server: FakeGitHub, repo: FakeRepo, clock: Clock) -> None:
    repo.commit("main", {"project.yaml": PROJECT})
    studies_at(server.url, clock).project(REPO, "main")
    assert server.tokens == {None}
    server.tokens.clear()
    studies_at(server.url, clock, token="abc").project(REPO, "main")
    assert server.tokens == {"token abc"}


def test_a_missing_repository_is_not_found(studies: StudyRegistry, server: FakeGitHub) -> None:
    gone = "https://github.com/org/gone"
    asks: list[Ask] = [
        lambda s: s.branches(gone),
        lambda s: s.resolve(gone, "main"),
        lambda s: s.project(gone, "main"),
    ]
    for ask in asks:
        error = refusal(lambda ask=ask: ask(studies))  # type: ignore[misc]
        assert (error.code, error.message) == (Code.NOT_FOUND, f"Missing repository: {gone!r}")


def test_the_beginning_of_a_branchs_name_is_not_found(studies: StudyRegistry, repo: FakeRepo) -> None:
    repo.commit("feature/a", {})
    error = refusal(lambda: studies.project(REPO, "feature"))
    assert (error.code, error.message) == (Code.NOT_FOUND, "Missing branch: 'feature'")


@pytest.mark.parametrize("branch", ["../../../../user", "", "a..b", "/a", "a b", "x\0", "-x", "a.lock", "@{1}"])
def test_a_branch_that_can_not_be_asks_nobody(studies: StudyRegistry, server: FakeGitHub, branch: str) -> None:
    error = refusal(lambda: studies.resolve(REPO, branch))
    assert (error.code, error.message) == (Code.NOT_FOUND, f"Missing branch: {branch!r}")
    assert server.seen == []


def test_an_empty_repository_has_no_branches(studies: StudyRegistry, repo: FakeRepo) -> None:
    assert studies.branches(REPO) == []
    assert refusal(lambda: studies.resolve(REPO, "main")).message == "Missing branch: 'main'"


@pytest.mark.parametrize(
    ("files", "code", "message"),
    [
        ({"README.md": b""}, Code.NOT_FOUND, "Could not find project.yaml"),
        (
            {"project.yaml": {"mode": "040000", "type": "tree", "sha": "0" * 40}},
            Code.INVALID,
            "expected a file",
        ),
        (
            {"project.yaml": {"mode": "120000", "type": "blob", "sha": "0" * 40, "size": 4}},
            Code.INVALID,
            "a link",
        ),
        ({"project.yaml": b"#" * (MAX_PROJECT_BYTES + 1)}, Code.INVALID, f"at most {MAX_PROJECT_BYTES}"),
        ({"project.yaml": b"actions: [\n"}, Code.INVALID, "not YAML"),
        ({"project.yaml": b"\xff"}, Code.INVALID, "not UTF-8"),
        ({"project.yaml": b"actions:\n  a: {needs: [b], run: x}\n"}, Code.INVALID, "project.yaml:2"),
    ],
)
def test_an_unusable_project_file(
    studies: StudyRegistry, repo: FakeRepo, files: dict[str, Any], code: Code, message: str
) -> None:
    repo.commit("main", files)
    error = refusal(lambda: studies.project(REPO, "main"))
    assert error.code is code
    assert message in str(error)
    assert bool(error.faults) is (code is Code.INVALID)


def test_a_file_that_is_not_what_its_id_says_is_not_used(studies: StudyRegistry, repo: FakeRepo) -> None:
    false = {"mode": "100644", "type": "blob", "sha": sha1("blob", PROJECT), "size": len(PROJECT)}
    repo.commit("main", {"project.yaml": false})
    repo.blobs[false["sha"]] = b"actions: {other: {run: x}}"
    error = refusal(lambda: studies.project(REPO, "main"))
    assert (error.code, "GitHub" in error.message) == (Code.UNAVAILABLE, True)


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_without_a_known_answer_github_is_named(server: FakeGitHub, clock: Clock, trouble: Any) -> None:
    server.trouble = trouble
    silent = trouble in ("hang", "drip")
    patience = 0.3 if silent else 10
    studies = studies_at(server.url, clock, time_out=patience, token="secret-token")
    asks: list[Ask] = [
        lambda s: s.branches(REPO),
        lambda s: s.resolve(REPO, "main"),
        lambda s: s.project(REPO, "main"),
    ]
    for ask in asks:
        error = refusal(lambda ask=ask: ask(studies))  # type: ignore[misc]
        assert error.code is Code.UNAVAILABLE
        assert "GitHub" in error.message
        assert "secret" not in str(error)
    # A silent server may be given up before it has seen the question.
    assert len(server.seen) == len(asks) or silent, "asked once each: no retries"
    assert len(server.seen) <= len(asks)


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_the_last_known_answer_and_recovery(server: FakeGitHub, repo: FakeRepo, clock: Clock, trouble: Any) -> None:
    studies = studies_at(server.url, clock)
    first = repo.commit("main", {"project.yaml": PROJECT})
    studies.branches(REPO)
    studies.project(REPO, "main")
    second = repo.commit("main", {"project.yaml": b"actions: {c: {run: z}}"})
    clock.now += timedelta(hours=1)
    server.trouble = trouble
    if trouble in ("hang", "drip"):
        studies._hub().source.patience = 0.3

    study = studies.project(REPO, "main")
    assert (study.sha, study.source, study.as_of) == (first, PROJECT.decode(), START)
    tip = studies.tip(REPO, "main")
    assert (tip.sha, tip.as_of) == (first, START)
    answer = studies.answer(REPO)
    assert (answer.branches, answer.as_of) == ((Branch("main", first),), START)

    server.trouble = None
    studies._hub().source.patience = 10
    study = studies.project(REPO, "main")
    assert (study.sha, list(study.pipeline.actions), study.as_of) == (second, ["c"], None)
    assert studies.answer(REPO).as_of is None


def test_trouble_between_the_tip_and_the_file(
    server: FakeGitHub, repo: FakeRepo, clock: Clock, studies: StudyRegistry
) -> None:
    first = repo.commit("main", {"project.yaml": PROJECT})
    studies.project(REPO, "main")
    repo.commit("main", {"project.yaml": b"actions: {c: {run: z}}"})
    clock.now += timedelta(hours=1)
    server.trouble, server.after = (500, "Server Error"), 1
    study = studies.project(REPO, "main")
    assert (study.sha, study.source, study.as_of) == (first, PROJECT.decode(), START)


def test_trouble_while_telling_a_missing_branch_from_a_missing_repository(
    server: FakeGitHub, repo: FakeRepo, studies: StudyRegistry
) -> None:
    repo.commit("main", {})
    server.trouble, server.after = (500, "Server Error"), 1
    assert refusal(lambda: studies.resolve(REPO, "gone")).code is Code.UNAVAILABLE


def test_a_deleted_repository_is_not_answered_from_memory(
    server: FakeGitHub, repo: FakeRepo, studies: StudyRegistry
) -> None:
    repo.commit("main", {"project.yaml": PROJECT})
    studies.project(REPO, "main")
    del repo.branches["main"]
    repo.commit("other", {})
    assert refusal(lambda: studies.project(REPO, "main")).message == "Missing branch: 'main'"
    del server.repos["org/study"]
    assert refusal(lambda: studies.project(REPO, "main")).message == f"Missing repository: {REPO!r}"


def test_github_that_does_not_answer_is_unavailable(clock: Clock) -> None:
    with socket.socket() as bound:  # bound and not listening: refused
        bound.bind(("127.0.0.1", 0))
        studies = studies_at(f"http://127.0.0.1:{bound.getsockname()[1]}", clock)
        error = refusal(lambda: studies.project(REPO, "main"))
    assert (error.code, error.message) == (Code.UNAVAILABLE, "GitHub can't be reached")


def test_another_organisation_is_refused(server: FakeGitHub, repo: FakeRepo, clock: Clock) -> None:
    repo.commit("main", {"project.yaml": PROJECT})
    own = studies_at(server.url, clock, org="ORG")
    assert own.check_repo(f"{REPO}.git") == REPO
    assert own.project(REPO, "main").as_of is None
    other = studies_at(server.url, clock, org="else")
    asks: list[Ask] = [
        lambda s: s.check_repo(REPO),
        lambda s: s.branches(REPO),
        lambda s: s.project(REPO, "main"),
    ]
    server.seen.clear()
    for ask in asks:
        error = refusal(lambda ask=ask: ask(other))  # type: ignore[misc]
        assert (error.code, "'else' (GITHUB_ORG)" in error.message) == (Code.FORBIDDEN, True)
    assert server.seen == []


def chosen(studies: StudyRegistry, ref: str) -> tuple[str, str, str]:
    """(the ref in full, the commit, a branch that contains it)."""
    study = studies.project(REPO, "main", ref)
    assert study.chosen is not None
    assert study.chosen.sha == study.sha
    return study.chosen.name, study.sha, study.chosen.branch


def refused_ref(studies: StudyRegistry, ref: str) -> str:
    error = refusal(lambda: studies.project(REPO, "main", ref))
    assert (error.code, error.where) == (Code.INVALID, "ref"), error
    return error.message


def test_a_study_is_read_at_a_branch_a_tag_or_a_commit(studies: StudyRegistry, repo: FakeRepo) -> None:
    first, middle, tip = (repo.commit("main", {"project.yaml": PROJECT}) for _ in range(3))
    side, side_tip = (repo.commit("feature/a+b", {"project.yaml": PROJECT}) for _ in range(2))
    repo.tags["v1.0"] = ("commit", first)
    inner = repo.annotate("annotated", "commit", middle)
    repo.annotate("nested", "tag", inner)
    repo.annotate("tree", "tree", "1" * 40)
    assert studies.project(REPO, "main", "main").chosen is None
    for ref in ("feature/a+b", "refs/heads/feature/a+b"):
        assert chosen(studies, ref) == ("refs/heads/feature/a+b", side_tip, "feature/a+b")
    assert chosen(studies, "v1.0") == ("refs/tags/v1.0", first, "main")
    assert chosen(studies, "annotated") == ("refs/tags/annotated", middle, "main")
    assert chosen(studies, "refs/tags/nested") == ("refs/tags/nested", middle, "main")
    for ref in (first, first[:7], first[:12].upper()):
        assert chosen(studies, ref) == (first, first, "main")
    assert chosen(studies, tip) == (tip, tip, "main")
    assert chosen(studies, side) == (side, side, "feature/a+b")
    assert chosen(studies, side_tip[:10]) == (side_tip, side_tip, "feature/a+b")
    for ref in ("none", "main~1", "tree", "HEAD", "0" * 40, "0" * 7, "refs/tags/none", "refs/pull/1/head"):
        assert "has no branch, tag or commit" in refused_ref(studies, ref)


def test_a_commit_of_a_fork_is_refused(studies: StudyRegistry, repo: FakeRepo) -> None:
    """GitHub serves it by its id as if it were the repository's: whoever opens a pull request could run it."""
    tip = repo.commit("main", {"project.yaml": PROJECT})
    repo.commit("dev", {"project.yaml": PROJECT})
    fork = repo.fork({"project.yaml": PROJECT}, tip)
    expected = f"commit {fork[:10]} is not on any branch of the repository: push it to one first"
    for ref in (fork, fork[:9]):
        assert refused_ref(studies, ref) == expected
    repo.tags["v1"] = ("commit", fork)
    assert refused_ref(studies, "v1").startswith("tag v1 is not on any branch")
    repo.branches["merged"] = fork
    assert chosen(studies, fork) == (fork, fork, "merged")


def test_a_ref_that_means_two_things_is_refused(studies: StudyRegistry, repo: FakeRepo) -> None:
    tip = repo.commit("main", {"project.yaml": PROJECT})
    repo.commit("v1", {"project.yaml": PROJECT})
    repo.tags["v1"] = ("commit", tip)
    assert refused_ref(studies, "v1") == "'v1' is ambiguous: write refs/heads/v1 or refs/tags/v1"
    repo.branches[tip[:8]] = repo.branches["v1"]
    assert chosen(studies, tip[:8])[0] == f"refs/heads/{tip[:8]}"  # GitHub prefers the branch, so that no id is meant


def test_a_commit_is_searched_on_some_branches_only(studies: StudyRegistry, repo: FakeRepo, server: FakeGitHub) -> None:
    """Each is a call: a person who waits for hundreds is better off with a branch at the commit."""
    repo.commit("main", {})
    for number in range(40):
        repo.commit(f"a{number:02}", {})
    old = repo.commit("z", {"project.yaml": PROJECT})
    newer = repo.commit("z", {"project.yaml": PROJECT})
    assert "too many to search: create a branch at it" in refused_ref(studies, old)
    assert len(server.seen) < 40
    assert chosen(studies, newer)[2] == "z"
    repo.branches["here"] = old
    assert chosen(studies, old)[2] == "here"


def test_a_ref_of_a_repository_that_is_gone_or_silent(
    studies: StudyRegistry, repo: FakeRepo, server: FakeGitHub
) -> None:
    assert "has no branch, tag or commit" in refused_ref(studies, "v1")  # it has no commits at all
    repo.commit("main", {"project.yaml": PROJECT})
    server.trouble = (502, "Bad Gateway")
    assert refusal(lambda: studies.project(REPO, "main", "v1")).code is Code.UNAVAILABLE
    server.trouble = None
    del server.repos["org/study"]
    assert refusal(lambda: studies.project(REPO, "main", "v1")).message == f"Missing repository: {REPO!r}"


def test_files_of_a_folder_are_read_at_a_commit(studies: StudyRegistry, repo: FakeRepo) -> None:
    def listed(files: dict[str, Any]) -> str:
        inner = repo.fork(files)
        return repo.commit("main", {"codelists": {"mode": "040000", "type": "tree", "sha": inner}})

    plain = repo.commit("main", {"project.yaml": PROJECT})
    assert studies.codelist_files(REPO, plain) is None
    assert studies.codelist_files(REPO, repo.commit("main", {"codelists": b"a file"})) is None
    link = {"mode": "120000", "type": "blob", "sha": "0" * 40, "size": 3}
    files = {"codelists.txt": b"org/a/1", "codelists.json": link, "other.csv": b"x"}
    assert studies.codelist_files(REPO, listed(files)) == {"codelists.txt": b"org/a/1"}
    large = {"codelists.txt": {"mode": "100644", "type": "blob", "sha": "0" * 40, "size": 2_000_000}}
    assert "at most 1048576" in refusal(lambda: studies.codelist_files(REPO, listed(large))).message
