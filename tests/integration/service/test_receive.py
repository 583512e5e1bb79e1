"""Pushes as git's hook hands them over: objects in quarantine, refs not moved yet. Judged commit by commit."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.domain import commands as c
from jobserver.domain.documents import Job, JobRequest
from jobserver.domain.permissions import Actor, ActorKind, Role
from jobserver.errors import Code, Error, Fault, conflict, invalid, unavailable
from jobserver.service import receive
from jobserver.service.receive import Pushed, Receiver, Update, lines
from jobserver.store import codec
from tests.site import ADMIN, ALICE, START, TPP, Site, job

ZERO = "0" * 40
BAD = "version: 1\nusername: eve\nroles: [Boss]\n"
EVE = "version: 1\nusername: eve\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.gate.close()
    made.repo.close()


@dataclass
class Push:
    """Somebody's commits on ``branch``, which the repository has in quarantine only."""

    site: Site
    branch: str
    tip: str = ""
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.site.path.parent / "quarantine"
        self.folder.mkdir(exist_ok=True)
        self.old = self.tip = self.tip or self.site.git("rev-parse", self.branch).strip()

    def git(self, *arguments: str, data: str = "", **environment: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", self.site.path, *arguments],
            input=data,
            env={
                **os.environ,
                "GIT_OBJECT_DIRECTORY": str(self.folder),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.site.path / "objects"),
                "GIT_INDEX_FILE": str(self.folder.parent / "index"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def commit(self, *files: tuple[str, str | None], message: str = "x", at: str = "", mode: str = "100644") -> str:
        """One more commit; None takes a file away. Its id."""
        self.git("read-tree", self.tip)
        for path, text in files:
            if text is None:
                self.git("update-index", "--index-info", data=f"0 {ZERO}\t{path}\n")
            else:
                blob = self.git("hash-object", "-w", "--stdin", data=text)
                self.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
        tree = self.git("write-tree", "--missing-ok")
        self.tip = self.tree(tree, self.tip, message=message, at=at)
        return self.tip

    def tree(self, tree: str, *parents: str, message: str = "x", at: str = "") -> str:
        when = at or START.isoformat()
        arguments = [part for parent in parents for part in ("-p", parent)]
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        self.tip = self.git("commit-tree", tree, *arguments, "-m", message, **dates)
        return self.tip

    def update(self) -> Update:
        return Update(self.old, self.tip, f"refs/heads/{self.branch}")

    def send(self, actor: Actor, quarantined: bool = True, receiver: Receiver | None = None) -> list[str]:
        receiver = receiver or Receiver(self.site.repo, self.site.gate, self.site.clock)
        return receiver.receive(Pushed([self.update()], self.folder if quarantined else None, actor))

    def land(self) -> None:
        """What git does once a push is taken."""
        objects = [path for path in self.folder.rglob("*") if path.is_file()]
        for path in objects:
            target = self.site.path / "objects" / path.relative_to(self.folder)
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
        self.site.git("update-ref", f"refs/heads/{self.branch}", self.tip, self.old)


def refused(push: Push, actor: Actor) -> list[str]:
    """The faults without the commit's id; nothing has changed."""
    before = push.site.git("for-each-ref")
    with pytest.raises(Error) as caught:
        push.send(actor)
    assert push.site.git("for-each-ref") == before
    assert caught.value.code is Code.INVALID
    assert str(caught.value) == str(caught.value.faults[0])
    told = [str(fault).replace(push.tip, "it").replace(push.tip[:10], "it") for fault in caught.value.faults]
    return [one.removeprefix("it ") for one in told]


def text(document: Job | JobRequest) -> str:
    return codec.write(document).decode()


def folder_of(site: Site, identifier: str) -> str:
    return next(path for path in site.files() if identifier in path and path.endswith("request.yaml")).rsplit("/", 1)[0]


def test_an_admins_push_is_recorded_before_git_takes_it(site: Site) -> None:
    told: list[list[str]] = []
    receiver = Receiver(site.repo, site.gate, site.clock, lambda branches: told.append(list(branches)))
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), message="Eve joins")
    push.commit(("README.md", "Read me.\n"), ("users/bob.yaml", None))
    assert push.send(ADMIN, receiver=receiver) == [f"refs/heads/main: {push.tip[:10]} is recorded"]
    assert told == [["main"]]
    receipt = site.git("show", "audit:receipt.yaml")
    assert f"old: {push.old}\nnew: {push.tip}\npusher: user/admin\n" in receipt.replace('"', "")
    assert site.git("rev-parse", "main").strip() == push.old
    push.land()
    assert verify(site.path).problems == []


