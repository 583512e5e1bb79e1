"""An upgrade from each released version, with what that version left on the disk; and files of a newer version.

`make.py` made the archives, once, with the code of the release. Their keys and tokens are for these tests only.
"""

import json
import shutil
import socket
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore
from tests.e2e import zygote
from tests.samples import only_whole
from tests.upgrades.make import Installation, git, report

HERE = Path(__file__).parent
RELEASES = sorted(path.name.removesuffix(".tar.xz") for path in HERE.glob("*.tar.xz"))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class Upgraded(Installation):
    """The same folder, with the code of this version, which need not be imported for each command."""

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return zygote.command(arguments, self.environment, self.folder)

    def start(self) -> zygote.Process:
        with (self.folder / "server.log").open("ab") as log:
            return zygote.start(["serve"], self.environment, self.folder, log, log)


@pytest.fixture(params=[*(pytest.param(release, marks=only_whole) for release in RELEASES[:-1]), RELEASES[-1]])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with tarfile.open(HERE / f"{request.param}.tar.xz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(tmp_path)
    made = Upgraded(HERE.parents[1], tmp_path, free_port())
    made.environment["PUBLIC_READ"] = "on"
    yield made
    shutil.rmtree(tmp_path)


def facts(old: Installation) -> dict[str, str]:
    known: dict[str, str] = json.loads((old.folder / "facts.json").read_text())
    return known


def test_there_is_an_archive_of_each_release() -> None:
    changelog = (HERE.parents[1] / "CHANGELOG.md").read_text()
    released = [line.split()[1] for line in changelog.splitlines() if line.startswith("## ") and line[3].isdigit()]
    assert sorted(released) == RELEASES


def test_a_new_version_reads_writes_and_verifies_what_an_old_one_left(old: Installation) -> None:
    known = facts(old)
    old.run("audit", "verify")  # before the new version has written anything
    assert json.loads(old.run("status", known["running"], "--json"))["cancelled_actions"] == ["second"]
    with old.serving():
        check_pages(old, known)
        check_api(old, known)
        push(old)
    assert "no fault" in old.command("check").stderr
    old.run("audit", "verify")
    old.run("index", "verify")
    assert old.run("user", "show", "alice", "--json")
    with closing(PrivateStore(Path(f"{old.state}.private.sqlite3"))) as private:
        assert private.email("alice") == "alice@example.org"


def check_pages(old: Installation, known: dict[str, str]) -> None:
    with httpx.Client(timeout=60, base_url=old.url) as client:
        finished, running = f"/job-requests/{known['finished']}/", f"/job-requests/{known['running']}/"
        for path in ("/", "/jobs/", "/trends/", "/orgs/lab/p/", "/status/", finished, running):
            reply = client.get(path)
            assert reply.status_code == 200, path
        assert "first succeeded" in client.get(f"{finished}jobs/first-{known['finished'][:6]}/").text
        # Its name is a page's since 0.3.0.
        assert "schemas" in client.get("/schemas/").text
        assert client.get("/schemas/workspace.json").json()["type"] == "object"
        assert client.get("/health-check/").status_code == 200


def check_api(old: Installation, known: dict[str, str]) -> None:
    runner = httpx.Client(timeout=60, base_url=old.url, headers={"Authorization": known["token"]})
    person = httpx.Client(timeout=60, base_url=old.url, headers={"Authorization": known["personal"]})
    with runner, person:
        (item,) = runner.get("/api/v2/job-requests/").json()["results"]
        assert (item["identifier"], item["cancelled_actions"]) == (known["running"], ["second"])
        report(old.url, known["token"], known["running"], "first", "succeeded")
        shown = runner.get(f"/api/v2/job-requests/{known['finished']}/").json()
        assert [job["status"] for job in shown["jobs"]] == ["succeeded"]
        reply = person.post(
            "/api/v2/workspaces/trends/job-requests/", json={"requested_actions": ["run_all"], "backend": "tpp"}
        )
        assert reply.status_code == 201, reply.text


def push(old: Installation) -> None:
    clone = old.folder / "clone"
    git(old.folder, "clone", "-q", str(old.state), str(clone))
    (clone / "orgs" / "newer.yaml").write_text("version: 1\nslug: newer\nname: Newer\n")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "An org after the upgrade")
    git(clone, "push", "-q", "origin", "main")


@pytest.mark.parametrize("old", RELEASES[-1:], indirect=True)
def test_files_of_a_newer_version_are_rebuilt_or_named(old: Installation) -> None:
    """The index is rebuilt. The private store has what nothing else has, so the server does not start."""
    with old.serving():
        pass
    index, private = (Path(f"{old.state}.{name}.sqlite3") for name in ("index", "private"))
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA user_version=99")
    with old.serving():
        old.run("index", "verify")
    with closing(sqlite3.connect(private)) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(
        SystemExit, match=r"private\.sqlite3: was made by a newer jobserver \(version 99; this one knows"
    ):
        old.run("serve")
    with pytest.raises(Error, match="upgrade jobserver, or restore a backup from before the upgrade"):
        PrivateStore(private)
