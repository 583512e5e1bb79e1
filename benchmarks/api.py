"""The HTTP API under wrk: polls that bring nothing, whole lists, reports of 10 jobs in 2 requests: events, readings."""

import argparse
import contextlib
import os
import re
import selectors
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import httpx

from benchmarks.common import PORT, TOKEN, cpu, options, server, site, slow_disk, table

URL = f"http://127.0.0.1:{PORT}"
LIST = f"{URL}/api/v2/job-requests/"
_OF_REPORTS = ("CPU ms/{}", "{}s/s (8)", "{} p99 ms", "errors")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    chosen = options(_add_options)
    seconds = 2 if chosen.quick else 8
    rows = []
    for requests in chosen.history or ((1_000, 10_000) if chosen.quick else (1_000, 10_000, 100_000)):
        with site(requests) as made, server(made, chosen.slow_disk) as (_, pid):
            polls: list[object] = [] if chosen.only_reports else _polls(seconds)
            ids = " ".join(made.made.active)
            figures = [*_reports(pid, seconds * 2, IDS=ids)]
            _reports(pid, 1, IDS=ids, READINGS="1", FIRST="200000")  # the first of them are events
            figures += _reports(pid, seconds, IDS=ids, READINGS="1", FIRST="400000")
            last = [] if chosen.only_reports else [held(etag_of(LIST), made.made.active[0])]
            rows.append((f"{requests:,}", *polls, *figures, *last))
    others = ("304 p50 ms", "list p50 ms", "polls/s (8)"), ("held ms",)
    before, after = ((), ()) if chosen.only_reports else others
    goals = "" if chosen.only_reports else "; reach 0.5 ms, 1.5 ms, 2,500/s, events 600/s, 50 ms, 0, held 50 ms"
    disk = f"; each fsync takes {chosen.slow_disk:g} ms more" if chosen.slow_disk else ""
    own = [form.format(kind) for kind in ("event", "reading") for form in _OF_REPORTS]
    table(f"api: 100 active requests{goals}{disk}", ("history", *before, *own, *after), rows)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--history", type=int, nargs="+", help="numbers of job requests")
    parser.add_argument("--only-reports", action="store_true")
    slow_disk(parser)


def _reports(pid: int, seconds: int, **variables: str) -> list[object]:
    computed = cpu(pid)
    reports = wrk(URL, 8, seconds, script=Path(__file__).with_name("report.lua"), **variables)
    used = (cpu(pid) - computed) / (reports["rate"] * seconds) * 1000
    return [used, reports["rate"], reports["99%"], int(reports["errors"])]


def _polls(seconds: int) -> list[object]:
    condition = f"If-None-Match: {etag_of(LIST)}"
    unchanged, whole = wrk(LIST, 1, seconds, condition), wrk(LIST, 1, seconds)
    return [unchanged["50%"], whole["50%"], wrk(LIST, 8, seconds, condition)["rate"]]


def etag_of(url: str, backend: str = "tpp") -> str:
    return httpx.get(url, headers={"Authorization": TOKEN.format(backend)}).headers["ETag"]


def held(etag: str, identifier: str, count: int = 200) -> float:
    """Milliseconds from the answer to a write until the last of ``count`` held polls has its own."""
    ask = (
        f"GET /api/v2/job-requests/ HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN.format('tpp')}\r\n"
        f"If-None-Match: {etag}\r\nPrefer: wait=50\r\n\r\n"
    ).encode()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            poll = stack.enter_context(socket.create_connection(("127.0.0.1", PORT)))
            poll.sendall(ask)
            selector.register(poll, selectors.EVENT_READ)
        time.sleep(1)
        arrived: list[float] = []
        written: list[float] = []

        def write() -> None:
            headers = {"Authorization": TOKEN.format("alice")}
            httpx.post(f"{URL}/api/v2/job-requests/{identifier}/cancel/", headers=headers).raise_for_status()
            written.append(time.perf_counter())

        thread = threading.Thread(target=write)
        thread.start()
        while len(arrived) < count:
            for key, _ in selector.select(10):
                arrived.append(time.perf_counter())
                selector.unregister(key.fileobj)
        thread.join()
        return (arrived[-1] - written[0]) * 1000


def wrk(
    url: str,
    clients: int,
    seconds: int,
    header: str = "",
    script: Path | None = None,
    who: str = "tpp",
    **variables: str,
) -> dict[str, float]:
    """Rate (1/s), percentiles (ms) and answers that were no 2xx or 3xx."""
    command = [
        "wrk",
        "-t1",
        f"-c{clients}",
        f"-d{seconds}s",
        "--latency",
        "-H",
        f"Authorization: {TOKEN.format(who)}",
    ]
    command += ["-H", header] if header else []
    command += ["-s", str(script)] if script else []
    said = subprocess.run(
        [*command, url], capture_output=True, text=True, check=True, env=os.environ | variables
    ).stdout
    found = {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), "errors": 0.0}  # type: ignore[index]
    for percent, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", said):
        found[f"{percent}%"] = float(value) * _UNITS[unit]
    for pattern in (r"Non-2xx or 3xx responses: (\d+)", r"Socket errors: .*read (\d+)", r"timeout (\d+)"):
        if errors := re.search(pattern, said):
            found["errors"] += int(errors[1])
    return found


if __name__ == "__main__":
    main()
