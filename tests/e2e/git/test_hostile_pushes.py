"""Pushes that no honest client makes. Each ends in a clear answer, the branch as it was, and the server up."""

import base64
import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

import httpx
import pytest

from tests.e2e.git.test_git_http import Clone, active, document, run
from tests.e2e.harness import Site, git
from tests.e2e.harness import job as payload


@pytest.fixture
def tpp(site: Site, tmp_path: Path) -> Clone:
    return Clone(site, tmp_path / "tpp", "tpp", "backends/tpp", "--single-branch")


def refused(site: Site, clone: Clone, words: str) -> str:
    before = site.git("for-each-ref")
    done = clone.push()
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
    assert site.git("for-each-ref") == before
    assert site.git("fsck", "--full", "--strict") == ""
    assert httpx.get(f"{site.url}/health-check/").status_code == 200
    return done.stderr


def test_deep_folders(site: Site, tpp: Clone) -> None:
    tpp.commit(**{"/".join(["a"] * 40) + "/x.yaml": "x"})
    refused(site, tpp, "nested deeper than 16")


def test_names_with_control_characters(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    tpp.commit(**{f"{folder}/jobs/a\nb\x1b[31m.yaml": document("x")})
    said = refused(site, tpp, "no document may stand here")
    assert "\x1b" not in said


def test_ten_thousand_files_in_one_push(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    (tpp.folder / folder / "jobs").mkdir(parents=True)
    for number in range(10_000):
        (tpp.folder / folder / "jobs" / f"m{number}.yaml").write_text(document(f"m{number}"))
    tpp.commit()
    done = tpp.push()
    assert done.returncode == 0, done.stderr
    assert len(site.git("ls-tree", "-r", "--name-only", "backends/tpp", f"{folder}/jobs/").splitlines()) == 10_000


def test_files_of_another_backend_by_their_ids(site: Site, tpp: Clone) -> None:
    """git takes a tree that names any object of the repository; we don't: the push would show what it holds."""
    mine, theirs = site.ask("generate"), site.ask("generate", backend="emis")
    with site.client("emis") as emis:
        emis.report(payload(theirs, "secret", status_message="of emis")).raise_for_status()
    tpp.git("pull", "-q")
    path = next(path for path in site.files(theirs, "backends/emis") if path.endswith("secret.yaml"))
    blob = site.git("rev-parse", f"backends/emis:{path}")
    tpp.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{active(site, mine)}/jobs/secret.yaml")
    tree = run(tpp.folder, "write-tree", "--missing-ok").stdout.strip()
    sha = tpp.git("commit-tree", tree, "-p", "HEAD", "-m", "x")
    done = send(site, tpp, sha)
    assert "names an object that this push did not bring" in done, done
    assert site.git("rev-parse", "backends/tpp") == tpp.git("rev-parse", "HEAD")


def test_an_older_state_of_its_own_may_come_back(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    first = document("own", "running", 1)
    tpp.commit(**{f"{folder}/jobs/own.yaml": first})
    assert tpp.push().returncode == 0
    tpp.commit(**{f"{folder}/jobs/own.yaml": None})
    assert tpp.push().returncode == 0
    tpp.commit(**{f"{folder}/jobs/own.yaml": first})
    done = tpp.push()
    assert done.returncode == 0, done.stderr


def send(site: Site, clone: Clone, sha: str) -> str:
    """A push spoken by hand: a pack of the commit and its trees only. What git answers."""
    objects = []
    for name in clone.git("rev-list", "--objects", "--missing=allow-any", sha, "^origin/backends/tpp").split("\n"):
        name = name.split(" ")[0].lstrip("?")
        kind = run(clone.folder, "cat-file", "-t", name).stdout.strip()
        if kind in ("commit", "tree"):
            data = subprocess.run(["git", "-C", clone.folder, "cat-file", kind, name], capture_output=True, check=True)
            objects.append(({"commit": 1, "tree": 2}[kind], data.stdout))
    return post(site, clone.git("rev-parse", "origin/backends/tpp"), sha, pack(objects))


def pack(objects: "list[tuple[int, bytes]]") -> bytes:
    parts = [b"PACK", struct.pack(">II", 2, len(objects))]
    for kind, data in objects:
        size = len(data)
        byte, size = kind << 4 | size & 15, size >> 4
        head = bytearray()
        while size:
            head.append(byte | 128)
            byte, size = size & 127, size >> 7
        head.append(byte)
        parts += [bytes(head), zlib.compress(data)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def post(site: Site, old: str, new: str, data: bytes) -> str:
    line = f"{old} {new} refs/heads/backends/tpp\0report-status side-band-64k agent=test".encode()
    body = b"%04x%s0000" % (len(line) + 4, line) + data
    token = base64.b64encode(f"x:{site.tokens['tpp']}".encode()).decode()
    answer = httpx.post(
        f"{site.url}/state.git/git-receive-pack",
        content=body,
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/x-git-receive-pack-request"},
        timeout=30,
    )
    return answer.text


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "no pack", "lying count"])
def test_packs_that_are_cut_off_or_damaged(site: Site, tpp: Clone, damage: str) -> None:
    tip = tpp.git("rev-parse", "HEAD")
    commit = f"tree {tpp.git('rev-parse', 'HEAD^{tree}')}\nparent {tip}".encode()
    commit += b"\nauthor x <x@x> 1 +0000\ncommitter x <x@x> 1 +0000\n\nx\n"
    sha = hashlib.sha1(b"commit %d\0" % len(commit) + commit, usedforsecurity=False).hexdigest()
    good = pack([(1, commit)])
    data = {
        "cut": good[:-25],
        "flipped": good[:20] + bytes([good[20] ^ 0xFF]) + good[21:],
        "empty": pack([]),
        "no pack": b"hello",
        "lying count": good[:8] + struct.pack(">I", 1000) + good[12:],
    }[damage]
    said = post(site, tip, sha, data)
    assert "ok refs/heads" not in said
    assert site.git("rev-parse", "backends/tpp") == tip
    assert site.git("fsck", "--full", "--strict") == ""


def test_the_same_push_twice(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    tpp.commit(**{f"{folder}/jobs/twice.yaml": document("twice")})
    before = tpp.git("rev-parse", "origin/backends/tpp")
    assert tpp.push().returncode == 0
    count, receipts = site.count(), site.count("audit")
    assert tpp.push().returncode == 0  # "Everything up-to-date"
    said = post(site, before, tpp.git("rev-parse", "HEAD"), pack([]))
    assert "ok refs/heads/backends/tpp" not in said
    assert (site.count(), site.count("audit")) == (count, receipts)


def test_forged_authors_are_kept_and_the_receipt_tells(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    tpp.write(f"{folder}/jobs/forged.yaml", document("forged"))
    tpp.git("add", "-A")
    tpp.git("-c", "user.name=root", "-c", "user.email=root@users.127.0.0.1", "commit", "-qm", "root was here")
    assert tpp.push().returncode == 0
    log = site.command("audit", "log", "--event", "pushed", "--limit", "1").stdout
    assert "backend/tpp" in log
    assert "root was here" in log
    assert git(site.repo, "log", "-1", "--format=%(trailers:key=Pusher,valueonly)", "audit").strip() == "backend/tpp"
