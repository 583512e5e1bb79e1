"""STATE_REMOTE from outside: server processes with clones of one hosted repository, real git, the command line."""

import hashlib
import hmac
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Site, git, job, until
from tests.e2e.host import Host
from tests.samples import only_whole

SECRET = "a-secret-of-the-webhook"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "host", 3, "servers:a-secret")
    yield host
    host.close()


def machine(folder: Path, host: Host, number: int, poll: float = 0.2) -> Site:
    """A server with a clone of its own; the first one's history is pushed to the host."""
    site = Site(folder / f"machine-{number}")
    if number == 0:
        git(site.repo, "push", "-q", host.url(), "refs/heads/*:refs/heads/*")
    site.env |= {
        "STATE_REMOTE": host.url(number),
        "STATE_REMOTE_POLL_SECONDS": str(poll),
        "STATE_REMOTE_WEBHOOK_SECRET": SECRET,
    }
    return site


@only_whole
def test_a_researcher_and_a_runner_on_different_servers(tmp_path: Path, host: Host) -> None:
    first, second = machine(tmp_path, host, 0), machine(tmp_path, host, 1)
    first.start()
    second.start()
    asked = first.ask("generate")
    assert asked in git(host.path, "log", "-1", "--format=%B", "backends/tpp")
    with second.client("tpp") as tpp:
        until(lambda: tpp.listed() == [asked])
        tpp.report(job(asked, "j1", "succeeded", 1)).raise_for_status()
    with first.client("alice") as alice:
        until(lambda: alice.get(f"/api/v2/job-requests/{asked}/").json()["status"] == "succeeded")
        assert alice.get("/api/v2/job-requests/").headers["X-State-As-Of"].endswith("Z")
    # A runner that was told of a request by one server reports to another that has not heard of it yet.
    second.stop()
    second.env["STATE_REMOTE_POLL_SECONDS"] = "3000"
    second.start()
    asked = first.ask("generate")
    with second.client("tpp") as tpp:
        answer = tpp.report(job(asked, "j2", "running", 2))
        assert answer.json() == {"status": "success"}
    for site in (first, second):
        site.stop()
        site.check_record()


def test_a_push_to_one_server_is_a_push_for_all(tmp_path: Path, host: Host) -> None:
    first, second = machine(tmp_path, host, 0), machine(tmp_path, host, 1, poll=3000)
    first.start()
    second.start()
    clones = []
    for number, site in enumerate((first, second)):
        remote = f"{site.url.replace('//', '//x:' + site.tokens['root'] + '@')}/state.git"
        clone = tmp_path / f"clone-{number}"
        git(tmp_path, "clone", "-q", remote, clone.name)
        user = clone / "users" / "carol.yaml"
        user.write_text(user.read_text().replace('name: ""', f"name: Carol {number}"))
        git(clone, "commit", "-qam", "a name")
        clones.append(clone)
    git(clones[0], "push", "-q", "origin", "HEAD:main")
    assert host.tip("main") == git(clones[0], "rev-parse", "HEAD") == git(first.repo, "rev-parse", "main")
    late = subprocess.run(["git", "-C", clones[1], "push", "origin", "HEAD:main"], capture_output=True, text=True)
    assert late.returncode
    assert "fetch first" in late.stderr
    git(clones[1], "fetch", "-q")  # the refused push made its server look
    until(lambda: git(second.repo, "rev-parse", "main") == host.tip("main"))
    bad = clones[0] / "users" / "carol.yaml"
    bad.write_text("nonsense: yes\n")
    git(clones[0], "commit", "-qam", "nonsense")
    before = host.tip("main")
    assert subprocess.run(["git", "-C", clones[0], "push", "-q"], capture_output=True).returncode
    assert host.tip("main") == before
    first.stop()
    # Where no server runs, the hook judges alone, and pushes there as well.
    git(clones[0], "reset", "-q", "--hard", "HEAD~1")
    bad.write_text(bad.read_text().replace("Carol 0", "Carol alone"))
    git(clones[0], "commit", "-qam", "alone")
    git(clones[0], "push", "-q", str(first.repo), "HEAD:main")
    assert host.tip("main") == git(clones[0], "rev-parse", "HEAD")
    second.stop()
    first.check_record()


@only_whole
def test_the_webhook_is_believed_if_it_is_signed(tmp_path: Path, host: Host) -> None:
    site = machine(tmp_path, host, 0, poll=3000)
    other = machine(tmp_path, host, 1)
    site.start()
    looks = host.looks
    other.run("user", "add", "zoe")
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    with site.client(None) as client:
        for headers in (
            {},
            {"X-Hub-Signature-256": "sha256=" + "0" * 64},
            {"X-Hub-Signature-256": signature},
            {"X-Hub-Signature-256": "sha256=" + hmac.new(b"guess", body, hashlib.sha256).hexdigest()},
            {"X-Hub-Signature-256": "sha256=é".encode("latin-1")},
            {"X-Gitlab-Token": "guess"},
            {"X-Gitlab-Token": SECRET, "X-Hub-Signature-256": "sha256=0"},
        ):
            assert client.post("/hooks/state/", content=body, headers=headers).status_code == 403
        assert client.get("/hooks/state/").status_code == 405
        looks = host.looks
        headers = {"X-Hub-Signature-256": f"sha256={signature}"}
        assert client.post("/hooks/state/", content=body + b" ", headers=headers).status_code == 403
        assert client.post("/hooks/state/", content=body, headers=headers).status_code == 204
        until(lambda: git(site.repo, "rev-parse", "main") == host.tip("main"))
        assert host.looks > looks
        assert client.post("/hooks/state/", content=b"{}", headers={"X-Gitlab-Token": SECRET}).status_code == 204
    site.stop()


