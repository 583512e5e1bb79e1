"""What years of history cost: the same calls on little and on much of it, the start, memory, a rebuild, the disk.

``--history 1000 10000 100000 1000000 --picture docs/pictures/latency.svg`` draws the picture of docs/performance.md. A
million job requests take an hour to make, once, and 10 GB of disk.
"""

import argparse
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx

from benchmarks.common import PORT, TOKEN, Site, family, options, server, site, table
from benchmarks.history import job
from benchmarks.picture import lines
from jobserver.domain.job_requests.jobs import Job
from jobserver.index.items import job_item
from jobserver.index.sqlite.build import rebuild
from jobserver.store.git.refs import Refs

_URL = f"http://127.0.0.1:{PORT}/api/v2"
_TIMES = 300
_REPACKED = ("--revs", "--thin", "--no-reuse-delta", "--no-reuse-object", "--stdout", "-q")  # as `git repack -f`
_LIMITS = {
    "list p50, ms": "1.2 x",
    "report p50, ms": "1.2 x",
    "request p50, ms": "1.2 x",
    "rebuild, s": "60 s at 100,000",
    "start to first 200, s": "1.5 s",
    "memory, MB": "200 MB, 250 at a million",
    "packed bytes/event": "1,024",
}
_NOW = datetime(2026, 11, 24, tzinfo=UTC)


def main() -> None:
    chosen = options(_add_options)
    sizes = chosen.history or ((1_000, 10_000) if chosen.quick else (1_000, 100_000))
    found = [_measure(size) for size in sizes]
    rows: list[tuple[object, ...]] = []
    for name, limit in _LIMITS.items():
        values = [one[name] for one in found]
        rows.append((name, *values, values[-1] / values[0], limit))
    table("growth: history", ("", *(f"{size:,} requests" for size in sizes), "ratio", "limit"), rows)
    if chosen.picture:
        times = {name.removesuffix(" p50, ms"): [one[name] for one in found] for name in _LIMITS if "p50" in name}
        chosen.picture.write_text(lines("p50 in ms, by number of job requests in the history", sizes, times))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--history", type=int, nargs="+", help="numbers of job requests")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draws the latencies to this file")


def _measure(requests: int) -> dict[str, float]:
    found: dict[str, float] = {}
    with site(requests) as made:
        began = time.perf_counter()
        rebuild(made.settings.state_repo, Refs(made.settings.state_repo), made.settings.index)
        found["rebuild, s"] = time.perf_counter() - began
        with server(made) as (seconds, pid):
            found["start to first 200, s"] = seconds
            client = httpx.Client(headers={"Authorization": TOKEN.format("tpp")})
            active = made.made.active
            found["list p50, ms"] = _p50(lambda n: client.get(f"{_URL}/job-requests/"))
            found["request p50, ms"] = _p50(lambda n: client.get(f"{_URL}/job-requests/{active[n % len(active)]}/"))
            old = _tip(made)
            found["report p50, ms"] = _p50(lambda n: client.post(f"{_URL}/jobs/", json=_report(active[n % 100], n)))
            found["memory, MB"] = _memory(pid)
            found["packed bytes/event"] = _grown(made, old)
    return found


def _p50(call: Callable[[int], httpx.Response]) -> float:
    times = []
    for number in range(_TIMES):
        began = time.perf_counter()
        if call(number).status_code != 200:
            raise SystemExit("a call was refused")
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def _report(identifier: str, number: int) -> list[dict[str, object]]:
    seconds = f"{number // 60:02d}:{number % 60:02d}"
    sample: Job = job(f"{identifier}0", "action_0", _NOW)
    news = {"status": "running", "status_code": f"step_{number}", "updated_at": f"2026-11-24T01:{seconds}Z"}
    item = job_item(sample) | {"completed_at": None} | news
    return [{"job_request_id": identifier, **item}]


def _memory(pid: int) -> float:
    """Resident megabytes of the server's processes together."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid))
    return pages * 4096 / 1e6


def _tip(made: Site) -> str:
    return _git(made, "rev-parse", "backends/tpp").decode().strip()


def _grown(made: Site, old: str) -> float:
    """Bytes of pack for each event since ``old``, with deltas as git makes them when it repacks."""
    events = f"{_tip(made)}\n^{old}\n".encode()
    count = int(_git(made, "rev-list", "--count", "--stdin", said=events))
    return len(_git(made, "pack-objects", *_REPACKED, said=events)) / count


def _git(made: Site, *arguments: str, said: bytes = b"") -> bytes:
    command = ["git", "-C", str(made.settings.state_repo), *arguments]
    return subprocess.run(command, input=said, capture_output=True, check=True).stdout


if __name__ == "__main__":
    main()
