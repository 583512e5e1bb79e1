"""What the runner's git transport refuses to believe, and how it works with no network at all."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.runner.transport.git import GitTransport
from jobserver.store.keys.signing import SigningKey
from tests.e2e import zygote
from tests.e2e.harness import Site, bare, git
from tests.e2e.harness import job as payload
from tests.e2e.pages.browser import Browser
from tests.samples import only_whole

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def transport(site: Site, root: Path, url: str | None = None, signer: str | None = None) -> GitTransport:
    made = site.signer() if signer is None else signer
    return GitTransport(url or site.url, site.tokens["tpp"], "tpp", root, lambda: datetime.now(UTC), made, 0.05)


def ids(items: "list[dict[str, str]] | None") -> set[str]:
    return {item["identifier"] for item in items or ()}


def report(identifier: str, status: str = "running", at: float = 0, name: str = "") -> dict[str, object]:
    return payload(identifier, name or f"j-{identifier}", status, at)


def test_reports_land_also_where_the_server_committed_in_between(site: Site, tmp_path: Path) -> None:
    runner = transport(site, tmp_path)
    first = site.ask("generate")
    assert first in ids(runner.fetch(0))
    real = runner._push
    raced: list[str] = []

    def push(tip: str, new: str) -> bool:
        if not raced:
            raced.append(site.ask("generate"))  # the server commits after we built on the old tip
        return real(tip, new)

    runner._push = push  # type: ignore[method-assign]
    assert runner.report([report(first)]) == []
    assert any(path.endswith(f"j-{first}.yaml") for path in site.files(first))
    assert site.files(raced[0])
    assert site.git("log", "-1", "--format=%an <%ae>", "backends/tpp") == "tpp <tpp@backends.127.0.0.1>"
    count = site.count()
    assert runner.report([report(first)]) == []  # again: nothing to say
    assert site.count() == count
    assert runner.report([report("aaaaaaaaaaaaaaaa")]) == ["aaaaaaaaaaaaaaaa"]


def test_a_refusal_names_its_reason(site: Site, tmp_path: Path) -> None:
    runner = transport(site, tmp_path)
    first, other = site.ask("generate"), site.ask("generate")
    runner.report([report(first, name="taken")])
    with pytest.raises(Error, match=f"job taken belongs to job request {first}") as caught:
        runner.report([report(other, name="taken")])
    assert caught.value.code is Code.INVALID
    assert runner.report([report(other)]) == []


def test_a_token_that_is_refused_is_told_in_plain_words(site: Site, tmp_path: Path) -> None:
    """By the server, and by the runner, which names the setting that it is in (`runner/fetch.py`)."""
    for token, reason in (
        ("wrong", "the server does not know this token"),
        (site.tokens["alice"], "this token cannot read or write this branch"),
        (site.tokens["emis"], "couldn't find remote ref refs/heads/backends/tpp"),
    ):
        runner = GitTransport(site.url, token, "tpp", tmp_path / token, lambda: NOW)
        with pytest.raises(Error, match=reason) as caught:
            runner.fetch(0)
        assert caught.value.code is (Code.UNAVAILABLE if token == site.tokens["emis"] else Code.UNAUTHENTICATED)
        assert token not in str(caught.value)


def test_a_request_that_the_server_did_not_sign_is_left_alone(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = tmp_path / "mirror.git"
    good = site.ask("generate")
    subprocess.run(["git", "clone", "-q", "--mirror", site.repo, mirror], check=True)
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", "-b", "backends/tpp", mirror, work], check=True)
    there = next(path for path in site.files(good) if path.endswith("request.yaml"))
    forged = there.replace(good, "a" * 16)
    (work / forged).parent.mkdir(parents=True)
    (work / forged).write_text((work / there).read_text().replace(good, "a" * 16))
    git(work, "add", ".")
    # Not even with a message that says all that the server would say.
    git(work, "commit", "-qm", f"alice requested\n\nEvent: job-request.created\nBranch: backends/tpp\nActor: {good}")
    git(work, "push", "-q", "origin", "HEAD")
    runner = transport(site, tmp_path / "runner", str(mirror))
    assert good in ids(runner.fetch(0))
    assert "a" * 16 not in ids(runner._listed)
    assert ": commit" in caplog.text
    other = transport(site, tmp_path / "other", str(mirror), "SHA256:" + "A" * 43)
    assert ids(other.fetch(0)) == set()
    trusting = transport(site, tmp_path / "trusting", str(mirror), "")
    assert "a" * 16 in ids(trusting.fetch(0))


def test_a_rewritten_branch_is_refused_for_good(site: Site, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.git"
    site.ask("generate")
    subprocess.run(["git", "clone", "-q", "--mirror", site.repo, mirror], check=True)
    runner = transport(site, tmp_path / "runner", str(mirror))
    runner.fetch(0)
    git(mirror, "update-ref", "refs/heads/backends/tpp", "backends/tpp~1")
    for _ in range(2):
        with pytest.raises(Error, match="was rewritten") as caught:
            runner.fetch(0)
        assert caught.value.code is Code.CONFLICT
    again = transport(site, tmp_path / "runner", str(mirror))  # also after a restart
    with pytest.raises(Error, match="was rewritten"):
        again.fetch(0)


def outside(site: Site, folder: Path) -> tuple[Path, Path]:
    """A copy of the repository that no server guards, and a clone of the backend's branch of it."""
    mirror, work = folder / "mirror.git", folder / "work"
    subprocess.run(["git", "clone", "-q", "--mirror", site.repo, mirror], check=True)
    subprocess.run(["git", "clone", "-q", "-b", "backends/tpp", mirror, work], check=True)
    return mirror, work


