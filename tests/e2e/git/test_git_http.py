"""The state repository through a real git client: who sees what, who may push what, and what a refusal leaves."""

import base64
import gzip
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobserver.domain.documents import Job
from jobserver.store import codec
from tests.e2e.harness import Site, job, until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.run("user", "add", "ann", "--role", "Auditor")
    made.tokens["ann"] = made.run("user", "token", "ann")
    made.start()
    yield made
    if made.server is not None:
        made.stop()
    made.check_record()


class Clone:
    """A working copy over HTTP, as somebody."""

    def __init__(self, site: Site, folder: Path, who: str, branch: str, *options: str) -> None:
        self.folder, self.branch = folder, branch
        self.site = site
        self.url = f"http://x:{site.tokens[who]}@127.0.0.1:{site.port}/state.git"
        done = run(folder.parent, "clone", "-q", "--branch", branch, *options, self.url, str(folder))
        assert done.returncode == 0, done.stderr

    def git(self, *arguments: str) -> str:
        done = run(self.folder, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str = "a change", **files: str | None) -> str:
        for path, text in files.items():
            self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def write(self, path: str, text: str | None) -> None:
        file = self.folder / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def push(self, *refspec: str) -> "subprocess.CompletedProcess[str]":
        return run(self.folder, "push", "origin", *(refspec or (f"HEAD:{self.branch}",)))


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_TERMINAL_PROMPT": "0", "HOME": str(folder), "LC_ALL": "C"},
    )


def document(identifier: str, status: str = "running", at: float = 1, **more: Any) -> str:
    values = {key: value for key, value in job("", identifier, status, at, **more).items() if key != "job_request_id"}
    return codec.write(Job.model_validate_json(__import__("json").dumps(values))).decode()


def active(site: Site, identifier: str) -> str:
    return next(path for path in site.files(identifier) if path.endswith("request.yaml")).removesuffix("/request.yaml")


@pytest.fixture
def tpp(site: Site, tmp_path: Path) -> Clone:
    return Clone(site, tmp_path / "tpp", "tpp", "backends/tpp", "--single-branch")


def test_who_sees_what(site: Site, tmp_path: Path) -> None:
    def refs(who: str) -> set[str]:
        url = f"http://x:{site.tokens[who]}@127.0.0.1:{site.port}/state.git"
        done = run(tmp_path, "ls-remote", url)
        assert done.returncode == 0, done.stderr
        return {line.split("\t")[1] for line in done.stdout.splitlines()}

    everything = {"HEAD", *(f"refs/heads/{name}" for name in ("main", "audit", "backends/tpp", "backends/emis"))}
    assert refs("tpp") == {"HEAD", "refs/heads/backends/tpp"}
    assert refs("root") == refs("ann") == everything
    for who, words in (("alice", "403"), ("bob", "403")):
        done = run(tmp_path, "ls-remote", f"http://x:{site.tokens[who]}@127.0.0.1:{site.port}/state.git")
        assert done.returncode != 0
        assert words in done.stderr
    answer = httpx.get(f"{site.url}/state.git/info/refs?service=git-upload-pack")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    done = run(tmp_path, "ls-remote", f"http://x:wrong@127.0.0.1:{site.port}/state.git")
    assert "Authentication failed" in done.stderr


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_a_backend_gets_nothing_of_others_by_name_nor_by_id(site: Site, tmp_path: Path, version: str) -> None:
    identifier = site.ask("generate", backend="emis")
    run(tmp_path, "init", "-q", ".")
    url = f"http://x:{site.tokens['tpp']}@127.0.0.1:{site.port}/state.git"
    path = next(path for path in site.files(identifier, "backends/emis") if path.endswith("request.yaml"))
    secrets = [
        site.git("rev-parse", "main"),
        site.git("rev-parse", "backends/emis"),
        site.git("rev-parse", "backends/emis^{tree}"),
        site.git("rev-parse", f"backends/emis:{path}"),
    ]
    for what in (*secrets, "refs/heads/main", "refs/heads/backends/emis", "refs/heads/audit"):
        done = run(tmp_path, "-c", f"protocol.version={version}", "fetch", "-q", url, what)
        assert done.returncode != 0, what
        kind = run(tmp_path, "cat-file", "-e", what)
        assert kind.returncode != 0


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_a_plain_clone_checks_out_what_its_token_may_read(site: Site, tmp_path: Path, version: str) -> None:
    """A backend's ended in "remote HEAD refers to nonexistent ref, unable to checkout": HEAD was said to be main, which
    a backend may not read."""
    for who, branch in (("tpp", "backends/tpp"), ("emis", "backends/emis"), ("root", "main"), ("ann", "main")):
        url = f"http://x:{site.tokens[who]}@127.0.0.1:{site.port}/state.git"
        done = run(tmp_path, "-c", f"protocol.version={version}", "clone", url, who)
        assert (done.returncode, done.stderr) == (0, f"Cloning into '{who}'...\n")
        assert run(tmp_path / who, "symbolic-ref", "HEAD").stdout == f"refs/heads/{branch}\n"
        assert (
            run(tmp_path / who, "rev-parse", "origin/HEAD", "HEAD").stdout.split()
            == [site.git("rev-parse", branch)] * 2
        )
        assert (tmp_path / who / "README.md").exists()
        listed = run(
            tmp_path / who, "-c", f"protocol.version={version}", "ls-remote", "--symref", "origin", "HEAD"
        ).stdout
        assert listed == f"ref: refs/heads/{branch}\tHEAD\n{site.git('rev-parse', branch)}\tHEAD\n"
        assert run(tmp_path / who, "-c", f"protocol.version={version}", "pull").returncode == 0