def test_the_first_server_founds_and_others_join_with_its_key(tmp_path: Path, host: Host) -> None:
    sites = [machine(tmp_path, host, number) for number in (1, 2)]  # their history is thrown away
    first, second = sites
    for site in sites:
        for path in site.folder.glob("state.git*"):
            subprocess.run(["rm", "-rf", path], check=True)
    first.run("init")
    assert host.tip("main") == git(first.repo, "rev-parse", "main")
    done = second.command("init")
    assert done.returncode == 1
    assert "copy their key" in done.stderr
    key = Path(f"{second.repo}.key")
    key.write_bytes(Path(f"{first.repo}.key").read_bytes())
    key.chmod(0o600)
    second.run("init")
    second.run("user", "add", "zoe")
    first.run("user", "add", "yves")
    assert git(host.path, "ls-tree", "--name-only", "main", "users/").split() == [
        "users/root.yaml",
        "users/yves.yaml",
        "users/zoe.yaml",
    ]
    first.check_record()


def test_an_empty_host_is_answered_with_how_to_move_there(tmp_path: Path, host: Host) -> None:
    site = machine(tmp_path, host, 1)  # nothing was pushed there
    done = site.command("user", "add", "zoe")
    assert done.returncode == 1
    assert "docs/scale.md" in done.stderr
    assert "a-secret" not in done.stderr


def test_a_frozen_branch_is_named_and_adopted(tmp_path: Path, host: Host) -> None:
    site = machine(tmp_path, host, 0)
    site.start()
    git(tmp_path, "clone", "-q", str(host.path), "clone")
    clone = tmp_path / "clone"
    user = clone / "users" / "carol.yaml"
    user.write_text(user.read_text().replace('name: ""', "name: Carol"))
    git(clone, "commit", "-qam", "past all rules")
    git(clone, "push", "-q")
    made = host.tip("main")
    with site.client(None) as client:
        until(lambda: client.get("/health-check/").status_code == 503)
        assert made[:10] in client.get("/health-check/").text
    with site.client("alice") as alice:
        page = alice.get("/health-check/").json()
        assert page["problems"][0].startswith("write: main is frozen")
    assert "main is frozen" in site.run("remote", "status")
    assert json.loads(site.run("remote", "status", "--json"))["frozen"].keys() == {"main"}
    done = site.command("remote", "adopt", "backends/tpp")
    assert "is not frozen" in done.stderr
    assert made[:10] in site.run("remote", "adopt", "main")
    with site.client(None) as client:
        until(lambda: client.get("/health-check/").status_code == 200)
    site.stop()
    site.check_record()


def test_a_server_starts_and_reads_while_its_host_is_down(tmp_path: Path, host: Host) -> None:
    site = machine(tmp_path, host, 0)
    site.run("user", "add", "zoe")
    site.env["PUBLIC_READ"] = "on"
    host.is_down = True
    done = site.command("backend", "list")
    assert done.returncode == 0
    assert "tpp" in done.stdout
    assert "showing the branches as they were last seen" in done.stderr
    site.start(healthy=503)
    with site.client("alice") as alice:
        assert alice.get("/api/v2/job-requests/").status_code == 200
        body = {"requested_actions": ["generate"], "backend": "tpp"}
        answer = alice.post("/api/v2/workspaces/plain/job-requests/", json=body)
        assert answer.status_code == 503
        assert "can't be reached since" in answer.json()["detail"]
        assert "This server lost its connection to the hosted repository" in alice.get("/jobs/").text
        statuses = {path: alice.get(f"/health-check/{path}/").status_code for path in ("alive", "read", "write")}
        assert statuses == {"alive": 200, "read": 200, "write": 503}
        host.is_down = False
        until(lambda: alice.get("/health-check/").status_code == 200)
        assert alice.post("/api/v2/workspaces/plain/job-requests/", json=body).status_code == 201
    site.stop()
    site.check_record()


@only_whole
def test_an_installation_moves_to_a_hosted_repository_and_back(tmp_path: Path, host: Host) -> None:
    """docs/scale.md, "Setting it up": an installation moves to a hosted repository, and back to its own disk."""
    site = Site(tmp_path / "site")
    site.start()
    asked = [site.ask("generate")]
    site.stop()
    git(site.repo, "push", "-q", host.url(), "refs/heads/*:refs/heads/*")
    site.env["STATE_REMOTE"] = host.url()
    site.start()
    asked.append(site.ask("analyse"))
    site.stop()
    assert git(site.repo, "for-each-ref") == git(host.path, "for-each-ref")
    del site.env["STATE_REMOTE"]
    site.start()
    asked.append(site.ask("report"))
    with site.client("tpp") as tpp:
        assert set(tpp.listed()) == set(asked)
    site.stop()
    site.check_record()
