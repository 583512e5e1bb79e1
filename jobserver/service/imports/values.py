"""What a cell of an old row means, in the form that documents have: times, lists, roles, and text that fits."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from jobserver.domain.base.permissions import Role

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w[\w.-]*")
_LINE, _TEXT = 1000, 10_000  # characters that a document takes
_ROLES = {role.value: role for role in Role}


def time_of(cell: Any) -> datetime | None:
    """A time in UTC. SQLite has it as text without a zone. None if there is none, or none that can be read."""
    if isinstance(cell, str):
        try:
            cell = datetime.fromisoformat(cell)
        except ValueError:
            return None
    if not isinstance(cell, datetime):
        return None
    try:
        return cell.replace(tzinfo=UTC) if cell.tzinfo is None else cell.astimezone(UTC)
    except OverflowError:
        return None


def json_of(cell: Any) -> Any:
    """JSON, which SQLite has as text. None if it can't be read."""
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return None


def list_of(cell: Any) -> list[Any]:
    value = json_of(cell)
    return value if isinstance(value, list) else []


def text_of(cell: Any, limit: int = _TEXT) -> str:
    """Text that a document can hold, cut if it is too long."""
    text = "" if cell is None else str(cell).encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def line_of(cell: Any) -> str:
    """One line of text."""
    return _CONTROL.sub(" ", text_of(cell, _LINE)).strip()


def without_addresses(text: str) -> str:
    """Text without email addresses, which the record can't erase later."""
    return _ADDRESS.sub("(email address)", text)


def roles_of(cell: Any, allowed: Iterable[Role]) -> tuple[tuple[Role, ...], list[str]]:
    """(the roles among ``allowed``, the names of the others), from dotted paths of the old server's classes."""
    names = [str(path).rpartition(".")[2] for path in list_of(cell)]
    allowed = frozenset(allowed)
    roles = sorted({_ROLES[name] for name in names if _ROLES.get(name) in allowed})
    return tuple(roles), sorted({name for name in names if _ROLES.get(name) not in allowed})


def minutes_of(cell: Any) -> int:
    """Whole minutes, at least one. PostgreSQL has an interval, SQLite microseconds."""
    span = cell if isinstance(cell, timedelta) else timedelta(microseconds=cell if isinstance(cell, int) else 0)
    return min(max(int(span.total_seconds()) // 60, 1), 100_000)
