"""Checks the files of releases against the record: each file is as uploaded, and no release is unrecorded."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from jobserver.audit.replay import Problem
from jobserver.domain.base import layout
from jobserver.domain.releases import EVENT, IMPORTED, Release, read_trailers
from jobserver.errors import Error
from jobserver.store.git.cat_file import PipedObjects
from jobserver.store.git.command import git
from jobserver.store.release_record import file_faults, read_release

_EVENTS = (EVENT, IMPORTED)


def compare(repository: Path, tips: Mapping[str, str], root: Path) -> Iterator[Problem]:
    """How the releases below ``root`` differ from the commits up to ``tips``; `verify` judges the commits."""
    recorded: set[Path] = set()
    for branch, tip in tips.items():
        slug = layout.branch_backend(branch)
        if slug is not None:
            for sha, release in recorded_releases(repository, tip):
                folder = root / release.workspace / slug / release.identifier
                recorded.add(folder)
                yield from (Problem(branch, sha, message) for message in _faults(folder, release))
    for folder in sorted(root.glob("[!.]*/*/*")):
        if folder not in recorded:
            where = layout.backend_branch(folder.parent.name)
            yield Problem(where, "", f"no commit records the release {folder.relative_to(root)}")


def recorded_folders(repository: Path, tips: Mapping[str, str]) -> Iterator[Path]:
    """The folder, relative to RELEASE_STORAGE, of every release that the commits up to ``tips`` record."""
    for branch, tip in tips.items():
        if (slug := layout.branch_backend(branch)) is not None:
            for _, release in recorded_releases(repository, tip):
                yield Path(release.workspace, slug, release.identifier)


def recorded_releases(repository: Path, tip: str) -> Iterator[tuple[str, Release]]:
    """The commits up to ``tip`` that record a release, and the releases, oldest first."""
    objects = PipedObjects(repository)
    try:
        events = [f"--grep=^Event: {event}$" for event in _EVENTS]
        for sha in git(repository, "rev-list", "--reverse", *events, tip).split():
            commit = objects.commit(sha)
            with contextlib.suppress(Error):  # `verify` reports it
                if commit.trailer("Event") in _EVENTS:
                    yield sha, read_trailers(commit.trailers())
    finally:
        objects.close()


def _faults(folder: Path, release: Release) -> list[str]:
    name = f"release {release.identifier} of {release.workspace}"
    try:
        kept = read_release(folder)
    except (Error, OSError):
        return [f"records {name}, whose files are missing, or differ from the uploaded ones"]
    if kept.release != release:
        return [f"records {name}, and release.json differs"]
    return [f"records {name}: {message}" for message in file_faults(folder, kept)]
