"""Pushes that no honest client makes. Each ends in a clear answer, the branch as it was, and the server up."""

import base64
import hashlib
import socket
import struct
import subprocess
import zlib
from collections.abc import Sequence

import httpx
import pytest

from jobserver.store.packs import splice_delta
from jobserver.store.sent import Sent
from tests.e2e.git.by_hand import fetch_by_hand
from tests.e2e.git.clone import Clone, active, document, run
from tests.e2e.harness import Site, git
from tests.e2e.harness import job as payload


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


@pytest.fixture
def secret(site: Site) -> str:
    """Where a job of another backend stands on its branch."""
    theirs = site.ask("generate", backend="emis")
    with site.client("emis") as emis:
        emis.report(payload(theirs, f"secret-{theirs}", status_message="of emis")).raise_for_status()
    return next(path for path in site.files(theirs, "backends/emis") if "secret-" in path)


def committed(clone: Clone, mode: str, sha: str, path: str) -> str:
    """A commit with this entry at ``path``, whatever it is of; the clone need not have it."""
    parts = path.split("/")
    for at in range(len(parts) - 1, -1, -1):
        kind = {"40000": "tree", "100644": "blob", "160000": "commit"}[mode]
        place = "HEAD:" + "/".join(parts[:at])
        stood = run(clone.folder, "ls-tree", place).stdout.splitlines()
        kept = [line for line in stood if line.split("\t")[1] != parts[at]]
        listing = "".join(f"{line}\n" for line in [*kept, f"{mode.zfill(6)} {kind} {sha}\t{parts[at]}"])
        made = subprocess.run(
            ["git", "-C", clone.folder, "mktree", "--missing"],
            input=listing, text=True, capture_output=True, check=True,
        )  # fmt: skip
        mode, sha = "40000", made.stdout.strip()
    return clone.git("commit-tree", sha, "-p", "HEAD", "-m", "x")


FOREIGN = "unpack it names what is neither in it nor was ever on this branch\n"


def test_what_is_of_another_backend_by_its_id(site: Site, tpp: Clone, secret: str) -> None:
    """git takes a tree that names any object of the repository; we don't: the push would show what it holds. Nor does
    git see such a push: it says whether an object is there, of what kind it is, and what is wrong in a .gitmodules."""
    mine = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    jobs, request = secret.rsplit("/", 1)[0], secret.rsplit("/", 2)[0] + "/request.yaml"
    theirs = [f"backends/emis:{secret}", f"backends/emis:{request}", "main:users/alice.yaml"]
    folders = [f"backends/emis:{jobs}", "backends/emis:active", "main:users"]
    for sha in (*(site.git("rev-parse", one) for one in (*theirs, *folders)), "1" * 40):
        for mode, path in (
            ("100644", f"{mine}/jobs/stolen.yaml"),
            ("100644", ".gitmodules"),
            ("40000", f"{mine}/jobs"),
        ):
            assert FOREIGN in send(site, tpp, committed(tpp, mode, sha, path)), (sha, path)
    tip = tpp.git("rev-parse", "HEAD")
    for sha in (site.git("rev-parse", "backends/emis"), site.git("rev-parse", "main"), "1" * 40):
        assert FOREIGN in post(site, tip, sha, pack([])), sha
    for tree, parent in (("main^{tree}", "backends/tpp"), ("backends/tpp^{tree}", "main")):
        commit = f"tree {site.git('rev-parse', tree)}\nparent {site.git('rev-parse', parent)}\n".encode()
        commit += b"author x <x@x> 1 +0000\ncommitter x <x@x> 1 +0000\n\nx\n"
        name = hashlib.sha1(b"commit %d\0" % len(commit) + commit, usedforsecurity=False).hexdigest()
        assert FOREIGN in post(site, tip, name, pack([(1, commit)]))
    assert site.git("rev-parse", "backends/tpp") == tip


