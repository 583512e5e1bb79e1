"""`jobserver demo --once`: the whole main job, as a newcomer meets it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import free_port, git


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
