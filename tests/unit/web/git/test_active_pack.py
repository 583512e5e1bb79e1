"""The pack without the archive, as `git upload-pack` asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from jobserver.web.git import active_pack


@pytest.fixture
def tip(tmp_path: Path) -> str:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done = subprocess.run(
        ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-mx"],
        check=True,
    )
    done = subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def packed(folder: Path, text: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-I", "-S", active_pack.__file__, "git", "pack-objects", "--revs", "--stdout"]
    return subprocess.run(command, cwd=folder, input=text.encode(), capture_output=True, check=False)


def test_what_the_client_has_is_left_out(tip: str, tmp_path: Path) -> None:
    assert packed(tmp_path, f"{tip}\n--not\n\n").stdout[:12] == b"PACK\0\0\0\2\0\0\0\2"  # the commit and its folder
    assert packed(tmp_path, f"{tip}\n--not\n{tip}\n\n").stdout[:12] == b"PACK\0\0\0\2\0\0\0\0"


def test_a_history_that_git_cannot_read_gives_an_error_and_no_pack_of_less(tip: str, tmp_path: Path) -> None:
    done = packed(tmp_path, f"{tip}\n{'1' * 40}\n--not\n\n")
    assert (done.returncode != 0, done.stdout) == (True, b"")


def test_what_upload_pack_writes_is_read() -> None:
    lines = [b"--shallow 33\n", b"11\n", b"12\n", b"--not\n", b"22\n", b"\n"]
    assert active_pack.read(lines) == ([b"33"], [b"11", b"12"], [b"22"])