def test_a_delta_of_what_is_of_another_backend(site: Site, tpp: Clone, secret: str) -> None:
    """git completes a pack from the whole repository: a delta that copies another backend's file made its bytes the
    pusher's own. And whether git could unpack it told a size and, guess by guess, the bytes."""
    mine = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    theirs = bytes.fromhex(site.git("rev-parse", f"backends/emis:{secret}"))
    text = (site.git("show", f"backends/emis:{secret}") + "\n").encode()
    copy = text + b"# copied\n"
    blob = hashlib.sha1(b"blob %d\0" % len(copy) + copy, usedforsecurity=False).hexdigest()
    sha = committed(tpp, "100644", blob, f"{mine}/jobs/copied.yaml")
    delta = splice_delta(len(text), len(text), len(text), b"# copied\n")
    for base in (theirs, bytes([17]) * 20):
        for wrong in (delta, splice_delta(len(text) + 1, 0, 0, b"x")):  # also one that git could not unpack
            said = send(site, tpp, sha, (7, base, wrong))
            assert "unpack it has deltas of what is neither in it nor was ever on this branch\n" in said, said
            assert "ng refs/heads/backends/tpp refused\n" in said
    assert site.git("rev-parse", "backends/tpp") == tpp.git("rev-parse", "HEAD")
    assert run(site.repo, "cat-file", "-e", blob).returncode != 0
    # and so that the test can fail: a delta of what stands on its own branch is taken
    own = document("grown", "running", 1)
    tpp.commit(**{f"{mine}/jobs/grown.yaml": own})
    assert tpp.push().returncode == 0
    copy = own.encode() + b"# copied\n"
    base = bytes.fromhex(tpp.git("rev-parse", f"HEAD:{mine}/jobs/grown.yaml"))
    blob = hashlib.sha1(b"blob %d\0" % len(copy) + copy, usedforsecurity=False).hexdigest()
    sha = committed(tpp, "100644", blob, f"{mine}/jobs/grown.yaml")
    said = send(site, tpp, sha, (7, base, splice_delta(len(own), len(own), len(own), b"# copied\n")))
    assert f"{sha[:10]} is recorded" in said, said


@pytest.mark.parametrize("options", [(), ("-c", "pack.window=0"), ("-c", "pack.allowPackReuse=false")])
def test_packs_of_honest_clients(site: Site, tpp: Clone, options: tuple[str, ...]) -> None:
    """Thin and whole, with deltas by distance and by id, of new commits and of what was there before."""
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    name = f"h{folder[-6:]}"
    for at in range(12):
        tpp.commit(**{f"{folder}/jobs/{name}.yaml": document(name, "running", at + 1, status_message="long " * 200)})
    for thin in ("--thin", "--no-thin"):
        tpp.commit(**{f"{folder}/jobs/{name}.yaml": document(name, "running", 20 + len(thin))})
        done = run(tpp.folder, *options, "push", thin, "origin", "HEAD:backends/tpp")
        assert done.returncode == 0, done.stderr
    before = tpp.git("rev-parse", "HEAD")
    for at in range(6):
        tpp.commit(**{f"{folder}/jobs/{name}.yaml": document(name, "running", 40 + at, status_message="long " * 200)})
    sha = tpp.git("rev-parse", "HEAD")
    for how in ("--thin", "--delta-base-offset"):  # the first as libgit2 does: by id, also in the pack
        data = subprocess.run(
            ["git", "-C", tpp.folder, "pack-objects", "--revs", "--stdout", "-q", how],
            input=f"{sha}\n^{before}\n".encode(), capture_output=True, check=True,
        ).stdout  # fmt: skip
        if how == "--thin":
            assert f"{sha[:10]} is recorded" in post(site, before, sha, data)
        else:
            assert "fetch first" in post(site, before, sha, data)


def test_what_a_backend_has_is_not_looked_up_elsewhere(site: Site, tpp: Clone, secret: str) -> None:
    """git acknowledged every object that is here, and left out of the pack what others' folders have."""
    tip, old = site.git("rev-parse", "backends/tpp"), site.git("rev-list", "--max-parents=0", "backends/tpp")

    def fetched(*have: str, first: str = "") -> tuple[list[bytes], set[bytes]]:
        said = line(f"want {tip} multi_ack_detailed side-band-64k thin-pack ofs-delta no-progress agent=test\n")
        said += (line(first) if first else b"") + b"0000"
        said += b"".join(line(f"have {sha}\n") for sha in have) + line("done\n")
        answer, at, told, data = fetch_by_hand(site, said).content, 0, [], b""
        while (size := int(answer[at : at + 4] or b"0", 16)) > 4:
            part = answer[at + 4 : at + size]
            at += size
            if part[:1] == b"\x01":
                data += part[1:]
            else:
                told.append(part)
        return told, Sent(data).brought if data else set()

    nothing = fetched("1" * 40, first=f"shallow {old}\n")
    assert nothing[1]
    for theirs in ("main", "main:users/alice.yaml", "backends/emis", f"backends/emis:{secret}", "backends/emis^{tree}"):
        assert fetched(site.git("rev-parse", theirs), first=f"shallow {old}\n") == nothing, theirs
    assert not any(b"ACK " in line for line in nothing[0])
    assert any(b"ACK " in line for line in fetched(old)[0])
    for name in ("backends/emis", "backends/none"):
        answer = fetch_by_hand(site, line(f"want {tip}\n") + line(f"deepen-not refs/heads/{name}\n") + b"0000")
        assert (answer.status_code, "expected `want`, `shallow`" in answer.text) == (400, True)