def fetch_by_hand(site: Site, body: bytes, **headers: str) -> httpx.Response:
    token = base64.b64encode(f"x:{site.tokens['tpp']}".encode()).decode()
    kind = {"Authorization": f"Basic {token}", "Content-Type": "application/x-git-upload-pack-request"}
    return httpx.post(f"{site.url}/state.git/git-upload-pack", content=body, headers=kind | headers, timeout=30)


@pytest.mark.parametrize("protocol", ["", "version=1", "version=2"])
def test_a_backend_that_wants_an_id_by_hand_is_given_nothing_of_others(site: Site, protocol: str) -> None:
    """A git client asks for no id that was not listed to it, so only a want that is spoken by hand shows what the
    server would give. It gave a backend all of main for main's tip (which the trailers `Main:` of its own branch name),
    since HEAD, which is main, was no part of what was hidden; and any tree or file of any branch for its id."""

    def ask(what: str) -> bytes:
        line = f"want {site.git('rev-parse', what)} side-band-64k ofs-delta\n".encode()
        body = b"%04x%s00000009done\n" % (len(line) + 4, line)
        plain = fetch_by_hand(site, body, **{"Git-Protocol": protocol}).content
        packed = fetch_by_hand(site, gzip.compress(body), **{"Content-Encoding": "gzip"}).content
        assert plain == packed or (b"PACK" in plain and b"PACK" in packed)
        return plain

    site.ask("generate")
    site.ask("generate", backend="emis")
    for what in ("backends/tpp", "backends/tpp~1"):  # who listed a tip a moment ago may still have it
        assert b"PACK" in ask(what)
    parts = ("", "^{tree}", ":README.md")
    for what in (*(f"{branch}{part}" for branch in ("main", "backends/emis") for part in parts), "main~1", "audit"):
        assert ask(what)[4:].decode() == f"ERR upload-pack: not our ref {site.git('rev-parse', what)}", what


def test_a_backend_that_asks_for_what_is_no_want_is_told_so(site: Site) -> None:
    """What a backend wants is read before git sees it: what can't be read is an answer of its own, never a 500."""
    for body, headers, status, words in (
        (b"garbage", {}, 400, "expected pkt-lines"),
        (b"garbage", {"Content-Encoding": "gzip"}, 400, "expected gzip"),
        (b"0" * (10 * 1024 * 1024 + 1), {}, 413, "at most 10485760 bytes"),
    ):
        answer = fetch_by_hand(site, body, **headers)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_shallow_single_and_sparse(site: Site, tmp_path: Path) -> None:
    identifier = site.ask("generate")
    for name, options in (("depth", ["--depth", "1"]), ("single", ["--single-branch"])):
        clone = Clone(site, tmp_path / name, "tpp", "backends/tpp", *options)
        assert (clone.folder / active(site, identifier) / "request.yaml").exists()
    clone = Clone(site, tmp_path / "sparse", "tpp", "backends/tpp", "--depth=1", "--single-branch", "--no-checkout")
    clone.git("sparse-checkout", "set", "--no-cone", "/active/")
    clone.git("checkout", "-q", "backends/tpp")
    assert {path.name for path in clone.folder.iterdir()} == {".git", "active"}
    partial = Clone(site, tmp_path / "partial", "ann", "main", "--filter=blob:none")
    assert (partial.folder / "users" / "alice.yaml").exists()
    refused = run(
        tmp_path, "clone", "-q", "--filter=blob:none", "--branch", "backends/tpp",
        f"http://x:{site.tokens['tpp']}@127.0.0.1:{site.port}/state.git", "filtered",
    )  # fmt: skip
    assert "filtering not recognized by server" in refused.stderr


