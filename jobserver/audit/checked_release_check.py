"""Checks the bytes of checked releases against their documents: what left is whole, and what was withdrawn is gone.

That each file left with the approvals of its time is what `replay` finds out, commit by commit; and that no document
lost a file, a review or a tombstone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from jobserver.audit.replay import Problem
from jobserver.domain.base import layout
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease
from jobserver.store.checked_files import ROOT
from jobserver.store.fs import file_digest
from jobserver.store.git.revision_files import tree_files
from jobserver.store.read.validate import read_document


def checked_releases(repository: Path, tips: Mapping[str, str]) -> Iterator[tuple[str, CheckedRelease]]:
    """(branch, release) of each document that can be read; `verify` reports the others."""
    for branch, tip in tips.items():
        if layout.branch_backend(branch) is not None:
            for path, data in tree_files(repository, tip, ["releases/"]):
                document, _ = read_document(branch, path, data)
                if isinstance(document, CheckedRelease):
                    yield branch, document


def place_of(release: CheckedRelease, file: CheckedFile) -> Path:
    """Where the file's bytes are, relative to RELEASE_STORAGE."""
    return Path(ROOT, release.workspace, release.backend, release.identifier, file.path)


def compare_checked(repository: Path, tips: Mapping[str, str], storage: Path) -> Iterator[Problem]:
    """How the bytes below ``storage`` differ from the documents at ``tips``."""
    known: set[Path] = set()
    for branch, release in checked_releases(repository, tips):
        for file in release.files:
            if file.uploaded is None:
                continue
            place = storage / place_of(release, file)
            known.add(place)
            if message := _fault(place, file, is_gone=release.is_gone(file)):
                name = f"{file.path} of release {release.identifier} of {release.workspace}"
                yield Problem(branch, "", f"{name} {message}")
    for place in sorted((storage / ROOT).glob("[!.]*/*/*/**/*")):
        if place not in known and not place.is_dir():
            workspace, backend, *rest = place.relative_to(storage / ROOT).parts
            branch = layout.backend_branch(backend)
            yield Problem(branch, "", f"no document says that {'/'.join(rest)} of {workspace} left the backend")


def _fault(place: Path, file: CheckedFile, *, is_gone: bool) -> str:
    if is_gone:
        return "was withdrawn, and its bytes are still there" if place.exists() else ""
    try:
        return "" if file_digest(place) == file.sha256 else "differs from the file that was approved"
    except OSError as error:
        return f"was released, and can't be read: {error.strerror}"


def release_counts(repository: Path, tips: Mapping[str, str], vouched: int) -> dict[str, int]:
    """What left, in words: by the word of a backend alone, or with approvals. ``vouched``: releases of the first."""
    files = [
        (release, file)
        for _, release in checked_releases(repository, tips)
        for file in release.files
        if file.uploaded is not None
    ]
    withdrawn = sum(release.is_gone(file) for release, file in files)
    counts = {
        "releases on the word of a backend alone": vouched,
        "files with the approvals of people": len(files),
        "of them withdrawn": withdrawn,
    }
    return {text: count for text, count in counts.items() if count}
