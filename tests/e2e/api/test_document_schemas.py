"""The schemas and tools that help people who edit documents: served, in the template, and as git runs them."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from jobserver.domain.base.layout import MAIN, Kind, main_path, parse_path
from tests.e2e import zygote
from tests.e2e.harness import Site
from tests.site import TEMPLATES

TOOLS = TEMPLATES / "tools"


def test_anybody_gets_a_schema(site: Site) -> None:
    with site.client(None) as client:
        for kind in Kind:
            reply = client.get(f"/schemas/{kind}.json")
            assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/schema+json")
            assert reply.headers["Cache-Control"] == "public, max-age=3600"
            assert reply.json()["$id"] == f"{site.url}/schemas/{kind}.json"
        assert client.get("/schemas/none.json").status_code == 404


def test_vs_code_gets_the_schema_of_each_document() -> None:
    settings = json.loads((TOOLS / ".vscode/settings.json").read_text())
    for url, pattern in settings["yaml.schemas"].items():
        match = re.fullmatch(r"https://jobs\.example\.org/schemas/(\w+)\.json", url)
        assert match
        path = pattern.replace("*", "a")
        where = parse_path(MAIN, path)
        assert where is not None
        assert (where.kind, main_path(where.kind, where.name)) == (match[1], path)
    assert len(settings["yaml.schemas"]) == 5


@pytest.fixture
def clone(site: Site, tmp_path: Path) -> Path:
    """A clone of main with the tools, on a branch for some work."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(site.repo), str(folder))
    git(folder, "config", "user.name", "admin")
    git(folder, "config", "user.email", "admin@example.org")
    git(folder, "checkout", "--quiet", "-b", "work")
    for name in (".vscode", ".github", ".pre-commit-config.yaml"):
        subprocess.run(["cp", "-r", TOOLS / name, folder], check=True)
    (folder / "orgs").mkdir(exist_ok=True)
    (folder / "orgs/fresh.yaml").write_text("version: 1\nslug: fresh\nname: Fresh\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "tools")
    return folder


def git(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{zygote.programs()}:{os.environ['PATH']}"}


def break_document(clone: Path) -> None:
    (clone / "orgs/fresh.yaml").write_text("version: 1\nslug: fresh\ntitle: Fresh\n")
    git(clone, "add", "--all")


def test_the_commit_hook_refuses_a_document_with_a_fault(clone: Path) -> None:
    (hook,) = yaml.safe_load((clone / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("system", False, True)
    script = clone / ".git/hooks/pre-commit"
    script.write_text(f"#!/bin/sh\nexec {hook['entry']}\n")
    script.chmod(0o755)
    git(clone, "commit", "--quiet", "--allow-empty", "-m", "fine")
    break_document(clone)
    assert "orgs/fresh.yaml:3: title: unknown key: did you mean name?" in git(clone, "commit", "-m", "x", code=1)


def test_continuous_integration_refuses_a_document_with_a_fault(clone: Path) -> None:
    workflow = yaml.safe_load((clone / ".github/workflows/check.yml").read_text())
    steps = workflow["jobs"]["documents"]["steps"]
    (check,) = [step["run"] for step in steps if "check" in step.get("run", "")]
    git(clone, "checkout", "--quiet", "--detach")  # as actions/checkout does for a pull request

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(shlex.split(check), cwd=clone, env=environment(), capture_output=True, text=True)

    assert run().returncode == 0, run().stderr
    break_document(clone)
    git(clone, "commit", "--quiet", "-m", "break")
    done = run()
    assert done.returncode == 1
    assert "title: unknown key: did you mean name?" in done.stderr