def line(text: str) -> bytes:
    return b"%04x%s" % (len(text) + 4, text.encode())


def test_one_branch_a_push_and_no_certificates(site: Site, tpp: Clone) -> None:
    """git starts a process for each line, also for branches that it hides; and it stores certificates at once."""
    tip = tpp.git("rev-parse", "HEAD")
    move = f"{tip} {'2' * 40} refs/heads/backends/tpp"
    before = site.git("count-objects", "-v")
    for said in (
        line(f"{move}\0report-status") + line(f"{move}1"),
        line("push-cert\0report-status\n") + line("certificate version 0.1\n") + line("push-cert-end\n"),
        line("push-cert\0report-status\n") + line(move) + line("push-cert-end\n"),
    ):
        answer = raw(site, said + b"0000" + pack([]))
        assert (answer.status_code, "one branch is pushed at a time" in answer.text) == (400, True), answer.text
    assert site.git("count-objects", "-v") == before
    large = raw(site, line(f"{move}\0report-status") + b"0000" + pack([(3, bytes(9_000_000))]) + bytes(8_400_000))
    assert b"at most 8388608 are allowed" in large.content


def test_where_a_clone_ends_git_is_not_told(site: Site, tpp: Clone) -> None:
    """git looked the id up among the tips of every branch, and ended where it was the tree of one."""
    tip = tpp.git("rev-parse", "HEAD")
    answers = set()
    for sha in (site.git("rev-parse", "backends/emis^{tree}"), site.git("rev-parse", "main^{tree}"), "1" * 40, tip):
        move = line(f"shallow {sha}") + line(f"{tip} {tip} refs/heads/backends/tpp\0report-status")
        answers.add(raw(site, move + b"0000" + pack([])).content)
    assert len(answers) == 1
    assert b"ng refs/heads/backends/tpp" in answers.pop()


def test_what_nothing_names_is_not_stored(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    before = tpp.git("rev-parse", "HEAD")
    name = f"u{folder[-6:]}"
    sha = tpp.commit(**{f"{folder}/jobs/{name}.yaml": document(name)})
    objects: list[tuple[int, bytes]] = [(3, b"junk" * 1000)]
    for one in tpp.git("rev-list", "--objects", sha, f"^{before}").split("\n"):
        kind = tpp.git("cat-file", "-t", one.split(" ")[0])
        data = subprocess.run(["git", "-C", tpp.folder, "cat-file", kind, one.split(" ")[0]], capture_output=True)
        objects.append(({"commit": 1, "tree": 2, "blob": 3}[kind], data.stdout))
    assert "it brings what nothing of it names" in post(site, before, sha, pack(objects))
    assert f"{sha[:10]} is recorded" in post(site, before, sha, pack(objects[1:]))


def test_each_backend_has_few_turns(site: Site, tpp: Clone) -> None:
    """One with hundreds of requests under way leaves the others theirs."""
    tip = tpp.git("rev-parse", "HEAD")
    slow = raw_head(site, "tpp")
    held = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(8)]
    try:
        for one in held:
            one.sendall(slow + b"Content-Length: 100000\r\n\r\n" + b"0000")
        url = f"http://x:{site.tokens['emis']}@127.0.0.1:{site.port}/state.git"
        assert run(tpp.folder, "ls-remote", url).returncode == 0
        begun = [fetch_by_hand(site, line(f"want {tip}\n") + b"0000" + line("done\n")) for _ in range(2)]
        assert {answer.status_code for answer in begun} <= {200, 503}
    finally:
        for one in held:
            one.close()
    answer = fetch_by_hand(site, line(f"want {tip}\n") + b"0000" + line("done\n"))
    assert answer.status_code == 200