def test_several_branches_in_one_push(site: Site) -> None:
    identifier = site.ask("generate")
    first, second = Push(site, "main"), Push(site, "backends/tpp")
    first.commit(("users/eve.yaml", EVE))
    second.commit((f"{folder_of(site, identifier)}/jobs/j.yaml", text(job("j", "running", 1))))
    receiver = Receiver(site.repo, site.gate, site.clock)
    said = receiver.receive(Pushed([first.update(), second.update()], first.folder, ADMIN))
    assert len(said) == 2
    assert len(site.git("rev-list", "audit").split()) == 3  # it began with one


def test_a_runners_push(site: Site) -> None:
    one, two = site.ask("generate"), site.ask("generate")
    site.report((two, job("old", "running", 1)))
    push = Push(site, "backends/tpp")
    push.commit(
        (f"{folder_of(site, one)}/jobs/j.yaml", text(job("j", "running", 1))),
        (f"{folder_of(site, two)}/jobs/old.yaml", None),
    )
    push.commit((f"{folder_of(site, one)}/jobs/j.yaml", text(job("j", "succeeded", 2))))
    push.send(TPP)
    push.land()
    site.do(Actor(ActorKind.SERVER, "jobserver"), c.ArchiveFinished("tpp"))
    assert folder_of(site, one).startswith("archive/")
    assert verify(site.path).problems == []


