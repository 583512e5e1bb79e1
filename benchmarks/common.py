"""What the benchmarks share: a site with history, made once per size and copied, and tables."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import against
from benchmarks.history import ACTIONS, PIPELINE, Made, make_history
from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.admit import POLICY
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUser, AddUserToken
from jobserver.domain.workspaces import AddWorkspace
from jobserver.service.accounts.tokens import token_digest
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.store.fs import sync_tree

CACHE = Path(__file__).parent / ".cache"
ADMIN, ALICE, TPP = Actor(ActorKind.USER, "admin"), Actor(ActorKind.USER, "alice"), Actor(ActorKind.BACKEND, "tpp")
TOKEN = "benchmark-token-of-{}"
PORT = int(os.environ.get("BENCHMARK_PORT", "8765"))


def options(add: Callable[[argparse.ArgumentParser], object] = lambda parser: None) -> argparse.Namespace:
    """What every benchmark's command line has, and what ``add`` adds. Does not return from ``--against``."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and shorter, under a minute")
    parser.add_argument("--against", metavar="REV", help="run that version of jobserver and this one in turn")
    parser.add_argument("--pairs", type=int, default=3, help="how often, with --against")
    add(parser)
    chosen = parser.parse_args()
    if chosen.against is None:
        return chosen
    spec = sys.modules["__main__"].__spec__
    assert spec is not None
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--against")
    own.add_argument("--pairs")
    against.compare(spec.name, chosen.against, chosen.pairs, own.parse_known_args()[1])
    raise SystemExit


def quick() -> bool:
    return bool(options().quick)


def slow_disk(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--slow-disk", type=float, default=0, metavar="MS", help="each fsync of jobserver takes so much longer"
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """As Markdown, so that it can stand in the documents as it is."""
    if figures := os.environ.get(against.FIGURES):
        with Path(figures).open("a") as file:
            print(json.dumps((title, columns, rows)), file=file)
    cells = [[f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(columns), *cells]) for at in range(len(columns))]
    print(f"\n{title}\n")
    for row in [list(columns), ["-" * width for width in widths], *cells]:
        print("| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    sys.stdout.flush()


@dataclass(frozen=True)
class Site:
    settings: Settings
    env: dict[str, str]
    made: Made
    port: int


# One person, or one backend, stands for hundreds.
UNLIMITED = dict.fromkeys(
    (
        "MAX_WRITES_PER_MINUTE",
        "MAX_BACKEND_WRITES_PER_MINUTE",
        "MAX_STORED_MIB_PER_DAY",
        "MAX_HELD_POLLS",
        "MAX_OPEN_PAGES",
        "MAX_BODIES",
    ),
    "0",
)


@contextmanager
def site(requests: int, port: int = PORT) -> Iterator[Site]:
    """A state repository with so many archived job requests of 5 jobs, and 100 active ones; thrown away afterwards."""
    folder = CACHE / f"run-{port}"
    shutil.rmtree(folder, ignore_errors=True)
    env = {
        "SECRET_KEY": "0123456789abcdef",
        "BASE_URL": f"http://127.0.0.1:{port}",
        "STATE_REPO": str(folder / "state.git"),
        "ADMIN_USERS": "admin",
        "STUDY_REPOS": str(folder),
        **UNLIMITED,
    }
    settings = Settings.from_env(_env_file=None, **{key.lower(): value for key, value in env.items()})
    kept = CACHE / f"{requests}-policy-{POLICY}"  # an older version refuses to build on newer commits
    if not kept.exists():
        made = _make(settings, requests)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept)
        (kept / "active").write_text("\n".join(made.active))
    else:
        shutil.copytree(kept, folder)
        made = Made(tuple((kept / "active").read_text().split()))
    sync_tree(folder)  # or the first write waits until the disk has all of the copy
    try:
        yield Site(settings, env, made, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(settings: Settings, requests: int) -> Made:
    app = bootstrap.create(settings)
    try:
        for command in (
            AddBackend("tpp", token_digest(TOKEN.format("tpp"))),
            AddUser("alice", roles=(Role.CORE_DEVELOPER,)),
            AddUserToken("alice", "benchmark", token_digest(TOKEN.format("alice"))),
            AddWorkspace("trends", "study", "main"),
        ):
            app.gate.submit(ADMIN, command, "benchmark")
    finally:
        app.close()
    made = make_history(settings.state_repo, "backends/tpp", requests)
    return Made((*made.active, _signed(settings, "backends/tpp")))


def _signed(settings: Settings, branch: str) -> str:
    """Has the server's own commit, and a checkpoint, on top of a history that it did not make.

    No server would build on another; and what came before a checkpoint, a start does not look at again.
    """
    app = bootstrap.connect(settings)
    try:
        tip = app.repo.writer.refs.tip(branch)
        assert tip is not None
        app.repo.writer.tips.mark_good(branch, tip)
        ask = RequestJobs("trends", "tpp", ACTIONS, "0123456789" * 4, PIPELINE)
        asked = app.gate.submit(Actor(ActorKind.USER, "alice"), ask, "benchmark")
        Checkpointer(app.repo, app.gate).checkpoint()
        return str(asked.changes.result["identifier"])
    finally:
        app.close()


@contextmanager
def server(made: Site, slow_disk_ms: float = 0) -> Iterator[tuple[float, int]]:
    """A real server on the site: (seconds to its first 200, its process id)."""
    began = time.perf_counter()
    module = ("benchmarks.slow_disk", str(slow_disk_ms)) if slow_disk_ms else ("jobserver",)
    process = subprocess.Popen(
        [sys.executable, "-m", *module, "serve", "--port", str(made.port)],
        env=os.environ | made.env,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{made.port}/health-check/").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.01)
        yield time.perf_counter() - began, process.pid
    finally:
        process.terminate()
        process.wait()


def cpu(pid: int) -> float:
    """Seconds that the server of this process id has computed."""
    ticks = 0
    for process in family(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]
