"""Pushes judged commit by commit and file by file: what each may change, and how every fault is told."""

from datetime import UTC, datetime, timedelta

import pytest

from jobserver.domain.backends import DeactivateBackend
from jobserver.domain.base.permissions import Actor, Role
from jobserver.domain.users import AddUser
from jobserver.errors import MAX_FAULTS, Code, Error
from jobserver.service.push import judge
from tests.integration.service.push.pushing import BAD, EVE, Push, folder_of, text
from tests.site import ADMIN, START, TPP, Site, job

NO_ROLE = f"users/eve.yaml:3: roles.0: 'Boss' is not a valid role: expected one of: {', '.join(sorted(Role))}"


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


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            [("users/eve.yaml", BAD)],
            [NO_ROLE],
        ),
        ([("users/eve.yaml", EVE), ("users/x", "y")], ["users/x: no document is allowed here on main"]),
        ([("users/else.yaml", EVE)], ["users/else.yaml: username: is 'eve', but the path says 'else'"]),
        ([("allowed_signers", "mine")], ["allowed_signers: only the server may write this file"]),
        (
            [("allowed_signers", "mine"), ("orgs/x.yaml", "version: 1\nslug: y\nname: Y\n")],
            [
                "orgs/x.yaml: slug: is 'y', but the path says 'x'",
                "allowed_signers: only the server may write this file",
            ],
        ),
        (
            [("workspaces/trends.yaml", None)],
            ["workspaces/trends.yaml: a workspace cannot be deleted: set `archived: true`"],
        ),
        (
            [("backends/tpp.yaml", None)],
            ["backends/tpp.yaml: a backend cannot be deleted, because it has a branch: set `active: false`"],
        ),
        (
            [("projects/x/p.yaml", "version: 1\nslug: p\nname: P\norg: x\n")],
            ["projects/x/p.yaml: org: org 'x' does not exist"],
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
    push.commit(*((f"users/{at}", "x") for at in range(MAX_FAULTS + 5)))
    told = refused(push, ADMIN)
    assert (len(told), told[-1]) == (MAX_FAULTS + 1, "and 5 more")


def test_judging_stops_after_enough_faults_or_too_long(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commits there are: once there is enough to say, or when it takes too long."""
    push = Push(site, "main")
    first = push.commit(*((f"users/{at}", "x") for at in range(MAX_FAULTS + 1)))
    push.commit(("users/eve.yaml", BAD))
    assert all(one.startswith(first[:10]) or one == "and 1 more" for one in refused(push, ADMIN))
    monkeypatch.setattr(judge, "_JUDGE_SECONDS", -1)
    push = Push(site, "main")
    first = push.commit(("users/eve.yaml", EVE))
    assert refused(push, ADMIN) == ["and after: can't be judged within -1 s: push fewer commits"]


def test_a_file_that_is_executable_is_none(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), mode="100755")
    assert refused(push, ADMIN) == ["users/eve.yaml: is an executable: expected a file"]


@pytest.mark.parametrize(
    "message",
    [
        "x\n\nActor: y",
        "x\n\nactor: user/alice",
        "x\n\nActor:user/alice",
        "x\n\nACTOR : user/alice",
        "x\n\nActor\t: user/alice",
        "x\n\nActor: user/alice\nSigned-off-by: Eve <eve@example.org>\n(cherry picked from commit 1)",
        "x\n\nSigned-off-by: Eve <eve@example.org>\nActor: user/alice\n\n",
        "x\n\nActor: user/alice\n\nand more",
        "Actor: user/alice",
        "x\n\nActor: user/alice\n---\na patch",
    ],
)
def test_trailers_of_the_server_are_refused_in_every_spelling_that_git_reads(site: Site, message: str) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), message=message)
    (said,) = refused(push, ADMIN)
    assert said.lower() == "it: only the server may write the trailer actor:"


@pytest.mark.parametrize(
    "key",
    ["Event", "Idempotency-Key", "Request-Id", "Policy", "Job-Request", "Workspace", "Pusher", "Sha256", "Server"],
)
def test_each_key_that_only_the_server_writes(site: Site, key: str) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), message=f"x\n\n{key}: y")
    assert refused(push, ADMIN) == [f"it: only the server may write the trailer {key}:"]


def test_a_message_that_a_reader_sees_otherwise(site: Site) -> None:
    for setting, message, words in (
        ("UTF-7", "x\n\n+AEE-ctor: user/alice", "it: the message is in UTF-7: expected UTF-8"),
        ("ISO-8859-1", "x", "it: the message is in ISO-8859-1: expected UTF-8"),
    ):
        push = Push(site, "main")
        tree = push.git("rev-parse", "main^{tree}")
        push.tip = push.git(
            "-c", f"i18n.commitEncoding={setting}", "commit-tree", tree, "-p", push.old, "-m", message,
            GIT_COMMITTER_DATE=site.now.isoformat(),
        )  # fmt: skip
        assert refused(push, ADMIN) == [words]


def test_a_message_that_says_twice_what_it_is_in(site: Site) -> None:
    """git goes by the first, others by the last."""
    for said in (("UTF-7", "UTF-8"), ("UTF-8", "UTF-7")):
        push = Push(site, "main")
        push.commit(("users/eve.yaml", EVE), message="x\n\n+AEE-ctor: user/alice")
        head, _, message = push.git("cat-file", "commit", push.tip).partition("\n\n")
        raw = "\n".join([head, *(f"encoding {one}" for one in said)]) + f"\n\n{message}\n"
        push.tip = push.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=raw)
        assert refused(push, ADMIN) == [f"it: the message is in {', '.join(said)}: expected UTF-8"]


def test_a_runners_commits_are_its_own(site: Site) -> None:
    """One once said to be alice's: so did git's log, then."""
    path = f"{folder_of(site, site.ask('generate'))}/jobs/j.yaml"

    def sent(email: str) -> Push:
        push = Push(site, "backends/tpp")
        push.email = email
        push.commit((path, text(job("j", "running", 1))), message="alice cancelled generate on trends")
        return push

    for email in (
        "alice@users.jobs.example",
        "emis@backends.jobs.example",
        "x@example.org",
        "tpp@backendsx",
        "tpp@backends.x, alice@users.jobs.example",
        "x tpp@backends",
    ):
        (said,) = refused(sent(email), TPP)
        assert said.startswith(f"it: its author is {email}: expected tpp@backends.<")
    assert sent("alice@users.jobs.example").send(ADMIN)  # their receipt says who it was
    assert sent("tpp@backends").send(TPP)  # made where nobody knows a host
    assert sent("tpp@backends.jobs.example").send(TPP)


def test_a_commit_is_not_older_than_the_one_before_it(site: Site) -> None:
    stood = f"the commit before it {site.now:%Y-%m-%d %H:%M:%S}: set the clock"
    for at, said in ((START, "2026-11-24 09:00:00"), (datetime(1973, 5, 1, tzinfo=UTC), "1973-05-01 00:00:00")):
        push = Push(site, "main")
        push.commit(("users/eve.yaml", EVE), at=at.isoformat())
        assert refused(push, ADMIN) == [f"it: is dated {said} UTC, and {stood}"]
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=(site.now + timedelta(seconds=9)).isoformat())
    push.commit(("users/fay.yaml", EVE.replace("eve", "fay")), at=(site.now + timedelta(seconds=8)).isoformat())
    (said,) = refused(push, ADMIN)
    assert "and the commit before it" in said
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=site.now.isoformat())
    assert push.send(ADMIN)


def test_a_pushed_commit_from_the_future_is_refused(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=(START + timedelta(days=1)).isoformat())
    assert refused(push, ADMIN) == ["it: has the time 2026-11-25 09:00:00 UTC, which is in the future: set the clock"]
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=(site.now + timedelta(seconds=59)).isoformat())
    assert push.send(ADMIN)


def test_a_branch_that_is_ahead_can_be_pushed_to(site: Site) -> None:
    """A server's clock was wrong once: nobody had to wait until its time had come."""
    now = site.now
    site.now += timedelta(hours=2)
    site.do(ADMIN, AddUser("dora"))
    ahead = site.now
    site.now = now
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=(ahead + timedelta(seconds=1)).isoformat())
    assert "in the future" in refused(push, ADMIN)[0]
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE), at=ahead.isoformat())
    assert push.send(ADMIN)