def raw_head(site: Site, who: str) -> bytes:
    token = base64.b64encode(f"x:{site.tokens[who]}".encode()).decode()
    return (
        f"POST /state.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\n"
    ).encode()


def test_a_push_that_moves_nothing_leaves_no_receipt(site: Site, tpp: Clone) -> None:
    tip, receipts = tpp.git("rev-parse", "HEAD"), site.count("audit")
    assert "moves nothing" in post(site, tip, tip, pack([]))
    assert site.count("audit") == receipts


def test_an_object_that_is_here_already_may_be_pushed_again(site: Site, tpp: Clone) -> None:
    """Of a push that was judged, and came too late to move the branch, the objects stay."""
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    tpp.commit(**{f"{folder}/jobs/late.yaml": document("late")})
    for name in ("HEAD", "HEAD^{tree}", f"HEAD:{folder}/jobs", f"HEAD:{folder}/jobs/late.yaml"):
        kind = tpp.git("cat-file", "-t", name)
        raw = subprocess.run(["git", "-C", tpp.folder, "cat-file", kind, name], capture_output=True, check=True).stdout
        subprocess.run(
            ["git", "-C", site.repo, "hash-object", "-w", "-t", kind, "--stdin"],
            input=raw, capture_output=True, check=True,
        )  # fmt: skip
    done = tpp.push()
    assert done.returncode == 0, done.stderr


def test_a_push_that_is_none(site: Site, tpp: Clone) -> None:
    tip = tpp.git("rev-parse", "HEAD")
    for body in (b"", b"garbage", b"0008abcd"):
        assert raw(site, body).status_code == 400
    assert raw(site, b"0000").status_code == 200  # what git asks first where a push is large
    line = f"{tip} {'0' * 40} refs/heads/backends/tpp\0report-status".encode()
    assert b"ng refs/heads/backends/tpp" in raw(site, b"%04x%s0000" % (len(line) + 4, line)).content
    assert site.git("rev-parse", "backends/tpp") == tip


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


def send(site: Site, clone: Clone, sha: str, *more: "tuple[int, bytes, bytes]") -> str:
    """A push spoken by hand: a pack of the commit and its trees only, and ``more``. What git answers."""
    objects: list[tuple[int, bytes] | tuple[int, bytes, bytes]] = [*more]
    for name in clone.git("rev-list", "--objects", "--missing=allow-any", sha, "^origin/backends/tpp").split("\n"):
        name = name.split(" ")[0].lstrip("?")
        kind = run(clone.folder, "cat-file", "-t", name).stdout.strip()
        if kind in ("commit", "tree"):
            data = subprocess.run(["git", "-C", clone.folder, "cat-file", kind, name], capture_output=True, check=True)
            objects.append(({"commit": 1, "tree": 2}[kind], data.stdout))
    return post(site, clone.git("rev-parse", "origin/backends/tpp"), sha, pack(objects))


def pack(objects: "Sequence[tuple[int, bytes] | tuple[int, bytes, bytes]]") -> bytes:
    """Of (kind, data), or (7, id of its base, delta)."""
    parts = [b"PACK", struct.pack(">II", 2, len(objects))]
    for kind, *base, data in objects:
        size = len(data)
        byte, size = kind << 4 | size & 15, size >> 4
        head = bytearray()
        while size:
            head.append(byte | 128)
            byte, size = size & 127, size >> 7
        head.append(byte)
        parts += [bytes(head), *base, zlib.compress(data)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def post(site: Site, old: str, new: str, data: bytes) -> str:
    line = f"{old} {new} refs/heads/backends/tpp\0report-status side-band-64k agent=test".encode()
    answer = raw(site, b"%04x%s0000" % (len(line) + 4, line) + data)
    answer.raise_for_status()
    said, at = b"", 0
    while size := int(answer.content[at : at + 4] or b"0", 16):
        said += answer.content[at + 5 : at + size]
        at += size
    return said.decode()


def raw(site: Site, body: bytes) -> httpx.Response:
    token = base64.b64encode(f"x:{site.tokens['tpp']}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/x-git-receive-pack-request"}
    return httpx.post(f"{site.url}/state.git/git-receive-pack", content=body, headers=headers, timeout=30)


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
