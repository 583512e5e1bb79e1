"""Reading the state repository through a real git client, and by hand: who sees what, and nothing of others."""

import base64
import gzip
from pathlib import Path

import httpx
import pytest

from tests.e2e.git.by_hand import fetch_by_hand
from tests.e2e.git.clone import Clone, active, run
from tests.e2e.harness import Site
from tests.samples import only_whole


def test_a_backend_sees_its_own_branch_and_auditors_see_all(site: Site, tmp_path: Path) -> None:
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
    answer = site.get("/state.git/info/refs?service=git-upload-pack")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    done = run(tmp_path, "ls-remote", f"http://x:wrong@127.0.0.1:{site.port}/state.git")
    assert "Authentication failed" in done.stderr


@pytest.mark.parametrize("version", [*(pytest.param(version, marks=only_whole) for version in "01"), "2"])
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


@pytest.mark.parametrize("version", [*(pytest.param(version, marks=only_whole) for version in "01"), "2"])
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


@pytest.mark.parametrize(
    "protocol", [*(pytest.param(protocol, marks=only_whole) for protocol in ("", "version=1")), "version=2"]
)
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
        (b"0" * (10 * 1024 * 1024 + 1), {}, 413, "the limit is 10485760 bytes"),
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
    assert "a backend's only filter is sparse:oid=active, and not blob:none" in refused.stderr


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
