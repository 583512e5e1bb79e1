"""Names of branches that git can have, and reading one project.yaml."""

import pytest

from jobserver.errors import Code, Error
from jobserver.service.studies.base import MAX_PROJECT_BYTES, check_branch, check_sha, read_study

SHA = "0123456789abcdef" * 2 + "01234567"


@pytest.mark.parametrize("name", ["main", "feature/a/b", "v1.0", "a@b", "50%#1", "größe", "x.locked", "a-", "a{b}"])
def test_branches_that_git_can_have(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "@",
        "-a",
        "/a",
        "a/",
        "a//b",
        "a..b",
        "../a",
        "./a",
        "a/.b",
        "a.",
        "a.lock",
        "a.lock/b",
        "a b",
        "a\nb",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[b",
        "a\\b",
        "a@{1}",
        "\x7f",
        "\ud800",
        "a" * 256,
    ],
)
def test_branches_that_git_can_not_have(name: str) -> None:
    with pytest.raises(Error, match="Missing branch: ") as caught:
        check_branch(name)
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("text", ["", SHA[1:], SHA + "0", SHA.upper(), SHA + "\n", "HEAD"])
def test_a_malformed_commit_id_is_refused(text: str) -> None:
    assert check_sha(SHA)
    assert not check_sha(text)


def test_a_study_is_read_with_its_text() -> None:
    study = read_study(SHA, b"actions: {a: {run: x}} # \xc3\xa9\n")
    assert (study.sha, study.source) == (SHA, "actions: {a: {run: x}} # é\n")
    assert study.pipeline.closure(["run_all"]) == ("a",)


def test_project_yaml_has_a_largest_size() -> None:
    start = b"actions: {a: {run: x}} #"
    fits = start + b"x" * (MAX_PROJECT_BYTES - len(start))
    assert len(read_study(SHA, fits).source) == MAX_PROJECT_BYTES
    with pytest.raises(Error, match=f"{MAX_PROJECT_BYTES + 1} bytes; at most") as caught:
        read_study(SHA, fits + b"x")
    assert caught.value.code is Code.INVALID
    assert caught.value.faults[0].path == "project.yaml"
