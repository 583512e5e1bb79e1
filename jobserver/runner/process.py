"""One command in a process group of its own: its output kept up to a limit, its end brought about when asked.

Imports the standard library only. Whatever the command started is ended with it. What a runner that was itself
killed left behind is found by `kill_marked`: every process carries its job's id in its environment.
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
_LOOK = 0.05  # seconds between looks at the process and at what was asked
_CHUNK = 64 * 1024
_PROC = Path("/proc")
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Ended:
    """``code``: as `subprocess` has it, negative for a signal. ``why``: by itself, stopped, or out of time."""

    code: int
    why: Literal["itself", "stopped", "timeout"]


class CappedLog:
    """A file that takes ``limit`` bytes, then says so once and swallows the rest."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._left = limit
        self._told = False

    def write(self, data: bytes) -> None:
        if data[: self._left]:
            self._file.write(data[: self._left])
        if len(data) > self._left and not self._told:
            self._told = True
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
) -> Ended:
    """Runs ``command`` to its end, stdout and stderr together into ``log``; no process of its group is left.

    ``stop`` and ``timeout`` (seconds) end the whole group: SIGTERM, and SIGKILL after ``grace`` seconds. Raises OSError
    if it can't be started or the log can't be written.
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
                why = _attend(process, pipe, CappedLog(file, log_limit), stop, timeout, grace)
            finally:
                _signal_group(process.pid, signal.SIGKILL)
                code = process.wait()
    return Ended(code, why)


def _attend(
    process: subprocess.Popen[bytes],
    pipe: IO[bytes],
    log: CappedLog,
    stop: threading.Event,
    timeout: float | None,
    grace: float,
) -> Literal["itself", "stopped", "timeout"]:
    """Until the first process has ended and what it wrote is read. Not reaped here: its group's id stays its own."""
    os.set_blocking(pipe.fileno(), False)
    why: Literal["itself", "stopped", "timeout"] = "itself"
    ends = None if timeout is None else time.monotonic() + timeout
    kills: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        is_open = True
        while not _has_ended(process.pid):
            if is_open and selector.select(_LOOK):
                is_open = _drain(pipe, log)
            elif not is_open:
                time.sleep(_LOOK)
            now = time.monotonic()
            if kills is None and (stop.is_set() or (ends is not None and now >= ends)):
                why = "stopped" if stop.is_set() else "timeout"
                kills = now + grace
                _signal_group(process.pid, signal.SIGTERM)
            elif kills is not None and now >= kills:
                _signal_group(process.pid, signal.SIGKILL)
    # What is left of the group holds the pipe open, perhaps for ever; what it still had to say is lost.
    _signal_group(process.pid, signal.SIGKILL)
    if is_open:
        _drain(pipe, log)
    return why


def _drain(pipe: IO[bytes], log: CappedLog, most: int = 16) -> bool:
    """Reads what is there, at most ``most`` chunks. False once the other end is closed."""
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
    except (ProcessLookupError, PermissionError):  # it is gone, or all that is left of it is a zombie (macOS)
        return


def take_secret(variable: str) -> str:
    """The variable's value, which is then gone from this process's environment; empty if it is not set.

    Removing it from `os.environ` alone would leave it in /proc/<pid>/environ, where every command of a study could read
    it: the kernel shows the memory that the process was started with, so that memory is overwritten. From then on the
    kernel gives this process's memory to root only (PR_SET_DUMPABLE, prctl(2)).
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
    """Kills every process of this user that carries the job's id; returns how many, once all of them are gone.

    Raises TimeoutError if one is still there after ``patience`` seconds.
    """
    killed = set[int]()
    ends = time.monotonic() + patience
    while found := _marked(job):
        if time.monotonic() >= ends:
            raise TimeoutError(f"processes {sorted(found)} of job {job} can't be killed")
        for pid in found:
            killed.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_LOOK)
    return len(killed)


def _marked(job: str) -> set[int]:
    """Their ids. A zombie has no environment any more, so it does not count."""
    mark = f"{MARK}={job}".encode()
    found = set[int]()
    for folder in _PROC.glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:  # another user's, or gone meanwhile
            continue
    found.discard(os.getpid())
    return found
