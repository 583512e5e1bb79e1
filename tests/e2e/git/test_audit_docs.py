"""The commands of docs/audit.md, run as they stand there, on a real record and on one that was tampered with."""

import re
import subprocess
from pathlib import Path

from tests.e2e.harness import Site, git, job
from tests.samples import only_whole

DOC = Path(__file__).parents[3] / "docs" / "audit.md"


def commands(folder: Path, **env: str) -> str:
    text = "\n".join(re.findall(r"```bash\n(.*?)```", DOC.read_text(), re.DOTALL))
    done = subprocess.run(
        ["bash", "-c", text], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **env},
    )  # fmt: skip
    return done.stdout + done.stderr


@only_whole
def test_an_auditor_needs_git_and_ssh_keygen_only(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(job(identifier, "j", "succeeded", 1)).raise_for_status()
    git(tmp_path, "clone", "-q", str(site.repo), "admin")
    alice = tmp_path / "admin" / "users" / "alice.yaml"
    alice.write_text(alice.read_text().replace('name: ""', "name: Alice"))
    git(tmp_path / "admin", "commit", "-qam", "a name")
    git(tmp_path / "admin", "push", "-q")
    site.run("key", "rotate")
    site.ask("generate")
    site.stop()  # which writes a checkpoint
    git(tmp_path, "clone", "-q", str(site.repo), "clone")
    said = commands(tmp_path / "clone", REQUEST=identifier)
    assert 'Good "git" signature for jobserver with ED25519 key' in said
    assert "main contains its checkpoint" in said
    assert "backends/tpp contains its checkpoint" in said
    assert "REWRITTEN" not in said
    assert "no merges" in said
    assert re.search(r"^receipt main [0-9a-f]{40}\.\.[0-9a-f]{40} user/root at 2", said, re.MULTILINE)
    assert len(re.findall(r"^N [0-9a-f]{40}$", said, re.MULTILINE)) == 1
    assert "every commit has a signature or a receipt" in said
    assert "out of date" not in said
    assert "alice requested generate on plain" in said
    assert "tpp reported generate succeeded" in said
    site.check_record()
    log = site.command("audit", "log", "--request", identifier)
    assert [line.split("  ")[-1] for line in log.stdout.splitlines()] == [
        "tpp reported generate succeeded",
        "alice requested generate on plain",
    ]
    pushed = site.command("audit", "log", "--actor", "root", "--event", "pushed", "--json")
    assert '"subject": "a name"' in pushed.stdout

    git(tmp_path / "clone", "commit", "-q", "--allow-empty", "-m", "x")
    forged = git(tmp_path / "clone", "rev-parse", "HEAD")
    git(tmp_path / "clone", "update-ref", "refs/remotes/origin/main", forged)
    assert f"NOT COVERED main {forged}" in commands(tmp_path / "clone", REQUEST=identifier)
    git(tmp_path / "clone", "update-ref", "refs/remotes/origin/main", f"{forged}^")

    git(site.repo, "update-ref", "refs/heads/backends/tpp", "backends/tpp~1")
    git(tmp_path / "clone", "fetch", "-q", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*")
    assert "backends/tpp WAS REWRITTEN" in commands(tmp_path / "clone", REQUEST=identifier)
    found = site.command("audit", "verify")
    assert found.returncode == 1
    assert "rolled back, forked or swapped" in found.stderr
    site.start(healthy=503)
    assert site.command("audit", "checkpoint").returncode == 1
    site.stop()
