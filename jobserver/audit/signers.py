"""Which keys may sign for the server, and when. Format: ssh-keygen(1), "ALLOWED SIGNERS"."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobserver.domain import names
from jobserver.errors import Error, Fault, invalid
from jobserver.store.git import git
from jobserver.store.incoming import Commit
from jobserver.store.piped import branches_of_state
from jobserver.store.repo import SIGNERS
from jobserver.store.signing import fingerprint, verify

# Each part takes all that it can, for good: the text is whoever's who wrote the branch.
_LINE = re.compile(
    r'(?P<who>\S++)\s++(?P<options>(?:[a-z-]++(?:="[^"]*+")?+,?+)++\s++)?(?P<kind>ssh-\S++)\s++(?P<key>\S++)'
)
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?')
_TIME = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?Z?")


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, by its fingerprint, and the time that it may sign in; None is without end."""

    fingerprint: str
    after: datetime | None = None
    before: datetime | None = None

    def was_valid(self, at: datetime) -> bool:
        return (self.after is None or at >= self.after) and (self.before is None or at <= self.before)


def of(repository: Path) -> dict[str, Signer]:
    """Those of a state repository's main, or a clone's. Raises `Error`."""
    main = branches_of_state(repository)[names.MAIN]
    try:
        return read(at(repository, main))
    except Error as error:
        raise invalid(f"is no state repository, or its keys can't be read: {error}", str(repository)) from None


def at(repository: Path, commit: str) -> str:
    """The text of ``allowed_signers``. Raises `Error` (unavailable) where there is none."""
    return git(repository, "show", f"{commit}:{SIGNERS}")


def read(text: str, where: str = "allowed_signers") -> dict[str, Signer]:
    """By fingerprint. Raises `Error` (invalid) with the line of what can't be read."""
    found: dict[str, Signer] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            signer = _signer(line.strip())
        except ValueError as error:
            faults.append(Fault(str(error), where, number))
        else:
            found[signer.fingerprint] = signer
    if faults:
        raise invalid(str(faults[0]), where, faults)
    if not found:
        raise invalid("names no key", where)
    return found


def _signer(line: str) -> Signer:
    matched = _LINE.match(line)
    if matched is None:
        raise ValueError("expected: name options ssh-ed25519 key")
    options = dict(_OPTION.findall(matched["options"] or ""))
    try:
        public = base64.b64decode(matched["key"], validate=True)
    except binascii.Error:
        raise ValueError("the key is no base64") from None
    if "git" not in options.get("namespaces", "git").split(","):
        raise ValueError("the key is not for git")
    return Signer(fingerprint(public), _time(options.get("valid-after")), _time(options.get("valid-before")))


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    matched = _TIME.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is no time such as 20261124093000Z")
    return datetime.strptime(matched[1] + (matched[2] or "").ljust(6, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def signed_by(commit: Commit, signers: Mapping[str, Signer]) -> str:
    """The key that signed it, as a server's that was valid then. Raises `Error` (invalid) that says why it is none."""
    made_by = verify(commit.signature, commit.signed)
    signer = signers.get(made_by)
    if signer is None:
        raise invalid(f"is signed by {made_by}, which is no key of the server")
    if not signer.was_valid(commit.at):
        raise invalid(f"is signed by {made_by}, which was not valid at {commit.at:%Y-%m-%d %H:%M:%S} UTC")
    return made_by
