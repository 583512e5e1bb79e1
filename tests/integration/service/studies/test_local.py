"""Studies in local repositories that the git binary made: bare, with a work tree, packed, linked, and outside."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.service.studies.base import MAX_OTHER_BYTES, MAX_PROJECT_BYTES, Branch
from jobserver.service.studies.registry import StudyRegistry

PROJECT = "version: '3.0'\nactions:\n  a: {run: x}\n"


def git(folder: Path, *args: str) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    command = ["git", *settings, "-c", "commit.gpgSign=false", "-C", str(folder), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, text: str | None = PROJECT, branch: str = "main") -> str:
    git(folder, "checkout", "-q", "-B", branch)
    if text is not None:
        (folder / "project.yaml").write_text(text)
        git(folder, "add", "project.yaml")
    git(folder, "commit", "-q", "--allow-empty", "-m", "work")
    return git(folder, "rev-parse", "HEAD")


def create(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


@pytest.fixture
def repo(home: Path) -> Path:
    return create(home / "team" / "study")


@pytest.fixture
def studies(home: Path) -> StudyRegistry:
    return StudyRegistry(home, "", "", lambda: datetime(2026, 11, 23, tzinfo=UTC))


def refusal(studies: StudyRegistry, repo: str, branch: str = "main") -> Error:
    with pytest.raises(Error) as caught:
        studies.project(repo, branch)
    return caught.value


def test_a_study_is_read_at_the_tip_of_its_branch(studies: StudyRegistry, repo: Path) -> None:
    first = commit(repo)
    second = commit(repo, "actions: {b: {run: y}}", "feature/a/b")
    assert studies.branches("team/study") == [Branch("feature/a/b", second), Branch("main", first)]
    assert studies.resolve("team/study", "main") == first
    study = studies.project("team/study", "feature/a/b")
    assert (study.sha, study.source, study.as_of) == (second, "actions: {b: {run: y}}", None)
    assert studies.project(str(repo), "main").pipeline.closure(["run_all"]) == ("a",)
    third = commit(repo, "actions: {c: {run: z}}")
    assert studies.project("team/study", "main").sha == third


def test_work_that_is_not_committed_does_not_count(studies: StudyRegistry, repo: Path) -> None:
    commit(repo)
    (repo / "project.yaml").write_text("actions: {other: {run: x}}")
    assert studies.project("team/study", "main").source == PROJECT


def test_a_bare_repository_with_packed_refs_is_read(studies: StudyRegistry, repo: Path, home: Path) -> None:
    sha = commit(repo)
    git(home, "clone", "-q", "--bare", str(repo), "bare.git")
    git(home / "bare.git", "gc", "-q")
    assert studies.project("bare.git", "main").sha == sha
    assert studies.check_repo("bare.git") == "bare.git"


def test_a_repository_is_stored_under_one_spelling(studies: StudyRegistry, repo: Path, home: Path) -> None:
    (home / "link").symlink_to(repo, target_is_directory=True)
    for spelling in ("team/study", "team/../team/study/", str(repo), "link"):
        assert studies.check_repo(spelling) == "team/study"


def test_a_linked_work_tree_inside(studies: StudyRegistry, repo: Path, home: Path) -> None:
    sha = commit(repo)
    git(repo, "worktree", "add", "-q", "-b", "side", str(home / "side"))
    assert studies.resolve("side", "side") == sha


def test_nothing_outside_is_opened(studies: StudyRegistry, home: Path, repo: Path) -> None:
    outside = create(home.parent / "secret")
    commit(outside)
    (home / "link").symlink_to(outside, target_is_directory=True)
    git(outside, "worktree", "add", "-q", "-b", "side", str(home / "side"))
    pointer = home / "pointer"
    pointer.mkdir()
    (pointer / ".git").write_text(f"gitdir: {outside}/.git\n")
    inner = home / "inner"
    inner.mkdir()
    (inner / ".git").symlink_to(outside / ".git", target_is_directory=True)
    (home / "loop").symlink_to(home / "loop")
    for path in ("../secret", str(outside), "link", "side", "pointer", "inner", ".", "", "/", "loop", "a\0b"):
        for ask in (studies.check_repo, studies.branches, lambda p: studies.project(p, "main")):
            with pytest.raises(Error, match=r"expected https://github\.com/<org>/<name>, or the path") as caught:
                ask(path)
            assert caught.value.code is Code.INVALID, path


def test_no_folder_for_local_studies(repo: Path) -> None:
    studies = StudyRegistry(None, "", "", lambda: datetime(2026, 11, 23, tzinfo=UTC))
    error = refusal(studies, str(repo))
    assert error.code is Code.INVALID
    assert "no studies of its own" in error.message


def test_a_missing_repository_branch_or_file_is_named(studies: StudyRegistry, repo: Path, home: Path) -> None:
    (home / "plain").mkdir()
    for name in ("gone", "plain"):
        error = refusal(studies, name)
        assert (error.code, error.message) == (Code.NOT_FOUND, f"Missing repository: {name!r}")
    assert studies.branches("team/study") == []
    assert refusal(studies, "team/study").message == "Missing branch: 'main'"
    commit(repo, None)
    error = refusal(studies, "team/study")
    assert (error.code, error.message) == (Code.NOT_FOUND, "Could not find project.yaml")
    for branch in ("gone", "../../config", "", "main/x"):
        assert refusal(studies, "team/study", branch).message == f"Missing branch: {branch!r}"


def test_a_tag_is_no_branch(studies: StudyRegistry, repo: Path) -> None:
    commit(repo)
    git(repo, "tag", "v1")
    assert refusal(studies, "team/study", "v1").message == "Missing branch: 'v1'"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("actions:\n  a: {run: x, needs: [b]}\n", 2, "needs 'b'"),
        ("actions:\n  a: [\n", 3, "not YAML"),
        ("actions: {}\nactions: {}\n", 2, "duplicate key"),
        ("#" * (MAX_PROJECT_BYTES + 1), 0, "at most 8388608"),
    ],
)
def test_a_fault_in_project_yaml_has_its_line(
    studies: StudyRegistry, repo: Path, text: str, line: int, message: str
) -> None:
    commit(repo, text)
    error = refusal(studies, "team/study")
    assert error.code is Code.INVALID
    assert error.faults[0].line == line
    assert message in error.faults[0].message


def test_a_link_is_not_followed(studies: StudyRegistry, repo: Path) -> None:
    (repo / "project.yaml").symlink_to("/etc/passwd")
    git(repo, "add", "project.yaml")
    commit(repo, None)
    assert "not a folder, a link or a submodule" in refusal(studies, "team/study").message


def test_a_damaged_repository_is_unavailable(studies: StudyRegistry, repo: Path) -> None:
    commit(repo)
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    (repo / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    error = refusal(studies, "team/study")
    assert (error.code, "team/study" in error.message) == (Code.UNAVAILABLE, True)


OUTWARD = {
    "refs": lambda git_folder, secret: swap(git_folder / "refs", secret),
    "refs/heads": lambda git_folder, secret: swap(git_folder / "refs" / "heads", secret),
    "a ref": lambda git_folder, secret: swap(git_folder / "refs" / "heads" / "main", secret / "HEAD"),
    "objects": lambda git_folder, secret: swap(git_folder / "objects", secret / "objects"),
    "objects/pack": lambda git_folder, secret: swap(git_folder / "objects" / "pack", secret / "objects" / "pack"),
    "objects/info": lambda git_folder, secret: swap(git_folder / "objects" / "info", secret / "objects" / "info"),
    "packed-refs": lambda git_folder, secret: swap(git_folder / "packed-refs", secret / "packed-refs"),
    "HEAD": lambda git_folder, secret: swap(git_folder / "HEAD", secret / "HEAD"),
    "commondir": lambda git_folder, secret: swap(git_folder / "commondir", secret / "HEAD"),
    "an alternate": lambda git_folder, secret: (git_folder / "objects/info/alternates").write_text(f"{secret}/objects"),
    "a pipe among refs": lambda git_folder, secret: os.mkfifo(git_folder / "refs" / "heads" / "waits"),
    "a pipe for refs": lambda git_folder, secret: pipe(git_folder / "packed-refs"),
    "a pipe for HEAD": lambda git_folder, secret: pipe(git_folder / "HEAD"),
    "a pipe among packs": lambda git_folder, secret: os.mkfifo(git_folder / "objects" / "pack" / "pack-1.idx"),
}


def swap(here: Path, there: Path) -> None:
    """Makes a link of what is here."""
    if here.is_dir():
        shutil.rmtree(here)
    here.unlink(missing_ok=True)
    here.symlink_to(there)


def pipe(here: Path) -> None:
    here.unlink(missing_ok=True)
    os.mkfifo(here)


@pytest.mark.parametrize("way", OUTWARD)
def test_a_study_of_which_something_leads_out_is_not_opened(
    studies: StudyRegistry, repo: Path, home: Path, way: str
) -> None:
    commit(repo)
    secret = create(home.parent / "secret")
    commit(secret)
    OUTWARD[way](repo / ".git", secret / ".git")
    for ask in (studies.check_repo, studies.branches, lambda p: studies.project(p, "main")):
        with pytest.raises(Error, match="'team/study' can't be used as a repository") as caught:
            ask("team/study")
        assert str(home.parent) not in str(caught.value)


@pytest.mark.parametrize("which", ["HEAD", "HEAD^{tree}", "HEAD:project.yaml"])
def test_an_object_that_leads_out_or_waits_is_not_opened(
    studies: StudyRegistry, repo: Path, home: Path, which: str
) -> None:
    commit(repo)
    sha = git(repo, "rev-parse", which)
    place = repo / ".git" / "objects" / sha[:2] / sha[2:]
    kept = home.parent / "kept"
    place.rename(kept)
    for make in (place.symlink_to, lambda _: os.mkfifo(place)):
        make(kept)
        assert "objects leads out of it" in refusal(studies, "team/study").message
        place.unlink()


def test_the_settings_of_a_study_are_not_read(studies: StudyRegistry, repo: Path, home: Path) -> None:
    """They may include any file, one line of which stood in the error."""
    sha = commit(repo)
    (home.parent / "env").write_text("SECRET_KEY=0123456789abcdef\n")
    for text in (f"[include]\n\tpath = {home.parent}/env\n", "SECRET_KEY=0123456789abcdef\n"):
        (repo / ".git" / "config").write_text(text)
        assert studies.resolve("team/study", "main") == sha


def test_no_refusal_names_the_servers_folders(studies: StudyRegistry, repo: Path, home: Path) -> None:
    commit(repo)
    (repo / ".git" / "refs" / "heads" / "broken").write_text("SECRET_KEY=0123456789abcdef\n")
    for path, branch in (("../x", "main"), ("gone", "main"), ("team/study", "gone"), ("team/study", "broken")):
        said = str(refusal(studies, path, branch))
        assert str(home.parent) not in said
        assert "0123456789abcdef" not in said


def chosen(studies: StudyRegistry, ref: str) -> tuple[str, str, str, list[str]]:
    """(the ref in full, the commit, a branch that contains it, the actions there)."""
    study = studies.project("team/study", "main", ref)
    assert study.chosen is not None
    assert study.chosen.sha == study.sha
    return study.chosen.name, study.sha, study.chosen.branch, list(study.pipeline.actions)


def refused_ref(studies: StudyRegistry, ref: str) -> str:
    with pytest.raises(Error) as caught:
        studies.project("team/study", "main", ref)
    assert (caught.value.code, caught.value.where) == (Code.INVALID, "ref")
    return caught.value.message


def test_a_study_is_read_at_a_branch_a_tag_or_a_commit(studies: StudyRegistry, repo: Path) -> None:
    first = commit(repo, "actions: {old: {run: x}}")
    git(repo, "tag", "v1.0")
    git(repo, "tag", "-a", "-m", "told", "annotated")
    git(repo, "tag", "-a", "-m", "twice", "nested", "annotated")
    newest = commit(repo)
    side = commit(repo, "actions: {side: {run: y}}", "dev/trial")
    assert studies.project("team/study", "main", "main").chosen is None
    assert studies.project("team/study", "main", "refs/heads/main").chosen is None
    for ref in ("dev/trial", "refs/heads/dev/trial"):
        assert chosen(studies, ref) == ("refs/heads/dev/trial", side, "dev/trial", ["side"])
    for tag in ("v1.0", "annotated", "nested"):
        for ref in (tag, f"refs/tags/{tag}"):
            assert chosen(studies, ref) == (f"refs/tags/{tag}", first, "main", ["old"])
    for ref in (first, first[:7], first[:9].upper()):
        assert chosen(studies, ref) == (first, first, "main", ["old"])
    assert chosen(studies, newest) == (newest, newest, "main", ["a"])
    assert chosen(studies, side[:10]) == (side, side, "dev/trial", ["side"])
    git(repo, "checkout", "-q", "main")
    git(repo, "gc", "-q")
    assert chosen(studies, first[:8]) == (first, first, "main", ["old"])


@pytest.mark.parametrize(
    "ref",
    [
        "none",
        "dev",
        "main~1",
        "HEAD",
        "a..b",
        "-x",
        "refs/heads/",
        "refs/heads/none",
        "0" * 7,
        "0" * 40,
        "x" * 300,
        "é\x00",
    ],
)
def test_a_ref_that_the_study_lacks_is_named(studies: StudyRegistry, repo: Path, ref: str) -> None:
    commit(repo)
    commit(repo, branch="dev/trial")  # so that dev is a folder
    assert refused_ref(studies, ref).startswith("the repository has no branch, tag or commit ")


def test_a_ref_that_means_two_things_is_refused(studies: StudyRegistry, repo: Path) -> None:
    sha = commit(repo)
    git(repo, "tag", "v1")
    git(repo, "branch", "v1")
    git(repo, "branch", sha[:8])
    assert refused_ref(studies, "v1") == "'v1' is ambiguous: write refs/heads/v1 or refs/tags/v1"
    assert refused_ref(studies, sha[:8]) == f"'{sha[:8]}' is ambiguous: write refs/heads/{sha[:8]} or {sha}"
    assert chosen(studies, "refs/heads/v1")[0] == "refs/heads/v1"


def test_a_commit_counts_only_on_a_branch(studies: StudyRegistry, repo: Path) -> None:
    """As for runners: what was never pushed to a branch may be of anybody."""
    commit(repo)
    lost = commit(repo, branch="gone")
    git(repo, "tag", "kept")
    git(repo, "checkout", "-q", "main")
    git(repo, "branch", "-q", "-D", "gone")
    blob = git(repo, "rev-parse", "main:project.yaml")
    git(repo, "tag", "file", blob)
    assert (
        refused_ref(studies, lost) == f"commit {lost[:10]} is not on any branch of the repository: push it to one first"
    )
    assert refused_ref(studies, "kept").startswith("tag kept is not on any branch")
    for ref in (blob, "file"):
        assert "has no branch, tag or commit" in refused_ref(studies, ref)


def test_a_branch_whose_file_has_garbage_is_passed_over(studies: StudyRegistry, repo: Path) -> None:
    wanted = commit(repo)
    for name, data in (("a", "garbage"), ("b", "x" * 40), ("c", "")):
        (repo / ".git" / "refs" / "heads" / name).write_text(data)
    assert studies.project("team/study", "other", wanted).sha == wanted
    commit(repo, branch="side")
    lost = commit(repo, branch="gone")
    git(repo, "checkout", "-q", "main")
    (repo / ".git" / "refs" / "heads" / "gone").write_text("garbage")
    assert refused_ref(studies, lost).startswith(f"commit {lost[:10]} is not on any branch")


def test_the_branch_of_an_old_commit_is_searched_within_limits(
    studies: StudyRegistry, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit(repo)
    for _ in range(5):
        commit(repo, None)
    monkeypatch.setattr("jobserver.service.studies.local_refs._MOST_COMMITS", 4)
    assert "not among the last 4" in refused_ref(studies, first)


def test_a_shallow_clone_has_the_commits_that_it_has(studies: StudyRegistry, repo: Path, home: Path) -> None:
    commit(repo)
    lost = commit(repo, branch="gone")
    commit(repo, branch="main")
    git(home, "clone", "-q", "--depth", "1", f"file://{repo}", "shallow")
    tip = git(home / "shallow", "rev-parse", "HEAD")
    study = studies.project("shallow", "other", tip)
    assert study.chosen is not None
    assert study.chosen.branch == "main"
    with pytest.raises(Error, match="no branch, tag or commit"):
        studies.project("shallow", "main", lost)


def test_files_of_a_folder_are_read_at_a_commit(studies: StudyRegistry, repo: Path) -> None:
    plain = commit(repo)
    (repo / "codelists").mkdir()
    (repo / "codelists" / "codelists.txt").write_text("org/a/1")
    (repo / "codelists" / "codelists.json").symlink_to("codelists.txt")
    git(repo, "add", "codelists")
    listed = commit(repo)
    (repo / "codelists" / "codelists.txt").write_text("x" * (MAX_OTHER_BYTES + 1))
    git(repo, "add", "codelists")
    large = commit(repo)
    git(repo, "rm", "-qr", "codelists")
    (repo / "codelists").write_text("a file")
    git(repo, "add", "codelists")
    for without in (plain, commit(repo)):
        assert studies.codelist_files("team/study", without) is None
    assert studies.codelist_files("team/study", listed) == {"codelists.txt": b"org/a/1"}
    with pytest.raises(Error, match=r"codelists/codelists\.txt has 1048577 bytes; at most 1048576 are allowed"):
        studies.codelist_files("team/study", large)
