"""Pushing to the state repository through a real git client: who may push what, and what a refusal leaves."""

import base64
import contextlib
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.git.clone import Clone, active, document, run
from tests.e2e.harness import Site, until
from tests.samples import only_whole


def test_a_runner_pushes_a_status_and_it_counts(site: Site, tpp: Clone) -> None:
    identifier = site.ask("generate")
    tpp.git("pull", "-q")
    folder = active(site, identifier)
    new = tpp.commit(**{f"{folder}/jobs/g-{identifier}.yaml": document(f"g-{identifier}")})
    done = tpp.push()
    assert done.returncode == 0, done.stderr
    assert site.git("rev-parse", "backends/tpp") == new
    with site.client("alice") as alice:
        assert alice.get(f"/api/v2/job-requests/{identifier}/").json()["status"] == "running"
    receipt = site.git("log", "-1", "--format=%B", "audit")
    assert "backend/tpp pushed" in receipt
    assert f"New: {new}" in receipt
    tpp.commit(**{f"{folder}/jobs/g-{identifier}.yaml": document(f"g-{identifier}", "succeeded", 2)})
    assert tpp.push().returncode == 0
    until(lambda: all(path.startswith("archive/") for path in site.files(identifier)), 5)
    assert "jobserver archived" in site.git("log", "-1", "--format=%s", "backends/tpp")


def test_a_lost_race_is_fetch_first(site: Site, tpp: Clone) -> None:
    identifier = site.ask("generate")
    tpp.git("pull", "-q")
    other = site.ask("generate")
    tpp.commit(**{f"{active(site, identifier)}/jobs/r-{identifier}.yaml": document(f"r-{identifier}")})
    done = tpp.push()
    assert done.returncode != 0
    assert "fetch first" in done.stderr
    tpp.git("pull", "-q", "--rebase")
    assert tpp.push().returncode == 0
    assert site.files(other)


REFUSED = {
    "a request by a runner": (lambda folder: {f"{folder}/request.yaml": "version: 1\n"}, "request.yaml"),
    "a file that is no document": (lambda folder: {f"{folder}/jobs/x.txt": "x"}, "no document is allowed here"),
    "a file elsewhere": (lambda folder: {"evil.yaml": "x: 1"}, "no document is allowed here"),
    "an unknown key": (
        lambda folder: {f"{folder}/jobs/x1.yaml": document("x1") + "surprise: true\n"},
        "x1.yaml:11: surprise",
    ),
    "a wrong status": (
        lambda folder: {f"{folder}/jobs/x2.yaml": document("x2").replace("status: running", "status: done")},
        "x2.yaml:4: status",
    ),
    "a job under another name": (lambda folder: {f"{folder}/jobs/x4.yaml": document("x3")}, "identifier"),
    "the keys": (lambda folder: {"allowed_signers": "x"}, "allowed_signers"),
    "the explanation": (lambda folder: {"README.md": "x"}, "README.md"),
    "a huge file": (lambda folder: {f"{folder}/jobs/x5.yaml": "x" * 2_000_000}, "2000000 bytes"),
    "a job of no request": (
        lambda folder: {f"{folder.rsplit('/', 1)[0]}/aaaaaaaaaaaaaaaa/jobs/x6.yaml": document("x6")},
        "no readable request.yaml",
    ),
    "not UTF-8": (lambda folder: {f"{folder}/jobs/x7.yaml": "\udcff"}, "x7.yaml"),
    "an alias": (lambda folder: {f"{folder}/jobs/x8.yaml": "a: &a [*a]\n"}, "x8.yaml:1"),
}
FIRST = ("a request by a runner", "an unknown key", "a huge file", "not UTF-8")  # of each kind of refusal one


@pytest.mark.parametrize("name", [name if name in FIRST else pytest.param(name, marks=only_whole) for name in REFUSED])
def test_pushes_that_are_refused_leave_nothing(site: Site, tpp: Clone, name: str) -> None:
    make, words = REFUSED[name]
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    for path, text in make(folder).items():
        file = tpp.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    tpp.commit()
    before, objects, receipts = site.git("for-each-ref"), site.git("count-objects", "-v"), site.count("audit")
    done = tpp.push()
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
    assert re.search(r"jobserver: refused: [0-9a-f]{10} ", done.stderr), done.stderr
    assert site.git("for-each-ref") == before
    assert site.git("count-objects", "-v") == objects
    assert site.count("audit") == receipts
    assert not list((site.repo / "objects").glob("*incoming*"))


