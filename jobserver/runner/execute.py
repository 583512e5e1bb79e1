"""Runs one job: makes its folder with the study and the outputs it needs, runs its command, keeps its outputs.

NOT A SANDBOX. The folders under the runner's root:

    work/<request>/study                       the study at the request's commit
    work/<request>/<job>/                      where the job's command runs; removed afterwards
    workspaces/<name>/outputs/                 outputs of successful actions, shared by the workspace's requests
    workspaces/<name>/metadata/<action>.log    the log of the action's last run
"""

import fnmatch
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jobserver.domain.pipeline.reader import Action
from jobserver.errors import Error, invalid
from jobserver.runner.process import MARK, ProcessResult, run_command
from jobserver.runner.state import StateFolder, Success

_PATH = "/usr/local/bin:/usr/bin:/bin"
_IMAGE = re.compile(r"[a-z0-9][a-z0-9_./-]*:[A-Za-z0-9_.-]+")
_PYTHON_IMAGE = re.compile(r"python:[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Task:
    """One job to run. Has no ``database``, because this runner has none."""

    request: str
    job: str
    workspace: str
    sha: str
    name: str
    action: Action


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, as it will be reported. If it was ``stopped``, the loop says why instead."""

    status: str
    code: str
    message: str
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes."""

    timeout: float | None = None
    grace: float = 10.0
    log: int = 10 * 1024 * 1024


def command_line(run: str) -> list[str]:
    """The command for an action's ``run``, without a shell or a container.

    ``python`` means this runner's own interpreter, and the image in ``python:latest python x.py`` is left out. Raises
    `Error` (invalid) for other images, which this runner can't run.
    """
    try:
        words = shlex.split(run)
    except ValueError as error:
        raise invalid(f"the command can't be read: {error}") from None
    if words and _PYTHON_IMAGE.fullmatch(words[0]):
        words = words[1:]
    elif words and _IMAGE.fullmatch(words[0]):
        raise invalid(f"this runner has no containers, so it can't run {words[0]}: use python:<version>")
    if not words:
        raise invalid("the command is empty")
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    return words


class Executor:
    def __init__(self, root: Path, state: StateFolder, limits: Limits) -> None:
        self.root = root.resolve()
        self.state = state
        self.limits = limits
        self._publishing = threading.Lock()  # outputs and their record change together

    def study(self, request: str) -> Path:
        return self.root / "work" / request / "study"

    def outputs(self, workspace: str) -> Path:
        return self.root / "workspaces" / workspace / "outputs"

    def log(self, workspace: str, action: str) -> Path:
        return self.root / "workspaces" / workspace / "metadata" / f"{action}.log"

    def succeeded(self, workspace: str) -> set[str]:
        """The actions that succeeded and still have all their outputs."""
        folder = self.outputs(workspace)
        successes = self.state.successes(workspace).items()
        return {action for action, last in successes if all((folder / path).is_file() for path in last.outputs)}

    def forget(self, request: str) -> None:
        shutil.rmtree(self.root / "work" / request, ignore_errors=True)

    def run(self, task: Task, stop: threading.Event) -> Outcome:
        """Runs the job to its end. Keeps its outputs only if it succeeded."""
        folder = self.root / "work" / task.request / task.job
        try:
            command = command_line(task.action.run)
            self._prepare(folder, task)
            before = _listing(folder)
            result = self._command(command, folder, task, stop)
            if result.reason == "stopped":
                return Outcome("failed", "internal_error", "Stopped", stopped=True)
            if result.reason == "timeout":
                return Outcome("failed", "job_error", f"Killed because it took longer than {self.limits.timeout:g} s")
            if result.code != 0:
                return Outcome("failed", "nonzero_exit", _exit(result.code))
            outputs, unmatched = collect(folder, task.action, before)
            if unmatched:
                return Outcome("failed", "unmatched_patterns", f"No outputs match: {', '.join(unmatched)}")
            self._publish(folder, task, outputs)
            return Outcome("succeeded", "succeeded", "Completed successfully")
        except Error as error:
            return Outcome("failed", "job_error", str(error))
        except FileNotFoundError as error:
            return Outcome("failed", "job_error", f"{error.filename} does not exist")
        except OSError as error:
            return Outcome("failed", "internal_error", f"{error.strerror}: {error.filename}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepare(self, folder: Path, task: Task) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.study(task.request), folder, symlinks=True)
        with self._publishing:
            successes = self.state.successes(task.workspace)
            for need in task.action.needs:
                for path in successes[need].outputs if need in successes else ():
                    _copy(self.outputs(task.workspace) / path, folder, path)

    def _command(self, command: list[str], folder: Path, task: Task, stop: threading.Event) -> ProcessResult:
        log = self.log(task.workspace, task.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": _PATH,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            MARK: task.job,
            "JOBSERVER_ACTION": task.name,
            "JOBSERVER_DATABASE": "",
        }
        return run_command(
            command,
            cwd=folder,
            env=env,
            log=log,
            log_limit=self.limits.log,
            stop=stop,
            timeout=self.limits.timeout,
            grace=self.limits.grace,
        )

    def _publish(self, folder: Path, task: Task, outputs: Iterable[str]) -> None:
        """Writes the files before the record of them: after a kill between the two, the action runs again."""
        target = self.outputs(task.workspace)
        with self._publishing:
            successes = self.state.successes(task.workspace)
            kept = tuple(sorted(outputs))
            old = successes.pop(task.name, None)
            others = {path for success in successes.values() for path in success.outputs}
            for path in kept:
                _copy(folder / path, target, path)
            successes[task.name] = Success(task.job, task.sha, kept)
            self.state.save_successes(task.workspace, successes)
            for path in set(old.outputs if old else ()) - set(kept) - others:
                (target / path).unlink(missing_ok=True)


def collect(folder: Path, action: Action, before: Mapping[str, tuple[int, int]]) -> tuple[set[str], list[str]]:
    """Returns (paths of the outputs, patterns without a match). Without declared outputs: every new or changed file.

    Leaves out links, so that no output leads to another place. Raises `Error` (invalid) for a pattern that leads out
    of the folder.
    """
    now = _listing(folder)
    patterns = [pattern for files in action.outputs.values() for pattern in files.values()]
    if not patterns:
        return {path for path, stamp in now.items() if before.get(path) != stamp and not _private(path)}, []
    outputs: set[str] = set()
    unmatched = []
    for pattern in patterns:
        pure = PurePosixPath(pattern)
        if pure.is_absolute() or ".." in pure.parts:
            raise invalid(f"an output's pattern must stay inside the study: {pattern}")
        matches = {path for path in now if _matches(path, pure)}
        outputs |= matches
        if not matches:
            unmatched.append(pattern)
    return outputs, unmatched


def _matches(path: str, pattern: PurePosixPath) -> bool:
    """Compares part by part, so that ``*`` does not match a slash."""
    parts = PurePosixPath(path).parts
    return len(parts) == len(pattern.parts) and all(map(fnmatch.fnmatchcase, parts, pattern.parts))


def _private(path: str) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in PurePosixPath(path).parts)


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Regular files by their path inside ``folder`` -> (time, inode), which change when the file is written."""
    files = {}
    for path in folder.rglob("*"):  # does not enter linked folders
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            files[path.relative_to(folder).as_posix()] = (status.st_mtime_ns, status.st_ino)
    return files


def _copy(source: Path, folder: Path, path: str) -> None:
    """Copies to ``path`` inside ``folder``. Other threads see the whole file or none.

    Raises `Error` (invalid) if a link in the study leads out of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder
    for part in PurePosixPath(path).parts[:-1]:
        target /= part
        if target.is_symlink():
            raise invalid(f"{path} can't be written: the study has a link at {target.relative_to(folder)}")
        target.mkdir(exist_ok=True)
    target = folder / path
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    shutil.copyfile(source, partial, follow_symlinks=False)
    partial.replace(target)


def _exit(code: int) -> str:
    return f"Exited with code {code}" if code > 0 else f"Killed by signal {-code}"
