"""Packs as clients make them, honest and damaged: what is in them, what is not, and what is here already."""

import hashlib
import struct
import subprocess

import pytest

from tests.e2e.git.by_hand import pack, post
from tests.e2e.git.clone import Clone, active, document, run
from tests.e2e.harness import Site
from tests.samples import only_whole


@pytest.mark.parametrize(
    "options",
    [(), *(pytest.param(("-c", f"pack.{one}"), marks=only_whole) for one in ("window=0", "allowPackReuse=false"))],
)
def test_packs_of_git_clients_are_accepted(site: Site, tpp: Clone, options: tuple[str, ...]) -> None:
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
            assert f"{sha[:10]} has a receipt" in post(site, before, sha, data)
        else:
            assert "fetch first" in post(site, before, sha, data)


def test_objects_that_nothing_names_are_not_stored(site: Site, tpp: Clone) -> None:
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
    assert "it has objects that none of its commits needs" in post(site, before, sha, pack(objects))
    assert f"{sha[:10]} has a receipt" in post(site, before, sha, pack(objects[1:]))


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


@pytest.mark.parametrize(
    "damage",
    [
        *("cut", "flipped"),
        *(pytest.param(name, marks=only_whole) for name in ("empty", "expected a pack of version 2", "lying count")),
    ],
)
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
        "expected a pack of version 2": b"hello",
        "lying count": good[:8] + struct.pack(">I", 1000) + good[12:],
    }[damage]
    said = post(site, tip, sha, data)
    assert "ok refs/heads" not in said
    assert site.git("rev-parse", "backends/tpp") == tip
    assert site.git("fsck", "--full", "--strict") == ""


def test_repeating_a_push_writes_nothing(site: Site, tpp: Clone) -> None:
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
