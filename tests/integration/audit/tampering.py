"""What somebody with the disk, and what somebody with the key, could write; and the problems that are found in it."""

import hashlib
import shutil
import subprocess
import zlib

from jobserver.audit.verify import verify
from jobserver.domain.admit import Admitted
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Changes
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.store.keys.signing import SigningKey
from jobserver.store.read.snapshot import Snapshot
from tests.integration.service.push.pushing import Push
from tests.site import Site

GONE = "1" * 40


def checkpoint(site: Site) -> Checkpointer:
    checkpointer = Checkpointer(site.repo, site.gate)
    checkpointer.checkpoint()
    return checkpointer


def problems(site: Site, **options: object) -> str:
    return "\n".join(map(str, verify(site.path, **options).problems))  # type: ignore[arg-type]


def move(site: Site, branch: str, to: str) -> None:
    """And the server builds on it, as those did that took what stood there for theirs."""
    tip = site.git("rev-parse", to).strip()
    site.git("update-ref", f"refs/heads/{branch}", tip)
    site.repo.writer.tips.mark_good(branch, tip)


def commit(site: Site, branch: str, *parents: str, message: str = "x", tree: str = "") -> str:
    arguments = [part for parent in parents for part in ("-p", parent)]
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    return site.git(*identity, "commit-tree", tree or f"{branch}^{{tree}}", *arguments, "-m", message).strip()


def illegal(site: Site, actor: Actor, changes: Changes) -> None:
    """What a server would write that was tricked, or whose key was stolen: signed, and never admitted."""

    def decide(state: Snapshot) -> tuple[Admitted, dict[str, str]]:
        return Admitted(state.tip, changes, actor, site.clock()), {}

    site.repo.writer.submit(changes.branch, decide)


def stolen(
    site: Site,
    branch: str,
    *trailers: str,
    tree: str = "",
    parents: tuple[str, ...] | None = None,
    author: str = "jobserver@jobs.example",
    time: int | None = None,
    key: SigningKey | None = None,
) -> str:
    """A commit that whoever has the key made and signed, of whatever they like; the branch stands there."""
    tip = site.git("rev-parse", branch).strip()
    when = int(site.git("log", "-1", "--format=%ct", branch)) if time is None else time
    lines = [
        f"tree {tree or site.git('rev-parse', f'{branch}^{{tree}}').strip()}",
        *(f"parent {parent}" for parent in ((tip,) if parents is None else parents)),
        f"author x <{author}> {when} +0000",
        f"committer jobserver <jobserver@jobs.example> {when} +0000",
    ]
    top = "\n".join(lines).encode() + b"\n"
    body = ("\nx\n\n" + "\n".join((*trailers, "Policy: 1")) + "\n").encode()
    signature = (key or site.repo.writer.keys.current()).sign(top + body).replace(b"\n", b"\n ")
    raw = top + b"gpgsig " + signature + b"\n" + body
    sha = hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()
    file = site.path.parent / "commit"
    file.write_bytes(raw)
    assert site.git("hash-object", "-t", "commit", "-w", "--literally", str(file)).strip() == sha
    move(site, branch, sha)
    return sha


def with_file(site: Site, branch: str, path: str, content: str) -> str:
    """The branch's tree with one file more."""
    push = Push(site, branch)
    push.commit((path, content))
    tree = push.git("rev-parse", f"{push.tip}^{{tree}}")
    kept = site.git("rev-parse", branch).strip()
    push.land()
    move(site, branch, kept)
    return tree


def plant(site: Site, sha: str, data: bytes, kind: str = "blob") -> None:
    """Under an id that is of something else."""
    file = site.path / "objects" / sha[:2] / sha[2:]
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_bytes(zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data))


def unpack(site: Site) -> None:
    """Every object as a file of its own."""
    aside = site.path.parent / "aside"
    shutil.move(site.path / "objects" / "pack", aside)
    (site.path / "objects" / "pack").mkdir()
    for pack in aside.glob("*.pack"):
        subprocess.run(["git", "-C", site.path, "unpack-objects", "-q"], input=pack.read_bytes(), check=True)
