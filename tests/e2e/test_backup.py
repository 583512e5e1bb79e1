"""The commands of docs/operations.md for backup and restore, run as they stand there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from jobserver.store.keys.signing import SigningKey
from tests.e2e import zygote
from tests.e2e.harness import Site, git, job
from tests.samples import first, only_whole

DOC = Path(__file__).parents[2] / "docs" / "operations.md"


def commands(kind: str, site: Site, without: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    text = "\n".join(re.findall(rf"```{kind}\n(.*?)```", DOC.read_text(), re.DOTALL))
    assert text
    path = f"{zygote.programs()}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", text.replace(without, "") if without else text],
        cwd=site.folder,
        env={**site.env, "PATH": path, "ELSEWHERE": str(site.folder), **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def back_up(site: Site, backup: Path) -> "subprocess.CompletedProcess[str]":
    return commands("bash", site, BACKUP=str(backup), ELSEWHERE=str(backup.parent))


def test_a_backup_is_restored_elsewhere_with_everything(tmp_path: Path, backup: Path) -> None:
    site = Site(tmp_path / "site")
    site.start()
    first = site.ask("generate")
    site.run("user", "add", "zoe", "--email", "zoe@example.org")
    done = back_up(site, backup)  # beside a server that runs
    assert done.returncode == 0, done.stderr
    second = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(job(second, "j", "succeeded", 1)).raise_for_status()
    assert back_up(site, backup).returncode == 0
    site.stop()
    for path in (tmp_path / "state.git.key", backup / "private.sqlite3"):
        assert path.stat().st_mode & 0o777 == 0o600

    elsewhere = Site(tmp_path / "elsewhere")
    for path in elsewhere.folder.glob("state.git*"):
        subprocess.run(["rm", "-rf", path], check=True)
    elsewhere.tokens = site.tokens
    done = commands("restore", elsewhere, without="jobserver serve", BACKUP=str(backup), ELSEWHERE=str(tmp_path))
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


@pytest.mark.parametrize("command", first(1, [["backup"], ["audit", "witness"]]))
def test_a_history_that_was_rewritten_does_not_reach_a_copy(tmp_path: Path, command: list[str]) -> None:
    site = Site(tmp_path / "site")
    site.start()
    site.ask("generate")
    site.stop()
    folder = tmp_path / "copy"
    copy = folder / "state.git" if command == ["backup"] else folder
    assert site.command(*command, str(folder)).returncode == 0
    before = git(copy, "for-each-ref")
    tip = git(site.repo, "rev-parse", "backends/tpp")

    git(site.repo, "update-ref", "refs/heads/backends/tpp", "backends/tpp~1")
    git(site.repo, "update-ref", "refs/heads/audit", "audit~1")  # whoever has the disk takes the checkpoint along
    done = site.command(*command, str(folder))
    assert done.returncode == 1
    assert "backends/tpp went back to" in done.stderr
    assert "audit went back to" in done.stderr
    other = git(site.repo, "commit-tree", "backends/tpp^{tree}", "-p", "backends/tpp", "-m", "x")
    git(site.repo, "update-ref", "refs/heads/backends/tpp", other)
    git(site.repo, "update-ref", "-d", "refs/heads/backends/emis")
    done = site.command(*command, str(folder))
    assert done.returncode == 1
    assert "backends/tpp was rewritten: it is now at" in done.stderr
    assert "backends/emis is gone" in done.stderr
    assert git(copy, "for-each-ref") == before
    assert git(copy, "rev-parse", "backends/tpp") == tip


def test_a_copy_is_not_the_repository_itself(tmp_path: Path) -> None:
    """It said "nothing moved, no fault", and there was no copy."""
    site = Site(tmp_path / "site")
    before = (site.repo / "config").read_text()
    for command in (["backup", str(site.folder)], ["audit", "witness", str(site.repo)]):
        done = site.command(*command)
        assert (done.returncode, "is the state repository itself" in done.stderr) == (1, True)
    assert (site.repo / "config").read_text() == before


@only_whole
def test_a_copy_judged_by_other_keys_is_judged_again(tmp_path: Path) -> None:
    """Whoever got the keys later heard "0 commits, no fault" of what they never looked at."""
    site = Site(tmp_path / "site")
    folder, keys = tmp_path / "copy", tmp_path / "keys"
    assert site.command("audit", "checkpoint").returncode == 0
    assert site.command("audit", "witness", str(folder)).returncode == 0
    keys.write_text(SigningKey.create(tmp_path / "another.key", "jobserver").allowed_signer)
    done = site.command("audit", "witness", str(folder), "--signers", str(keys))
    assert done.returncode == 1
    assert "which is not a key of the server" in done.stderr
    assert "0 commits, no fault" in site.command("audit", "witness", str(folder)).stderr
    (folder / "jobserver.verified").write_bytes(b"\xff")
    assert site.command("audit", "witness", str(folder)).returncode == 0


@only_whole
def test_a_copy_verifies_what_is_new(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.start()
    site.stop()  # which writes a checkpoint
    folder = tmp_path / "copy"
    first = site.command("audit", "witness", str(folder), "--from", str(site.repo))
    assert first.returncode == 0
    assert "no fault" in first.stderr
    assert "0 commits, no fault" in site.command("audit", "witness", str(folder)).stderr
    forged = git(site.repo, "commit-tree", "main^{tree}", "-p", "main", "-m", "x")
    git(site.repo, "update-ref", "refs/heads/main", forged)
    for _ in range(2):  # and goes on saying so
        done = site.command("audit", "witness", str(folder))
        assert done.returncode == 1
        assert f"main {forged[:10]}: is not signed" in done.stderr


def test_a_failed_part_of_a_backup_is_named(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    folder = tmp_path / "copy"
    inside = site.command("backup", str(folder), "--key", str(folder / "key"))
    assert inside.returncode == 1
    assert "outside of" in inside.stderr
    nowhere = site.command("backup", str(folder), "--from", str(tmp_path / "nowhere"))
    assert nowhere.returncode == 1
    assert "nowhere" in nowhere.stderr
    mistaken = site.command("audit", "witness", str(site.folder / "studies" / "study"))
    assert mistaken.returncode == 1
    assert "Traceback" not in inside.stderr + nowhere.stderr + mistaken.stderr
