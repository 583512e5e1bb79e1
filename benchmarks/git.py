"""Git as an interface: fetches and pushes beside a bare `git http-backend`, polls, `audit verify`, all under load."""

import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.api import wrk
from benchmarks.common import ADMIN, ALICE, CACHE, PORT, TOKEN, TPP, Site, quick, server, site, table
from benchmarks.history import PIPELINE
from jobserver import bootstrap
from jobserver.audit.verify import verify
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.layout import ACTIVE_ONLY
from jobserver.domain.base.permissions import Role
from jobserver.domain.job_requests.jobs import Job, UpdateJobs
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import AddWorkspace
from jobserver.runner.transport.git import GitTransport
from jobserver.service.accounts.tokens import token_digest

BARE_PORT = PORT + 1
OURS = f"http://x:{TOKEN.format('tpp')}@127.0.0.1:{PORT}/state.git"
BARE = f"http://127.0.0.1:{BARE_PORT}/repo.git"
BRANCH = "backends/tpp"
CLONE = ("clone", "-q", "--bare", "--depth=1", "--branch", BRANCH)
ACTIVE = (f"--filter={ACTIVE_ONLY}",)
ENV = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}


def main() -> None:
    is_quick = quick()
    requests = 1_000 if is_quick else 100_000
    with site(requests) as made:
        rows = over_http(made, 3 if is_quick else 10)
    table(f"git: {requests:,} requests; ms, median", ("", "jobserver", "bare http-backend", "ratio", "limit"), rows)
    rows = [*verified(1_000 if is_quick else 10_000), *under_load(3 if is_quick else 20)]
    table("git: the rest", ("", "measured", "reach"), [polled(is_quick), *rows])


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, env=ENV, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {arguments[0]}: {done.stderr}")
    return done.stdout.strip()


def timed(folder: Path, *arguments: str) -> float:
    began = time.perf_counter()
    git(folder, *arguments)
    return (time.perf_counter() - began) * 1000


class Backend(BaseHTTPRequestHandler):
    """Nothing but `git http-backend`, for comparison."""

    protocol_version = "HTTP/1.1"
    root = ""

    def _run(self) -> None:
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "x",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }  # fmt: skip
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True).stdout
        head, _, data = said.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            key, _, value = line.partition(": ")
            if key != "Status":
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _run

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def bare(repository: Path) -> Iterator[Path]:
    """The same repository, copied, without hooks, behind http-backend alone."""
    folder = CACHE / "bare"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(repository, folder / "repo.git", ignore=shutil.ignore_patterns("*.sock"))
    shutil.rmtree(folder / "repo.git" / "hooks")
    Backend.root = str(folder)
    listening = ThreadingHTTPServer(("127.0.0.1", BARE_PORT), Backend)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield folder / "repo.git"
    finally:
        listening.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def over_http(made: Site, times: int) -> list[tuple[object, ...]]:
    repository = made.settings.state_repo
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        folder = Path(text)
        copied(folder, repository, "before")
        bootstrap.install_hooks(made.settings)
        for count in (1, 100):
            app = bootstrap.connect(made.settings)
            for _ in range(count):
                app.gate.submit(ALICE, RequestJobs("trends", "tpp", ("action_0",), "0" * 40, PIPELINE), "benchmark")
            app.close()  # a writer that joins its packs removes what the clone copies
            git(
                folder, "clone", "-q", "--bare", "--single-branch", "--branch", BRANCH, str(repository), f"with-{count}"
            )
        app = bootstrap.connect(made.settings)
        app.repo.maintain()
        app.close()
        rows: list[tuple[object, ...]] = []
        last, first, before = (
            git(place, "rev-parse", BRANCH) for place in (repository, folder / "with-1", folder / "before")
        )
        git(repository, "update-ref", f"refs/heads/{BRANCH}", before)  # no server has seen that it was further
        with bare(repository) as other, server(made):
            for count, start, tip in ((1, "before", first), (100, "with-1", last)):
                git(folder, *CLONE, *ACTIVE, OURS, f"active-{start}")
                for place in (other, repository):
                    git(place, "update-ref", f"refs/heads/{BRANCH}", tip)
                found = [fetched(folder, start, url, times) for url in (OURS, BARE)]
                rows.append(row(f"fetch of {_commits(count)}", 1.3, found))
                found = [fetched(folder, f"active-{start}", OURS, times, *ACTIVE), found[1]]
                rows.append(row(f"fetch of {_commits(count)}, active only", 1.3, found))
            found = [cloned(folder, url, times) for url in (OURS, BARE)]
            rows.append(row("clone, depth 1", 1.3, found))
            rows.append(row("clone, depth 1, active only", "1 s", [cloned(folder, OURS, times, *ACTIVE), found[1]]))
            rows.append(row("first fetch of a runner", "1 s", [began(folder, times), found[1]]))
            rows.append(row("push of 1 status", 2.0, [pushed(folder, url, times) for url in (OURS, BARE)]))
    return rows