def test_a_runner_pushes_a_status_and_it_counts(site: Site, tpp: Clone) -> None:
    identifier = site.ask("generate")
    tpp.git("pull", "-q")
    folder = active(site, identifier)
    new = tpp.commit(**{f"{folder}/jobs/g-{identifier}.yaml": document(f"g-{identifier}")})
    done = tpp.push()
    assert done.returncode == 0, done.stderr
    assert site.git("rev-parse", "backends/tpp") == new
    with site.client("alice") as alice:
        assert alice.get(f"/api/v2/job-requests/{identifier}/").json()["status"] == "running"
    receipt = site.git("log", "-1", "--format=%B", "audit")
    assert "backend/tpp pushed" in receipt
    assert f"New: {new}" in receipt
    tpp.commit(**{f"{folder}/jobs/g-{identifier}.yaml": document(f"g-{identifier}", "succeeded", 2)})
    assert tpp.push().returncode == 0
    until(lambda: all(path.startswith("archive/") for path in site.files(identifier)), 5)
    assert "jobserver archived" in site.git("log", "-1", "--format=%s", "backends/tpp")


def test_a_lost_race_is_fetch_first(site: Site, tpp: Clone) -> None:
    identifier = site.ask("generate")
    tpp.git("pull", "-q")
    other = site.ask("generate")
    tpp.commit(**{f"{active(site, identifier)}/jobs/r-{identifier}.yaml": document(f"r-{identifier}")})
    done = tpp.push()
    assert done.returncode != 0
    assert "fetch first" in done.stderr
    tpp.git("pull", "-q", "--rebase")
    assert tpp.push().returncode == 0
    assert site.files(other)


