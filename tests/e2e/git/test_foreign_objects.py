"""What is of another backend: a push that names it, or builds on it, is told nothing of it, and git is not asked."""

import hashlib
import subprocess

import pytest

from jobserver.domain.base.layout import ACTIVE_ONLY
from jobserver.store.git.packs import splice_delta
from jobserver.store.git.received_pack import ReceivedPack
from tests.e2e.git.by_hand import fetch_by_hand, line, pack, post, raw
from tests.e2e.git.clone import Clone, active, document, run
from tests.e2e.harness import Site
from tests.e2e.harness import job as payload


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


FOREIGN = "unpack it names objects that are neither in it nor in this branch's history\n"


def test_an_object_of_another_backend_is_refused_by_its_id(site: Site, tpp: Clone, secret: str) -> None:
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
            assert "unpack it has deltas of objects that are neither in it nor in this branch's history\n" in said, said
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
    assert f"{sha[:10]} has a receipt" in said, said


@pytest.mark.parametrize("filtered", [False, True])
def test_a_backends_own_objects_are_not_looked_up_elsewhere(
    site: Site, tpp: Clone, secret: str, filtered: bool
) -> None:
    """git acknowledged every object that is here, and left out of the pack what others' folders have."""
    tip, old = site.git("rev-parse", "backends/tpp"), site.git("rev-list", "--max-parents=0", "backends/tpp")

    def fetched(*have: str, first: str = "") -> tuple[list[bytes], set[bytes]]:
        said = line(f"want {tip} multi_ack_detailed side-band-64k thin-pack ofs-delta no-progress agent=test\n")
        said += (line(first) if first else b"") + (line(f"filter {ACTIVE_ONLY}") if filtered else b"") + b"0000"
        said += b"".join(line(f"have {sha}\n") for sha in have) + line("done\n")
        answer, at, told, data = fetch_by_hand(site, said).content, 0, [], b""
        while (size := int(answer[at : at + 4] or b"0", 16)) > 4:
            part = answer[at + 4 : at + size]
            at += size
            if part[:1] == b"\x01":
                data += part[1:]
            else:
                told.append(part)
        return told, ReceivedPack(data).contained if data else set()

    nothing = fetched("1" * 40, first=f"shallow {old}\n")
    assert nothing[1]
    for theirs in ("main", "main:users/alice.yaml", "backends/emis", f"backends/emis:{secret}", "backends/emis^{tree}"):
        assert fetched(site.git("rev-parse", theirs), first=f"shallow {old}\n") == nothing, theirs
    assert not any(b"ACK " in line for line in nothing[0])
    assert any(b"ACK " in line for line in fetched(old)[0])
    for name in ("backends/emis", "backends/none"):
        answer = fetch_by_hand(site, line(f"want {tip}\n") + line(f"deepen-not refs/heads/{name}\n") + b"0000")
        assert (answer.status_code, "expected `want`, `shallow`" in answer.text) == (400, True)


def test_git_is_not_told_where_a_shallow_clone_ends(site: Site, tpp: Clone) -> None:
    """git looked the id up among the tips of every branch, and ended where it was the tree of one."""
    tip = tpp.git("rev-parse", "HEAD")
    answers = set()
    for sha in (site.git("rev-parse", "backends/emis^{tree}"), site.git("rev-parse", "main^{tree}"), "1" * 40, tip):
        move = line(f"shallow {sha}") + line(f"{tip} {tip} refs/heads/backends/tpp\0report-status")
        answers.add(raw(site, move + b"0000" + pack([])).content)
    assert len(answers) == 1
    assert b"ng refs/heads/backends/tpp" in answers.pop()


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