def _commits(count: int) -> str:
    return "1 commit" if count == 1 else f"{count} commits"


def copied(folder: Path, repository: Path, name: str) -> None:
    git(folder, "clone", "-q", "--no-local", "--bare", "--single-branch", "--branch", BRANCH, str(repository), name)


def row(name: str, limit: float | str, found: list[float]) -> tuple[object, ...]:
    ours, others = found
    return name, ours, others, ours / others, limit if isinstance(limit, str) else f"{limit} x"


def fetched(folder: Path, start: str, url: str, times: int, *options: str) -> float:
    found = []
    for _ in range(times):
        copy = folder / "copy"
        shutil.copytree(folder / start, copy, copy_function=os.link)
        found.append(timed(copy, "fetch", "-q", *options, url, f"+{BRANCH}:{BRANCH}"))
        shutil.rmtree(copy)
    return statistics.median(found)


def cloned(folder: Path, url: str, times: int, *options: str) -> float:
    found = []
    for _ in range(times):
        found.append(timed(folder, *CLONE, *options, url, "shallow"))
        shutil.rmtree(folder / "shallow")
    return statistics.median(found)


def began(folder: Path, times: int) -> float:
    """A new runner with the git transport, until it has the list of active requests."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        runner = GitTransport(f"http://127.0.0.1:{PORT}", TOKEN.format("tpp"), "tpp", folder / "runner", bootstrap.now)
        if not runner.fetch(0):
            raise SystemExit("the runner sees no request")
        found.append((time.perf_counter() - start) * 1000)
        shutil.rmtree(folder / "runner")
    return statistics.median(found)


def pushed(folder: Path, url: str, times: int) -> float:
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    git(folder, "clone", "-q", "--depth=1", "--no-checkout", "--branch", BRANCH, url, "work")
    git(work, "sparse-checkout", "set", "--no-cone", "/active/")
    git(work, "checkout", "-q", BRANCH)
    place = sorted((work / "active").glob("*/*"))[0]
    (place / "jobs").mkdir(exist_ok=True)
    found = []
    for number in range(times):
        (place / "jobs" / "bench.yaml").write_text(status(number))
        git(work, "add", "-A")
        slug = BRANCH.rpartition("/")[2]
        git(work, "commit", "-qm", "a status", f"--author={slug} <{slug}@backends>")
        found.append(timed(work, "push", "-q", "origin", BRANCH))
    return statistics.median(found)


def status(number: int, identifier: str = "bench") -> str:
    lines = {
        "version": 1, "identifier": identifier, "action": "action_0", "status": "running", "status_code": "executing",
        "status_message": "Executing", "created_at": "2026-11-01T00:00:00.000000Z",
        "updated_at": f"2026-11-01T00:{number // 60:02}:{number % 60:02}.000000Z",
        "started_at": "2026-11-01T00:00:00.000000Z", "completed_at": "null",
    }  # fmt: skip
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def polled(is_quick: bool) -> tuple[object, ...]:
    with site(1_000) as made, server(made):
        url = f"http://127.0.0.1:{PORT}/state.git/info/refs?service=git-upload-pack"
        rate = wrk(url, 8, 2 if is_quick else 8)["rate"]
        pushes = parallel_pushes(made, 2 if is_quick else 8)
    return f"polls that find nothing, /s (pushes by 4 backends: {pushes:.1f}/s, reach 5)", rate, "1,000"


def parallel_pushes(made: Site, seconds: float) -> float:
    app = bootstrap.connect(made.settings)
    slugs = [f"b{number}" for number in range(4)]
    for slug in slugs:
        app.gate.submit(ADMIN, AddBackend(slug, token_digest(TOKEN.format(slug))), "benchmark")
        app.gate.submit(ALICE, RequestJobs("trends", slug, ("action_0",), "0" * 40, PIPELINE), "benchmark")
    app.close()
    ends = time.monotonic() + seconds

    def push(slug: str) -> int:
        with tempfile.TemporaryDirectory(dir=CACHE) as text:
            work = Path(text) / "work"
            url = f"http://x:{TOKEN.format(slug)}@127.0.0.1:{PORT}/state.git"
            git(Path(text), "clone", "-q", "--single-branch", "--branch", f"backends/{slug}", url, "work")
            place = sorted((work / "active").glob("*/*"))[0]
            (place / "jobs").mkdir()
            count = 0
            while time.monotonic() < ends:
                (place / "jobs" / f"{slug}.yaml").write_text(status(count, slug))
                git(work, "add", "-A")
                git(work, "commit", "-qm", "a status", f"--author={slug} <{slug}@backends>")
                git(work, "push", "-q", "origin", f"backends/{slug}")
                count += 1
            return count

    with ThreadPoolExecutor(len(slugs)) as pool:
        began = time.monotonic()
        total = sum(pool.map(push, slugs))
        return total / (time.monotonic() - began)


def reports(app: bootstrap.App, count: int) -> None:
    """Requests that run through their lives, as fast as 32 clients can."""
    moment = bootstrap.now()

    def live(_: int) -> None:
        command = RequestJobs("trends", "tpp", ("action_0",), "0" * 40, PIPELINE)
        identifier = app.gate.submit(ALICE, command, "benchmark").changes.result["identifier"]
        for state in ("pending", "running", "succeeded"):
            done = state == "succeeded"
            values = {
                "identifier": identifier, "action": "action_0", "status": state, "status_code": state,
                "status_message": "", "created_at": moment, "updated_at": bootstrap.now(), "started_at": moment,
                "completed_at": moment if done else None,
            }  # fmt: skip
            app.gate.submit(TPP, UpdateJobs("tpp", ((identifier, Job.model_validate(values)),)), "benchmark")

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(live, range(count // 4)))


def verified(commits: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    with fresh() as app:
        for part in (1, 3):
            reports(app, commits * part // 4)
            app.repo.maintain()
            began = time.perf_counter()
            verdict = verify(app.settings.state_repo)
            rate = verdict.commits / (time.perf_counter() - began)
            if verdict.problems:
                raise SystemExit(str(verdict.problems[0]))
            rows.append((f"audit verify of {verdict.commits:,} commits, commits/s", rate, "1,000"))
    return rows


@contextlib.contextmanager
def fresh() -> Iterator[bootstrap.App]:
    """A new state repository, all of whose history goes through the gate."""
    with site(1_000) as made:
        settings = made.settings.model_copy(
            update={name: CACHE / f"run-{PORT}" / f"fresh.{name}" for name in ("state_repo", "signing_key", "index")}
        )
        app = bootstrap.create(settings)
        app.gate.submit(ADMIN, AddBackend("tpp", "0" * 64), "benchmark")
        app.gate.submit(ADMIN, AddUser("alice", roles=(Role.CORE_DEVELOPER,)), "benchmark")
        app.gate.submit(ADMIN, AddWorkspace("trends", "study", "main"), "benchmark")
        try:
            yield app
        finally:
            app.close()


def under_load(seconds: float) -> list[tuple[object, ...]]:
    failed = {"fetches": 0, "writes": 0}
    done = {"fetches": 0, "writes": 0, "maintenances": 0}
    with fresh() as app, tempfile.TemporaryDirectory(dir=CACHE) as text:
        repository = app.settings.state_repo
        ends = time.monotonic() + seconds

        def write(_: int) -> None:
            while time.monotonic() < ends:
                try:
                    command = RequestJobs("trends", "tpp", ("action_0",), "0" * 40, PIPELINE)
                    app.gate.submit(ADMIN, command, "benchmark")
                    done["writes"] += 1
                except Exception:
                    failed["writes"] += 1

        def fetch(number: int) -> None:
            folder = Path(text) / str(number)
            git(Path(text), "init", "-q", "--bare", str(number))
            while time.monotonic() < ends:
                try:
                    git(folder, "fetch", "-q", str(repository), f"+{BRANCH}:{BRANCH}")
                    done["fetches"] += 1
                except SystemExit:
                    failed["fetches"] += 1

        with ThreadPoolExecutor(20) as pool:
            running = [pool.submit(write, number) for number in range(16)]
            running += [pool.submit(fetch, number) for number in range(2)]
            while time.monotonic() < ends:
                app.repo.maintain()
                done["maintenances"] += 1
                time.sleep(0.2)
            for one in running:
                one.result()
        git(repository, "fsck", "--full")
    what = f"failed of {done['writes']:,} writes, {done['fetches']:,} fetches, {done['maintenances']} maintenances"
    return [(what, failed["writes"] + failed["fetches"], "0")]


if __name__ == "__main__":
    main()
