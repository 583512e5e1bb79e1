"""What the disk refuses, said plainly, and what a file is."""

import contextlib
import errno
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from jobserver.errors import Error, invalid, unavailable

_SQLITE = b"SQLite format 3\0"
_HEADER_BYTES = 100


def disk_error(error: OSError) -> Error:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = str(error.filename) if error.filename is not None else ""
    return unavailable("the disk is full" if full else f"the disk refused: {error.strerror}", where)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Raises an OSError from within as an `Error` (unavailable)."""
    try:
        yield
    except OSError as error:
        raise disk_error(error) from None


def reason(error: Exception) -> str:
    """Why, in a word or two that hold nothing of what was worked on, as the texts of libraries may: for users."""
    return str(getattr(error, "strerror", None) or getattr(error, "sqlite_errorname", None) or type(error).__name__)


def user_name(uid: int) -> str:
    """As the machine knows this user; its number, in a container say, where the machine does not."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def home(path: Path) -> Path:
    """With a `~` at its beginning replaced, which a shell leaves alone in `--root=~/x`. Raises `Error` (invalid)."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise invalid("is no home that this machine knows", str(path)) from None


def check_owner(path: Path) -> None:
    """Raises `Error` (invalid) where ``path`` is another user's: what is written there, they could not read."""
    owner, we = path.stat().st_uid, os.geteuid()
    if owner != we:
        whose, ours = user_name(owner), user_name(we)
        raise invalid(
            f"belongs to the user {whose}, who alone may write there, and this is {ours}: run it as {whose}", str(path)
        )


def application_of(path: Path) -> int | None:
    """The application id in the SQLite file at ``path``; None if that is not there, or was never written to.

    Raises `Error` (invalid) if it is no such file. Format: sqlite.org/fileformat.html, "The Database Header".
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise invalid(f"{path} can't be read: {error.strerror}") from None
    if not header.strip(b"\0"):
        return None
    if not header.startswith(_SQLITE):
        raise invalid(f"expected a database of SQLite, or a file that is not there yet, and {path} is another file")
    return int.from_bytes(header[68:72])
