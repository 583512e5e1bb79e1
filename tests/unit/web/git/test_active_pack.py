"""The pack without the archive, as `git upload-pack` asks for it."""

import os
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobserver.web.git import active_pack, http_backend
from tests.e2e.harness import until
from tests.samples import only_whole

OBJECTS = 1 + 2 + 3000  # the commit, its folders, and the files
GIT = shutil.which("git")
assert GIT is not None


@pytest.fixture
def tip(tmp_path: Path) -> str:
    """Of a repository in ``tmp_path``, with enough files that their list does not fit into a pipe or a buffer."""
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    files = (f"M 100644 inline active/{number}\ndata {len(str(number))}\n{number}\n" for number in range(3000))
    commit = f"commit refs/heads/main\ncommitter x <x@x> 1800000000 +0000\ndata 1\nx\n{''.join(files)}"
    subprocess.run(["git", "-C", tmp_path, "fast-import", "--quiet"], input=commit.encode(), check=True)
    done = subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def packed(folder: Path, text: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-I", "-S", active_pack.__file__, "git", "pack-objects", "--revs", "--stdout"]
    options = {"input": text.encode(), "capture_output": True, "check": False}
    return subprocess.run(command, cwd=folder, env=os.environ | env, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def log_that(tmp_path: Path) -> Callable[[str], str]:
    """A folder for PATH, with a git whose `log` runs this script."""

    def make(script: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "git").write_text(f'#!/bin/sh\ncase "$*" in *"--format=commit"*) {script};; esac\nexec {GIT} "$@"\n')
        (folder / "git").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return make


def hook(path: str) -> str:
    """As the server sets it, with this PATH: git puts its own folder in front of the one that it gets."""
    return http_backend._PACK_ACTIVE_ONLY.replace(sys.executable, f"env PATH={shlex.quote(path)} {sys.executable}", 1)


def upload_pack(folder: Path, path: str) -> "subprocess.Popen[bytes]":
    """As `git http-backend` starts it."""
    settings = ["-c", f"uploadpack.packObjectsHook={hook(path)}", "-c", "uploadpack.keepAlive=1"]
    command = ["git", *settings, "upload-pack", "--stateless-rpc", folder]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def want(tip: str) -> bytes:
    line = f"want {tip} side-band-64k ofs-delta no-progress\n".encode()
    return b"%04x%s00000009done\n" % (len(line) + 4, line)


def test_what_the_client_has_is_left_out(tip: str, tmp_path: Path) -> None:
    assert packed(tmp_path, f"{tip}\n--not\n\n").stdout[:12] == b"PACK\0\0\0\2" + OBJECTS.to_bytes(4)
    assert packed(tmp_path, f"{tip}\n--not\n{tip}\n\n").stdout[:12] == b"PACK\0\0\0\2\0\0\0\0"


def test_a_history_that_git_cannot_read_gives_an_error_and_no_pack_of_less(tip: str, tmp_path: Path) -> None:
    done = packed(tmp_path, f"{tip}\n{'1' * 40}\n--not\n\n")
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("exit 1", id="the log fails"),
        pytest.param("kill -9 $$", id="the log is killed", marks=only_whole),
        pytest.param("kill -9 $PPID; exit 0", id="the hook is killed"),
        pytest.param("kill -15 $PPID; exit 0", id="the hook is ended", marks=only_whole),
    ],
)
def test_half_of_a_list_is_not_packed(tip: str, tmp_path: Path, log_that: Callable[[str], str], end: str) -> None:
    path = log_that(f'{GIT} "$@" | head -n 2000; sleep 0.3; {end}')
    done = packed(tmp_path, f"{tip}\n--not\n\n", PATH=path)
    assert done.returncode != 0
    assert done.stdout == b""
    process = upload_pack(tmp_path, path)
    answer, _ = process.communicate(want(tip))
    assert process.returncode != 0
    assert b"PACK" not in answer


def test_after_a_fetch_that_broke_off_the_next_one_is_whole(
    tip: str, tmp_path: Path, log_that: Callable[[str], str]
) -> None:
    """git's client asks for nothing again that an incomplete pack seems to bring."""
    client = tmp_path / "client"
    subprocess.run(["git", "init", "-q", "--bare", client], check=True)
    subprocess.run(["git", "-C", client, "config", "remote.server.url", f"file://{tmp_path}"], check=True)

    def fetch(path: str) -> int:
        settings = shlex.join(["-c", "uploadpack.allowFilter=true", "-c", f"uploadpack.packObjectsHook={hook(path)}"])
        command = ["git", "-C", client, "-c", "protocol.version=0", "fetch", "-q", "--filter=blob:none"]
        command.append(f"--upload-pack=git {settings} upload-pack")
        return subprocess.run([*command, "server", f"+{tip}:refs/heads/it"], capture_output=True).returncode

    path = log_that(f'{GIT} "$@" | head -n 2000; sleep 0.3; kill -9 $PPID; exit 0')
    assert fetch(path) != 0
    assert fetch(os.environ["PATH"]) == 0
    listing = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]
    kept = subprocess.run(["git", "-C", client, *listing], check=True, capture_output=True).stdout
    assert len(kept.split()) == OBJECTS


def test_no_process_outlives_its_client(tip: str, tmp_path: Path, log_that: Callable[[str], str]) -> None:
    pids = tmp_path / "pids"
    process = upload_pack(tmp_path, log_that(f"echo $$ $PPID > {pids}; exec sleep 600"))
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(want(tip))
    process.stdin.close()
    until(lambda: pids.is_file() and len(pids.read_text().split()) == 2)
    started = [os.pidfd_open(int(pid)) for pid in (process.pid, *pids.read_text().split())]
    process.stdout.close()  # the client has gone
    for descriptor in started:
        assert select.select([descriptor], [], [], 30)[0]
        os.close(descriptor)
    process.wait()


def test_the_client_is_told_one_line_without_paths_of_the_server(tip: str, tmp_path: Path) -> None:
    done = packed(tmp_path, f"{tip}\n--not\n\n", PATH="")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"jobserver: what to send can't be listed: No such file or directory\n"


def test_temporary_files_are_not_in_the_repository(tip: str, tmp_path: Path) -> None:
    """Python takes the working folder if it can write no other one."""
    hook = Path(active_pack.__file__).read_text()
    nowhere = "tempfile._candidate_tempdir_list = lambda: ['/nowhere', os.getcwd()]\n"
    changed = tmp_path / "hook.py"
    changed.write_text(hook.replace('if __name__ == "__main__":', f'{nowhere}if __name__ == "__main__":'))
    before = set(tmp_path.iterdir())
    done = subprocess.run([sys.executable, "-I", "-S", changed, "git"], input=b"", cwd=tmp_path, capture_output=True)
    assert done.returncode == 1
    assert done.stderr == b"jobserver: the server can't write temporary files: set TMPDIR\n"
    assert set(tmp_path.iterdir()) == before


def test_what_upload_pack_writes_is_read() -> None:
    lines = [b"--shallow 33\n", b"11\n", b"12\n", b"--not\n", b"22\n", b"\n"]
    assert active_pack.read(lines) == ([b"33"], [b"11", b"12"], [b"22"])
