"""The commands of docs/operations.md for backup and restore, run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import Site, git, job

DOC = Path(__file__).parents[2] / "docs" / "operations.md"


def commands(kind: str, site: Site, without: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    text = "\n".join(re.findall(rf"```{kind}\n(.*?)```", DOC.read_text(), re.DOTALL))
    assert text
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", text.replace(without, "") if without else text],
        cwd=site.folder,
        env={**site.env, "PATH": path, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    return folder


def test_a_backup_is_restored_elsewhere_with_everything(tmp_path: Path, backup: Path) -> None:
    site = Site(tmp_path / "site")
    site.start()
    first = site.ask("generate")
    site.run("user", "add", "zoe", "--email", "zoe@example.org")
    done = commands("bash", site, BACKUP=str(backup))  # beside a server that runs
    assert done.returncode == 0, done.stderr
    second = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(job(second, "j", "succeeded", 1)).raise_for_status()
    assert commands("bash", site, BACKUP=str(backup)).returncode == 0
    site.stop()
    for name in ("state.git.key", "private.sqlite3"):
        assert (backup / name).stat().st_mode & 0o777 == 0o600

    elsewhere = Site(tmp_path / "elsewhere")
    for path in elsewhere.folder.glob("state.git*"):
        subprocess.run(["rm", "-rf", path], check=True)
    elsewhere.tokens = site.tokens
    done = commands("restore", elsewhere, without="jobserver serve", BACKUP=str(backup))
    assert done.returncode == 0, done.stderr
    assert git(elsewhere.repo, "for-each-ref") == git(backup / "state.git", "for-each-ref")
    elsewhere.start()
    with elsewhere.client("tpp") as tpp, elsewhere.client("alice") as alice:
        assert tpp.listed() == [first]
        assert alice.get(f"/api/v2/job-requests/{second}/").json()["status"] == "succeeded"
    assert elsewhere.ask("generate")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(elsewhere.repo), "clone")
    (clone / "users" / "carol.yaml").write_text("nonsense")
    git(clone, "commit", "-qam", "x")
    with pytest.raises(subprocess.CalledProcessError):
        git(clone, "push", "-q")  # pushes are judged there too
    elsewhere.stop()
    elsewhere.check_record()


def test_a_rewritten_history_does_not_reach_the_backup(tmp_path: Path, backup: Path) -> None:
    site = Site(tmp_path / "site")
    site.start()
    site.ask("generate")
    site.stop()
    assert commands("bash", site, BACKUP=str(backup)).returncode == 0
    before = git(backup / "state.git", "for-each-ref")
    git(site.repo, "update-ref", "refs/heads/backends/tpp", "backends/tpp~1")
    done = commands("bash", site, BACKUP=str(backup))
    assert done.returncode != 0
    assert git(backup / "state.git", "for-each-ref") == before