REFUSED = {
    "a request by a runner": (lambda folder: {f"{folder}/request.yaml": "version: 1\n"}, "request.yaml"),
    "a file that is no document": (lambda folder: {f"{folder}/jobs/x.txt": "x"}, "no document may stand here"),
    "a file elsewhere": (lambda folder: {"evil.yaml": "x: 1"}, "no document may stand here"),
    "an unknown key": (
        lambda folder: {f"{folder}/jobs/x1.yaml": document("x1") + "surprise: true\n"},
        "x1.yaml:11: surprise",
    ),
    "a wrong status": (
        lambda folder: {f"{folder}/jobs/x2.yaml": document("x2").replace("status: running", "status: done")},
        "x2.yaml:4: status",
    ),
    "a job under another name": (lambda folder: {f"{folder}/jobs/x4.yaml": document("x3")}, "identifier"),
    "the keys": (lambda folder: {"allowed_signers": "x"}, "allowed_signers"),
    "the explanation": (lambda folder: {"README.md": "x"}, "README.md"),
    "a huge file": (lambda folder: {f"{folder}/jobs/x5.yaml": "x" * 2_000_000}, "2000000 bytes"),
    "a job of no request": (
        lambda folder: {f"{folder.rsplit('/', 1)[0]}/aaaaaaaaaaaaaaaa/jobs/x6.yaml": document("x6")},
        "no request.yaml beside it",
    ),
    "not UTF-8": (lambda folder: {f"{folder}/jobs/x7.yaml": "\udcff"}, "x7.yaml"),
    "an alias": (lambda folder: {f"{folder}/jobs/x8.yaml": "a: &a [*a]\n"}, "x8.yaml:1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pushes_that_are_refused_leave_nothing(site: Site, tpp: Clone, name: str) -> None:
    make, words = REFUSED[name]
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    for path, text in make(folder).items():
        file = tpp.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    tpp.commit()
    before, objects, receipts = site.git("for-each-ref"), site.git("count-objects", "-v"), site.count("audit")
    done = tpp.push()
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
    assert re.search(r"jobserver: refused: [0-9a-f]{10} ", done.stderr), done.stderr
    assert site.git("for-each-ref") == before
    assert site.git("count-objects", "-v") == objects
    assert site.count("audit") == receipts
    assert not list((site.repo / "objects").glob("*incoming*"))


def test_every_commit_and_every_fault_is_named(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    first = tpp.commit(**{f"{folder}/jobs/bad.yaml": "nonsense: true\n", "other.yaml": "x"})
    second = tpp.commit(**{f"{folder}/jobs/bad.yaml": None, "other.yaml": None})
    assert tpp.git("diff", "HEAD~2", "--stat") == ""  # the end is as the beginning; the middle is judged
    done = tpp.push()
    assert done.returncode != 0
    assert f"{first[:10]} {folder}/jobs/bad.yaml" in done.stderr
    assert f"{first[:10]} other.yaml" in done.stderr
    assert second[:10] not in done.stderr.replace(f"-> {second[:10]}", "")


def test_modes_merges_tags_deletions_and_other_branches(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    start = tpp.git("rev-parse", "HEAD")

    def refused(words: str, *refspec: str) -> None:
        done = tpp.push(*refspec)
        assert done.returncode != 0, words
        assert words in done.stderr, done.stderr
        tpp.git("reset", "-q", "--hard", start)

    def place(mode: str, sha: str) -> None:
        tpp.git("update-index", "--add", "--cacheinfo", f"{mode},{sha},{folder}/jobs/mode.yaml")
        tpp.git("commit", "-qm", "x")

    (tpp.folder / "blob").write_text(document("mode"))
    blob = tpp.git("hash-object", "-w", "blob")
    (tpp.folder / "blob").unlink()
    for mode, words in (("120000", "a symbolic link"), ("100755", "an executable")):
        place(mode, blob)
        refused(words)
    place("160000", start)
    refused("a submodule")
    tpp.git("checkout", "-q", "-b", "side")
    tpp.commit(**{f"{folder}/jobs/m.yaml": document("m")})
    side = tpp.git("rev-parse", "HEAD")
    tpp.git("checkout", "-q", "backends/tpp")
    tpp.commit()
    tpp.git("merge", "-q", "--no-edit", side)
    refused("a merge")
    refused("may push to backends/tpp only", f"{start}:refs/tags/v1")
    refused("may push to backends/tpp only", f"{start}:refs/heads/other")
    refused("may push to backends/tpp only", f"{start}:refs/heads/main")
    refused("may push to backends/tpp only", f"{start}:refs/heads/backends/new")
    refused("", ":refs/heads/backends/tpp")
    tpp.git("reset", "-q", "--hard", "HEAD~1")
    tpp.commit()
    refused("", "--force", "HEAD:backends/tpp")
    tpp.git("checkout", "-q", "--orphan", "fresh")
    tpp.commit()
    refused("", "--force", "HEAD:backends/tpp")


def test_forged_trailers_and_times(site: Site, tpp: Clone) -> None:
    for message in ("x\n\nEvent: jobs.updated\nActor: user/root", f"x\n\nIdempotency-Key: {'0' * 32} {'0' * 32}"):
        tpp.commit(message)
        done = tpp.push()
        assert "is the server's to write" in done.stderr
        tpp.git("reset", "-q", "--hard", "HEAD~1")
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "later", "--allow-empty"],
        cwd=tpp.folder,
        env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": "2099-01-01T00:00:00Z", "HOME": "/"},
        check=True,
    )
    assert "in the future" in tpp.push().stderr


def test_auditors_do_not_push(site: Site, tmp_path: Path) -> None:
    clone = Clone(site, tmp_path / "ann", "ann", "main")
    clone.commit()
    done = clone.push()
    assert done.returncode != 0
    assert "403" in done.stderr


def test_a_local_push_is_judged_with_and_without_a_server(site: Site, tmp_path: Path) -> None:
    assert run(tmp_path, "clone", "-q", str(site.repo), "local").returncode == 0
    local = tmp_path / "local"

    def push(path: str, text: str) -> "subprocess.CompletedProcess[str]":
        (local / path).write_text(text)
        run(local, "add", "-A")
        run(local, "commit", "-qm", "x")
        done = run(local, "push", "-q", "origin", "HEAD:main")
        if done.returncode:
            run(local, "reset", "-q", "--hard", "HEAD~1")
        return done

    good = (local / "users" / "carol.yaml").read_text()
    for number in (1, 2):
        refused = push("users/carol.yaml", "nonsense\n")
        assert refused.returncode != 0
        assert "users/carol.yaml:1" in refused.stderr
        accepted = push("users/carol.yaml", good.replace('name: ""', f"name: Carol {number}"))
        assert accepted.returncode == 0, accepted.stderr
        assert f"Carol {number}" in site.git("show", "main:users/carol.yaml")
        assert "user/root pushed" in site.git("log", "-1", "--format=%s", "audit")
        if number == 1:
            site.stop()
    site.start()


def test_the_dumb_protocol_and_strange_urls(site: Site) -> None:
    token = base64.b64encode(f"x:{site.tokens['root']}".encode()).decode()
    with httpx.Client(base_url=site.url, headers={"Authorization": f"Basic {token}"}) as client:
        for path, status in (
            ("/state.git/HEAD", 404),
            ("/state.git/objects/info/packs", 404),
            ("/state.git/info/refs", 403),
            ("/state.git/info/refs?service=git-upload-archive", 403),
            ("/state.git/%2e%2e/state.key", 404),
            ("/state.git/config", 404),
        ):
            assert client.get(path).status_code == status, path
        for rest in ("git-upload-pack", "git-receive-pack"):
            kind = {"Content-Type": f"application/x-{rest}-request"}
            answer = client.post(f"/state.git/{rest}", content=b"garbage", headers=kind)
            assert answer.status_code < 500
        assert client.get("/health-check/").status_code == 200
