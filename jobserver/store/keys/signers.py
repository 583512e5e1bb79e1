"""The keys that may sign for the server, and when. Format: ssh-keygen(1), "ALLOWED SIGNERS"."""

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jobserver.errors import Error, Fault, invalid
from jobserver.store.git.command import git
from jobserver.store.keys.signing import fingerprint, signers_time, verify
from jobserver.store.read.commits import Commit
from jobserver.store.repo import PRINCIPAL, SIGNERS

# Possessive quantifiers, which never backtrack: whoever wrote the branch chose the text.
_LINE = re.compile(
    r'(?P<principal>\S++)\s++(?P<options>(?:[a-z-]++(?:="[^"]*+")?+,?+)++\s++)?(?P<kind>ssh-\S++)\s++(?P<key>\S++)'
)
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?')
_TIME = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?Z?")


@dataclass(frozen=True, slots=True)
class Signer:
    """A key by its fingerprint, and the time in which it may sign; None is unlimited. ``public``: the key in base64."""

    fingerprint: str
    after: datetime | None = None
    before: datetime | None = None
    public: str = field(default="", compare=False)

    def was_valid(self, time: datetime) -> bool:
        return (self.after is None or time >= self.after) and (self.before is None or time <= self.before)

    @property
    def line(self) -> str:
        """The key's line in ``allowed_signers``, with its newline."""
        times = (("valid-after", self.after), ("valid-before", self.before))
        options = "".join(f',{name}="{signers_time(time)}"' for name, time in times if time is not None)
        return f'{PRINCIPAL} namespaces="git"{options} ssh-ed25519 {self.public}\n'


def text_at_commit(repository: Path, commit: str) -> str:
    """The text of ``allowed_signers`` at a commit. Raises `Error` (unavailable) if there is none."""
    return git(repository, "show", f"{commit}:{SIGNERS}")


def read(text: str, where: str = "allowed_signers") -> dict[str, Signer]:
    """The keys by fingerprint. Raises `Error` (invalid) with the lines that can't be read."""
    signers: dict[str, Signer] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            signer = _signer(line.strip())
        except Error as error:
            faults.append(Fault(error.message, where, number))
        else:
            signers[signer.fingerprint] = signer
    if faults:
        raise invalid(str(faults[0]), where, faults)
    if not signers:
        raise invalid("names no key", where)
    return signers


def _signer(line: str) -> Signer:
    matched = _LINE.match(line)
    if matched is None:
        raise invalid("expected: name options ssh-ed25519 key")
    options = dict(_OPTION.findall(matched["options"] or ""))
    try:
        public = base64.b64decode(matched["key"], validate=True)
    except binascii.Error:
        raise invalid("the key is not base64") from None
    if "git" not in options.get("namespaces", "git").split(","):
        raise invalid("the key is not for git")
    after, before = _time(options.get("valid-after")), _time(options.get("valid-before"))
    return Signer(fingerprint(public), after, before, matched["key"])


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    matched = _TIME.fullmatch(text)
    with suppress(ValueError):  # not all digits are dates
        if matched is not None:
            digits = matched[1] + (matched[2] or "").ljust(6, "0")
            return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    raise invalid(f"expected a time such as 20261124093000Z, found {text!r}")


def signed_by(commit: Commit, signers: Mapping[str, Signer]) -> str:
    """The server's key that signed the commit and was valid then. Raises `Error` (invalid) if there is none."""
    made_by = verify(commit.signature, commit.signed)
    signer = signers.get(made_by)
    if signer is None:
        raise invalid(f"is signed by {made_by}, which is not a key of the server")
    if not signer.was_valid(commit.committed_at):
        raise invalid(f"is signed by {made_by}, which was not valid at {commit.committed_at:%Y-%m-%d %H:%M:%S} UTC")
    return made_by


def signature_fault(commit: Commit, signers: Mapping[str, Signer]) -> str:
    """Why the commit does not count as a server's; empty if it does."""
    try:
        signed_by(commit, signers)
    except Error as error:
        return str(error)
    return ""