@pytest.mark.parametrize(
    ("actor", "update", "code", "message"),
    [
        (ADMIN, ("tip", "new", "refs/heads/audit"), Code.FORBIDDEN, "only main and backends/<slug> can be pushed to"),
        (ADMIN, ("tip", "new", "refs/tags/v1"), Code.FORBIDDEN, "only main and backends/<slug> can be pushed to"),
        (ADMIN, ("tip", "new", "refs/heads/topic"), Code.FORBIDDEN, "only main and backends/<slug> can be pushed to"),
        (ADMIN, ("tip", "new", "main"), Code.FORBIDDEN, "only main and backends/<slug> can be pushed to"),
        (TPP, ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "tpp's token may push to backends/tpp only"),
        (TPP, ("tip", "new", "refs/heads/backends/emis"), Code.FORBIDDEN, "tpp's token may push to backends/tpp only"),
        (ALICE, ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "alice may not push"),
        (Actor(ActorKind.USER, "auditor"), ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "auditor may not push"),
        (Actor(ActorKind.USER, "x"), ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "x may not push"),
        (Actor(ActorKind.SERVER, "s"), ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "s may not push"),
        (ADMIN, ("tip", "HEAD", "refs/heads/main"), Code.INVALID, "not a commit id"),
        (ADMIN, ("x", "new", "refs/heads/main"), Code.INVALID, "not a commit id"),
        (ADMIN, ("tip", ZERO, "refs/heads/main"), Code.FORBIDDEN, "branches are never deleted"),
        (ADMIN, (ZERO, "new", "refs/heads/backends/emis"), Code.FORBIDDEN, "the server makes branches"),
        (ADMIN, ("tip", "tip", "refs/heads/main"), Code.INVALID, "moves nothing"),
        (ADMIN, ("1" * 40, "new", "refs/heads/main"), Code.CONFLICT, "the branch has moved: fetch first"),
    ],
)
def test_what_may_not_be_pushed_at_all(
    site: Site, actor: Actor, update: tuple[str, str, str], code: Code, message: str
) -> None:
    site.do(ADMIN, c.AddUser("auditor", roles=(Role.AUDITOR,)))
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    known = {"tip": push.old, "new": push.tip}
    old, new, ref = update
    with pytest.raises(Error) as caught:
        Receiver(site.repo, site.gate, site.clock).receive(
            Pushed([Update(known.get(old, old), known.get(new, new), ref)], push.folder, actor)
        )
    assert (caught.value.code, caught.value.where) == (code, ref)
    assert caught.value.message.startswith(message)
    assert len(site.git("rev-list", "audit").split()) == 1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([("users/eve.yaml", BAD)], ["users/eve.yaml:3: roles.0: 'Boss' is not a valid Role"]),
        ([("users/eve.yaml", EVE), ("users/x", "y")], ["users/x: no document may stand here on main"]),
        ([("users/else.yaml", EVE)], ["users/else.yaml: username: is 'eve', but the path says 'else'"]),
        ([("allowed_signers", "mine")], ["allowed_signers: is the server's to write"]),
        (
            [("allowed_signers", "mine"), ("orgs/x.yaml", "version: 1\nslug: y\nname: Y\n")],
            ["orgs/x.yaml: slug: is 'y', but the path says 'x'", "allowed_signers: is the server's to write"],
        ),
        ([("workspaces/trends.yaml", None)], []),
        (
            [("backends/tpp.yaml", None)],
            ["backends/tpp.yaml: a backend is deactivated (active: false), never deleted: it has a branch"],
        ),
        (
            [("projects/x/p.yaml", "version: 1\nslug: p\nname: P\norg: x\n")],
            ["projects/x/p.yaml: org: there is no org 'x'"],
        ),
        ([("/".join(["a"] * 20), "deep")], ["it: folders are nested deeper than 16"]),
    ],
)
def test_every_file_of_an_admins_push_is_judged(
    site: Site, files: list[tuple[str, str | None]], expected: list[str]
) -> None:
    push = Push(site, "main")
    push.commit(*files)
    if expected:
        assert refused(push, ADMIN) == expected
    else:
        assert push.send(ADMIN)


def test_every_fault_of_every_commit_is_told_and_very_many_are_counted(site: Site) -> None:
    push = Push(site, "main")
    first = push.commit(("users/eve.yaml", BAD))
    second = push.commit(("orgs/x", "y"), ("users/eve.yaml", EVE))
    with pytest.raises(Error) as caught:
        push.send(ADMIN)
    assert [str(fault).split(" ")[0] for fault in caught.value.faults] == [first[:10], second[:10]]
    push = Push(site, "main")
    push.commit(*((f"users/{at}", "x") for at in range(receive._SHOWN + 5)))
    told = refused(push, ADMIN)
    assert (len(told), told[-1]) == (receive._SHOWN + 1, "and 5 more")


