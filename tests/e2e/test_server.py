"""The server as a process: killed, restarted, doubled, without its index, with damage on a branch, on a full disk."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e import zygote
from tests.e2e.harness import Site, free_port, git, job, until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.server is not None:
        made.stop()


def test_acknowledged_writes_survive_a_killed_server(site: Site) -> None:
    site.start()
    with site.client("alice") as alice:
        body = {"requested_actions": ["run_all"], "backend": "tpp"}
        headers = {"Idempotency-Key": "k"}
        first = alice.post("/api/v2/workspaces/plain/job-requests/", json=body, headers=headers)
        assert site.server is not None
        os.kill(site.server.pid, signal.SIGKILL)
        site.server.wait()
        until(lambda: is_down(site))
        site.start()
        assert first.json()["identifier"] in alice.listed()
        again = alice.post("/api/v2/workspaces/plain/job-requests/", json=body, headers=headers)
    assert (again.content, again.headers["X-Commit"]) == (first.content, first.headers["X-Commit"])
    assert site.git("fsck", "--full", "--strict") == ""


def is_down(site: Site) -> bool:
    """The serving process ends by itself once the one that started it is gone."""
    try:
        site.get("/health-check/")
    except httpx.TransportError:
        return True
    return False


def test_a_deleted_index_loses_nothing(site: Site) -> None:
    site.start()
    identifier = site.ask()
    with site.client("tpp") as tpp:
        tpp.report(job(identifier, "a"))
        before = tpp.get(f"/api/v2/job-requests/{identifier}/").json()
        site.stop()
        for path in site.folder.glob("state.git.index*"):
            path.unlink()
        site.start()
        assert tpp.get(f"/api/v2/job-requests/{identifier}/").json() == before
    assert "up to date" in site.command("index", "status").stdout
    assert site.command("index", "rebuild").returncode == 0
    assert '"jobs": 1' in site.run("index", "status", "--json")


def test_two_servers_on_one_repository(site: Site) -> None:
    site.start()
    first = site.server
    url, port = site.url, site.port
    site.port = free_port()
    site.url = f"http://127.0.0.1:{site.port}"
    site.start("second.log")
    second = httpx.Client(base_url=site.url, headers={"Authorization": site.tokens["tpp"]})
    site.url = url
    try:
        with second, site.client("tpp") as tpp:
            for _ in range(5):
                identifier = site.ask()
                listed = second.get("/api/v2/job-requests/").json()["results"]
                assert listed[0]["identifier"] == identifier
                assert second.post("/api/v2/jobs/", json=[job(identifier, f"{identifier}a")]).status_code == 200
                assert tpp.get(f"/api/v2/job-requests/{identifier}/").json()["status"] == "running"
            etag = second.get("/api/v2/job-requests/").headers["ETag"]
            headers = {"If-None-Match": etag, "Prefer": "wait=40"}
            with contextlib.ExitStack() as stack:
                poll = subprocess.Popen(
                    ["curl", "-s", *(f"-H{k}: {v}" for k, v in {**headers, **second.headers}.items()),
                     f"http://127.0.0.1:{site.port}/api/v2/job-requests/"],
                    stdout=subprocess.PIPE,
                )  # fmt: skip
                stack.enter_context(poll)
                until(lambda: "jobserver_held_polls 1.0" in second.get("/metrics").text)
                identifier = site.ask()
                assert identifier.encode() in poll.communicate()[0]
    finally:
        assert site.server is not None
        site.server.terminate()
        assert site.server.wait(30) == 0
        site.server, site.port = first, port


def test_maintenance_beside_a_server(site: Site) -> None:
    site.start()
    ids = [site.ask() for _ in range(3)]
    assert site.command("maintain").returncode == 0
    ids.append(site.ask())
    with site.client("tpp") as tpp:
        assert sorted(tpp.listed()) == sorted(ids)
    assert site.git("fsck", "--full", "--strict") == ""


def test_unreadable_documents_are_named_and_served_around(site: Site) -> None:
    site.start()
    good, bad = site.ask(), site.ask()
    clone = site.folder / "clone"
    git(site.folder, "clone", "-q", "-b", "backends/tpp", str(site.repo), str(clone))
    (path,) = clone.glob(f"active/*/{bad}/request.yaml")
    path.write_text("version: 1\nidentifier: [\n")
    git(clone, "commit", "-qam", "damage")
    git(clone, "push", "-q", "--receive-pack=git -c core.hooksPath=/dev/null receive-pack")
    with site.client("tpp") as tpp:
        assert tpp.listed() == [good]
        health = site.get("/health-check/")
        assert f"{bad}/request.yaml:" in health.json()["unreadable"][0]["fault"]
        assert health.status_code == 503  # nobody judged it, so nothing is written on top of it
        assert "which no server made or judged" in health.json()["problems"][0]
        refused = tpp.report(job(good, "a"))
        assert refused.status_code == 503
        assert "which no server made or judged" in refused.text
    done = site.command("check", "--branch", "backends/tpp")
    assert done.returncode == 1
    assert f"{bad}/request.yaml:" in done.stderr


def test_a_state_repo_that_is_none_stops_the_start(site: Site) -> None:
    done = site.command("serve", STATE_REPO=str(site.folder / "studies"), SIGNING_KEY=str(site.repo) + ".key")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "not a git repository" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; only the system's administrator can make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_writes_and_heals(small_disk: Path) -> None:
    site = Site(small_disk)
    site.start()
    identifier = site.ask()
    body = {"requested_actions": ["run_all"], "backend": "tpp"}
    filler = small_disk / "filler"
    with site.client("alice") as alice, site.client("tpp") as tpp:
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1024))
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0")
        refused = alice.post("/api/v2/workspaces/plain/job-requests/", json=body)
        assert (refused.status_code, refused.json()) == (503, {"detail": "the disk is full"})
        assert tpp.report(job(identifier, "a")).status_code == 503
        assert tpp.listed() == [identifier]
        assert alice.get(f"/api/v2/job-requests/{identifier}/").json()["jobs"] == []
        assert site.get("/health-check/").status_code == 503
        assert site.get("/health-check/write/").status_code == 503
        filler.unlink()
        assert alice.post("/api/v2/workspaces/plain/job-requests/", json=body).status_code == 201
        assert tpp.report(job(identifier, "a")).status_code == 200
        assert len(tpp.listed()) == 2
        assert site.get("/health-check/").status_code == 200
    site.stop()
    assert site.git("fsck", "--full", "--strict") == ""


def test_servers_that_start_at_once_make_one_index(site: Site) -> None:
    """Found by `make torture`: the second opened the index that the first was still making."""
    site.start()
    identifier = site.ask()
    site.stop()
    for path in site.folder.glob("*.index.sqlite3*"):
        path.unlink()
    ports = [free_port() for _ in range(3)]
    with (site.folder / "server.log").open("ab") as log:
        servers = [zygote.start(["serve", "--port", str(port)], site.env, site.folder, log, log) for port in ports]
    try:
        for port in ports:
            site.url = f"http://127.0.0.1:{port}"
            site.wait()
            with site.client("tpp") as tpp:
                assert tpp.listed() == [identifier]
    finally:
        for server in servers:
            server.terminate()
        assert [server.wait(30) for server in servers] == [0, 0, 0]
    assert "Traceback" not in site.log()
    site.server = None
