"""Many clients, several servers, and somebody who kills, stops, cuts and drops; then the history is judged.

By default two servers on one repository; with ``--machines 3``, three with clones of one hosted repository, whose links
are cut and slow, and whose git dies. ``make torture SECONDS=60`` prints what was called, what was done to the servers,
and what is wrong (nothing).
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.e2e.harness import Site, git
from tests.e2e.host import Host
from tests.faults.crash import sound
from tests.torture.clients import Client, Shared
from tests.torture.history import Record, Violation, Wrong, calls_table, wrong_table
from tests.torture.judge import judge, read
from tests.torture.nemesis import Nemesis
from tests.torture.servers import Servers

_SERVERS = 2
_ASKERS, _REPORTERS, _READERS = 6, 6, 4
_SET_BY = 0.01  # seconds; less is how exactly two clocks can be read together
# One person, and one backend, stand for hundreds.
_UNLIMITED = ("MAX_WRITES_PER_MINUTE", "MAX_BACKEND_WRITES_PER_MINUTE", "MAX_STORED_MIB_PER_DAY", "MAX_HELD_POLLS")
_SKEWS = (0, 40, -25)  # seconds that the machines' clocks are wrong by, to begin with


class Torture:
    def __init__(self, folder: Path, seconds: float, calls: int, seed: int, machines: int = 0) -> None:
        """``machines``: 0 are two servers on one repository. Ends after so many seconds, or so many checked calls."""
        self.calls, self.seed = calls, seed
        self.host = Host(folder / "host", machines, "servers:secret") if machines else None
        self.sites = [Site(folder / f"site-{number}") for number in range(machines or 1)]
        for site in self.sites:
            site.env |= dict.fromkeys(_UNLIMITED, "0")
        self.repo = self.host.path if self.host else self.sites[0].repo
        skews = [_SKEWS[number % len(_SKEWS)] for number in range(machines)] or [0] * _SERVERS
        self.servers = Servers(folder, self.sites, skews)
        self.record, self.shared = Record(), Shared()
        self.nemesis = Nemesis(self.servers, self.host, self.record, lambda: self.goes_on(3))
        self.ends = time.monotonic() + seconds
        self.took = 0.0

    def goes_on(self, before: float = 0) -> bool:
        return time.monotonic() < self.ends - before and self.record.checked < self.calls

    def run(self) -> list[Violation]:
        """What is wrong."""
        if self.host is not None:
            git(self.sites[0].repo, "push", "-q", self.host.url(), "refs/heads/*:refs/heads/*")
            for number, site in enumerate(self.sites):
                site.env |= {"STATE_REMOTE": self.host.url(number), "STATE_REMOTE_POLL_SECONDS": "0.5"}
        self.servers.start_all()
        began = time.monotonic()
        threads = [threading.Thread(target=self.guarded(one)) for one in self.work()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.took = time.monotonic() - began
        for number in range(len(self.servers.ports)):  # nothing may need a peaceful end
            self.servers.kill(number)
        return [*self.record.wrong, *judge(self.record.writes, read(self.repo)), *self.afterwards()]

    def work(self) -> list[Callable[[], None]]:
        def client(name: str) -> Client:
            lots = random.Random(f"{self.seed} {name}")
            return Client(self.servers, self.record, self.shared, lots, self.goes_on)

        work = [client("pusher").push, client("commander").command]
        work += [client(f"reader {number}").read for number in range(_READERS)]
        work += [partial(client(f"asker {number}").ask, str(number)) for number in range(_ASKERS)]
        work += [partial(client(f"reporter {number}").report, str(number)) for number in range(_REPORTERS)]
        work.append(lambda: self.nemesis.of_servers(random.Random(f"{self.seed} nemesis")))
        if self.host is not None:
            work.append(lambda: self.nemesis.of_host(random.Random(f"{self.seed} nemesis of the host")))
        return work

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a client that ends early would make it look well
                self.record.bug(f"the harness: {type(error).__name__}: {error}")

        return run

    def afterwards(self) -> list[Violation]:
        """Each server starts and writes again, and neither git nor an auditor finds anything."""
        wrong = []
        for site in self.sites:
            if "Traceback" in site.log():
                wrong.append(f"a traceback in the server's log: {_around_traceback(site.log())}")
        self.sites[0].run("user", "token", "alice", "--label", "afterwards")
        wrong += sound(self.repo, [])
        for number, site in enumerate(self.sites):
            site.run("user", "add", f"last-{number}")
            wrong += sound(site.repo, [])
        return [Violation(Wrong.BUG, one) for one in wrong]


def kept_logs(sites: Sequence[Site]) -> Path:
    """A copy that outlives the torture: what was wrong seldom comes again."""
    folder = Path(tempfile.mkdtemp(prefix="torture-logs-"))
    for number, site in enumerate(sites):
        (folder / f"server-{number}.log").write_text(site.log())
    return folder


def faults_table(done: Counter[str]) -> str:
    lines = ["| faults | times |", "| --- | --- |", *(f"| {what} | {times} |" for what, times in sorted(done.items()))]
    return "\n".join([*lines, f"| all | {done.total()} |"])


def _around_traceback(log: str) -> str:
    """The first traceback of a log, with the line before it."""
    start = log.rfind("\n", 0, max(log.find("Traceback") - 1, 0))
    return log[start + 1 : start + 4000]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--calls", type=int, default=1_000_000_000)
    parser.add_argument("--machines", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), options.seconds, options.calls, options.seed, options.machines)
        wrong = torture.run()
        if wrong:
            print(f"the servers' logs are in {kept_logs(torture.sites)}", file=sys.stderr)
    record = torture.record
    writes, faults = record.checked - record.reads, torture.nemesis.done.total()
    print(f"{calls_table(record.counted)}\n\n{faults_table(torture.nemesis.done)}\n\n{wrong_table(wrong)}\n")
    print(
        f"{record.checked:,} calls checked in {torture.took / 60:.1f} min, seed {options.seed}: {record.reads:,} reads,"
        f" {writes:,} writes (1 to {record.reads / max(1, writes):.1f}), a fault every"
        f" {torture.took / max(1, faults):.1f} s and {record.checked // max(1, faults):,} calls;"
        f" {len(wrong)} violations"
    )
    if (set_by := max(clock.set_by for clock in torture.servers.clocks)) > _SET_BY:
        print(f"the machine's clock was set ahead by {set_by:.3f} s meanwhile", file=sys.stderr)
    for kind in Wrong:
        for one in [one for one in wrong if one.kind is kind][:10]:
            print(f"{one.kind}: {one.words}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
