"""Moving in: how long `jobserver import` takes for years of an old server's job requests, and once more for no news."""

import argparse
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.common import CACHE, table
from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.imports.database import OldDatabase
from jobserver.service.imports.importer import Importer
from tests.integration.service.imports.old_server import DEFINITION, ROWS_2021, SCHEMA_2021, fill

_JOBS, _STUDIES, _END = 5, 200, datetime(2026, 11, 1)  # noqa: DTZ001 - as SQLite has it
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", type=int, nargs="?", default=100_000)
    requests = parser.parse_args().requests
    folder = CACHE / "moving"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _make(folder / "old.sqlite3", requests)
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://127.0.0.1",
        state_repo=str(folder / "state.git"),
        admin_users="admin",
    )
    bootstrap.create(settings).close()
    rows = []
    for name in ("first import", "again, no news"):
        seconds, commits = _run(settings, folder / "old.sqlite3")
        rows.append((name, commits, seconds, _size(settings.state_repo)))
    began = time.perf_counter()
    subprocess.run(["git", "-C", settings.state_repo, "repack", "-adfq"], check=True)
    rows.append(("git repack -adf", 0, time.perf_counter() - began, _size(settings.state_repo)))
    table(f"moving: {requests:,} job requests of {_JOBS} jobs", ("", "commits", "seconds", "MB"), rows)
    print(f"\npeak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    shutil.rmtree(folder)


def _run(settings: Settings, database: Path) -> tuple[float, int]:
    app = bootstrap.connect(settings)
    began = time.perf_counter()
    try:
        with closing(OldDatabase(str(database))) as old, closing(PrivateStore(settings.private_store)) as private:
            outcome = Importer(app.repo, app.gate, old, bootstrap.now).run(private)
    finally:
        app.close()
    return time.perf_counter() - began, sum(outcome.commits.values())


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _make(path: Path, requests: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = ROWS_2021 | {"jobserver_jobrequest": [], "jobserver_job": [], "jobserver_release": []}
        fill(lambda statement, values: connection.execute(statement, values), SCHEMA_2021, rows)
        for name, made in (("jobrequest", _requests(requests)), ("job", _jobs(requests))):
            columns = list(SCHEMA_2021[f"jobserver_{name}"])
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO jobserver_{name} ({', '.join(columns)}) VALUES ({marks})"
            connection.executemany(statement, ([row.get(column) for column in columns] for row in made))
        connection.execute("CREATE INDEX by_request ON jobserver_job (job_request_id)")


def _time(number: int, requests: int) -> datetime:
    return _END - timedelta(seconds=900 * (requests - number))  # about a hundred a day


def _identifier(number: int) -> str:
    digits = ""
    for _ in range(16):
        number, digit = divmod(number * 2_654_435_761 % 2**64 if not digits else number, 32)
        digits += _LETTERS[digit]
    return digits


def _requests(requests: int) -> Iterator[dict[str, Any]]:
    for number in range(1, requests + 1):
        yield {
            "id": number,
            "identifier": _identifier(number),
            "backend_id": 1,
            "workspace_id": 1,
            "created_by_id": 1,
            "created_at": str(_time(number, requests)),
            "sha": f"{number:040x}",
            "cancelled_actions": "[]",
            "force_run_dependencies": 0,
            "will_notify": 1,
            "project_definition": f"{DEFINITION}# study {number % _STUDIES}\n",
            "requested_actions": '["analyse", "extract"]',
        }


def _jobs(requests: int) -> Iterator[dict[str, Any]]:
    for number in range(1, requests + 1):
        moment = str(_time(number, requests) + timedelta(minutes=5))
        for job in range(_JOBS):
            yield {
                "id": number * _JOBS + job,
                "job_request_id": number,
                "identifier": f"{_identifier(number)}{job}",
                "action": f"action_{job}",
                "status": "succeeded",
                "status_code": "succeeded",
                "status_message": "Completed successfully",
                "created_at": moment,
                "updated_at": moment,
                "started_at": moment,
                "completed_at": moment,
            }


if __name__ == "__main__":
    main()