def test_judging_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commits there are: once there is enough to say, or when it takes too long."""
    push = Push(site, "main")
    first = push.commit(*((f"users/{at}", "x") for at in range(receive._SHOWN + 1)))
    push.commit(("users/eve.yaml", BAD))
    assert all(one.startswith(first[:10]) or one == "and 1 more" for one in refused(push, ADMIN))
    monkeypatch.setattr(receive, "_JUDGE_SECONDS", -1)
    push = Push(site, "main")
    first = push.commit(("users/eve.yaml", EVE))
    assert refused(push, ADMIN) == ["and after: can't be judged within -1 s: push fewer commits"]


def test_a_file_that_is_executable_is_none(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), mode="100755")
    assert refused(push, ADMIN) == ["users/eve.yaml: is an executable: expected a file"]


@pytest.mark.parametrize("key", ["Event", "Actor", "Idempotency-Key", "Request-Id", "Policy"])
def test_what_only_the_server_says(site: Site, key: str) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), message=f"x\n\n{key}: y")
    assert refused(push, ADMIN) == [f"it: the trailer {key}: is the server's to write"]


def test_a_commit_of_tomorrow(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=(START + timedelta(days=1)).isoformat())
    assert refused(push, ADMIN) == ["it: is of 2026-11-25 09:00 UTC, which is in the future: set the clock"]
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=(START + timedelta(minutes=9)).isoformat())
    assert push.send(ADMIN)


def test_history_is_a_line_on_what_stood_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    push = Push(site, "main")
    tree = push.git("rev-parse", "main^{tree}")
    other = site.git("rev-parse", "backends/tpp").strip()
    push.tree(tree, push.old, other)
    assert refused(push, ADMIN) == ["it: is a merge: rebase instead; the history of a branch is a line"]
    push.tree(tree)
    assert refused(push, ADMIN) == [f"it: is no descendant of {push.old[:10]}; the history of a branch is a line"]
    push.tip = push.git("hash-object", "-w", "--stdin", data="no commit")
    assert refused(push, ADMIN) == ["it: not a commit that can be read"]
    push.tip = "1" * 40
    assert refused(push, ADMIN) == ["it: is no commit that was pushed"]
    monkeypatch.setattr(receive, "MAX_COMMITS", 2)
    push = Push(site, "main")
    for at in range(2):
        push.commit(("README.md", str(at)))
    assert push.send(ADMIN)
    push.commit(("README.md", "2"))
    assert refused(push, ADMIN) == [f"refs/heads/main: more than 2 commits, or none of them stands on {push.old[:10]}"]


def test_a_runner_reports_jobs_and_nothing_else(site: Site) -> None:
    active, done = site.ask("generate"), site.ask("generate")
    site.report((done, job("d", "succeeded", 1)))
    here, there = folder_of(site, active), folder_of(site, done)
    request = site.git("show", f"backends/tpp:{here}/request.yaml")
    only = "a runner may change jobs/*.yaml of active job requests, and nothing else"
    table: list[tuple[list[tuple[str, str | None]], list[str]]] = [
        (
            [(f"{here}/request.yaml", request.replace("cancelled_actions: []", "cancelled_actions: [generate]"))],
            [f"{here}/request.yaml: {only}", "it: tpp may not update the job-request " + active],
        ),
        ([(f"{there}/jobs/d.yaml", text(job("d", "failed", 2)))], [f"{there}/jobs/d.yaml: {only}"]),
        ([("README.md", "x")], [f"README.md: {only}"]),
        ([("users/eve.yaml", EVE)], ["users/eve.yaml: no document may stand here on backends/tpp"]),
        (
            [(f"{here}/jobs/x.yaml", text(job("y", "running", 1)))],
            [f"{here}/jobs/x.yaml: identifier: is 'y', but the path says 'x'"],
        ),
        (
            [("/".join(["a"] * 20), "deep")],
            ["it: folders are nested deeper than 16"],
        ),
    ]
    for files, expected in table:
        push = Push(site, "backends/tpp")
        push.commit(*files)
        assert refused(push, TPP) == expected
    back = "active/2026-11-24/" + done
    push = Push(site, "backends/tpp")
    moved = [
        (path.replace(there, back), site.git("show", f"backends/tpp:{path}")) for path in site.files() if there in path
    ]
    push.commit(*moved, *((path, None) for path in site.files() if there in path))
    assert refused(push, TPP)[0] == f"{there}/: {only}"


def test_a_backend_that_was_switched_off_pushes_nothing(site: Site) -> None:
    identifier = site.ask("generate")
    site.do(ADMIN, c.DeactivateBackend("tpp"))
    push = Push(site, "backends/tpp")
    push.commit((f"{folder_of(site, identifier)}/jobs/j.yaml", text(job("j", "running", 1))))
    assert refused(push, TPP) == ["it: tpp is not an active backend"]


def test_a_commit_that_changes_nothing_or_takes_all_back(site: Site) -> None:
    identifier = site.ask("generate")
    push = Push(site, "backends/tpp")
    push.commit((f"{folder_of(site, identifier)}/jobs/j.yaml", text(job("j", "running", 1))))
    push.commit((f"{folder_of(site, identifier)}/jobs/j.yaml", None))
    push.commit()
    assert push.send(TPP)


def test_a_folder_that_can_not_be_read(site: Site) -> None:
    site.ask("generate")
    push = Push(site, "backends/tpp")
    tree = push.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", data="no tree")
    push.tree(tree, push.old)
    assert refused(push, TPP) == ["it: its files can't be read"]
    assert refused(push, ADMIN) == ["it: its files can't be read"]


def test_an_older_state_may_come_back(site: Site) -> None:
    identifier = site.ask("generate")
    site.report((identifier, job("a", "running", 1)))
    site.report((identifier, job("b", "running", 2)))  # without a
    push = Push(site, "backends/tpp")
    push.commit((f"{folder_of(site, identifier)}/jobs/a.yaml", text(job("a", "running", 1))))
    assert push.send(TPP)


def test_a_request_that_can_not_be_read_is_mended_by_a_push(site: Site) -> None:
    identifier = site.ask("generate")
    folder = folder_of(site, identifier)
    good = site.git("show", f"backends/tpp:{folder}/request.yaml")
    push = Push(site, "backends/tpp")
    push.commit((f"{folder}/request.yaml", good.replace("cancelled_actions: []", "cancelled_actions: ['']")))
    push.land()  # past us, as a disk or a host might
    push = Push(site, "backends/tpp")
    push.commit((f"{folder}/request.yaml", good))
    assert push.send(ADMIN)


class Host:
    """Stands for the hosted repository: what it is told of a push."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, tuple[str | None, str]], Path | None]] = []

    def receive(self, moves: dict[str, tuple[str | None, str]], quarantine: Path | None) -> None:
        self.told.append((moves, quarantine))