def test_history_is_a_line_on_what_stood_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    push = Push(site, "main")
    tree = push.git("rev-parse", "main^{tree}")
    other = site.git("rev-parse", "backends/tpp").strip()
    push.tree(tree, push.old, other)
    assert refused(push, ADMIN) == ["it: is a merge: rebase instead; a branch has a linear history"]
    push.tree(tree)
    assert refused(push, ADMIN) == [f"it: does not descend from {push.old[:10]}; the history of a branch is a line"]
    push.tip = push.git("hash-object", "-w", "--stdin", data="no commit")
    assert refused(push, ADMIN) == ["it: is not a valid commit"]
    push.tip = "1" * 40
    assert refused(push, ADMIN) == ["it: is not a commit of this push"]
    monkeypatch.setattr(judge, "MAX_COMMITS", 2)
    push = Push(site, "main")
    for at in range(2):
        push.commit(("README.md", str(at)))
    assert push.send(ADMIN)
    push.commit(("README.md", "2"))
    assert refused(push, ADMIN) == [
        f"refs/heads/main: has more than 2 new commits, or does not descend from {push.old[:10]}"
    ]


def test_a_runner_reports_jobs_and_nothing_else(site: Site) -> None:
    active, done = site.ask("generate"), site.ask("generate")
    site.report((done, job("d", "succeeded", 1)))
    here, there = folder_of(site, active), folder_of(site, done)
    request = site.git("show", f"backends/tpp:{here}/request.yaml")
    only = "a runner can change only jobs/*.yaml of active job requests"
    table: list[tuple[list[tuple[str, str | None]], list[str]]] = [
        (
            [(f"{here}/request.yaml", request.replace("cancelled_actions: []", "cancelled_actions: [generate]"))],
            [f"{here}/request.yaml: {only}"],
        ),
        ([(f"{there}/jobs/d.yaml", text(job("d", "failed", 2)))], [f"{there}/jobs/d.yaml: {only}"]),
        ([("README.md", "x")], [f"README.md: {only}"]),
        ([("users/eve.yaml", EVE)], ["users/eve.yaml: no document is allowed here on backends/tpp"]),
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
    site.do(ADMIN, DeactivateBackend("tpp"))
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
    push.land()
    site.repo.writer.tips.mark_good("backends/tpp", push.tip)  # judged by rules of another time
    push = Push(site, "backends/tpp")
    push.commit((f"{folder}/request.yaml", good))
    assert push.send(ADMIN)


def test_a_runner_may_not_change_a_pipeline_nor_have_one_read(site: Site) -> None:
    """They may be large, and reading one takes a second: only whoever may push one has it read."""
    path = f"{folder_of(site, site.ask('generate'))}/pipeline.yaml"
    push = Push(site, "backends/tpp")
    push.commit((path, "version: 1\nactions: [\n"))
    assert refused(push, TPP) == [f"{path}: a runner can change only jobs/*.yaml of active job requests"]
    assert refused(push, ADMIN)[0] == f"{path}:3: not YAML: it can't be read"
    push = Push(site, "backends/tpp")
    push.commit((path, "version: 1\nactions:\n  generate:\n    run: rm\n"))
    assert refused(push, ADMIN) == [f"{path}: a job request cannot be changed, only cancelled"]
