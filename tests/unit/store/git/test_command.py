"""The system's git: found, old, or not there at all."""

import subprocess
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store.git.command import check_git, git, has_object, is_ancestor, program


def say(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = folder / "git"
    script.write_text(f"#!/bin/sh\nprintf '{text}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_system_git_is_new_enough() -> None:
    check_git()


@pytest.mark.parametrize("said", ["git version 2.33.9", "git version 1.99", "something", ""])
def test_a_git_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    say(tmp_path, said, monkeypatch)
    with pytest.raises(Error, match=f"^{said or 'git'} is too old: install git 2.34 or later"):
        check_git()


def test_a_machine_without_git_is_told_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Error, match="git is missing") as refused:
        program()
    assert refused.value.code is Code.UNAVAILABLE


def test_a_failed_git_command_is_told_in_gits_words(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert git(tmp_path, "rev-parse", "--git-dir") == ".git\n"
    with pytest.raises(Error, match="git rev-parse: fatal: "):
        git(tmp_path, "rev-parse", "--verify", "nothing")
    assert not has_object(tmp_path, "0" * 40)
    assert not is_ancestor(tmp_path, "0" * 40, "1" * 40)
