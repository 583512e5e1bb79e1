"""Copies of the record on other machines, for witnesses and backups. A copy never goes back.

git's own mirrors also follow a rewritten history. These copies refuse all of an update if a branch went back, was
rewritten or is gone. `audit verify` then judges the new commits.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from jobserver.audit.checked_release_check import checked_releases, place_of
from jobserver.audit.verify import AuditResult, Progress, verify
from jobserver.audit.vouched_release_check import recorded_folders
from jobserver.domain.base import layout
from jobserver.errors import Code, Error, Fault, invalid
from jobserver.store.fs import disk_errors, move_durably, sync_file, sync_folder, sync_tree
from jobserver.store.git.command import commit_of, git, is_ancestor
from jobserver.store.git.refs import Refs
from jobserver.store.git.remote import Remote
from jobserver.store.incoming import make_folders
from jobserver.store.init import check_place

_PATIENCE = 120.0  # a factor: an hour for a first copy over a slow line
_MARK = "jobserver.verified"
_CONFIG = {"core.fsync": "all", "gc.auto": "0", "maintenance.auto": "false", "transfer.fsckObjects": "true"}


def update_copy(source: str, copy: Path) -> list[str]:
    """Copies the new commits at ``source`` (a URL or a path) to the bare repository ``copy``. Creates that if it is
    missing.

    Returns the branches that moved. Raises `Error` (conflict) with every branch that was rewritten or deleted; then no
    branch of the copy moves.
    """
    check_place(copy)
    if Path(source).exists() and copy.exists() and Path(source).samefile(copy):
        raise invalid("is the state repository itself: name another folder, on another disk", str(copy))
    with disk_errors():
        copy.mkdir(parents=True, exist_ok=True)
    git(copy, "init", "--quiet", "--bare", f"--initial-branch={layout.MAIN}", ".")
    for name, value in _CONFIG.items():
        git(copy, "config", name, value)
    try:
        remote = Remote(copy, source if "://" in source or Path(source).is_absolute() else _whole(source), _PATIENCE)
    except Error as error:
        raise invalid(error.message, "--from") from None
    refs = Refs(copy)
    here = {branch: tip for branch, tip in refs.branches().items() if layout.is_branch(branch)}
    there = {branch: tip for branch, tip in remote.tips().items() if layout.is_branch(branch)}
    if layout.MAIN not in there:
        raise invalid("has no branch main: it is not a state repository", remote.url)
    new = {branch: tip for branch, tip in there.items() if here.get(branch) != tip}
    if new:
        remote.fetch(new)
    faults = [Fault(fault) for branch, tip in here.items() if (fault := _fault(copy, branch, tip, there.get(branch)))]
    if faults:
        advice = Fault(f"{copy} was not changed: keep it as evidence of the earlier history")
        raise Error(Code.CONFLICT, str(faults[0]), remote.url, [*faults, advice])
    with disk_errors():
        for branch, tip in new.items():
            refs.move(branch, here.get(branch), tip)
    return sorted(new)


def _whole(source: str) -> str:
    return str(Path(source).resolve()) if Path(source).exists() else source


def _fault(copy: Path, branch: str, old: str, new: str | None) -> str:
    if new is None:
        return f"{branch} is gone; it was at {old[:10]}"
    if new == old or is_ancestor(copy, old, new):
        return ""
    how = "went back to" if is_ancestor(copy, new, old) else "was rewritten: it is now at"
    return f"{branch} {how} {new[:10]}; it was at {old[:10]}"


def verify_copy(
    copy: Path, signers: str | None = None, *, fast: bool = False, releases: Path | None = None, progress: Progress
) -> AuditResult:
    """As `verify`, but only for commits since the last check with the same keys that found no problem.

    Hashes all objects unless ``fast``.
    """
    mark, tip = copy / _MARK, Refs(copy).tip(layout.AUDIT)
    by = hashlib.sha256((signers or "").encode()).hexdigest()
    known = ""
    with contextlib.suppress(OSError):
        known = mark.read_text(errors="replace")
    before, _, judged_by = known.partition(" ")
    since = before if judged_by == by and commit_of(copy, before) is not None else ""
    verdict = verify(copy, signers=signers, since=since, releases=releases, fast=fast, progress=progress)
    if not verdict.problems and tip is not None:
        with disk_errors():
            mark.write_text(f"{tip} {by}")
    return verdict


def copy_key(key: Path, target: Path, folder: Path) -> None:
    """The copy has mode 0600. Raises `Error` (invalid) for a target in ``folder``: a person with both can sign."""
    whole = target.absolute()
    if folder.resolve() in whole.resolve().parents:
        raise invalid(
            f"expected a path outside of {folder}: a person with the key and the repository can sign", "--key"
        )
    _written(whole, lambda beside: beside.write_bytes(key.read_bytes()))


def copy_private(store: Path, target: Path) -> None:
    """Copies the state of one moment, also while servers write. Raises `Error` (unavailable)."""
    if not store.exists():
        return

    def copied(beside: Path) -> None:
        with contextlib.closing(sqlite3.connect(store)) as source, contextlib.closing(sqlite3.connect(beside)) as sql:
            source.backup(sql)

    _written(target, copied)


def copy_releases(root: Path, target: Path, copy: Path) -> int:
    """Copies the recorded releases and files that ``target`` does not have yet; returns how many. They never change."""
    count = 0
    make_folder = cache(partial(make_folders, target.parent, mode=0o777))  # once for each
    for folder in recorded_folders(copy, Refs(copy).branches()):
        source, here = root / folder, target / folder
        if here.exists() or not source.is_dir():  # `verify_copy` reports missing files
            continue
        with disk_errors():
            make_folder(here.parent)
            beside = here.with_name(f".{here.name}.partial")
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(source, beside)
            sync_tree(beside)
            move_durably(beside, here)
        count += 1
    return count + _copy_checked(root, target, copy, make_folder)


def _copy_checked(root: Path, target: Path, copy: Path, make_folder: Callable[[Path], None]) -> int:
    """Copies the files of checked releases that ``target`` does not have yet, and erases those that were withdrawn."""
    count = 0
    for _, release in checked_releases(copy, Refs(copy).branches()):
        for file in release.files:
            place = place_of(release, file)
            source, here = root / place, target / place
            with disk_errors():
                if release.is_gone(file):
                    if here.exists():
                        here.unlink()
                        sync_folder(here.parent)
                elif not here.exists() and source.is_file():
                    make_folder(here.parent)
                    beside = here.with_name(f".{here.name[:200]}.partial")
                    shutil.copyfile(source, beside)
                    sync_file(beside)
                    move_durably(beside, here)
                    count += 1
    return count


def _written(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file with mode 0600, whole or not at all."""
    with disk_errors():
        try:
            beside = path.with_name(f".{path.name}.partial")
            beside.unlink(missing_ok=True)
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            write(beside)
            sync_file(beside)
            move_durably(beside, path)
        except sqlite3.Error as error:
            raise Error(Code.UNAVAILABLE, f"can't be copied: {error}", str(path)) from None
