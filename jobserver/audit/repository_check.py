"""Checks a repository beside its commits: unexpected refs and files, and damaged objects.

Replace refs, grafts, shallow files, a commit-graph and settings all change what git shows of a repository, and whoever
can write its files can write those. So the audit reads through a folder of its own, which has the repository's objects
and nothing else, and reports everything of this kind in the repository.
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
_SUBSTITUTES = {
    "info/grafts": "gives commits other parents",
    "shallow": "hides the parents of commits: run `git fetch --unshallow` for the whole history",
}
UNEXPECTED_REF = "is not a ref of a state repository"  # it changes nothing
_HARMLESS = ("warning", "notice", "dangling", "Checking")


@contextmanager
def objects_of(repository: Path) -> Iterator[Path]:
    """A temporary bare repository with the objects of ``repository``, and no refs. Raises `Error`."""
    objects = _git_folder(repository) / "objects"
    with disk_errors():
        temporary = tempfile.TemporaryDirectory(prefix="jobserver-objects-")
    with temporary as name:
        folder = Path(name)
        with disk_errors():
            (folder / "refs").mkdir()
            (folder / "HEAD").write_text("ref: refs/heads/none\n")
            (folder / "config").write_text(_CONFIG)
            (folder / "objects").symlink_to(objects)
        yield folder


def _git_folder(repository: Path) -> Path:
    return Path(git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir").rstrip("\n"))


def anomalies(repository: Path) -> Iterator[tuple[str, str, str]]:
    """(ref or file, commit, problem) for everything that a state repository, or a clone of one, should not have.

    Raises `Error`.
    """
    shas_of: dict[str, list[str]] = defaultdict(list)
    for row in git(repository, "for-each-ref", "--format=%(objectname) %(refname) %(symref)").splitlines():
        sha, ref, target = row.split(" ", 2)
        shas_of[ref].append(sha)
        if target and ref != "refs/remotes/origin/HEAD":
            yield ref, sha, f"is a symbolic ref to {target}"
        elif ref.startswith("refs/replace/"):
            yield ref, sha, f"makes git show {sha[:10]} in place of another object"
        elif ref != "refs/remotes/origin/HEAD" and not _is_ours(ref):
            yield ref, sha, UNEXPECTED_REF
    for ref, shas in shas_of.items():
        if len(shas) > 1:
            where = " and ".join(sha[:10] for sha in shas)
            yield ref, shas[0], f"is {len(shas)} times in packed-refs, at {where}: git may use any of them"
    head = repository / "HEAD"
    if head.is_file() and not (text := head.read_text(errors="replace").strip()).startswith("ref: "):
        yield "HEAD", text, "names a commit: it has to name a branch"
    if (repository / "commondir").exists():
        yield "commondir", "", "makes git read another repository in place of this one"
    folder = _git_folder(repository)
    for name, problem in _SUBSTITUTES.items():
        path = folder / name
        if path.is_file() and path.stat().st_size:
            yield name, "", problem


def _is_ours(ref: str) -> bool:
    return any(ref.startswith(place) and layout.is_branch(ref.removeprefix(place)) for place in _PLACES)


def damaged_objects(repository: Path, tips: Mapping[str, str]) -> list[str]:
    """What `git fsck` reports after it checks every copy of every object against its id.

    A running server deletes packs that git has opened, so only problems that git reports twice count.
    """
    first = _fsck(repository, tips)
    again = set(_fsck(repository, tips)) if first else set()
    return [line for line in first if line in again]


def _fsck(repository: Path, tips: Mapping[str, str]) -> list[str]:
    # Also checks the files that git derives from the objects, which may contradict them.
    settings = ("-c", "core.commitGraph=true", "-c", "core.multiPackIndex=true")
    try:
        git(repository, *settings, "fsck", "--full", "--no-dangling", "--no-progress", *tips.values())
    except Error as error:
        output = error.message.removeprefix("git -c: ").splitlines()
        lines = [line for line in output if not line.startswith(_HARMLESS)]
        return list(dict.fromkeys(lines))
    return []


def wrong_objects(repository: Path, tips: Mapping[str, str], known: Mapping[str, str]) -> Iterator[str]:
    """The new objects between ``known`` and ``tips`` that are missing, or that are not what their ids say."""
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
                yield f"the object {sha} is missing"
            except Error as error:
                yield str(error)
    finally:
        objects.close()
