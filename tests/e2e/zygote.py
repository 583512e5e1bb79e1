"""Commands without the second that Python needs to import them: each is a fork of a process that has imported all.

A test sees the same as of `python -m jobserver`: a process of its own, with its own environment, folder, output and
exit code. `make coverage` measures processes from their start, so there a command is started by a new Python.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeAlias

from jobserver.cli.main import COMMANDS, main
from jobserver.web.pages.render import environment
from tests.e2e import asking

_ROOT = Path(__file__).parents[2]


def command(arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    """`python -m jobserver` with ``arguments``, to its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = start(arguments, env, cwd, out, err).wait()
        return subprocess.CompletedProcess(["jobserver", *arguments], code, _text(out), _text(err))


def start(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, out: IO[bytes], err: IO[bytes]) -> "Process":
    """As `command`, under way; its output goes to these files."""
    if _is_measured():
        environment = {**env, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'tests' / 'measured'}"}
        whole = [sys.executable, "-m", "jobserver", *arguments]
        return subprocess.Popen(whole, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    return _zygote().start({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}, out, err)


def programs() -> str:
    """The folder with the `jobserver` for the PATH of shells and hooks."""
    return str(Path(sys.executable).parent if _is_measured() else _zygote().folder)


def _is_measured() -> bool:
    return any(name.startswith("COVERAGE_") for name in os.environ)


class Started:
    """A command under way, with the part of `subprocess.Popen` that tests need."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers.makefile("r")  # the process's id, and its exit code once it has ended
        self._socket = answers
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._socket], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("jobserver", timeout or 0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._socket.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process: TypeAlias = "subprocess.Popen[bytes] | Started"


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


@functools.cache
def _zygote() -> "_Zygote":
    return _Zygote()


class _Zygote:
    """The process to fork, as the one that asks sees it. It ends with whoever holds the other end of its input."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="jobserver-zygote-")
        self.folder = Path(self._temporary.name)
        self._path = str(self.folder / "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path)
        listener.listen(64)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.zygote", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=_ROOT,
        )
        listener.close()
        program = self.folder / "jobserver"
        asks = [sys.executable, "-I", "-S", asking.__file__, self._path]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(asks)} "$@"\n')
        program.chmod(0o755)
        atexit.register(self._close)

    def _close(self) -> None:
        self._process.communicate()
        self._temporary.cleanup()

    def start(self, task: Mapping[str, object], out: IO[bytes], err: IO[bytes]) -> Started:
        return Started(asking.ask(self._path, task, [out.fileno(), err.fileno()]))


def _serve(listener: socket.socket) -> list[str]:
    """Returns in a fork that has become a command: its arguments. The process itself ends here."""
    callers: dict[int, socket.socket] = {}  # who waits for which command, by the command's pidfd
    while True:
        ready, _, _ = select.select([listener, sys.stdin, *callers], [], [])
        if sys.stdin in ready:
            raise SystemExit
        for ended in callers.keys() & set(ready):
            _tell(callers.pop(ended), ended)
        if listener in ready:
            caller, _ = listener.accept()
            _, files, _, _ = socket.recv_fds(caller, 1, 2)
            asked = caller.makefile().read()
            if not asked:  # a shell that was killed meanwhile
                continue
            child = os.fork()
            if child == 0:
                for open_here in (listener, caller, *callers.values()):
                    open_here.close()
                for pidfd in callers:
                    os.close(pidfd)
                return _become(json.loads(asked), files)
            for file in files:
                os.close(file)
            callers[os.pidfd_open(child)] = caller
            _answer(caller, child)


def _tell(caller: socket.socket, ended: int) -> None:
    """Sends the exit code of a command."""
    status = os.waitid(os.P_PIDFD, ended, os.WEXITED)
    os.close(ended)
    assert status is not None
    code = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
    with caller:
        _answer(caller, code)


def _answer(caller: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for a server that outlives its test
        caller.sendall(f"{number}\n".encode())


def _become(task: dict[str, object], files: list[int]) -> list[str]:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (files[0], 1), (files[1], 2)):
        os.dup2(source, target)
        os.close(source)
    env, arguments = task["env"], task["arguments"]
    assert isinstance(env, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(str(task["cwd"]))
    if "umask" in task:
        os.umask(int(str(task["umask"])))
    return arguments


def _run(arguments: list[str]) -> None:
    """Ends the process, without taking the interpreter apart: for a fork that is half a second of copied pages."""
    sys.argv = ["jobserver", *arguments]
    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    for name in ("jobserver.serving.server", *(f"jobserver.cli.{name}" for name in COMMANDS)):
        importlib.import_module(name)  # what takes long, before there are forks
    templates = environment()
    for name in templates.list_templates():
        templates.get_template(name)  # compiles it
    gc.collect()
    gc.freeze()  # a search for cycles in a fork would copy all of it
    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))