def refresh(site: Site, mirror: Path) -> None:
    git(mirror, "fetch", "-q", str(site.repo), "+refs/heads/*:refs/heads/*")


def items(runner: GitTransport) -> dict[str, list[str]]:
    return {item["identifier"]: item["cancelled_actions"] for item in runner.fetch(0) or ()}


def cancelled(site: Site, folder: Path, begins: str) -> tuple[str, Path, Path, GitTransport]:
    """(a cancelled request, a mirror of the repository, a working copy of that, a runner that reads it).

    The runner has seen the request before it was cancelled, unless it ``begins`` now.
    """
    identifier = site.ask("generate")
    mirror, work = outside(site, folder)
    runner = transport(site, folder / "runner", str(mirror))
    if begins != "now":
        assert items(runner)[identifier] == []
    site.run("cancel", identifier)
    refresh(site, mirror)
    git(work, "fetch", "-q")
    return identifier, mirror, work, runner


@pytest.mark.parametrize("begins", ["before", *(pytest.param(name, marks=only_whole) for name in ("now", "again"))])
def test_a_merge_brings_no_cancelled_request_back(site: Site, tmp_path: Path, begins: str) -> None:
    """Found: `git log -1 -- path` followed the other parent of a merge, to the commit that had created it."""
    _, mirror, work, runner = cancelled(site, tmp_path, begins)
    git(work, "checkout", "-q", "origin/backends/tpp~1")
    tree = git(work, "rev-parse", "HEAD^{tree}")
    git(work, "push", "-q", "origin", "origin/backends/tpp:refs/heads/backends/tpp")
    parents = ("-p", "origin/backends/tpp", "-p", "origin/backends/tpp~1")
    merge = git(work, "commit-tree", tree, *parents, "-m", "as it was")
    git(work, "push", "-q", "origin", f"{merge}:refs/heads/backends/tpp")
    if begins == "again":
        runner = transport(site, tmp_path / "runner", str(mirror))
    for _ in range(2):
        with pytest.raises(Error, match=f"has a merge, {merge}") as caught:
            runner.fetch(0)
        assert caught.value.code is Code.CONFLICT
        assert list(runner.refused) == ["backends/tpp"]


@pytest.mark.parametrize("begins", [*(pytest.param(name, marks=only_whole) for name in ("before", "now")), "again"])
def test_a_commit_that_nobody_signed_brings_no_cancelled_request_back(site: Site, tmp_path: Path, begins: str) -> None:
    """Found: a request.yaml that was once vouched for was so for ever."""
    identifier, mirror, work, runner = cancelled(site, tmp_path, begins)
    git(work, "checkout", "-q", "-B", "back", "origin/backends/tpp")
    git(work, "checkout", "-q", "origin/backends/tpp~1", "--", ".")
    git(work, "commit", "-qm", "as it was")
    git(work, "push", "-q", "origin", "back:backends/tpp")
    if begins == "again":
        runner = transport(site, tmp_path / "runner", str(mirror))
    assert identifier not in items(runner)
    assert "is not signed" in runner.refused[identifier]
    other = site.ask("generate")  # the server goes on elsewhere; what was vouched for is where it stood
    refresh(site, mirror)
    assert items(runner) == {**items(transport(site, tmp_path / "fresh", str(mirror)))}
    assert other in ids(runner._listed)
    assert identifier not in runner.refused


@pytest.mark.parametrize(
    ("how", "begins"),
    [
        ("rotate", "before"),
        pytest.param("rotate", "now", marks=only_whole),
        pytest.param("revoke", "before", marks=only_whole),
        ("revoke", "now"),
    ],
)
def test_a_runner_follows_the_key_that_it_knows_to_the_next(site: Site, tmp_path: Path, begins: str, how: str) -> None:
    """Found: after a rotation a runner with the old key left requests alone for ever."""
    old = site.signer()
    runner = transport(site, tmp_path / "runner", signer=old)
    if begins == "before":
        runner.fetch(0)
    before = site.ask("generate")
    site.run("key", how, *([old] if how == "revoke" else []))
    between = site.ask("generate")
    site.run("key", "rotate")
    after = site.ask("generate")
    assert {before, between, after} <= ids(runner.fetch(0))
    assert runner.refused == {}
    again = transport(site, tmp_path / "runner", signer=old)
    last = site.ask("generate")
    assert {before, between, after, last} <= ids(again.fetch(0))
    newest = transport(site, tmp_path / "newest")  # which tells of those before it
    assert {before, between, after, last} <= ids(newest.fetch(0))


