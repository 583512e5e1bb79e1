"""Checks out a study's files at a commit, with the system's git, and reads its project.yaml.

The repository is not trusted: no hooks, no `ext::` transport, no submodules, no prompts.
"""

import json
import re
import shlex
import shutil
import threading
from dataclasses import replace
from pathlib import Path

from jobserver.domain.pipeline.reader import MAX_FILE_BYTES, Action, Pipeline, parse
from jobserver.errors import Error, invalid, not_found, unavailable
from jobserver.runner.process import MARK, run_command
from jobserver.store.git.command import environment_to_others, program
from jobserver.store.yaml.nodes import read_nodes, value_of

PROJECT_FILE = "project.yaml"
MAX_PROJECT_BYTES = MAX_FILE_BYTES
_MAX_CONFIG_VALUES = 10_000
_MAX_CONFIG_BYTES = 64 * 1024  # the kernel takes 128 KiB in one argument
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/+-]+")
_SAFE = (("core.hooksPath", "/dev/null"),)


def source(repo: str, study_repos: Path | None) -> str:
    """Where git fetches from: an https URL, or the absolute path of a repository inside ``study_repos``.

    Raises `Error` (invalid) for anything else, even if git would accept it.
    """
    if repo.startswith("-"):
        raise invalid(f"{repo!r} is not a repository: it starts with '-'")
    if _HTTPS.fullmatch(repo):
        return repo
    if "://" in repo or "::" in repo or "\0" in repo:
        raise invalid(f"{repo!r} can't be used as a repository: expected https://...")
    if study_repos is None:
        raise invalid(f"{repo!r} is not an https URL, and this runner has no folder of local studies (STUDY_REPOS)")
    base = study_repos.resolve()
    path = (base / repo).resolve()
    if path == base or not path.is_relative_to(base):
        raise invalid(f"{repo!r} is outside this runner's folder of local studies")
    if not path.is_dir():
        raise not_found(f"repository {repo!r} does not exist in this runner's folder of local studies")
    return str(path)


class StudyCheckouts:
    """Checks studies out. ``scratch`` is a folder for unfinished checkouts, on the same disk as the targets."""

    def __init__(self, study_repos: Path | None, scratch: Path, timeout: float = 600.0) -> None:
        self.study_repos = study_repos
        self.scratch = scratch
        self.timeout = timeout

    def checkout(self, repo: str, branch: str, sha: str, target: Path, stop: threading.Event) -> None:
        """Puts the files at ``sha`` into ``target``, without .git. Does nothing if the folder exists: it is complete.

        Raises `Error`: invalid or not_found if the request is wrong, unavailable if it may work later.
        """
        if target.is_dir():
            return
        url = source(repo, self.study_repos)
        work = self.scratch / f"{target.parent.name}.checkout"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            git = _Git(work, self.scratch / f"{work.name}.log", stop, self.timeout)
            git("init", "--quiet", "--template=")
            if git.tries("fetch", "--quiet", "--no-tags", "--depth", "1", "--", url, sha) is not None:
                # A server may serve only the tips of branches.
                git("fetch", "--quiet", "--no-tags", "--", url, f"+refs/heads/{branch}:refs/heads/fetched")
            if git.tries("cat-file", "-e", f"{sha}^{{commit}}") is not None:
                raise not_found(f"commit {sha} is not in {repo}, branch {branch}")
            git("checkout", "--quiet", "--force", "--detach", sha)
            shutil.rmtree(work / ".git")
            target.parent.mkdir(parents=True, exist_ok=True)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
            (self.scratch / f"{work.name}.log").unlink(missing_ok=True)


class _Git:
    """git in one folder, without the configuration that the repository brings."""

    def __init__(self, folder: Path, log: Path, stop: threading.Event, timeout: float) -> None:
        self.folder = folder
        self.log = log
        self.stop = stop
        self.timeout = timeout
        self.env = environment_to_others(_SAFE, **{MARK: folder.name})

    def __call__(self, *arguments: str) -> None:
        problem = self.tries(*arguments)
        if problem is not None:
            raise unavailable(f"git {arguments[0]} failed: {problem}")

    def tries(self, *arguments: str) -> str | None:
        """None, or git's message if it failed. Raises `Error` (unavailable) if it could not finish."""
        try:
            result = run_command(
                [program(), *arguments],
                cwd=self.folder,
                env=self.env,
                log=self.log,
                log_limit=4096,
                stop=self.stop,
                timeout=self.timeout,
                grace=2.0,
            )
            message = " ".join(self.log.read_text("utf-8", "replace").split())
        except OSError as error:
            raise unavailable(f"git can't be run: {error}") from error
        if result.reason == "timeout":
            raise unavailable(f"git {arguments[0]} took longer than {self.timeout:g} s")
        if result.reason == "stopped":
            raise unavailable("the runner was stopped")
        return None if result.code == 0 else message or f"exit code {result.code}"


def read_pipeline(study: Path) -> Pipeline:
    """Reads the study's project.yaml. Raises `Error` (invalid, not_found) that names the line."""
    path = study / PROJECT_FILE
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise invalid("expected a file", PROJECT_FILE)
    try:
        size = path.stat().st_size
        if size > MAX_PROJECT_BYTES:
            raise invalid(f"{size} bytes; at most {MAX_PROJECT_BYTES} are allowed", PROJECT_FILE)
        pipeline = parse(read_nodes(path.read_bytes(), PROJECT_FILE, aliases=True), PROJECT_FILE)
    except FileNotFoundError:
        raise not_found("Could not find project.yaml") from None
    except OSError as error:
        raise _unreadable(error) from error
    return replace(pipeline, actions={name: _configured(name, action) for name, action in pipeline.actions.items()})


def _configured(name: str, action: Action) -> Action:
    """With its ``config`` added to the command as ``--config`` and JSON, as OpenSAFELY's runner does."""
    if action.config is None or not action.config.entries:
        return action
    where = f"{PROJECT_FILE}: actions.{name}.config"
    try:
        text = json.dumps(value_of(action.config, _MAX_CONFIG_VALUES), default=str)
    except Error as error:
        raise invalid(error.message, where) from None
    if len(text) > _MAX_CONFIG_BYTES:
        raise invalid(f"{len(text)} bytes as JSON; at most {_MAX_CONFIG_BYTES} are allowed", where)
    return replace(action, run=f"{action.run} --config {shlex.quote(text)}")


def _unreadable(error: OSError) -> Error:
    return unavailable(f"project.yaml can't be read: {error.strerror}")