def test_a_hosted_repository_has_it_before_git_takes_it(site: Site) -> None:
    host = Host()
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.send(ADMIN, receiver=Receiver(site.repo, site.gate, site.clock, hosted=host))  # type: ignore[arg-type]
    assert host.told == [({"main": (push.old, push.tip)}, push.folder)]


def test_commits_that_came_past_us_are_adopted_by_an_admin_only(site: Site) -> None:
    receiver = Receiver(site.repo, site.gate, site.clock)
    push = Push(site, "main")
    push.commit(("users/eve.yaml", BAD))
    push.land()
    with pytest.raises(Error, match="alice may not push: only SuperUsers may"):
        receiver.adopt("main", push.old, push.tip, ALICE)
    with pytest.raises(Error, match="'Boss' is not a valid Role"):
        receiver.adopt("main", push.old, push.tip, ADMIN)
    assert len(site.git("rev-list", "audit").split()) == 1
    site.git("update-ref", "refs/heads/main", push.old)
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.land()
    receiver.adopt("main", push.old, push.tip, ADMIN)
    assert "Via: adopt" in site.git("log", "-1", "--format=%B", "audit")
    assert verify(site.path).problems == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (conflict("the branch has moved", "main"), ["jobserver: fetch first: main: the branch has moved"]),
        (unavailable("the disk is full"), ["jobserver: not now: the disk is full"]),
        (
            invalid("x", faults=[Fault("a", "f", 1), Fault("b")]),
            ["jobserver: refused: f:1: a", "jobserver: refused: b"],
        ),
    ],
)
def test_what_the_person_who_pushed_reads(error: Error, expected: list[str]) -> None:
    assert lines(error) == expected
