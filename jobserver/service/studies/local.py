"""Studies in local git repositories, inside the folder STUDY_REPOS.

May import errors, the store and dulwich. Opens the repository for each answer: dulwich's objects are not thread-safe,
and somebody may repack the repository between two answers.
"""

import logging
import os
import stat
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from dulwich.objects import Blob, Commit, ShaFile, Tree
from dulwich.refs import Ref

from jobserver.errors import Error, not_found, unavailable
from jobserver.service.studies.base import (
    GITHUB_REPO,
    MAX_PROJECT_BYTES,
    MAX_REPOSITORIES,
    PROJECT_FILE,
    Branch,
    StudyChanges,
    StudyRef,
    check_branch,
    check_sha,
    check_size,
    missing_branch,
    missing_project_file,
    missing_repo,
    not_a_file,
    too_large,
    unusable_repo,
)
from jobserver.service.studies.changes import changes
from jobserver.service.studies.enclosed import NoRepository, OpenRepository, OutsideRepository, enclosed
from jobserver.service.studies.local_refs import LocalRefs
from jobserver.service.studies.refs import chosen_ref, unknown_ref
from jobserver.store.fs import reason

_HEADS = b"refs/heads/"
_log = logging.getLogger(__name__)


class LocalSource:
    """The repositories, bare or with a work tree, that are inside ``folder`` after following symbolic links."""

    patience = 5.0  # unused, because reading a disk has no time limit

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder.resolve() if folder is not None else None

    def check_repo(self, repo: str) -> str:
        """The path relative to the folder, because a runner may have the folder elsewhere.

        Raises `Error`: invalid if the path leads outside, not_found if there is no repository.
        """
        with self._open(repo) as (path, _):
            assert self.folder is not None
            return path.relative_to(self.folder).as_posix()

    def repositories(self, until: float) -> tuple[str, ...]:
        """The repositories in the folder, and in its folders (for example one for each organisation)."""
        if self.folder is None:
            return ()
        paths: list[str] = []
        try:
            for path in _folders(self.folder):
                inner = (
                    [path] if _is_repository(path) else [folder for folder in _folders(path) if _is_repository(folder)]
                )
                paths += [
                    folder.relative_to(self.folder).as_posix() for folder in inner if self._holds(folder.resolve())
                ]
        except (OSError, RuntimeError) as error:
            raise unavailable(f"STUDY_REPOS can't be read: {type(error).__name__}") from error
        return tuple(sorted(paths)[:MAX_REPOSITORIES])

    def branches(self, repo: str, until: float) -> tuple[Branch, ...]:
        with self._open(repo) as (_, opened):
            heads = opened.refs.as_dict(Ref(_HEADS))
        branches = ((name.decode("utf-8", "replace"), sha.decode("latin-1")) for name, sha in sorted(heads.items()))
        return tuple(Branch(name, sha) for name, sha in branches if check_sha(sha))

    def tip(self, repo: str, branch: str, until: float) -> str:
        name = check_branch(branch).encode()
        with self._open(repo) as (_, opened):
            try:
                sha = opened.refs[Ref(_HEADS + name)].decode("latin-1")
            except KeyError:
                raise missing_branch(branch) from None
        if not check_sha(sha):  # the message does not show the text, which may be anything
            raise unavailable(f"The repository {repo!r} can't be read: its branch {branch!r} names no commit")
        return sha

    def resolve(self, repo: str, ref: str, own: str, until: float) -> StudyRef:
        with self._open(repo) as (_, opened):
            chosen = chosen_ref(LocalRefs(opened), ref, own)
        if chosen is None:
            raise unknown_ref(ref)
        return chosen

    def project_file(self, repo: str, sha: str, until: float) -> bytes:
        with self._open(repo) as (_, opened):
            tree = _present(opened, _commit(opened, repo, sha).tree)
            if not isinstance(tree, Tree) or PROJECT_FILE.encode() not in tree:
                raise missing_project_file(sha)
            mode, blob_id = tree[PROJECT_FILE.encode()]
            if not stat.S_ISREG(mode):
                raise not_a_file(sha)
            blob = _present(opened, blob_id)
            if not isinstance(blob, Blob):
                raise not_a_file(sha)
            if blob.raw_length() > MAX_PROJECT_BYTES:
                raise too_large(sha, blob.raw_length())
            return blob.as_raw_string()

    def folder_files(
        self, repo: str, sha: str, folder: str, names: Collection[str], until: float
    ) -> dict[str, bytes] | None:
        with self._open(repo) as (_, opened):
            tree = _present(opened, _commit(opened, repo, sha).tree)
            if not isinstance(tree, Tree) or folder.encode() not in tree:
                return None
            inner = _present(opened, tree[folder.encode()][1])
            if not isinstance(inner, Tree):
                return None
            files: dict[str, bytes] = {}
            for name in names:
                if name.encode() not in inner:
                    continue
                mode, blob_id = inner[name.encode()]
                if stat.S_ISREG(mode) and isinstance(blob := _present(opened, blob_id), Blob):
                    check_size(f"{folder}/{name}", blob.raw_length())
                    files[name] = blob.as_raw_string()
            return files

    def message(self, repo: str, sha: str, until: float) -> str:
        with self._open(repo) as (_, opened):
            return str(_commit(opened, repo, sha).message.decode("utf-8", "replace"))

    def changes(self, repo: str, old: str, new: str, until: float) -> StudyChanges | None:
        """None if the repository lacks one of the commits. Raises `Error` as the other methods do."""
        if not check_sha(old) or not check_sha(new):
            return None
        with self._open(repo) as (_, opened):
            return changes(opened, old, new)

    @contextmanager
    def _open(self, repo: str) -> Iterator[tuple[Path, OpenRepository]]:
        path = self._inside(repo)
        try:
            with enclosed(path, self._holds) as opened:
                yield path, opened
        except NoRepository:
            raise missing_repo(repo) from None
        except OutsideRepository as error:
            if not error.part:
                raise self._outside(repo) from None
            raise unusable_repo(repo, f"{error.part} leads out of it") from None
        except (OSError, KeyError, ValueError, zlib.error, RecursionError) as error:
            _log.warning("the repository %r can't be read: %r", repo, error)
            raise unavailable(f"The repository {repo!r} can't be read: {reason(error)}") from error

    def _inside(self, repo: str) -> Path:
        if self.folder is None:
            raise unusable_repo(repo, f"expected {GITHUB_REPO}; the server has no studies of its own")
        try:
            path = (self.folder / repo).resolve()
        except (OSError, ValueError, RuntimeError):  # a loop of links, a NUL
            raise self._outside(repo) from None
        if not self._holds(path):
            raise self._outside(repo)
        return path

    def _holds(self, path: Path) -> bool:
        return self.folder is not None and path != self.folder and path.is_relative_to(self.folder)

    def _outside(self, repo: str) -> Error:
        return unusable_repo(repo, f"expected {GITHUB_REPO}, or the path of a study on the server")


def _commit(opened: OpenRepository, repo: str, sha: str) -> Commit:
    commit = opened.object(sha.encode()) if check_sha(sha) else None
    if not isinstance(commit, Commit):
        raise not_found(f"Missing commit: {sha!r}", repo)
    return commit


def _present(opened: OpenRepository, sha: bytes) -> ShaFile:
    """Raises KeyError for an object that the repository lacks, and must have."""
    if (item := opened.object(sha)) is None:
        raise KeyError(sha)
    return item


def _folders(path: Path) -> list[Path]:
    return [
        folder
        for folder in path.iterdir()
        if not folder.name.startswith(".") and folder.is_dir() and os.access(folder, os.R_OK)
    ]


def _is_repository(path: Path) -> bool:
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())
