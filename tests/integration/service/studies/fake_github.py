"""A server on loopback that answers as GitHub's REST API does to the calls that studies make."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

RATE_LIMIT = "API rate limit exceeded for 127.0.0.1. (But here's the good news: more with authentication.)"


def sha1(kind: str, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


class FakeRepo:
    """Branches are names with commits; a commit is a dict of paths to bytes, or to a ready tree entry.

    ``commits`` has those of forks too, which GitHub serves as if they were the repository's. ``tags``: name -> (type,
    id); ``annotated``: the id of a tag object -> what it names."""

    def __init__(self) -> None:
        self.branches: dict[str, str] = {}
        self.commits: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.parents: dict[str, str | None] = {}
        self.tags: dict[str, tuple[str, str]] = {}
        self.annotated: dict[str, tuple[str, str]] = {}

    def commit(self, branch: str, files: dict[str, Any]) -> str:
        sha = self.fork(files, self.branches.get(branch), branch)
        self.branches[branch] = sha
        return sha

    def fork(self, files: dict[str, Any], parent: str | None = None, name: str = "fork") -> str:
        """A commit that is on no branch."""
        sha = sha1("commit", f"{name}{len(self.commits)}".encode())
        self.commits[sha], self.parents[sha] = files, parent
        return sha

    def annotate(self, tag: str, kind: str, sha: str) -> str:
        """Adds a tag with a message."""
        self.annotated[made := sha1("tag", tag.encode())] = (kind, sha)
        self.tags[tag] = ("tag", made)
        return made

    def history(self, sha: str | None) -> Iterator[str]:
        while sha is not None:
            yield sha
            sha = self.parents[sha]

    def comparison(self, old: str, new: str) -> str:
        if old == new:
            return "identical"
        if new in self.history(old):
            return "behind"
        return "ahead" if old in self.history(new) else "diverged"

    def commit_named(self, name: str) -> str | None:
        """As GitHub: a branch's name goes first, and a short id is enough if it is the only one."""
        starting = [sha for sha in self.commits if sha.startswith(name)]
        return self.branches.get(name) or (starting[0] if len(starting) == 1 else None)

    def tree(self, sha: str) -> list[dict[str, Any]]:
        entries = []
        for path, content in self.commits[sha].items():
            if isinstance(content, dict):
                entries.append({"path": path, **content})
                continue
            blob = sha1("blob", content)
            self.blobs[blob] = content
            size = len(content)
            entries.append({"path": path, "mode": "100644", "type": "blob", "sha": blob, "size": size})
        return entries


class FakeGitHub(ThreadingHTTPServer):
    """``trouble`` is None, or a (status, message) for every answer, or "hang", "drip" or "garbage".

    ``after`` lets that many requests through first.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, FakeRepo] = {}
        self.moved: dict[str, str] = {}
        self.org_id = 100
        self.trouble: tuple[int, str] | str | None = None
        self.after = 0
        self.seen: list[str] = []
        self.tokens: set[str | None] = set()
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away while it was kept waiting is what some tests are about."""


