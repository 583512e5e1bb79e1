"""Events a second through the gate, beside `git fast-import` fed the same documents in batches of the same size."""

import itertools
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.common import ALICE, TPP, Site, quick, site, table
from benchmarks.history import ACTIONS, PIPELINE, job
from jobserver import bootstrap
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.domain.job_requests.requests import RequestJobs

CLIENTS = (1, 8, 64, 256)
_NOW = datetime(2026, 11, 24, tzinfo=UTC)


def main() -> None:
    is_quick = quick()
    rows = []
    for requests in (1_000, 10_000) if is_quick else (1_000, 100_000):
        for clients in CLIENTS:
            events = (240 if is_quick else 1_000) * (1 if clients == 1 else 2)
            with site(requests) as made:
                ours, batches, old = _ours(made, clients, events)
                theirs = _theirs(made.settings.state_repo, old, batches)
                total = sum(batches)
                rows.append(
                    (f"{requests:,}", clients, total / len(batches), total / ours, total / theirs, theirs / ours)
                )
    table(
        "write: events/s, durable and signed",
        ("history", "clients", "mean batch", "gate", "fast-import", "ratio"),
        rows,
    )


def _ours(made: Site, clients: int, events: int) -> tuple[float, list[int], str]:
    """(seconds, the sizes of the batches, the tip before). A person asks, the backend reports twice, it is archived."""
    app = bootstrap.connect(made.settings)
    old = app.repo.writer.refs.tip("backends/tpp")
    assert old is not None
    batches: list[int] = []
    app.repo.writer.listen(lambda landing: batches.append(len(landing.changes)), lambda: None)
    numbers = itertools.count()
    problems: list[BaseException] = []

    def client() -> None:
        try:
            while next(numbers) < events // 3:
                ask = RequestJobs("trends", "tpp", ACTIONS[:1], "0" * 40, PIPELINE)
                identifier = app.gate.submit(ALICE, ask, "benchmark").changes.result["identifier"]
                done = job(f"{identifier}0", ACTIONS[0], _NOW)
                running = done.model_copy(update={"status": "running", "completed_at": None})
                later = done.model_copy(update={"updated_at": _NOW + timedelta(seconds=1)})
                for one in (running, later):
                    app.gate.submit(TPP, UpdateJobs("tpp", ((identifier, one),)), "benchmark")
        except BaseException as error:
            problems.append(error)
            raise

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    app.close()
    if problems:
        raise problems[0]
    return seconds, batches, old


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
