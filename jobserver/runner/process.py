"""Runs one command in its own process group, keeps its output up to a limit, and ends it on request.

Everything that the command started ends with it. After a runner was killed, `kill_marked` finds the processes that it
left: each has its job's id in its environment.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

MARK = "JOBSERVER_JOB"
_POLL = 0.05  # seconds between checks of the process and of `stop`
_CHUNK = 64 * 1024
_PROC = Path("/proc")
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """``code``: as in `subprocess`, negative for a signal."""

    code: int
    reason: Literal["exited", "stopped", "timeout"]


class CappedLog:
    """A file that keeps the first ``limit`` bytes and notes that it was cut."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._left = limit
        self._is_cut = False

    def write(self, data: bytes) -> None:
        if data[: self._left]:
            self._file.write(data[: self._left])
        if len(data) > self._left and not self._is_cut:
            self._is_cut = True
            self._file.write(b"\n[the log ends here: it reached its size limit]\n")
        self._left = max(0, self._left - len(data))


def run_command(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    log_limit: int,
    stop: threading.Event,
    timeout: float | None = None,
    grace: float = 10.0,
) -> ProcessResult:
    """Runs ``command`` to its end, with stdout and stderr in ``log``. Leaves no process of its group.

    ``stop`` and ``timeout`` (seconds) end the whole group with SIGTERM, and with SIGKILL after ``grace`` seconds.
    Raises OSError if the command can't be started or the log can't be written.
    """
    with log.open("wb", buffering=0) as file:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout as pipe:
            try:
                reason = _attend(process, pipe, CappedLog(file, log_limit), stop, timeout, grace)
            finally:
                _signal_group(process.pid, signal.SIGKILL)
                code = process.wait()
    return ProcessResult(code, reason)


def _attend(
    process: subprocess.Popen[bytes],
    pipe: IO[bytes],
    log: CappedLog,
    stop: threading.Event,
    timeout: float | None,
    grace: float,
) -> Literal["exited", "stopped", "timeout"]:
    """Waits for the first process and reads its output. Does not reap it, so that no other group can get its id."""
    os.set_blocking(pipe.fileno(), False)
    reason: Literal["exited", "stopped", "timeout"] = "exited"
    ends = None if timeout is None else time.monotonic() + timeout
    kills: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        is_open = True
        while not _has_ended(process.pid):
            if is_open and selector.select(_POLL):
                is_open = _drain(pipe, log)
            elif not is_open:
                time.sleep(_POLL)
            now = time.monotonic()
            if kills is None and (stop.is_set() or (ends is not None and now >= ends)):
                reason = "stopped" if stop.is_set() else "timeout"
                kills = now + grace
                _signal_group(process.pid, signal.SIGTERM)
            elif kills is not None and now >= kills:
                _signal_group(process.pid, signal.SIGKILL)
    # The rest of the group may hold the pipe open for ever, so its further output is lost.
    _signal_group(process.pid, signal.SIGKILL)
    if is_open:
        _drain(pipe, log)
    return reason


def _drain(pipe: IO[bytes], log: CappedLog, most: int = 16) -> bool:
    """Reads up to ``most`` chunks that are ready. False once the other end is closed."""
    for _ in range(most):
        try:
            data = os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        log.write(data)
    return True


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # gone, or only a zombie is left (macOS)
        return


def take_secret(variable: str) -> str:
    """Returns the variable's value, empty if it is not set, and removes it from this process's environment.

    /proc/<pid>/environ shows the memory that the process started with, and every command of a study could read it, so
    this overwrites that memory. From then on the kernel shows this process's memory to root only (PR_SET_DUMPABLE,
    prctl(2)).
    """
    value = os.environ.get(variable, "")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.getenv.restype = ctypes.c_void_p
    if value and (place := libc.getenv(os.fsencode(variable))):
        ctypes.memset(place, 0, len(os.fsencode(value)))
    os.environ.pop(variable, None)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return value


def kill_marked(job: str, patience: float = 5.0) -> int:
    """Kills every process of this user that has the job's id. Returns how many, once all are gone.

    Raises TimeoutError if one still runs after ``patience`` seconds.
    """
    killed = set[int]()
    ends = time.monotonic() + patience
    while running := _marked(job):
        if time.monotonic() >= ends:
            raise TimeoutError(f"processes {sorted(running)} of job {job} can't be killed")
        for pid in running:
            killed.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_POLL)
    return len(killed)


def _marked(job: str) -> set[int]:
    """The ids of the processes that have the job's id. A zombie has no environment, so it does not count."""
    mark = f"{MARK}={job}".encode()
    pids = set[int]()
    for folder in _PROC.glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                pids.add(int(folder.name))
        except OSError:  # another user's, or gone
            continue
    pids.discard(os.getpid())
    return pids
