"""Who kills, stops, cuts and drops. Faults of the servers and of their host come on top of each other."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

from tests.e2e.host import Host
from tests.torture.history import Record
from tests.torture.servers import Servers

# A key is remembered for 24 hours: a longer way between two of these, and asking again may do it twice.
_JUMPS = (-40_000, -70, 0, 0.5, 300, 40_000)


class Nemesis:
    def __init__(self, servers: Servers, host: Host | None, record: Record, goes_on: Callable[[], bool]) -> None:
        self.servers, self.host, self.record, self.goes_on = servers, host, record, goes_on
        self.done: Counter[str] = Counter()

    def of_servers(self, chance: random.Random) -> None:
        faults: list[tuple[str, Callable[[int], None]]] = [
            ("kill -9", self._kill),
            ("kill -9", self._kill),
            ("SIGSTOP", lambda number: self.servers.stop_for(number, chance.uniform(1, 9))),  # beyond all patience
            ("SIGTERM", self._terminate),
            ("full disk", lambda number: self.servers.fill_for(number, chance.uniform(0.2, 2))),
            ("clock jump", lambda number: self.servers.clocks[number].set(chance.choice(_JUMPS))),
            ("maintain", lambda number: self._maintain(number, 0)),
            ("maintain, killed", lambda number: self._maintain(number, chance.uniform(0.3, 0.9))),
        ]
        while self.goes_on():
            time.sleep(chance.uniform(0.5, 4))
            name, fault = chance.choice(faults)
            fault(chance.randrange(len(self.servers.ports)))
            self.done[name] += 1

    def of_host(self, chance: random.Random) -> None:
        assert self.host is not None
        host, lots = self.host, random.Random(chance.random())
        while self.goes_on():
            time.sleep(chance.uniform(1, 10))
            what = chance.choice(("cut off", "cut off", "host down", "slow link", "lost answers", "git dies"))
            if what == "cut off":
                host.cut_off.add(chance.randrange(len(self.servers.ports)))
            elif what == "host down":
                host.is_down = True
            elif what == "slow link":
                host.delay = chance.uniform(0.05, 0.6)
            elif what == "lost answers":
                host.drops = lambda: lots.random() < 0.4
            else:
                host.dies = lambda: lots.random() < 0.4
            time.sleep(chance.uniform(0.5, 5))
            host.cut_off.clear()
            host.is_down, host.delay = False, 0.0
            host.drops = host.dies = lambda: False
            self.done[what] += 1

    def _kill(self, number: int) -> None:
        self.servers.kill(number)
        self.servers.start(number)

    def _terminate(self, number: int) -> None:
        self.servers.terminate(number)
        self.servers.start(number)

    def _maintain(self, number: int, killed_after: float) -> None:
        process = self.servers.run(number, "maintain", out=subprocess.DEVNULL, err=subprocess.PIPE)
        if killed_after:
            time.sleep(killed_after)
            os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=300)
        if b"Traceback" in said:
            self.record.bug(said.decode()[-500:])
