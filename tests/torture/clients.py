"""The clients, each a thread with its own lots: people who ask, runners that report, readers, git, the command line."""

import http.client
import json
import os
import random
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.service.writes.idempotency import Key
from tests.e2e.harness import dumps, job
from tests.torture.history import Call, Outcome, Record, Step
from tests.torture.servers import Servers

_WAITING = 50  # requests that nobody reported on yet
_LIST = "/api/v2/job-requests/"
_ASK = "/api/v2/workspaces/plain/job-requests/"
_STEPS = {"unknown": Step.ASKED, "pending": Step.ASKED, "running": Step.RUNNING, "succeeded": Step.SUCCEEDED}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """A connection that is kept; what a kill broke is made again. None is who got no answer, or did not wait for it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None, patience: float = 8
    ) -> Answer | None:
        self._connection.timeout = patience
        if self._connection.sock is not None:
            self._connection.sock.settimeout(patience)
        try:
            self._connection.request(method, path, body, dict(headers))
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (http.client.HTTPException, OSError):
            self._connection.close()
            time.sleep(0.01)
            return None


@dataclass(slots=True)
class Shared:
    """What clients know of each other's requests."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[str] = field(default_factory=deque)
    known: deque[str] = field(default_factory=lambda: deque(["2" * 16], maxlen=300))


