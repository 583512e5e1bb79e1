"""Compares the rows of the index with the branches.

Reads the branches again with the code that builds an index, and compares row by row: all rows, or a sample of job
requests of each branch, for a quick check at the start.
"""

import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import orjson

from jobserver.domain.base.layout import Area, Place
from jobserver.errors import Error, unavailable
from jobserver.index.sqlite import days, releases, rows, schema
from jobserver.index.sqlite.apply import add_cancellers
from jobserver.index.sqlite.build import Progress, fill
from jobserver.store.git.command import git
from jobserver.store.git.revision_files import tree_files
from jobserver.store.read.cancellations import cancellers

_SAMPLE = 100  # job requests of a branch
_SAMPLED_RELEASES = 10  # which may have many files
_LEAST = -(2**63) + 1
_SHOWN = 20  # differences of a branch and a table
_TABLES = {
    "requests": ("identifier", f"{rows.REQUEST_COLUMNS}, {rows.SUMMARY_COLUMNS}".removeprefix("branch, ")),
    "jobs": ("request", rows.JOB_COLUMNS.removeprefix("branch, ")),
    "releases": ("identifier", releases.RELEASE_COLUMNS),
    "release_files": ("identifier", releases.FILE_COLUMNS),
    "faults": ("path", "path, line, key, message"),
}
_WHAT = {
    "requests": "the job request",
    "jobs": "the jobs of",
    "releases": "the release",
    "release_files": "the files of the release",
    "faults": "the faults of",
}


def differences(
    repository: Path, path: Path, progress: Progress = lambda branch, count: None, *, sampled: bool = False
) -> list[str]:
    """A line for each difference between the index file at ``path`` and its branches.

    Reads each branch at the commit that the index names for it. Raises `Error` (unavailable).
    """
    with tempfile.TemporaryDirectory(prefix="jobserver-index-") as folder:
        try:
            with closing(schema.create(Path(":memory:") if sampled else Path(folder, "index"))) as sql:
                return list(_Comparison(repository, path, sql).run(sampled, progress))
        except sqlite3.Error as error:
            return [f"the file can't be read: {error}"]
        except OSError as error:
            raise unavailable(f"the index can't be opened: {error.strerror}", str(path)) from None


