"""The commands of docs/runner-operator.md for working with git, run as they stand there."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e import zygote
from tests.e2e.git.clone import active, document
from tests.e2e.harness import Site, serving, until
from tests.samples import only_whole

DOC = Path(__file__).parents[3] / "docs" / "runner-operator.md"


def steps_of(title: str) -> list[str]:
    section = DOC.read_text().partition(f"### {title}\n")[2].partition("\n### ")[0]
    return [re.sub("^ *", "", step, flags=re.M) for step in re.findall(r"^ *```bash\n(.*?)```", section, re.S | re.M)]


def test_a_backend_works_without_the_archive_by_hand(tmp_path: Path) -> None:
    version = re.findall(r"\d+", subprocess.check_output(["git", "version"], text=True))
    if (int(version[0]), int(version[1])) < (2, 38):
        pytest.skip("the page says that this needs git 2.38")
    site = Site(tmp_path)
    with serving(site):
        _work_without_the_archive(site, tmp_path, steps_of("Without the archive, by hand"))


def _work_without_the_archive(site: Site, folder: Path, steps: list[str]) -> None:
    server = site.url.replace("http://", f"http://x:{site.tokens['tpp']}@")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "SERVER": server, "GIT_CONFIG_NOSYSTEM": "1"}

    def step(number: int) -> bool:
        done = subprocess.run(
            ["bash", "-euc", steps[number - 1]], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        refused = "non-fast-forward" in done.stderr or "fetch first" in done.stderr
        assert done.returncode == 0 or refused, done.stdout + done.stderr
        return not refused

    def write(identifier: str, *report: object) -> None:
        file = folder / "active" / active(site, identifier) / "jobs" / f"w{identifier}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(document(f"w{identifier}", *report))  # type: ignore[arg-type]

    assert len(steps) == 4
    first = site.ask("generate")
    assert step(1)
    second = site.ask("generate")
    assert step(2)
    for identifier in (first, second):
        write(identifier)
    assert step(3)
    write(second, "succeeded", 2)
    site.ask("generate")
    assert not step(3)
    assert step(4)
    assert step(3)
    until(lambda: all(path.startswith("archive/") for path in site.files(second)))
    assert step(2)
    assert not list((folder / "active").glob(f"*/*/{second}"))


@only_whole
def test_the_four_steps_of_a_backend_without_a_network(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    steps = steps_of("Without any network")
    assert len(steps) == 4
    env = {
        "PATH": f"{zygote.programs()}:{os.environ['PATH']}",
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
