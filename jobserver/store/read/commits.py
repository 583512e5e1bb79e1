"""Parses commits, and finds the claims in a pushed commit that only the server may make."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from jobserver.domain.base import names
from jobserver.errors import invalid

_PERSON = re.compile(rb"([^<\n]*) <([^>\n]*)> (\d+) ([+-]\d{4})")
# People and programs find out who did what by these trailers, so only the server may write them.
_RESERVED = frozenset(
    {"event", "actor", "branch", "policy", "request-id", "idempotency-key", "via", "main", "number", "server"}
    | {"retired", "job-request", "workspace", "project", "pusher", "ref", "release", "backend-user", "sha256"}
)
_SHA = re.compile(names.SHA.encode())
_TRAILER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*): (.*)$")
_READ_BY_GIT = re.compile(r"^([A-Za-z0-9-]+)[ \t]*:", re.MULTILINE)  # in a paragraph that git takes for trailers


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit's fields. ``tree`` in 20 bytes; ``parents`` and ``sha`` in hex; ``author``: the email address; ``time``:
    the committer's.

    ``signature``: armoured, of the bytes ``signed``; empty if there is none. ``encoding``: of the message, as the
    commit says; all of them if there are several, because readers choose different ones.
    """

    sha: str
    tree: bytes
    parents: tuple[str, ...]
    author: str
    time: int
    message: str
    signature: bytes = b""
    signed: bytes = b""
    encoding: str = ""

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def committed_at(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    @property
    def is_servers(self) -> bool:
        """Whether the commit claims to be the server's; no accepted push does. `signers` tells who signed it."""
        return bool(self.signature and self.trailer("Event"))

    def trailers(self) -> list[tuple[str, str]]:
        """The trailers in the last paragraph, as the server writes them; git accepts more forms."""
        lines = self.message.rstrip("\n").rpartition("\n\n")[2].split("\n")
        matches = [_TRAILER.match(line) for line in lines]
        return [(match[1], match[2]) for match in matches if match] if all(matches) else []

    def trailer(self, key: str) -> str:
        """The value of the first trailer with this key; empty if there is none."""
        return next((value for name, value in self.trailers() if name == key), "")


def parse_commit(sha: str, raw: bytes) -> Commit:
    """Raises `Error` (invalid) for bytes that are not a commit as git writes them."""
    head, _, message = raw.partition(b"\n\n")
    tree, author, committer, signature, encoding = b"", b"", b"", b"", b""
    parents: list[bytes] = []
    unsigned: list[bytes] = []
    lines = iter(head.split(b"\n"))
    key = b""
    for line in lines:
        if line.startswith(b" "):
            if key == b"gpgsig":
                signature += b"\n" + line[1:]
            else:
                unsigned.append(line)
            continue
        key, _, value = line.partition(b" ")
        if key == b"gpgsig":
            signature = value
            continue
        unsigned.append(line)
        if key == b"tree":
            tree = value
        elif key == b"parent":
            parents.append(value)
        elif key == b"author":
            author = value
        elif key == b"committer":
            committer = value
        elif key == b"encoding":
            encoding += b", " + value if encoding else value
    author_line, committer_line = _PERSON.fullmatch(author), _PERSON.fullmatch(committer)
    if (
        not all(map(_SHA.fullmatch, [tree, *parents]))
        or not author_line
        or not committer_line
        or len(committer_line[3]) > 11
    ):
        raise invalid("is not a valid commit", sha)
    email = author_line[2].decode("utf-8", "replace")
    signed = b"\n".join(unsigned) + b"\n\n" + message
    text = message.decode("utf-8", "replace")
    before = tuple(parent.decode() for parent in parents)
    written_in = encoding.decode("utf-8", "replace")
    return Commit(
        sha, bytes.fromhex(tree.decode()), before, email, int(committer_line[3]), text, signature, signed, written_in
    )


def reserved_trailers(commit: Commit) -> list[str]:
    """The trailers in the message that only the server may write, as the message spells them.

    Anywhere in the message and in any spelling that git accepts, because readers disagree about where the last
    paragraph begins.
    """
    return list(dict.fromkeys(key for key in _READ_BY_GIT.findall(commit.message) if key.lower() in _RESERVED))


def forged_claims(commit: Commit, before: int) -> list[str]:
    """What is wrong with the claims of a commit that the server did not make. ``before``: the time of its parent."""
    problems = [f"only the server may write the trailer {key}:" for key in reserved_trailers(commit)]
    if commit.encoding.lower() not in ("", "utf-8", "utf8"):
        problems.append(f"the message is in {commit.encoding}: expected UTF-8")
    if "\0" in commit.message:
        problems.append("the message has a NUL character, and git hides the text after it")
    if commit.time < before:
        times = (f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}" for time in (commit.time, before))
        problems.append("is dated {} UTC, and the commit before it {}: set the clock".format(*times))
    return problems
