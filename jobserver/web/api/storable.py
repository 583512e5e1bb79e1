"""A runner's values made such that JSON, YAML, git, SQLite and HTML can hold them, and what was done to them in words.

What one job says must not cost the others their report: what can't be kept as it is, is cut, replaced or dropped. Only
what has the wrong shape is refused. Pure.
"""

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson

from jobserver.domain.documents import MAX_BYTES, Job, cut_text
from jobserver.domain.values import MAX_DEPTH, MAX_KEY
from jobserver.errors import invalid
from jobserver.store import codec

MAX_LINE = 1000  # characters of an action's name, and of a status code
MAX_MAP = 16 * 1024  # bytes of JSON of metrics, or of a trace context
_SMALL = 2 * 1024  # bytes of JSON: as YAML, with all of a job's texts, a document holds that whatever it is
_MAPS = ("metrics", "trace_context")
_REPLACED = "\ufffd"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROLS_AND_ENDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CUT = "cut_by_the_server"
Done = dict[str, str]
"""Field -> what was done to it."""


def read(body: bytes) -> tuple[Any, str]:
    """(JSON data, what was done to it). Raises `Error` (invalid).

    Also reads what writers of JSON let through: ``NaN`` and numbers without end, which are null, control characters,
    lone surrogates, and bytes that are no UTF-8.
    """
    try:
        return orjson.loads(body), ""
    except orjson.JSONDecodeError as error:
        try:
            found = json.loads(
                body.decode(errors="replace"),
                strict=False,
                parse_constant=lambda _: None,
                parse_float=_float,
                parse_int=_int,
            )
            data = orjson.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError):
            raise invalid(f"the body is not JSON: {error}") from None
        return data, f"what is no JSON replaced ({error})"


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 else digits[:MAX_KEY]


def text(value: str, most: int | None = None) -> tuple[str, str]:
    """(the text without control characters and cut to size, what was done).

    ``most``: characters of one line; None: a message, of several lines, is cut at 8 KiB.
    """
    kept, count = (_CONTROLS if most is None else _CONTROLS_AND_ENDS).subn(_REPLACED, value)
    short = cut_text(kept) if most is None else kept[:most]
    if len(short) < len(kept):
        return short, f"cut at {'8 KiB' if most is None else f'{most} characters'}"
    return short, "control characters replaced" if count else ""


def mapping(value: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """(the JSON object as a document can hold it, what was done)."""
    if (size := _size(value)) > MAX_MAP:
        return _note(f"{size} bytes of JSON, at most {MAX_MAP} are kept")
    done: dict[str, None] = {}
    kept = _fitting(value, MAX_DEPTH, done)
    assert isinstance(kept, dict)
    return kept, ", ".join(done)


def _note(reason: str) -> tuple[dict[str, Any], str]:
    return {_CUT: reason}, reason


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return MAX_MAP + 1  # nested by the hundred


def _fitting(value: Any, depth: int, done: dict[str, None]) -> Any:
    match value:
        case dict() | list() if depth == 0:
            done[f"what is nested deeper than {MAX_DEPTH} levels dropped"] = None
            return None
        case list():
            return [_fitting(item, depth - 1, done) for item in value]
        case dict():
            if any(len(key) > MAX_KEY for key in value):
                done[f"keys cut at {MAX_KEY} characters"] = None
            return {key[:MAX_KEY]: _fitting(item, depth - 1, done) for key, item in value.items()}
        case int() if not -(2**63) <= value < 2**63:
            done["whole numbers of more than 64 bits kept as text"] = None
            return str(value)
    return value


def whole(job: Job) -> tuple[Job, Done]:
    """(the job as a document of legal size, what was done): a JSON object may be several times as long as YAML."""
    done: Done = {}
    sizes = {name: _size(getattr(job, name) or {}) for name in _MAPS}
    if sum(sizes.values()) <= _SMALL:
        return job, done
    for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if (size := len(codec.write(job))) <= MAX_BYTES:
            break
        note, done[name] = _note(f"the job is {size} bytes as YAML, at most {MAX_BYTES} are kept")
        job = job.model_copy(update={name: note})
    return job, done


def fields(values: Mapping[str, Any]) -> tuple[dict[str, Any], Done]:
    """(a job's values, those made storable, what was done). Values of another type stay as they are, to be refused."""
    kept, done = dict(values), {}
    for name, value in values.items():
        if isinstance(value, str) and name in ("action", "status_code"):
            kept[name], done[name] = text(value, MAX_LINE)
        elif isinstance(value, str) and name in ("status_message", "run_command"):
            kept[name], done[name] = text(value)
        elif isinstance(value, dict) and name in _MAPS:
            kept[name], done[name] = mapping(value)
    return kept, {name: said for name, said in done.items() if said}
