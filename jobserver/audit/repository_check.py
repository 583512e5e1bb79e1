"""A repository as git names it: its refs and objects, and nothing that stands in for them.

Replace refs, grafts, shallow lines, a commit-graph and the settings of a repository all change what git shows of it,
and whoever can write its files can write those. So what is judged is read through a folder of our own, which has the
repository's objects and nothing else; and what of the kind stands there is named.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import Error
from jobserver.store.fs import disk_errors
from jobserver.store.git.cat_file import PipedObjects
from jobserver.store.git.command import git

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tuseReplaceRefs = false\n\tcommitGraph = false\n"
_PLACES = ("refs/heads/", "refs/remotes/origin/")
_STANDS_IN = {
    "info/grafts": "gives commits other parents than they have",
    "shallow": "takes the parents of commits away: `git fetch --unshallow` brings a whole history",
}
IDLE = "is a ref that a state repository does not have"  # and that changes nothing
_SAID_IN_PASSING = ("warning", "notice", "dangling", "Checking")


@contextmanager
def objects_of(repository: Path) -> Iterator[Path]:
    """What git takes for a bare repository with the objects of ``repository``, without refs. Raises `Error`."""
    objects = _git_path(repository, "objects")
    with disk_errors():
        made = tempfile.TemporaryDirectory(prefix="jobserver-objects-")
    with made as name:
        folder = Path(name)
        with disk_errors():
            (folder / "refs").mkdir()
            (folder / "HEAD").write_text("ref: refs/heads/none\n")
            (folder / "config").write_text(_CONFIG)
            (folder / "objects").symlink_to(objects)
        yield folder


def _git_path(repository: Path, name: str) -> Path:
    folder = git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir").rstrip("\n")
    return Path(folder) / name


def strange(repository: Path) -> Iterator[tuple[str, str, str]]:
    """(ref or file, commit, what is wrong with it) of what a state repository, or a clone of it, should not have.

    Raises `Error`.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for row in git(repository, "for-each-ref", "--format=%(objectname) %(refname) %(symref)").splitlines():
        sha, ref, target = row.split(" ", 2)
        found[ref].append(sha)
        if target and ref != "refs/remotes/origin/HEAD":
            yield ref, sha, f"is another name for {target}"
        elif ref.startswith("refs/replace/"):
            yield ref, sha, f"has git show {sha[:10]} in place of another object"
        elif ref != "refs/remotes/origin/HEAD" and not _is_ours(ref):
            yield ref, sha, IDLE
    for ref, shas in found.items():
        if len(shas) > 1:
            where = " and ".join(sha[:10] for sha in shas)
            yield ref, shas[0], f"stands {len(shas)} times in packed-refs, at {where}: which one counts is by chance"
    head = repository / "HEAD"
    if head.is_file() and not (text := head.read_text(errors="replace").strip()).startswith("ref: "):
        yield "HEAD", text, "names a commit, and should name a branch"
    if (repository / "commondir").exists():
        yield "commondir", "", "has git read another repository in place of this one"
    for name, what in _STANDS_IN.items():
        path = _git_path(repository, name)
        if path.is_file() and path.stat().st_size:
            yield name, "", what


def _is_ours(ref: str) -> bool:
    return any(ref.startswith(place) and layout.is_branch(ref.removeprefix(place)) for place in _PLACES)


def damaged(repository: Path, tips: Mapping[str, str]) -> list[str]:
    """What git finds when it looks at every object, each copy of it, whether it is what its id says.

    A server at work takes packs away that git has begun to look at, so only what is found twice counts.
    """
    first = _fsck(repository, tips)
    again = set(_fsck(repository, tips)) if first else set()
    return [line for line in first if line in again]


def _fsck(repository: Path, tips: Mapping[str, str]) -> list[str]:
    # With what git made from the objects to be faster, which may say something else than they do.
    settings = ("-c", "core.commitGraph=true", "-c", "core.multiPackIndex=true")
    try:
        git(repository, *settings, "fsck", "--full", "--no-dangling", "--no-progress", *tips.values())
    except Error as error:
        said = error.message.removeprefix("git -c: ").splitlines()
        lines = [line for line in said if not line.startswith(_SAID_IN_PASSING)]
        return list(dict.fromkeys(lines))
    return []


def misread(repository: Path, tips: Mapping[str, str], known: Mapping[str, str]) -> Iterator[str]:
    """What of the objects that came between ``known`` and ``tips`` is not what its id says, or is not there."""
    without = [f"^{tip}" for tip in known.values()]
    try:
        listed = git(repository, "rev-list", "--objects", "--no-object-names", *tips.values(), *without)
    except Error as error:
        yield error.message
        return
    objects = PipedObjects(repository)
    try:
        for sha in listed.split():
            try:
                objects.typed(bytes.fromhex(sha))
            except KeyError:
                yield f"{sha} is not there"
            except Error as error:
                yield str(error)
    finally:
        objects.close()