@contextmanager
def fake_github() -> Iterator[FakeGitHub]:
    server = FakeGitHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeGitHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        trouble = server.trouble if server.after <= 0 else None
        server.seen.append(self.path)
        server.tokens.add(self.headers.get("Authorization"))
        server.after -= 1
        if trouble == "hang":
            server.over.wait()
        elif trouble == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not server.over.wait(0.02):
                self.wfile.write(b" ")
        elif trouble == "garbage":
            self.reply(200, ["no", "such", "thing"])
        elif isinstance(trouble, tuple):
            self.reply(trouble[0], {"message": trouble[1]})
        else:
            self.route()

    def reply(self, status: int, body: Any, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def missing(self) -> None:
        self.reply(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})

    def route(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/orgs/"):
            self.organisation(parts.path, parse_qs(parts.query))
            return
        _, top, org, name, *rest = parts.path.split("/")
        full_name = f"{org}/{name}"
        if full_name in self.server.moved:
            target = "/".join(["/repos", self.server.moved[full_name], *rest])
            query = f"?{parts.query}" if parts.query else ""
            self.reply(301, {"message": "Moved Permanently"}, Location=f"{self.server.url}{target}{query}")
            return
        repo = self.server.repos.get(full_name)
        if top != "repos" or repo is None:
            self.missing()
        elif not rest:
            owner = {"login": org, "id": self.server.org_id}
            self.reply(200, {"full_name": full_name, "owner": owner, "url": f"{self.server.url}{parts.path}"})
        elif rest == ["branches"]:
            self.branches(repo, parts.path, parse_qs(parts.query))
        elif not repo.branches:
            self.reply(409, {"message": "Git Repository is empty."})
        elif rest[0] == "git":
            self.git(repo, rest[1:])
        elif rest[:1] == ["commits"]:
            self.commit(repo, rest[1:])
        elif rest[:1] == ["compare"]:
            old, _, new = rest[1].partition("...")
            self.compared(repo, old, new)
        else:
            self.missing()

    def compared(self, repo: FakeRepo, old: str, new: str) -> None:
        if not {old, new} <= repo.commits.keys():
            self.missing()
            return
        known = set(repo.history(old))
        between = [sha for sha in repo.history(new) if sha not in known][::-1]
        when, who = "2026-11-23T10:00:00Z", {"name": "Alice Ng", "email": "alice@example.org"}
        commits = [
            {"sha": sha, "commit": {"message": f"Message of {sha[:7]}\n\nMore.", "author": {**who, "date": when},
                                    "committer": {"name": "GitHub", "email": "", "date": when}}}
            for sha in between
        ]  # fmt: skip
        status = repo.comparison(old, new)
        self.reply(200, {"status": status, "total_commits": len(between), "commits": commits[:250], "files": []})

    def git(self, repo: FakeRepo, rest: list[str]) -> None:
        kind, name = rest[0], rest[1]
        if kind == "ref":
            self.ref(repo, name, unquote("/".join(rest[2:])))
        elif kind == "tags" and name in repo.annotated:
            target, sha = repo.annotated[name]
            self.reply(200, {"sha": name, "object": {"type": target, "sha": sha}})
        elif kind == "trees" and name in repo.commits:
            self.reply(200, {"sha": name, "tree": repo.tree(name), "truncated": False})
        elif kind == "commits" and name in repo.commits:
            self.reply(200, {"sha": name, "message": f"Message of {name[:7]}\n\nMore."})
        elif kind == "blobs" and name in repo.blobs:
            data = repo.blobs[name]
            content = base64.encodebytes(data).decode()
            self.reply(200, {"sha": name, "size": len(data), "content": content, "encoding": "base64"})
        else:
            self.missing()

    def ref(self, repo: FakeRepo, kind: str, name: str) -> None:
        known = {"heads": {branch: ("commit", sha) for branch, sha in repo.branches.items()}, "tags": repo.tags}[kind]
        if name in known:
            target, sha = known[name]
            self.reply(200, {"ref": f"refs/{kind}/{name}", "object": {"type": target, "sha": sha}})
        else:
            self.missing()

    def commit(self, repo: FakeRepo, rest: list[str]) -> None:
        sha = repo.commit_named(unquote(rest[0]))
        if sha is None:
            self.reply(422, {"message": f"No commit found for SHA: {rest[0]}"})
        elif rest[1:] == ["branches-where-head"]:
            heads = [name for name, tip in repo.branches.items() if tip == sha]
            self.reply(200, [{"name": name, "commit": {"sha": sha}, "protected": False} for name in heads])
        else:
            self.reply(200, {"sha": sha, "commit": {"message": f"Message of {sha[:7]}"}})

    def organisation(self, path: str, query: dict[str, list[str]]) -> None:
        """Its repositories, by pages; an organisation is there if it has one."""
        _, _, org, what = path.split("/")
        found = sorted(name for name in self.server.repos if name.lower().startswith(f"{org.lower()}/"))
        if what != "repos" or not found:
            self.missing()
            return
        self.pages(path, query, [{"full_name": name, "name": name.split("/")[1]} for name in found])

    def branches(self, repo: FakeRepo, path: str, query: dict[str, list[str]]) -> None:
        names = sorted(repo.branches)
        self.pages(path, query, [{"name": n, "commit": {"sha": repo.branches[n]}, "protected": False} for n in names])

    def pages(self, path: str, query: dict[str, list[str]], body: list[dict[str, Any]]) -> None:
        page, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["30"])[0])
        headers = {}
        if page * size < len(body):
            following = f"{self.server.url}{path}?per_page={size}&page={page + 1}"
            headers["Link"] = f'<{following}>; rel="next"'
        self.reply(200, body[(page - 1) * size : page * size], **headers)
