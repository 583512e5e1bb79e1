"""The server processes that are tortured, each with a world of its own: a clock that is wrong, a disk that is full."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

from tests.e2e.harness import Site, free_port

_WORLD = Path(__file__).parent / "world"
_SLACK = 2.0  # seconds that a server may go on with the clock that it read before


class Clock:
    """What a server believes about the time, and believed: ``file`` holds the seconds that it is wrong by.

    The machine's own clock may be set meanwhile (a virtual one, that was stopped); ``set_by`` is how far, in seconds.
    """

    def __init__(self, file: Path, wrong_by: float) -> None:
        self._file = file
        self._offset = time.time() - time.monotonic()
        self.set_by = 0.0
        self._jumps: list[tuple[float, float]] = []
        self.set(wrong_by)

    def set(self, wrong_by: float) -> None:
        self._jumps = [*self._jumps, (time.monotonic(), wrong_by)]
        new = self._file.with_suffix(".new")
        new.write_text(str(wrong_by))
        new.rename(self._file)

    def monotonic(self, said: str) -> float:
        """When the server's clock said so, at the earliest; -inf if it never did."""
        ahead = time.time() - time.monotonic() - self._offset - self.set_by
        if ahead > 0:
            self.set_by += ahead
        moments = [-inf]
        jumps = self._jumps
        right = datetime.fromisoformat(said).timestamp() - self._offset - self.set_by
        for at, (began, wrong_by) in enumerate(jumps):
            ended = jumps[at + 1][0] if at + 1 < len(jumps) else inf
            if began - _SLACK <= right - wrong_by <= ended + _SLACK:
                moments.append(right - wrong_by)
        return min(moments[1:], default=-inf)


class Servers:
    """``sites``: one for all, or one for each."""

    def __init__(self, folder: Path, sites: Sequence[Site], wrong_by: Sequence[float]) -> None:
        self.sites = sites
        self._worlds = [folder / f"world-{number}" for number in range(len(wrong_by))]
        for world in self._worlds:
            world.mkdir(parents=True)
        self.clocks = [Clock(world / "clock", by) for world, by in zip(self._worlds, wrong_by, strict=True)]
        self.ports = [free_port() for _ in self._worlds]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        with (self.sites[number % len(self.sites)].folder / "server.log").open("ab") as log:
            self._processes[number] = self.run(number, "serve", "--port", str(self.ports[number]), out=log, err=log)

    def run(self, number: int, *command: str, out: Any, err: Any) -> "subprocess.Popen[bytes]":
        """A command in a server's world: what shares its files has to share its clock, or it dates them wrongly."""
        site = self.sites[number % len(self.sites)]
        world = {"TORTURE_WORLD": str(self._worlds[number]), "PYTHONPATH": f"{_WORLD}:{Path.cwd()}"}
        return subprocess.Popen(
            [sys.executable, "-m", "jobserver", *command],
            env={**site.env, **world}, cwd=site.folder, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip

    def start_all(self) -> None:
        for number in range(len(self.ports)):
            self.start(number)
        for port in self.ports:
            self.sites[0].url, self.sites[0].server = f"http://127.0.0.1:{port}", None
            self.sites[0].wait()

    def kill(self, number: int) -> None:
        os.killpg(self._processes[number].pid, signal.SIGKILL)
        self._processes[number].wait()

    def terminate(self, number: int) -> None:
        self._processes[number].terminate()
        self._processes[number].wait(60)

    def stop_for(self, number: int, seconds: float) -> None:
        os.killpg(self._processes[number].pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(self._processes[number].pid, signal.SIGCONT)

    def fill_for(self, number: int, seconds: float) -> None:
        """A disk that takes nothing more."""
        full = self._worlds[number] / "full"
        full.touch()
        time.sleep(seconds)
        full.unlink()