class _Comparison:
    """``sql``: the rows as they should be. The index is attached as ``live``."""

    def __init__(self, repository: Path, path: Path, sql: sqlite3.Connection) -> None:
        self._repository, self._sql = repository, sql
        sql.execute("ATTACH ? AS live", (str(path),))

    def run(self, sampled: bool, progress: Progress) -> Iterator[str]:
        self._sql.execute("BEGIN")
        self._sql.execute("CREATE INDEX main.by_identifier ON requests (identifier)")
        yield from self._strange()
        for number, branch, tip in self._sql.execute("SELECT id, name, tip FROM live.branches").fetchall():
            try:
                wanted = self._sample(number, tip) if sampled else None
                folders = None if wanted is None else [folder for folders in wanted.values() for folder in folders]
                files = tree_files(self._repository, tip, folders)
                fill(self._sql, number, branch, tip, files, progress)
                if not sampled:
                    add_cancellers(self._sql, number, cancellers(self._repository, tip))
            except Error as error:
                yield f"{branch} can't be read at {tip[:10]}, the commit of its rows: {error}"
                continue
            yield from self._compare(number, branch, wanted)

    def _strange(self) -> Iterator[str]:
        """Tables and triggers that jobserver did not create, and rows of unknown branches."""
        with closing(schema.create(Path(":memory:"))) as ours:
            ours.executescript(schema.INDEXES)
            asked = "SELECT type || ' ' || name, sql FROM {}sqlite_master WHERE sql IS NOT NULL"
            wanted = dict(ours.execute(asked.format("")).fetchall())
            actual = dict(self._sql.execute(asked.format("live.")).fetchall())
        for name in sorted(wanted.keys() | actual.keys()):
            if wanted.get(name) != actual.get(name):
                yield f"the {name} differs from the one that jobserver creates"
        numbers = [number for (number,) in self._sql.execute("SELECT id FROM live.branches ORDER BY id")]
        for table in (*_TABLES, "actions", "tallies", "request_days", "job_days"):
            # Searches between two known numbers, which is fast for any number of rows.
            between = f"SELECT 1 FROM live.{table} WHERE branch > ? AND branch < ? LIMIT 1"
            gaps = zip([_LEAST, *numbers], [*numbers, -_LEAST], strict=True)
            if any(self._sql.execute(between, gap).fetchone() for gap in gaps):
                yield f"the table {table} has rows of a branch that the index does not have"

    def _sample(self, number: int, tip: str) -> dict[str, list[str]]:
        """Job request or release -> its possible places, for some of the index and some of the branch."""
        folders: dict[str, list[str]] = {}
        chosen = self._sql.execute(
            "SELECT area, day, identifier FROM"
            " (SELECT * FROM live.requests INDEXED BY requests_active WHERE branch = ?1 AND active LIMIT ?2)"
            " UNION SELECT area, day, identifier FROM live.requests WHERE rowid IN"
            " (SELECT rowid FROM live.requests WHERE branch = ?1 ORDER BY random() LIMIT ?2)",
            (number, _SAMPLE // 2),
        )
        for area, day, identifier in chosen:
            folders.setdefault(identifier, []).append(Place(Area(area), date.fromisoformat(day), identifier).folder)
        listed = git(self._repository, "ls-tree", "-d", "-r", "--name-only", tip, "active/").split()
        for folder in [path for path in listed if path.count("/") == 2][-_SAMPLE // 2 :]:
            folders.setdefault(folder.rpartition("/")[2], []).append(folder)
        return folders | self._sampled_releases(number, tip)

    def _sampled_releases(self, number: int, tip: str) -> dict[str, list[str]]:
        """Identifier -> every path of a release with it, for some releases of the index and some of the branch."""
        rows = self._sql.execute(
            "SELECT identifier FROM live.releases WHERE branch = ? ORDER BY random() LIMIT ?",
            (number, _SAMPLED_RELEASES),
        )
        paths: dict[str, list[str]] = {identifier: [] for (identifier,) in rows}
        listed = git(self._repository, "ls-tree", "-r", "--name-only", tip, "releases/").splitlines()
        named = [(path.rpartition("/")[2].removesuffix(".yaml"), path) for path in listed]
        paths |= {identifier: [] for identifier, _ in named[-_SAMPLED_RELEASES:]}
        for identifier, path in named:
            if identifier in paths:
                paths[identifier].append(path)
        return paths

    def _compare(self, number: int, branch: str, wanted: Collection[str] | None) -> Iterator[str]:
        for table, (key, columns) in _TABLES.items():
            if wanted is not None and table == "faults":
                continue
            if wanted is None and table == "requests":
                columns += ", cancelled_by"  # only all commits tell
            which = "" if wanted is None else f" AND {key} IN (SELECT value FROM json_each(:wanted))"
            there, here = (
                f"SELECT {key} AS what, {columns} FROM {schema_}.{table} WHERE branch = :number{which}"
                for schema_ in ("live", "main")
            )
            differences = self._sql.execute(
                f"SELECT what FROM (SELECT * FROM ({there} EXCEPT {here}) UNION ALL"
                f" SELECT * FROM ({here} EXCEPT {there})) GROUP BY what ORDER BY what LIMIT {_SHOWN}",
                {"number": number, "wanted": orjson.dumps(list(wanted or ())).decode()},
            )
            for (key_value,) in differences.fetchall():
                yield f"{branch}: {_WHAT[table]} {key_value}: differs from the branch"
        missing = self._sql.execute(
            "SELECT workspace, action FROM main.jobs WHERE branch = ?1 AND workspace IS NOT NULL EXCEPT"
            f" SELECT workspace, action FROM live.actions WHERE branch = ?1 LIMIT {_SHOWN}",
            (number,),
        )
        is_wrong = (
            self._is_wrong_total(number) if wanted is not None else self._is_wrong("tallies", schema.TALLIES, number)
        )
        if is_wrong:
            yield f"{branch}: the numbers of job requests differ from the rows"
        if wanted is None:  # reads all jobs
            for table, counted in (("request_days", days.REQUEST_DAYS), ("job_days", days.JOB_DAYS)):
                if self._is_wrong(table, counted, number):
                    yield f"{branch}: the table {table} differs from the rows"
        for workspace, action in missing.fetchall():
            yield f"{branch}: {action} of {workspace} is missing in the list of actions"

    def _is_wrong_total(self, number: int) -> bool:
        """As `_is_wrong` of the tallies, for a start, which can't read a million rows: by the sum alone."""
        counted = self._sql.execute(
            "SELECT (SELECT count(*) FROM live.requests WHERE branch = ?1),"
            " (SELECT ifnull(sum(requests), 0) FROM live.tallies WHERE branch = ?1)",
            (number,),
        ).fetchone()
        return bool(counted[0] != counted[1])

    def _is_wrong(self, table: str, counted: str, number: int) -> bool:
        """Whether a table of numbers, which triggers keep, differs from the rows that it counts."""
        there = f"SELECT * FROM live.{table} WHERE branch = ?1"
        here = f"SELECT * FROM ({counted.format('live.')}) WHERE branch = ?1"
        both = f"SELECT * FROM ({there} EXCEPT {here}) UNION ALL SELECT * FROM ({here} EXCEPT {there})"
        return self._sql.execute(f"{both} LIMIT 1", (number,)).fetchone() is not None
