"""The commands of docs/runner-operator.md for a backend without any network, run as they stand there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import Site
from tests.samples import only_whole

DOC = Path(__file__).parents[3] / "docs" / "runner-operator.md"


@only_whole
def test_the_four_steps_of_a_backend_without_a_network(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    steps = re.findall(r"^ *```bash\n(.*?)```", DOC.read_text().partition("### Without any network")[2], re.S | re.M)
    assert len(steps) == 4
    command = tmp_path / "bin" / "jobserver"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jobserver "$@"\n')
    command.chmod(0o755)
    env = {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(DOC.parents[1]),
        "HOME": str(tmp_path),
        "SERVER": site.url.replace("http://", f"http://x:{site.tokens['tpp']}@"),
        "SIGNER": site.signer(),
        "STUDY_REPOS": str(tmp_path / "studies"),
    }

    def step(number: int) -> None:
        done = subprocess.run(
            ["bash", "-euc", steps[number - 1].replace("jobs.example.org", "127.0.0.1")],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def status(identifier: str) -> str:
        return str(json.loads(site.run("status", identifier, "--json"))["status"])

    first = site.ask("generate")
    for number in (1, 2, 3):
        step(number)
    assert status(first) == "succeeded"
    second = site.ask("analyse")
    for number in (4, 2, 3):
        step(number)
    assert status(second) == "succeeded"
    site.stop()
    site.check_record()
