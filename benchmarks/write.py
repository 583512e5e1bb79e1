"""Events a second through the gate, beside `git fast-import` fed the same documents in batches of the same size."""

import argparse
import gc
import itertools
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.common import ALICE, TPP, Site, options, site, slow_disk, table
from benchmarks.history import ACTIONS, PIPELINE, job
from benchmarks.slow_disk import slow_down
from jobserver import bootstrap
from jobserver.domain.base.permissions import Actor
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.plan import Command
from jobserver.store.write.submission import WriteResult

CLIENTS = (1, 8, 64, 256)
_NOW = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class Run:
    """``batches``: the size of each. ``waits``: how long each event took, in seconds. ``cpu``: seconds of computing."""

    old: str
    seconds: float = 0.0
    cpu: float = 0.0
    batches: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


def main() -> None:
    chosen = options(_add_options)
    rows = []
    for requests in chosen.history or ((1_000, 10_000) if chosen.quick else (1_000, 100_000)):
        for clients in chosen.clients:
            events = (240 if chosen.quick else 1_000) * (1 if clients == 1 else 2 if clients < 64 else 4)
            with site(requests) as made:
                run = _ours(made, clients, events, chosen.slow_disk)
                theirs = _theirs(made.settings.state_repo, run.old, run.batches)
                total = sum(run.batches)
                figures = (total / len(run.batches), median(run.waits) * 1000, run.cpu / total * 1e6)
                figures = (*figures, total / run.seconds, total / theirs, theirs / run.seconds)
                rows.append((f"{requests:,}", clients, *figures))
    disk = f"; each fsync takes {chosen.slow_disk:g} ms more (not git's)" if chosen.slow_disk else ""
    table(
        f"write: events/s, durable and signed{disk}",
        ("history", "clients", "mean batch", "p50 ms", "CPU µs/event", "gate", "fast-import", "ratio"),
        rows,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--history", type=int, nargs="+", help="numbers of job requests")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    slow_disk(parser)


def _ours(made: Site, clients: int, events: int, slow_disk_ms: float) -> Run:
    """A person asks, the backend reports twice, it is archived."""
    app = bootstrap.connect(made.settings)
    old = app.repo.writer.refs.tip("backends/tpp")
    assert old is not None
    run = Run(old)
    app.repo.writer.listen(lambda landing: run.batches.append(len(landing.changes)), lambda: None)
    numbers = itertools.count()
    problems: list[BaseException] = []
    slow_down(slow_disk_ms)
    gc.set_threshold(20_000, 20, 50)  # as a server does (cli/serve.py)

    def submit(actor: Actor, command: Command) -> WriteResult:
        began = time.perf_counter()
        written = app.gate.submit(actor, command, "benchmark")
        run.waits.append(time.perf_counter() - began)
        return written

    def client() -> None:
        try:
            while next(numbers) < events // 3:
                ask = RequestJobs("trends", "tpp", ACTIONS[:1], "0" * 40, PIPELINE)
                identifier = submit(ALICE, ask).changes.result["identifier"]
                done = job(f"{identifier}0", ACTIONS[0], _NOW)
                running = done.model_copy(update={"status": "running", "completed_at": None})
                later = done.model_copy(update={"updated_at": _NOW + timedelta(seconds=1)})
                for one in (running, later):
                    submit(TPP, UpdateJobs("tpp", ((identifier, one),)))
        except BaseException as error:
            problems.append(error)
            raise

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began, computed = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.seconds, run.cpu = time.perf_counter() - began, time.process_time() - computed
    app.close()
    if problems:
        raise problems[0]
    return run


def _theirs(repository: Path, old: str, batches: list[int]) -> float:
    """Seconds that `git fast-import` takes for the same commits on the same history, durable batch by batch."""
    git = ["git", "-C", str(repository)]
    branch = "backends/tpp"
    export = ["fast-export", "--reference-excluded-parents", "--signed-tags=strip", branch, f"^{old}"]
    stream = subprocess.run([*git, *export], check=True, capture_output=True).stdout
    subprocess.run([*git, "update-ref", "refs/heads/peer", old], check=True)
    commits = _split(stream.replace(f"commit refs/heads/{branch}\n".encode(), b"commit refs/heads/peer\n"))
    options = ("-c", "core.fsync=all", "-c", "fastimport.unpackLimit=1")
    process = subprocess.Popen(
        [*git, *options, "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    began = time.perf_counter()
    at = 0
    with process.stdin as pipe, process.stdout as said:
        for size in batches:
            pipe.write(b"".join(commits[at : at + size]) + b"checkpoint\nprogress done\n")
            pipe.flush()
            if not said.readline():
                raise SystemExit("git fast-import failed")
            at += size
        seconds = time.perf_counter() - began
    process.wait()
    return seconds


def _split(stream: bytes) -> list[bytes]:
    """One part for each commit, with the blobs before it."""
    parts, at, start = [], 0, 0
    while at < len(stream):
        end = stream.index(b"\n", at)
        line = stream[at:end]
        if line.startswith(b"data "):
            at = end + 1 + int(line[5:])
            continue
        if line.startswith((b"blob", b"reset")) and parts_open(stream, start, at):
            parts.append(stream[start:at])
            start = at
        at = end + 1
    return [*parts, stream[start:]]


def parts_open(stream: bytes, start: int, at: int) -> bool:
    """Whether there is a commit between ``start`` and ``at``: what comes now belongs to the next one."""
    return b"\ncommitter " in stream[start:at]


if __name__ == "__main__":
    main()
