"""`jobserver demo --once`: the whole main job, as a newcomer meets it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import zygote
from tests.e2e.harness import free_port, git, until
from tests.samples import only_whole


@only_whole
def test_the_demo_computes_something_and_leaves_a_sound_record(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobserver", "demo", "--once", "--folder", "demo", "--port", str(free_port())]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "ada requested run_all on admissions" in done.stdout
    outputs = tmp_path / "demo" / "runner" / "workspaces" / "admissions" / "outputs" / "output"
    model = json.loads((outputs / "model.json").read_text())
    assert 0.3 < model["explained"] < 1
    repo = tmp_path / "demo" / "state.git"
    assert git(repo, "fsck", "--full", "--strict") == ""
    signers = tmp_path / "signers"
    signers.write_text(git(repo, "show", "main:allowed_signers") + "\n")
    commits = git(repo, "rev-list", "--all").split()
    git(repo, "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", *commits)
    for log in ("server.log", "runner.log"):
        assert "Traceback" not in (tmp_path / "demo" / log).read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=only_whole)])
def test_a_demo_shows_a_failure_and_a_queue_and_leaves_no_process_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    with (tmp_path / "out").open("wb") as out:
        demo = zygote.start(["demo", "--folder", "demo", "--port", str(port)], os.environ, tmp_path, out, out)
    output = tmp_path / "out"
    until(lambda: "Open this to log in" in output.read_text(), 60)
    record = tmp_path / "demo" / "state.git"
    assert "seasonal_model failed" in git(record, "log", "--format=%s", "backends/demo")
    requested = git(record, "log", "--format=%an %s", "--grep=requested", "backends/demo-git").splitlines()
    assert [line.split()[0] for line in requested] == ["ben", "ada", "ben"]
    until(lambda: "archive/" in git(record, "ls-tree", "--name-only", "backends/demo-rap", "archive/"), 60)
    demo.send_signal(number)
    assert demo.wait(30) == 128 + number
    mine = str(tmp_path).encode()
    left = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if mine in _read(path)]
    assert left == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
