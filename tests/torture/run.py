"""Many clients, several servers, and somebody who kills, stops, cuts and drops; then the history is judged.

By default two servers on one repository; with ``--machines 3``, three with clones of one hosted repository, whose links
are cut and slow, and whose git dies. ``make torture SECONDS=60`` prints what was called, what was done to the servers,
and what is wrong (nothing).
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from jobserver.domain.permissions import Actor, ActorKind
from jobserver.service.idempotency import Key
from tests.e2e.harness import Site, dumps, free_port, git, job
from tests.e2e.host import Host
from tests.faults.crash import sound
from tests.torture.history import Call, Outcome, Record, judge, markers, summary

_SERVERS = 2
_ASKERS, _REPORTERS, _READERS = 8, 4, 4
_WAITING = 50
_SKEWS = (0, 40, -25)  # seconds that the machines' clocks are wrong by
_WORLD = Path(__file__).parent / "world"
_OF_SERVERS = ("kill -9", "kill -9", "SIGSTOP", "SIGTERM", "full disk", "maintain", "maintain, killed")
_OF_HOSTS = ("cut off", "cut off", "host down", "slow link", "lost answers", "git dies")


class Torture:
    def __init__(self, folder: Path, seconds: float, seed: int, machines: int = 0) -> None:
        """``machines``: 0 are two servers on one repository."""
        self.seed = seed
        self.host = Host(folder / "host", machines, "servers:secret") if machines else None
        self.sites = [Site(folder / f"site-{number}") for number in range(machines or 1)]
        self.site = self.sites[0]
        self.repo = self.host.path if self.host else self.site.repo
        self.worlds = [folder / f"world-{number}" for number in range(machines or _SERVERS)]
        for number, world in enumerate(self.worlds):
            world.mkdir(parents=True)
            (world / "clock").write_text(str(_SKEWS[number % len(_SKEWS)] if machines else 0))
        self.record = Record()
        self.ports = [free_port() for _ in self.worlds]
        self.offset = time.time() - time.monotonic()
        self.servers: dict[int, subprocess.Popen[bytes]] = {}
        self.ends = time.monotonic() + seconds
        self.asked: list[str] = []  # that somebody may report on
        self.guard = threading.Lock()
        self.own = threading.local()
        self.done: Counter[str] = Counter()
        self.bugs: list[str] = []

    # Servers

    def start(self, number: int) -> None:
        site = self.sites[number % len(self.sites)]
        log = (site.folder / "server.log").open("ab")
        world = {"TORTURE_WORLD": str(self.worlds[number]), "PYTHONPATH": f"{_WORLD}:{Path.cwd()}"}
        self.servers[number] = subprocess.Popen(
            [sys.executable, "-m", "jobserver", "serve", "--port", str(self.ports[number])],
            env={**site.env, **world}, cwd=site.folder, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def kill(self, number: int) -> None:
        os.killpg(self.servers[number].pid, signal.SIGKILL)
        self.servers[number].wait()

    def client(self) -> httpx.Client:
        """Of this thread; connections that a kill broke are made again."""
        if not hasattr(self.own, "client"):
            self.own.client = httpx.Client()
        found: httpx.Client = self.own.client
        return found

    def url(self, chance: random.Random) -> str:
        return f"http://127.0.0.1:{chance.choice(self.ports)}"

    def anywhere(self, chance: random.Random) -> Site:
        """A machine for a command."""
        return chance.choice(self.sites)

    # Clients: each in a thread of its own

    def asker(self, number: int) -> None:
        chance = random.Random(f"{self.seed} asker {number}")
        path, count = "/api/v2/workspaces/plain/job-requests/", 0
        token = self.site.tokens["alice"]
        while time.monotonic() < self.ends:
            if len(self.asked) > _WAITING:  # nobody reports on them so fast
                time.sleep(0.02)
                continue
            count += 1
            bad = chance.random() < 0.1
            body = dumps({"requested_actions": ["nonsense" if bad else "generate"], "backend": "tpp"})
            key = f"{number}-{count}"
            marker = Key.of(Actor(ActorKind.USER, "alice"), "POST", path, key, body).trailer
            call = self.record.begin("ask")
            call.marker = marker
            for _ in range(chance.choice((1, 1, 3))):  # who got no answer asks again, with the same key
                answer = self.post(chance, path, body, {"Authorization": token, "Idempotency-Key": key})
                call.ended = time.monotonic()
                if answer is not None and answer.status_code < 500:
                    break
            self.conclude(call, answer)
            if answer is not None and answer.status_code == 201:
                call.request, call.commit = answer.json()["identifier"], answer.headers["X-Commit"]
                with self.guard:
                    self.asked.append(call.request)

    def reporter(self, number: int) -> None:
        chance = random.Random(f"{self.seed} reporter {number}")
        count, token = 0, self.site.tokens["tpp"]
        while time.monotonic() < self.ends:
            with self.guard:
                request = self.asked.pop(0) if self.asked else ""
            if not request:
                time.sleep(0.01)
                continue
            count += 1
            name = f"j{number}x{count}"
            for status, at in (("running", 1), ("succeeded", 2)):
                outcome = Outcome.UNKNOWN
                while outcome is not Outcome.OK and time.monotonic() < self.ends:  # as a runner does
                    outcome = self.report(chance, job(request, name, status, at), token)

    def report(self, chance: random.Random, reported: dict[str, Any], token: str) -> Outcome:
        call = self.record.begin("report")
        if reported["status"] == "running":
            call.marker = f"{reported['identifier']}.yaml"
        else:
            call.finishes = reported["job_request_id"]
        answer = self.post(chance, "/api/v2/jobs/", dumps([reported]), {"Authorization": token})
        call.ended = time.monotonic()
        self.conclude(call, answer)
        return call.outcome

    def reader(self, number: int) -> None:
        chance = random.Random(f"{self.seed} reader {number}")
        while time.monotonic() < self.ends:
            call = self.record.begin("read")
            number = chance.randrange(len(self.ports))
            try:
                url = f"http://127.0.0.1:{self.ports[number]}/api/v2/job-requests/"
                answer = self.client().get(url, headers={"Authorization": self.site.tokens["tpp"]}, timeout=5)
            except httpx.HTTPError:
                time.sleep(0.05)
                continue
            call.ended = time.monotonic()
            self.conclude(call, answer)
            if answer.status_code == 200:
                call.fresh = self.fresh(answer, number)
                call.seen = frozenset(item["identifier"] for item in answer.json()["results"])
            time.sleep(0.05)

    def fresh(self, answer: httpx.Response, number: int) -> float:
        """How new the state is that was read, by this process's clock."""
        said = answer.headers.get("X-State-As-Of")
        if said is None:
            return 0.0
        wrong_by = _SKEWS[number % len(_SKEWS)]
        return datetime.fromisoformat(said).timestamp() - wrong_by - self.offset

    def pusher(self) -> None:
        chance, count = random.Random(f"{self.seed} pusher"), 0
        folder = self.site.folder / "pusher"
        git = ["git", "-C", str(folder), "-c", "user.name=root", "-c", "user.email=root@example.org"]
        subprocess.run(["git", "clone", "-q", self.site.repo, folder], check=True)
        while time.monotonic() < self.ends:
            count += 1
            remote = f"{self.url(chance).replace('//', '//x:' + self.site.tokens['root'] + '@')}/state.git"
            try:
                subprocess.run([*git, "fetch", "-q", remote, "main"], check=True, capture_output=True, timeout=20)
                subprocess.run([*git, "reset", "-q", "--hard", "FETCH_HEAD"], check=True, capture_output=True)
                user = folder / "users" / "carol.yaml"
                lines = [f"name: Carol {count}" if line.startswith("name:") else line
                         for line in user.read_text().splitlines()]  # fmt: skip
                user.write_text("\n".join(lines) + "\n")
                subprocess.run([*git, "commit", "-qam", f"Carol {count}"], check=True, capture_output=True)
                sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
                call = self.record.begin("push")
                call.marker = sha.strip()
                pushed = subprocess.run([*git, "push", "-q", remote, "HEAD:main"], capture_output=True, timeout=20)
                call.ended = time.monotonic()
                call.outcome = Outcome.OK if pushed.returncode == 0 else Outcome.UNKNOWN
            except (subprocess.SubprocessError, OSError):
                time.sleep(0.2)

    def commander(self) -> None:
        chance = random.Random(f"{self.seed} commander")
        while time.monotonic() < self.ends:
            call = self.record.begin("ask by command")
            done = self.anywhere(chance).command("request", "plain", "analyse", "--backend", "tpp", "--as", "alice")
            call.ended = time.monotonic()
            if done.returncode == 0:
                call.outcome, call.request = Outcome.OK, done.stdout.split()[-1]
            elif "Traceback" in done.stderr:
                self.bugs.append(done.stderr[-500:])
            time.sleep(0.3)

    def post(self, chance: random.Random, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response | None:
        """None where there was no answer, or nobody waited for it."""
        patience = chance.choice((0.003, 0.02, 8, 8, 8, 8, 8, 8))
        try:
            return self.client().post(f"{self.url(chance)}{path}", content=body, headers=headers, timeout=patience)
        except httpx.HTTPError:
            time.sleep(0.01)
            return None

    def conclude(self, call: Call, answer: httpx.Response | None) -> None:
        if answer is None or answer.status_code == 503:
            return
        if answer.status_code >= 500:
            self.bugs.append(f"{call.kind}: {answer.status_code} {answer.text[:300]}")
        call.outcome = Outcome.OK if answer.status_code < 300 else Outcome.REFUSED

    # What is done to them

    def nemesis(self) -> None:
        chance = random.Random(f"{self.seed} nemesis")
        while time.monotonic() < self.ends - 3:
            time.sleep(chance.uniform(0.5, 2.5))
            number = chance.randrange(len(self.ports))
            what = chance.choice((*_OF_SERVERS, *(_OF_HOSTS if self.host else ("clock jump",))))
            if what == "kill -9":
                self.kill(number)
                self.start(number)
            elif what == "SIGSTOP":  # beyond every client's patience
                os.killpg(self.servers[number].pid, signal.SIGSTOP)
                time.sleep(chance.uniform(1, 9))
                os.killpg(self.servers[number].pid, signal.SIGCONT)
            elif what == "SIGTERM":
                self.servers[number].terminate()
                self.servers[number].wait(40)
                self.start(number)
            elif what == "full disk":
                (self.worlds[number] / "full").touch()
                time.sleep(chance.uniform(0.2, 2))
                (self.worlds[number] / "full").unlink()
            elif what == "clock jump":
                (self.worlds[number] / "clock").write_text(str(chance.choice((-86_400, -70, 0, 0.5, 300, 86_400))))
            elif self.host is not None and what in _OF_HOSTS:
                self.trouble(self.host, number, what, chance)
            else:
                self.maintain(chance, what.endswith("killed"))
            self.done[what] += 1

    def trouble(self, host: Host, number: int, what: str, chance: random.Random) -> None:
        """Of the hosted repository, for a while."""
        seconds = chance.uniform(0.5, 5)
        lots = random.Random(chance.random())
        if what == "cut off":
            host.cut_off.add(number)
        elif what == "host down":
            host.is_down = True
        elif what == "slow link":
            host.delay = chance.uniform(0.05, 0.6)
        elif what == "lost answers":
            host.drops = lambda: lots.random() < 0.4
        else:
            host.dies = lambda: lots.random() < 0.4
        time.sleep(seconds)
        host.cut_off.clear()
        host.is_down, host.delay = False, 0.0
        host.drops = host.dies = lambda: False

    def maintain(self, chance: random.Random, is_killed: bool) -> None:
        command = [sys.executable, "-m", "jobserver", "maintain"]
        site = self.anywhere(chance)
        process = subprocess.Popen(command, env=site.env, cwd=site.folder, stderr=subprocess.PIPE,
                                   start_new_session=True)  # fmt: skip
        if is_killed:
            time.sleep(chance.uniform(0.3, 0.9))
            os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=180)
        if b"Traceback" in said:
            self.bugs.append(said.decode()[-500:])

    def run(self) -> list[str]:
        """What is wrong."""
        if self.host is not None:
            git(self.site.repo, "push", "-q", self.host.url(), "refs/heads/*:refs/heads/*")
            for number, site in enumerate(self.sites):
                site.env |= {"STATE_REMOTE": self.host.url(number), "STATE_REMOTE_POLL_SECONDS": "0.5"}
        for number in range(len(self.ports)):
            self.start(number)
        for port in self.ports:
            self.site.url, self.site.server = f"http://127.0.0.1:{port}", None
            self.site.wait()
        work: list[Callable[[], None]] = [self.nemesis, self.pusher, self.commander]
        work += [lambda n=number: self.asker(n) for number in range(_ASKERS)]  # type: ignore[misc]
        work += [lambda n=number: self.reporter(n) for number in range(_REPORTERS)]  # type: ignore[misc]
        work += [lambda n=number: self.reader(n) for number in range(_READERS)]  # type: ignore[misc]
        threads = [threading.Thread(target=self.guarded(one)) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(len(self.ports)):  # nothing may need a peaceful end
            self.kill(number)
        wrong = [*self.bugs, *judge(self.record.calls, markers(self.repo))]
        for site in self.sites:
            if "Traceback" in site.log():
                wrong.append(f"a traceback in the server's log: {site.log()[-2000:]}")
        self.site.run("user", "token", "alice", "--label", "afterwards")
        wrong += sound(self.repo, [])
        for site in self.sites:
            site.run("user", "add", f"last-{self.sites.index(site)}")
            wrong += sound(site.repo, [])
        return wrong

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a client that ends early would make it look well
                self.bugs.append(f"the harness: {type(error).__name__}: {error}")

        return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--machines", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), options.seconds, options.seed, options.machines)
        wrong = torture.run()
    print(summary(torture.record.calls))
    print(f"\nMeanwhile: {', '.join(f'{times} x {what}' for what, times in sorted(torture.done.items()))}.")
    print(f"{len(torture.record.calls)} calls checked, seed {options.seed}: {len(wrong)} violations")
    for one in wrong[:20]:
        print(one, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
