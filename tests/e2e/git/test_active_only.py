"""Fetches without the archive: what a backend's runner needs, whole, and nothing else of its branch."""

from pathlib import Path

import pytest

from jobserver.domain.base.layout import ACTIVE_ONLY
from jobserver.runner.transport import clone as runner_clone
from tests.e2e.git.by_hand import fetch_by_hand, line
from tests.e2e.git.clone import Clone, active, document, run
from tests.e2e.git.test_runner_trust import ids, report, transport
from tests.e2e.harness import Site, until
from tests.samples import only_whole

FILTER = f"--filter={ACTIVE_ONLY}"
KEPT = ("README.md", "active", "allowed_signers")


def archived(site: Site) -> str:
    """A request that is finished, so the server moved it to the archive."""
    identifier = site.ask("generate")
    finish(site, identifier, 1)
    wait_until_archived(site, identifier)
    return identifier


def wait_until_archived(site: Site, identifier: str) -> None:
    until(lambda: all(path.startswith("archive/") for path in site.files(identifier)))


def finish(site: Site, identifier: str, at: float) -> None:
    with site.client("tpp") as client:
        client.report(report(identifier, "succeeded", at)).raise_for_status()


def has(folder: Path) -> set[str]:
    listing = run(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").stdout
    return set(listing.split())


def needed(site: Site, commit: str) -> set[str]:
    """The commit, and everything that it names outside of the archive."""
    return {commit, site.git("rev-parse", f"{commit}^{{tree}}"), *listed(site, commit, *KEPT).values()}


def listed(site: Site, commit: str, *paths: str) -> dict[str, str]:
    """The ids of all files and folders below these paths."""
    rows = site.git("ls-tree", "-r", "-t", commit, *paths).splitlines()
    return {path: head.split()[2] for head, _, path in (row.partition("\t") for row in rows)}


def archive_of(site: Site, commits: "list[str]") -> set[str]:
    """What only folders of the archive name."""
    archive, others = set[str](), set[str]()
    for commit in commits:
        archive |= {sha for path, sha in listed(site, commit, "archive/").items() if path != "archive"}
        others |= needed(site, commit)
    return archive - others


def clone(site: Site, folder: Path, *options: str) -> Clone:
    return Clone(site, folder, "tpp", "backends/tpp", FILTER, "--no-checkout", *options)


def offline(made: Clone) -> None:
    """From now on, git can't fetch what is not here."""
    made.git("remote", "set-url", "origin", str(made.folder / "nowhere"))


@pytest.mark.parametrize("signed", [True, pytest.param(False, marks=only_whole)])
def test_a_runners_first_fetch_brings_no_object_of_the_archive(site: Site, tmp_path: Path, signed: bool) -> None:
    before, here = archived(site), site.ask("generate")
    runner = transport(site, tmp_path, signer=None if signed else "")
    listed = ids(runner.fetch(0))
    assert here in listed
    assert before not in listed
    commits = run(tmp_path / "state.git", "rev-list", "refs/jobserver/seen").stdout.split()
    assert has(tmp_path / "state.git") & archive_of(site, commits) == set()
    assert has(tmp_path / "state.git") >= needed(site, commits[0])
    whole = Clone(site, tmp_path / "whole", "tpp", "backends/tpp", "--depth=1")
    assert has(whole.folder) >= archive_of(site, commits[:1]) != set()


def test_a_runner_reports_and_goes_on_without_the_archive(site: Site, tmp_path: Path) -> None:
    """Its reports are archived, and come back when newer ones reopen the request."""
    archived(site)
    runner = transport(site, tmp_path)
    first, second = site.ask("generate"), site.ask("generate")
    assert {first, second} <= ids(runner.fetch(0))
    assert runner.report([report(first, "succeeded", 1)]) == []
    wait_until_archived(site, first)
    assert second in ids(runner.fetch(0))
    fresh = transport(site, tmp_path / "fresh")
    assert first not in ids(fresh.fetch(0))
    with site.client("tpp") as client:
        client.report(report(first, "running", 5)).raise_for_status()
    assert any(path.startswith("active/") for path in site.files(first))
    for one in (runner, fresh):
        assert first in ids(one.fetch(0))
        assert one.report([report(first, "running", 6)]) == []


def test_a_runner_that_fetched_the_archive_goes_on_without_it(site: Site, tmp_path: Path) -> None:
    """Its folder is of an older version."""
    before = archived(site)
    older = transport(site, tmp_path)
    older._clone._from = (f"{site.url}/state.git",)
    older.fetch(0)
    runner = transport(site, tmp_path)
    asked = site.ask("generate")
    later = archived(site)
    listed = ids(runner.fetch(0))
    assert (asked in listed, before in listed, later in listed) == (True, False, False)
    assert runner.report([report(asked)]) == []


@only_whole
def test_packs_of_a_runner_are_joined(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_clone, "_MAX_PACKS", 3)
    runner = transport(site, tmp_path)
    for _ in range(6):
        asked = site.ask("generate")
        assert asked in ids(runner.fetch(0))
    packs = list((tmp_path / "state.git" / "objects" / "pack").glob("*.pack"))
    assert len(packs) <= 4
    assert all(pack.with_suffix(".promisor").exists() for pack in packs)
    for commit in run(tmp_path / "state.git", "rev-list", "refs/jobserver/seen").stdout.split():
        assert has(tmp_path / "state.git") >= needed(site, commit)
    assert runner.report([report(asked)]) == []


def test_a_pack_without_its_index_is_left_alone(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a kill leaves it. Whatever else keeps packs from being joined is a line of the log: the fetch has worked."""
    monkeypatch.setattr(runner_clone, "_MAX_PACKS", 1)
    runner = transport(site, tmp_path)
    folder = tmp_path / "state.git" / "objects" / "pack"
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".pack", ".promisor"):
        (folder / f"pack-{'1' * 40}{suffix}").write_bytes(b"")
    for _ in range(3):
        asked = site.ask("generate")
        assert asked in ids(runner.fetch(0))
    assert len(list(folder.glob("*.idx"))) <= 2
    assert "not joined" not in caplog.text
    for suffix in (".pack", ".promisor", ".idx"):
        (folder / f"pack-{'2' * 40}{suffix}").write_bytes(b"")
    asked = site.ask("generate")
    assert asked in ids(runner.fetch(0))
    assert "not joined" in caplog.text


def test_no_file_of_a_runner_has_the_servers_credentials(site: Site, tmp_path: Path) -> None:
    secret = site.tokens["tpp"]
    runner = transport(site, tmp_path, site.url.replace("://", f"://x:{secret}@"))
    asked = site.ask("generate")
    assert asked in ids(runner.fetch(0))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_a_runner_starts_beside_a_lock_that_something_killed_left(site: Site, tmp_path: Path) -> None:
    asked = site.ask("generate")
    assert asked in ids(transport(site, tmp_path).fetch(0))
    (tmp_path / "state.git" / "config.lock").touch()
    asked = site.ask("generate")
    assert asked in ids(transport(site, tmp_path).fetch(0))


@pytest.mark.parametrize(
    "options", [*(pytest.param(each, marks=only_whole) for each in ((), ("--depth=3",))), ("--depth=1",)]
)
def test_every_commit_of_a_clone_is_whole_but_for_the_archive(
    site: Site, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Also where the archive of a commit that the client has names what it lacks: a file that comes back, and folders
    that had the same content before they were archived."""
    old = archived(site)
    for _ in range(3):
        archived(site)
    made = clone(site, tmp_path / "made", *options)
    with site.client("tpp") as client:
        client.report(report(old, "running", 9)).raise_for_status()
    made.git("fetch", "-q")
    finish(site, old, 10)
    made.git("fetch", "-q", *(["--deepen=4"] if options else []))
    if options == ("--depth=3",):
        made.git("fetch", "-q", "--unshallow")
    offline(made)
    commits = made.git("rev-list", "origin/backends/tpp").split()
    assert len(commits) > 3
    objects = has(made.folder)
    for commit in commits:
        assert objects >= needed(site, commit), made.git("log", "-1", commit)
    assert objects & archive_of(site, commits) == set()


def test_a_working_copy_without_the_archive_commits_pulls_and_pushes(site: Site, tmp_path: Path) -> None:
    archived(site)
    first, second = site.ask("generate"), site.ask("generate")
    made = clone(site, tmp_path / "made", "--depth=1")
    made.git("sparse-checkout", "set", "--cone", "--sparse-index", "active")
    made.git("checkout", "-q")
    assert {path.name for path in made.folder.iterdir()} == {".git", *KEPT}
    made.commit(**{f"{active(site, first)}/jobs/w{first}.yaml": document(f"w{first}")})
    assert made.git("status", "--porcelain") == ""
    archived(site)  # meanwhile, the server goes on
    assert made.push().returncode != 0
    made.git("reset", "-q", "HEAD~1")
    made.git("pull", "-q", "--ff-only")
    made.commit()
    done = made.push()
    assert done.returncode == 0, done.stderr
    made.commit(**{f"{active(site, first)}/jobs/w{first}.yaml": document(f"w{first}", "succeeded", 3)})
    assert made.push().returncode == 0
    wait_until_archived(site, first)
    made.git("pull", "-q")
    assert [path.name for path in made.folder.glob("active/*/*") if path.name in (first, second)] == [second]
    made.git("gc", "-q")
    offline(made)
    assert made.git("rev-parse", "HEAD") == site.git("rev-parse", "backends/tpp")
    assert has(made.folder) & archive_of(site, made.git("rev-list", "HEAD").split()) == set()


@pytest.mark.parametrize(
    "protocol", [*(pytest.param(protocol, marks=only_whole) for protocol in ("", "version=1")), "version=2"]
)
def test_with_the_filter_a_backend_is_given_nothing_of_others(site: Site, protocol: str) -> None:
    def ask(sha: str, wanted: str = ACTIVE_ONLY) -> bytes:
        said = line(f"want {sha} side-band-64k ofs-delta filter\n") + line(f"filter {wanted}") + b"0000"
        return fetch_by_hand(site, said + line("done\n"), **{"Git-Protocol": protocol}).content

    site.ask("generate")
    site.ask("generate", backend="emis")
    for what in ("backends/tpp", "backends/tpp~1"):
        assert b"PACK" in ask(site.git("rev-parse", what))
    parts = ("", "^{tree}", ":README.md", "^{tree}:active")
    names = [
        f"{branch}{part}" for branch in ("main", "backends/emis") for part in parts if branch + part != "main:active"
    ]
    for sha in [site.git("rev-parse", name) for name in names if run(site.repo, "rev-parse", name).returncode == 0]:
        assert ask(sha)[4:].decode() == f"ERR upload-pack: not our ref {sha}"
    for part in parts[1:]:  # nor folders and files of its own branch
        assert b"not our ref" in ask(site.git("rev-parse", f"backends/tpp{part}"))
    tip = site.git("rev-parse", "backends/tpp")
    for other in ("blob:none", "sparse:oid=main:README.md", "sparse:oid=backends/emis:README.md", "sparse:oid=none"):
        assert f"ERR upload-pack: a backend's only filter is {ACTIVE_ONLY}" in ask(tip, other).decode()


@pytest.mark.parametrize(
    "other", ["blob:none", *(pytest.param(name, marks=only_whole) for name in ("tree:0", "blob:limit=10"))]
)
def test_another_filter_leaves_nothing_out(site: Site, tmp_path: Path, other: str) -> None:
    """Working copies keep the filter of their clone, which older servers ignored."""
    archived(site)
    shallow = Clone(site, tmp_path / "shallow", "tpp", "backends/tpp", "--depth=1", f"--filter={other}")
    older = Clone(site, tmp_path / "older", "tpp", "backends/tpp")
    for key, value in (("promisor", "true"), ("partialclonefilter", other)):
        older.git("config", f"remote.origin.{key}", value)
    archived(site)
    for copy in (shallow, older):
        copy.git("pull", "-q", "--ff-only")
    shallow.git("fetch", "-q", "--deepen=1")
    shallow.git("fetch", "-q", "--unshallow")
    for copy in (shallow, older):
        offline(copy)
        assert copy.git("rev-parse", "origin/backends/tpp") == site.git("rev-parse", "backends/tpp")
        assert has(copy.folder) == set(site.git("rev-list", "--objects", "--no-object-names", "backends/tpp").split())


def test_a_clone_of_everything_with_another_filter_is_refused(site: Site, tmp_path: Path) -> None:
    """It looks like git's fetch of one missing object, which would bring the archive."""
    with pytest.raises(AssertionError, match=f"a backend's only filter is {ACTIVE_ONLY}, and not blob:none"):
        Clone(site, tmp_path / "made", "tpp", "backends/tpp", "--filter=blob:none")


def test_what_is_left_out_is_not_fetched_later(site: Site, tmp_path: Path) -> None:
    """git's client asks for nothing by its id, and says so."""
    archived(site)
    made = clone(site, tmp_path / "made", "--depth=1")
    done = run(made.folder, "ls-tree", "-r", "HEAD", "archive/")
    assert done.returncode != 0
    assert "unadvertised object" in done.stderr
    assert has(made.folder) & archive_of(site, [made.git("rev-parse", "HEAD")]) == set()