class Client:
    def __init__(
        self, servers: Servers, record: Record, shared: Shared, chance: random.Random, goes_on: Callable[[], bool]
    ) -> None:
        self.servers, self.record, self.shared, self.chance, self.goes_on = servers, record, shared, chance, goes_on
        self.site = servers.sites[0]
        self._lines = [Line(port) for port in servers.ports]
        self._lists: dict[int, tuple[str, frozenset[str]]] = {}  # server -> (ETag, what it stands for)

    # People, and the command line

    def ask(self, name: str) -> None:
        count = 0
        while self.goes_on():
            if len(self.shared.waiting) > _WAITING:  # nobody reports on them so fast
                self.look()
                continue
            count += 1
            bad = self.chance.random() < 0.1
            body = dumps({"requested_actions": ["nonsense" if bad else "generate"], "backend": "tpp"})
            key = f"{name}-{count}"
            headers = {"Authorization": self.site.tokens["alice"], "Idempotency-Key": key}
            marker = Key.of(Actor(ActorKind.USER, "alice"), "POST", _ASK, key, body).trailer
            call = self.record.begin("ask", marker)
            for _ in range(self.chance.choice((1, 1, 3))):  # who got no answer asks again, with the same key
                answer = self._post(_ASK, body, headers)
                if answer is not None and answer.status < 500:
                    break
            outcome, request = self._outcome("ask", answer), ""
            if outcome is Outcome.OK and answer is not None:
                request = answer.json()["identifier"]
            self.record.end(call, outcome, request, answer.headers["X-Commit"] if request and answer else "")
            if request:
                self._tell(request)

    def command(self) -> None:
        while self.goes_on():
            call = self.record.begin("ask by command")
            number = self.chance.randrange(len(self.servers.ports))
            command = ("request", "plain", "analyse", "--backend", "tpp", "--as", "alice")
            process = self.servers.run(number, *command, out=subprocess.PIPE, err=subprocess.PIPE)
            said, errors = process.communicate(timeout=300)
            if process.returncode == 0:
                call.marker = said.decode().split()[-1]
                self.record.end(call, Outcome.OK, call.marker)
            else:
                self.record.end(call, Outcome.UNKNOWN)
            if b"Traceback" in errors:
                self.record.bug(errors.decode()[-500:])
            time.sleep(1)

    def _tell(self, request: str) -> None:
        with self.shared.guard:
            self.shared.waiting.append(request)
            self.shared.known.append(request)

    # Runners

    def report(self, name: str) -> None:
        count = 0
        while self.goes_on():
            with self.shared.guard:
                request = self.shared.waiting.popleft() if self.shared.waiting else ""
            if not request:
                self.look()
                continue
            count += 1
            for status, step in (("running", Step.RUNNING), ("succeeded", Step.SUCCEEDED)):
                self._report_until_it_is_there(job(request, f"j{name}x{count}", status, step), request, step)

    def _report_until_it_is_there(self, reported: dict[str, Any], request: str, step: Step) -> None:
        first = 0.0
        while self.goes_on():
            marker = f"{reported['identifier']}.yaml" if step is Step.RUNNING else ""
            call = self.record.begin("report", marker, request, step)
            call.began = first = first or call.began  # it may be the first that did it
            answer = self._post("/api/v2/jobs/", dumps([reported]), {"Authorization": self.site.tokens["tpp"]})
            outcome = self._outcome("report", answer)
            commit = answer.headers.get("X-Commit", "") if outcome is Outcome.OK and answer and not marker else ""
            self.record.end(call, outcome, commit=commit)
            if outcome is Outcome.OK:
                return

    # Readers

    def read(self) -> None:
        while self.goes_on():
            self.look()

    def look(self) -> None:
        """At the list, by its ETag, or at one of the newest requests, on any server."""
        number = self.chance.randrange(len(self._lines))
        if self.chance.random() < 0.4:
            self._look_at_all(number)
        else:
            with self.shared.guard:
                request = self.shared.known[-1 - min(int(self.chance.expovariate(0.05)), len(self.shared.known) - 1)]
            self._look_at_one(number, request)

    def _look_at_all(self, number: int) -> None:
        etag, seen = self._lists.get(number, ("", frozenset[str]()))
        call = self.record.begin("list")
        answer = self._get(number, _LIST, {"If-None-Match": etag} if etag else {})
        if answer is None or answer.status not in (200, 304):
            self._nothing(call)
            return
        if answer.status == 200:
            seen = frozenset(item["identifier"] for item in answer.json()["results"])
            self._lists[number] = answer.headers["ETag"], seen
        self.record.listed(call, seen, self._fresh(number, answer))

    def _look_at_one(self, number: int, request: str) -> None:
        call = self.record.begin("request")
        answer = self._get(number, f"{_LIST}{request}/", {})
        if answer is None or answer.status not in (200, 404):
            self._nothing(call)
            return
        step = _STEPS[answer.json()["status"]] if answer.status == 200 else Step.NONE
        self.record.looked(call, request, step, self._fresh(number, answer))

    def _nothing(self, call: Call) -> None:
        self.record.failed(call)
        time.sleep(0.03)

    def _fresh(self, number: int, answer: Answer) -> float:
        said = answer.headers.get("X-State-As-Of")
        return inf if said is None else self.servers.clocks[number].monotonic(said)

    # People with git

    def push(self) -> None:
        count = 0
        folder = self.site.folder / "pusher"
        git = ["git", "-C", str(folder), "-c", "user.name=root", "-c", "user.email=root@example.org"]
        subprocess.run(["git", "clone", "-q", self.site.repo, folder], check=True)
        while self.goes_on():
            count += 1
            port = self.chance.choice(self.servers.ports)
            remote = f"http://x:{self.site.tokens['root']}@127.0.0.1:{port}/state.git"
            try:
                subprocess.run([*git, "fetch", "-q", remote, "main"], check=True, capture_output=True, timeout=20)
                subprocess.run([*git, "reset", "-q", "--hard", "FETCH_HEAD"], check=True, capture_output=True)
                user = folder / "users" / "carol.yaml"
                lines = [f"name: Carol {count}" if line.startswith("name:") else line
                         for line in user.read_text().splitlines()]  # fmt: skip
                user.write_text("\n".join(lines) + "\n")
                stands = subprocess.run([*git, "log", "-1", "--format=%ct"], check=True, capture_output=True, text=True)
                when = max(int(time.time()), int(stands.stdout))  # a server whose clock is ahead may have been there
                env = {**os.environ, "GIT_COMMITTER_DATE": f"@{when} +0000"}
                subprocess.run([*git, "commit", "-qam", f"Carol {count}"], check=True, capture_output=True, env=env)
                sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
            except (subprocess.SubprocessError, OSError):
                time.sleep(0.2)
                continue
            call, outcome = self.record.begin("push", sha.strip()), Outcome.UNKNOWN
            try:
                pushed = subprocess.run([*git, "push", "-q", remote, "HEAD:main"], capture_output=True, timeout=20)
                outcome = Outcome.UNKNOWN if pushed.returncode else Outcome.OK
            except subprocess.TimeoutExpired:
                pass
            self.record.end(call, outcome)
            time.sleep(1)

    # What they say

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer | None:
        patience = self.chance.choice((0.003, 0.02, 8, 8, 8, 8, 8, 8))
        return self.chance.choice(self._lines).call("POST", path, headers, body, patience)

    def _get(self, number: int, path: str, headers: dict[str, str]) -> Answer | None:
        return self._lines[number].call(
            "GET", path, {"Authorization": self.site.tokens["tpp"], **headers}, patience=self.chance.choice((0.2, 5, 5))
        )

    def _outcome(self, kind: str, answer: Answer | None) -> Outcome:
        if answer is None or answer.status == 503:
            time.sleep(0.05)
            return Outcome.UNKNOWN
        if answer.status >= 500:
            self.record.bug(f"{kind}: {answer.status} {answer.body[:300]!r}")
        return Outcome.OK if answer.status < 300 else Outcome.REFUSED