def test_every_commit_and_every_fault_is_named(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    first = tpp.commit(**{f"{folder}/jobs/bad.yaml": "nonsense: true\n", "other.yaml": "x"})
    second = tpp.commit(**{f"{folder}/jobs/bad.yaml": None, "other.yaml": None})
    assert tpp.git("diff", "HEAD~2", "--stat") == ""  # the end is as the beginning; the middle is judged
    done = tpp.push()
    assert done.returncode != 0
    assert f"{first[:10]} {folder}/jobs/bad.yaml" in done.stderr
    assert f"{first[:10]} other.yaml" in done.stderr
    assert second[:10] not in done.stderr.replace(f"-> {second[:10]}", "")


def test_a_backend_pushes_plain_files_in_a_line_to_its_branch_only(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    start = tpp.git("rev-parse", "HEAD")

    refs = site.git("for-each-ref")

    def refused(words: str, *refspec: str) -> None:
        done = tpp.push(*refspec)
        assert done.returncode != 0, words
        assert site.git("for-each-ref") == refs, words
        assert words in done.stderr, done.stderr
        tpp.git("reset", "-q", "--hard", start)

    def place(mode: str, sha: str) -> None:
        tpp.git("update-index", "--add", "--cacheinfo", f"{mode},{sha},{folder}/jobs/mode.yaml")
        tpp.git("commit", "-qm", "x")

    (tpp.folder / "blob").write_text(document("mode"))
    blob = tpp.git("hash-object", "-w", "blob")
    (tpp.folder / "blob").unlink()
    for mode, words in (("120000", "a symbolic link"), ("100755", "an executable")):
        place(mode, blob)
        refused(words)
    place("160000", start)
    refused("a submodule")
    tpp.git("checkout", "-q", "-b", "side")
    tpp.commit(**{f"{folder}/jobs/m.yaml": document("m")})
    side = tpp.git("rev-parse", "HEAD")
    tpp.git("checkout", "-q", "backends/tpp")
    tpp.commit()
    tpp.git("merge", "-q", "--no-edit", side)
    refused("a merge")
    refused("can push to backends/tpp only", f"{start}:refs/tags/v1")
    refused("can push to backends/tpp only", f"{start}:refs/heads/other")
    refused("can push to backends/tpp only", f"{start}:refs/heads/main")
    refused("can push to backends/tpp only", f"{start}:refs/heads/backends/new")
    refused("branches can't be deleted", ":refs/heads/backends/tpp")
    tpp.git("reset", "-q", "--hard", "HEAD~1")
    tpp.commit()
    refused("does not descend from", "--force", "HEAD:backends/tpp")
    tpp.git("checkout", "-q", "--orphan", "fresh")
    tpp.commit()
    refused("does not descend from", "--force", "HEAD:backends/tpp")


def test_forged_trailers_and_times_of_tomorrow_are_refused(site: Site, tpp: Clone) -> None:
    for message in ("x\n\nEvent: jobs.updated\nActor: user/root", f"x\n\nIdempotency-Key: {'0' * 32} {'0' * 32}"):
        tpp.commit(message)
        done = tpp.push()
        assert "only the server may write the trailer" in done.stderr
        tpp.git("reset", "-q", "--hard", "HEAD~1")
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "later", "--allow-empty"],
        cwd=tpp.folder,
        env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": "2099-01-01T00:00:00Z", "HOME": "/"},
        check=True,
    )
    assert "in the future" in tpp.push().stderr


def test_auditors_do_not_push(site: Site, tmp_path: Path) -> None:
    clone = Clone(site, tmp_path / "ann", "ann", "main")
    clone.commit()
    done = clone.push()
    assert done.returncode != 0
    assert "403" in done.stderr


def test_a_local_push_is_judged_with_and_without_a_server(site: Site, tmp_path: Path) -> None:
    assert run(tmp_path, "clone", "-q", str(site.repo), "local").returncode == 0
    local = tmp_path / "local"

    def push(path: str, text: str) -> "subprocess.CompletedProcess[str]":
        (local / path).write_text(text)
        run(local, "add", "-A")
        run(local, "commit", "-qm", "x")
        done = run(local, "push", "-q", "origin", "HEAD:main")
        if done.returncode:
            run(local, "reset", "-q", "--hard", "HEAD~1")
        return done

    good = (local / "users" / "carol.yaml").read_text()
    for number in (1, 2):
        refused = push("users/carol.yaml", "nonsense\n")
        assert refused.returncode != 0
        assert "users/carol.yaml:1" in refused.stderr
        accepted = push("users/carol.yaml", good.replace('name: ""', f"name: Carol {number}"))
        assert accepted.returncode == 0, accepted.stderr
        assert f"Carol {number}" in site.git("show", "main:users/carol.yaml")
        assert "user/root pushed" in site.git("log", "-1", "--format=%s", "audit")
        if number == 1:
            site.stop()
    site.start()


def test_git_hears_nothing_of_half_a_push(site: Site) -> None:
    """Found: git's http-backend waited for the rest for ever, busily, in a child of what was killed."""

    def waiting(count: int) -> bool:
        return f"\njobserver_bodies {count}.0\n" in site.get("/metrics").text

    password = base64.b64encode(f"x:{site.tokens['root']}".encode()).decode()
    head = (
        f"POST /state.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {password}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 200000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.sendall(head.encode() + b"0094" + b"1" * 1000)
        until(lambda: waiting(1))
        assert not backends(site)
    until(lambda: waiting(0))
    assert not backends(site)


def backends(site: Site) -> list[str]:
    """Processes of git's http-backend that work for this site."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            is_one = b"http-backend" in (process / "cmdline").read_bytes()
            if is_one and (process / "cwd").readlink() == site.repo:
                found.append(process.name)
    return found
