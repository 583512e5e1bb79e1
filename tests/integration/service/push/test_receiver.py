"""Pushes that are taken, recorded before git moves a ref, and those that may not be made at all."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.job_requests.requests import ArchiveFinished
from jobserver.domain.users import AddUser
from jobserver.errors import Code, Error, Fault, conflict, invalid, unavailable
from jobserver.service.budgets import WriteBudget
from jobserver.service.push.judge import PushedRef
from jobserver.service.push.receiver import GitPush, Receiver, refusal_lines
from jobserver.store.upstream import NewTips
from tests.integration.service.push.pushing import BAD, EVE, ZERO, Push, folder_of, text
from tests.site import ADMIN, ALICE, START, TPP, Site, job


def test_an_admins_push_is_recorded_before_git_takes_it(site: Site) -> None:
    told: list[list[str]] = []
    receiver = Receiver(site.repo, site.gate, site.clock, lambda branches: told.append(list(branches)))
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), message="Eve joins")
    push.commit(("README.md", "Read me.\n"), ("users/bob.yaml", None))
    assert push.send(ADMIN, receiver=receiver) == [f"refs/heads/main: {push.tip[:10]} has a receipt"]
    assert told == [["main"]]
    receipt = site.git("show", "audit:receipt.yaml")
    assert f"old: {push.old}\nnew: {push.tip}\npusher: user/admin\n" in receipt.replace('"', "")
    assert site.git("rev-parse", "main").strip() == push.old
    push.land()
    assert verify(site.path).problems == []


def test_a_push_is_a_write_and_one_that_is_refused_is_none(site: Site) -> None:
    site.gate.budget = WriteBudget(people=1)
    for _ in range(2):
        bad = Push(site, "main")
        bad.commit(("users/eve.yaml", BAD))
        with pytest.raises(Error, match="Boss"):
            bad.send(ADMIN)
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.send(ADMIN)
    push.land()
    more = Push(site, "main")
    more.commit(("users/eve.yaml", None))
    with pytest.raises(Error, match="user/admin has used up the 1 writes a minute") as refused:
        more.send(ADMIN)
    assert refusal_lines(refused.value)[0].startswith("jobserver: try again later: ")
    assert site.git("rev-parse", "main").strip() == push.tip


def test_several_branches_in_one_push(site: Site) -> None:
    identifier = site.ask("generate")
    first, second = Push(site, "main"), Push(site, "backends/tpp")
    first.commit(("users/eve.yaml", EVE))
    second.commit((f"{folder_of(site, identifier)}/jobs/j.yaml", text(job("j", "running", 1))))
    receiver = Receiver(site.repo, site.gate, site.clock)
    said = receiver.receive(GitPush([first.update(), second.update()], first.folder, ADMIN))
    assert len(said) == 2
    assert len(site.git("rev-list", "audit").split()) == 3  # it began with one


def test_a_push_with_a_wrong_clock_or_of_a_second_runner_is_noticed(site: Site) -> None:
    told: list[tuple[str, int, list[str]]] = []

    def noticed(backend: str, ahead: timedelta, twice: Sequence[str]) -> None:
        told.append((backend, round(ahead.total_seconds()), list(twice)))

    receiver = Receiver(site.repo, site.gate, site.clock, record_report=noticed)
    identifier = site.ask("generate")
    site.now += timedelta(hours=1)
    made = [job(name, "running", 121 + at).model_copy(update={"created_at": START}) for at, name in enumerate("ab")]
    folder = folder_of(site, identifier)
    push = Push(site, "backends/tpp")
    push.commit((f"{folder}/jobs/a.yaml", text(made[0])), at=site.now.isoformat())
    push.send(TPP, receiver=receiver)
    push.commit((f"{folder}/jobs/b.yaml", text(made[1])), at=(site.now + timedelta(seconds=30)).isoformat())
    push.send(TPP, receiver=receiver)
    assert told[0] == ("tpp", 0, [])
    assert (told[1][0], 20 < told[1][1] < 31, told[1][2]) == ("tpp", True, [identifier])


def test_a_runner_pushes_jobs_of_several_requests(site: Site) -> None:
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
    site.do(Actor(ActorKind.SERVER, "jobserver"), ArchiveFinished("tpp"))
    assert folder_of(site, one).startswith("archive/")
    assert verify(site.path).problems == []


@pytest.mark.parametrize(
    ("actor", "update", "code", "message"),
    [
        (ADMIN, ("tip", "new", "refs/heads/audit"), Code.FORBIDDEN, "you can push only to main and backends/<slug>"),
        (ADMIN, ("tip", "new", "refs/tags/v1"), Code.FORBIDDEN, "you can push only to main and backends/<slug>"),
        (ADMIN, ("tip", "new", "refs/heads/topic"), Code.FORBIDDEN, "you can push only to main and backends/<slug>"),
        (ADMIN, ("tip", "new", "main"), Code.FORBIDDEN, "you can push only to main and backends/<slug>"),
        (TPP, ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "the token of tpp can push only to backends/tpp"),
        (
            TPP,
            ("tip", "new", "refs/heads/backends/emis"),
            Code.FORBIDDEN,
            "the token of tpp can push only to backends/tpp",
        ),
        (ALICE, ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "alice can't push"),
        (Actor(ActorKind.USER, "auditor"), ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "auditor can't push"),
        (Actor(ActorKind.USER, "x"), ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "x can't push"),
        (Actor(ActorKind.SERVER, "s"), ("tip", "new", "refs/heads/main"), Code.FORBIDDEN, "s can't push"),
        (ADMIN, ("tip", "HEAD", "refs/heads/main"), Code.INVALID, "expected the id of a commit"),
        (ADMIN, ("x", "new", "refs/heads/main"), Code.INVALID, "expected the id of a commit"),
        (ADMIN, ("tip", ZERO, "refs/heads/main"), Code.FORBIDDEN, "branches can't be deleted"),
        (ADMIN, (ZERO, "new", "refs/heads/backends/emis"), Code.FORBIDDEN, "only the server creates branches"),
        (ADMIN, ("tip", "tip", "refs/heads/main"), Code.INVALID, "the branch is already at this commit"),
        (ADMIN, ("1" * 40, "new", "refs/heads/main"), Code.CONFLICT, "the branch has moved"),
    ],
)
def test_an_update_that_nobody_may_push_is_refused(
    site: Site, actor: Actor, update: tuple[str, str, str], code: Code, message: str
) -> None:
    site.do(ADMIN, AddUser("auditor", roles=(Role.AUDITOR,)))
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    known = {"tip": push.old, "new": push.tip}
    old, new, ref = update
    with pytest.raises(Error) as caught:
        Receiver(site.repo, site.gate, site.clock).receive(
            GitPush([PushedRef(known.get(old, old), known.get(new, new), ref)], push.folder, actor)
        )
    assert (caught.value.code, caught.value.where) == (code, ref)
    assert caught.value.message.startswith(message)
    assert len(site.git("rev-list", "audit").split()) == 1


def test_a_hosted_repository_has_it_before_git_takes_it(site: Site) -> None:
    relayed: list[tuple[NewTips, Path | None]] = []
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.send(ADMIN, receiver=Receiver(site.repo, site.gate, site.clock, relay=lambda *push: relayed.append(push)))
    assert relayed == [({"main": (push.old, push.tip)}, push.folder)]


def test_commits_that_came_past_us_are_adopted_by_an_admin_only(site: Site) -> None:
    receiver = Receiver(site.repo, site.gate, site.clock)
    push = Push(site, "main")
    push.commit(("users/eve.yaml", BAD))
    push.land()
    site.git("update-ref", "refs/heads/main", push.old)  # their objects are here, the branch is not moved yet
    with pytest.raises(Error, match="alice can't push: only SuperUsers can"):
        receiver.adopt("main", push.old, push.tip, ALICE)
    with pytest.raises(Error, match="'Boss' is not a valid role"):
        receiver.adopt("main", push.old, push.tip, ADMIN)
    assert len(site.git("rev-list", "audit").split()) == 1
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.land()
    site.git("update-ref", "refs/heads/main", push.old)
    receiver.adopt("main", push.old, push.tip, ADMIN)
    site.git("update-ref", "refs/heads/main", push.tip)
    assert "Via: adopt" in site.git("log", "-1", "--format=%B", "audit")
    assert verify(site.path).problems == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (conflict("the branch has moved", "main"), ["jobserver: fetch first: main: the branch has moved"]),
        (unavailable("the disk is full"), ["jobserver: try again later: the disk is full"]),
        (
            invalid("x", faults=[Fault("a", "f", 1), Fault("b")]),
            ["jobserver: refused: f:1: a", "jobserver: refused: b"],
        ),
    ],
)
def test_a_refused_push_gets_these_lines(error: Error, expected: list[str]) -> None:
    assert refusal_lines(error) == expected