def test_a_key_of_a_branch_that_nobody_signed_is_none(site: Site, tmp_path: Path) -> None:
    mirror, work = outside(site, tmp_path)
    thief = SigningKey.create(tmp_path / "thief", "jobserver")
    with (work / "allowed_signers").open("a") as file:
        file.write(thief.allowed_signer)
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={tmp_path / 'thief'}")
    says = "x\n\nEvent: keys.rotated\nActor: server/jobserver\nBranch: backends/tpp"
    git(work, *signing, "commit", "-qam", says, "-S")
    known = git(work, "log", "HEAD", "--diff-filter=A", "--name-only", "--format=", "--", "*request.yaml").split()[0]
    added = git(work, "log", "-1", "--diff-filter=A", "--format=%H", "--", known)
    text = git(work, "show", f"{added}:{known}").replace(Path(known).parent.name, "a" * 16)
    place = work / known.replace("archive/", "active/").replace(Path(known).parent.name, "a" * 16)
    place.parent.mkdir(parents=True)
    place.write_text(text + "\n")
    git(work, "add", ".")
    git(work, *signing, "commit", "-qm", says.replace("keys.rotated", "job-request.created"), "-S")
    git(work, "push", "-q", "origin", "HEAD:backends/tpp")
    runner = transport(site, tmp_path / "runner", str(mirror))
    runner.fetch(0)
    assert f"is signed by {thief.fingerprint}, which is not a key of the server" in runner.refused["a" * 16]


def test_requests_that_a_runner_ignores_are_shown_to_their_people(site: Site, tmp_path: Path) -> None:
    """Found: only its own log said so, and it ended with 0."""
    identifier = site.ask("generate")
    stranger = "SHA256:" + "A" * 43
    command = ["runner", "--backend", "tpp", "--url", site.url, "--once"]
    command += ["--transport", "git", "--root", str(tmp_path / "runner"), "--signer", stranger]
    done = zygote.command(command, bare(JOB_SERVER_TOKEN=site.tokens["tpp"]), tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not run: no key that --signer leads to" in done.stderr
    with Browser(site, "alice") as alice:
        assert "refuses this request" in alice.get(f"/job-requests/{identifier}/").text
        assert "does not trust their signatures" in alice.get("/status/").text
        transport(site, tmp_path / "other").fetch(0)
        assert "refuses this request" not in alice.get(f"/job-requests/{identifier}/").text


def test_a_wrong_token_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    wrong = GitTransport(site.url, "wrong", "tpp", tmp_path, lambda: NOW, "SHA256:x", 0.1)
    with pytest.raises(Error) as caught:
        wrong.fetch(0)
    assert caught.value.code is Code.UNAUTHENTICATED
    others = GitTransport(site.url, site.tokens["emis"], "tpp", tmp_path / "o", lambda: NOW, "SHA256:x", 0.1)
    with pytest.raises(Error):
        others.fetch(0)


def test_a_backend_without_a_network_is_fed_by_bundles(site: Site, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside.git"
    branch = "backends/tpp"
    url = site.url.replace("http://", f"http://x:{site.tokens['tpp']}@") + "/state.git"
    identifier = site.ask("generate")
    # Outside, in: everything there is, on the first day.
    git(tmp_path, "clone", "-q", "--single-branch", "--branch", branch, url, str(outside))
    git(outside, "bundle", "create", "-q", str(tmp_path / "in.bundle"), branch)
    git(tmp_path, "init", "-q", "--bare", str(inside))
    git(inside, "fetch", "-q", str(tmp_path / "in.bundle"), f"+{branch}:{branch}")
    base = git(inside, "rev-parse", branch)
    runner = transport(site, tmp_path / "runner", str(inside))
    assert identifier in ids(runner.fetch(0))
    assert runner.report([report(identifier, "succeeded", 1)]) == []
    # Inside, out: what the runner said since.
    git(inside, "bundle", "create", "-q", str(tmp_path / "out.bundle"), f"{base}..{branch}", branch)
    second = site.ask("generate")  # meanwhile, the server went on
    git(outside, "fetch", "-q", str(tmp_path / "out.bundle"), f"{branch}:refs/heads/reported")
    git(outside, "fetch", "-q", "origin")
    git(outside, "rebase", "-q", f"origin/{branch}", "reported")
    git(outside, "push", "-q", "origin", f"reported:{branch}")
    assert any(path.endswith(f"j-{identifier}.yaml") for path in site.files(identifier))
    # And in again: what the runner reported has other ids now, and it goes on.
    git(outside, "fetch", "-q", "origin")
    git(outside, "bundle", "create", "-q", str(tmp_path / "in2.bundle"), f"{base}..origin/{branch}", f"origin/{branch}")
    git(inside, "fetch", "-q", str(tmp_path / "in2.bundle"), f"+refs/remotes/origin/{branch}:{branch}")
    assert second in ids(runner.fetch(0))
