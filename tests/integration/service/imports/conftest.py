"""A new state repository, old databases to import into it, and a PostgreSQL server if there is one."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.imports.database import OldDatabase
from jobserver.service.imports.importer import Importer, ImportResult
from jobserver.service.imports.notes import ImportNotes
from tests.integration.service.imports.old_server import (
    ROWS_2021,
    ROWS_2026,
    SCHEMA_2021,
    SCHEMA_2026,
    fill,
    make_sqlite,
)
from tests.samples import only_whole

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class NewServer:
    """A state repository as `jobserver init` makes it."""

    def __init__(self, folder: Path, begin: Callable[[Settings], bootstrap.App] = bootstrap.connect) -> None:
        self.settings = Settings.from_env(
            _env_file=None,
            secret_key="0123456789abcdef",
            base_url="http://jobs.example",
            state_repo=str(folder / "state.git"),
            admin_users="admin",
        )
        self.app = begin(self.settings)

    def load(self, source: str) -> ImportResult:
        with closing(OldDatabase(source)) as old, closing(PrivateStore(self.settings.private_store)) as private:
            return Importer(self.app.repo, self.app.gate, old, bootstrap.now).run(private)

    def dry_run(self, source: str) -> ImportNotes:
        with closing(OldDatabase(source)) as old:
            return Importer(self.app.repo, self.app.gate, old, bootstrap.now).dry_run()

    def tips(self) -> dict[str, str]:
        return dict(self.app.repo.writer.refs.branches())

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", self.settings.state_repo, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("initial")
    NewServer(folder, bootstrap.create).app.close()
    return folder


@pytest.fixture
def server(tmp_path: Path, initial: Path) -> Iterator[NewServer]:
    made = NewServer(shutil.copytree(initial, tmp_path / "new"))
    yield made
    made.app.close()


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A database of May 2021."""
    return str(make_sqlite(tmp_path / "old.sqlite3", SCHEMA_2021, ROWS_2021))


@pytest.fixture(
    params=["2021, SQLite", "2026, SQLite", pytest.param("2021, PostgreSQL", marks=only_whole), "2026, PostgreSQL"]
)
def any_old(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each schema in each database."""
    schema, rows = (SCHEMA_2021, ROWS_2021) if "2021" in request.param else (SCHEMA_2026, ROWS_2026)
    if "SQLite" in request.param:
        return str(make_sqlite(tmp_path / "old.sqlite3", schema, rows))
    import psycopg

    url: str = request.getfixturevalue("postgres")(f"old_{len(schema)}_{os.urandom(4).hex()}")
    with psycopg.connect(url) as connection:
        fill(lambda statement, values: connection.execute(statement.encode(), values), schema, rows, is_postgres=True)
    return url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Creates a database of this name; returns its URL."""
    pytest.importorskip("psycopg")
    if not _PROGRAMS:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    as_user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        for path in (folder, *list(folder.parents)[:3]):
            path.chmod(path.stat().st_mode | 0o011)
        shutil.chown(folder, "postgres")

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(_PROGRAMS[-1] / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    data, options = str(folder / "data"), f"-k {folder} -c listen_addresses= -c fsync=off"
    run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")

    def create(name: str) -> str:
        run("createdb", "-h", str(folder), "-U", "postgres", name)
        return f"postgresql:///{name}?host={folder}&user=postgres"

    yield create
    run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
