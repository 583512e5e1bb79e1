"""Three servers with clones of one hosted repository (`git http-backend`): writes, and how often they meet."""

import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.common import ADMIN, ALICE, quick, table
from benchmarks.history import PIPELINE
from jobserver import bootstrap
from jobserver.domain.accounts import EnsureAdmin
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Error
from jobserver.service.accounts.tokens import token_digest
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.gate import Gate
from jobserver.store.git.remote import Remote
from jobserver.store.repo import StateRepo
from tests.e2e.host import Host

SERVERS = 3
BACKENDS = ("tpp", "emis", "nhsd")


class Machine:
    def __init__(self, folder: Path, host: Host | None, number: int, per_minute: float) -> None:
        self.path = folder / f"{number}.git"

        def join(repo: StateRepo) -> None:
            if host is not None:
                hosted = Hosted(repo, Remote(self.path, host.url(number)), bootstrap.now, per_minute)
                repo.writer.authority = hosted
                hosted.refresh()

        self.repo = StateRepo.create(
            self.path, folder / "key", "jobs.example", bootstrap.templates(), bootstrap.now(), join
        )
        self.gate = Gate(self.repo, bootstrap.now)

    def ask(self, backend: str) -> None:
        self.gate.submit(ALICE, RequestJobs("trends", backend, ("action_0",), "0" * 40, PIPELINE), "benchmark")

    def close(self) -> None:
        self.gate.close()
        self.repo.close()


def _fill(gate: Gate) -> None:
    gate.submit(SERVER, EnsureAdmin("admin"), "x")
    for slug in BACKENDS:
        gate.submit(ADMIN, AddBackend(slug, token_digest(slug), databases=("full",)), "x")
    gate.submit(ADMIN, AddUser("alice", roles=(Role.CORE_DEVELOPER,)), "x")
    gate.submit(ALICE, AddWorkspace("trends", "study", "main"), "x")


def run(
    seconds: float, clients: int, rest: float = 0, apart: bool = False, delay: float = 0, per_minute: float = 0,
    hosted: bool = True,
) -> tuple[float, float, Counter[int], int]:  # fmt: skip
    """(writes/s, median ms, batches by how often they lost, failures).

    ``rest``: mean seconds between a client's writes; ``apart``: each server writes its own branch.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        host = stack.enter_context(closing(Host(folder / "host", SERVERS))) if hosted else None
        machines = []
        for number in range(SERVERS if hosted else 1):
            machines.append(stack.enter_context(closing(Machine(folder, host, number, per_minute))))
            if number == 0:
                _fill(machines[0].gate)
        for machine in machines:
            machine.repo.writer.tries.clear()
        if host is not None:
            host.delay = delay
        took: list[float] = []
        failures: list[str] = []
        ends = time.monotonic() + seconds

        def client(machine: Machine, backend: str) -> None:
            while time.monotonic() < ends:
                time.sleep(random.expovariate(1 / rest) if rest else 0)
                began = time.monotonic()
                try:
                    machine.ask(backend)
                except Error as error:
                    failures.append(str(error))
                else:
                    took.append(time.monotonic() - began)

        threads = [
            threading.Thread(target=client, args=(machine, BACKENDS[number] if apart else "tpp"))
            for number, machine in enumerate(machines)
            for _ in range(clients)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.monotonic() - began
        tries = sum((machine.repo.writer.tries for machine in machines), Counter())
        if not took:
            raise SystemExit(f"nothing was written: {failures[:1]}")
        return len(took) / elapsed, sorted(took)[len(took) // 2] * 1000, tries, len(failures)


def main() -> None:
    short = quick()
    seconds = 5 if short else 30
    longer = 8 if short else 150  # for the shares of what happens rarely
    cases = [
        ("one server, its own disk", {"clients": 24, "hosted": False}),
        ("3 servers, each its own branch", {"clients": 8, "apart": True}),
        ("3 servers, one branch, as fast as they can", {"clients": 8}),
        ("3 servers, one branch, a write a second each", {"clients": 4, "rest": 4}),
        ("the same, host 150 ms away", {"clients": 4, "rest": 4, "delay": 0.15}),
        *([] if short else [("the same, 6 pushes a minute in all", {"clients": 4, "rest": 4, "per_minute": 2})]),
    ]
    rows = []
    for name, how in cases:
        lasts = seconds if "hosted" in how or "apart" in how else longer
        rate, median, tries, failures = run(lasts, **how)  # type: ignore[arg-type]
        batches = sum(tries.values())
        within = 100 * (tries[0] + tries[1]) / batches if batches else 0.0
        rows.append((name, rate, median, batches, within, failures))
    table(
        f"hosted: {SERVERS} servers, clones of one repository on loopback",
        ("", "writes/s", "median ms", "batches", "% within 2 tries", "failed"),
        rows,
    )


if __name__ == "__main__":
    main()
