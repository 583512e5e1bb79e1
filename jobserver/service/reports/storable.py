"""Makes a runner's values storable in JSON, YAML, git, SQLite and HTML, and says what it changed. Pure.

One bad value must not cost the other jobs their report: values are cut, replaced or dropped. Only values of a wrong
type are refused.
"""

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson

from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import MAX_DEPTH, MAX_KEY
from jobserver.domain.job_requests.jobs import Job, cut_message
from jobserver.errors import invalid
from jobserver.store.yaml import codec

MAX_LINE = 1000  # characters of an action's name, and of a status code
MAX_MAP = 16 * 1024  # bytes of JSON of metrics, or of a trace context
_SMALL = 2 * 1024  # bytes of JSON: a document always has room for this, beside all of a job's texts
_MAPS = ("metrics", "trace_context")
_TEXTS = (("action", MAX_LINE), ("status_code", MAX_LINE), ("status_message", None), ("run_command", None))
_REPLACED = "\ufffd"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROLS_AND_ENDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CUT = "cut_by_the_server"
_READABLE_DEPTH = 100  # levels: readers of JSON have a limit
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)  # with texts, so that brackets in them don't count
Done = dict[str, str]
"""By field: how it was changed."""


def read(body: bytes) -> tuple[Any, str]:
    """(JSON data, how it was repaired). Raises `Error` (invalid).

    Also reads faulty JSON that writers produce: control characters, lone surrogates, bytes that are not UTF-8, and a
    byte order mark. ``NaN``, infinite numbers and values that are nested too deep become null.
    """
    try:
        return orjson.loads(body), ""
    except orjson.JSONDecodeError as error:
        try:
            repaired = json.loads(
                _shallow(body.decode("utf-8-sig", errors="replace")),
                strict=False,
                parse_constant=lambda _: None,
                parse_float=_float,
                parse_int=_int,
            )
            data = orjson.loads(json.dumps(repaired, ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError):
            raise invalid(f"The body is not JSON: see line {error.lineno}, column {error.colno}") from None
        return data, f"invalid JSON replaced, at line {error.lineno}, column {error.colno}"


def _shallow(text: str) -> str:
    """JSON with null for values that are nested too deep. The reader refuses text that does not end."""
    kept: list[str] = []
    begins = depth = 0
    for match in _NESTING.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth == _READABLE_DEPTH + 1:
                kept += (text[begins : match.start()], "null")
        elif match[0] in "]}":
            if depth == _READABLE_DEPTH + 1:
                begins = match.end()
            depth -= 1
    return text if depth > _READABLE_DEPTH else "".join((*kept, text[begins:]))


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 else digits[:MAX_KEY]


def text(value: str, most: int | None = None) -> tuple[str, str]:
    """(the text without control characters and cut to size, how it was changed).

    ``most`` is a number of characters, of one line; None for a message of several lines, which is cut at 8 KiB.
    """
    if value.isprintable() and len(value) <= MAX_LINE:
        return value, ""
    kept, count = (_CONTROLS if most is None else _CONTROLS_AND_ENDS).subn(_REPLACED, value)
    short = cut_message(kept) if most is None else kept[:most]
    if len(short) < len(kept):
        return short, f"cut at {'8 KiB' if most is None else f'{most} characters'}"
    return short, "control characters replaced" if count else ""


def mapping(value: dict[str, Any]) -> tuple[dict[str, Any], str, int]:
    """(the JSON object as a document can hold it, how it was changed, its size in bytes of JSON)."""
    if (size := _size(value)) > MAX_MAP:
        reason = f"{size} bytes of JSON, and the limit is {MAX_MAP}"
        return {_CUT: reason}, reason, len(reason)
    done: dict[str, None] = {}
    kept = _fitting(value, MAX_DEPTH, done)
    assert isinstance(kept, dict)
    return kept, ", ".join(done), size


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return _size(_fitting(value, MAX_DEPTH, {}))  # too deep for orjson


def _fitting(value: Any, depth: int, done: dict[str, None]) -> Any:
    kind = type(value)
    if kind is dict or kind is list:
        if depth == 0:
            done[f"values nested deeper than {MAX_DEPTH} levels dropped"] = None
            return None
        if kind is list:
            return [_fitting(item, depth - 1, done) for item in value]
        if any(len(key) > MAX_KEY for key in value):
            done[f"keys cut at {MAX_KEY} characters"] = None
        return {key[:MAX_KEY]: _fitting(item, depth - 1, done) for key, item in value.items()}
    if kind is int and not -(2**63) <= value < 2**63:
        done["integers of more than 64 bits stored as text"] = None
        return str(value)
    return value


def job_of(values: dict[str, Any]) -> tuple[Job, Done]:
    """(the job with these values, how they were changed). Raises `Error` (invalid) for values of a wrong type."""
    done: Done = {}
    sizes: dict[str, int] = {}
    for name, most in _TEXTS:
        if isinstance(value := values.get(name), str):
            values[name], change = text(value, most)
            if change:
                done[name] = change
    for name in _MAPS:
        if isinstance(value := values.get(name), dict) and value:
            values[name], change, sizes[name] = mapping(value)
            if change:
                done[name] = change
    job = checked(Job, values)
    return (job, done) if sum(sizes.values()) <= _SMALL else _whole(job, sizes, done)


def _whole(job: Job, sizes: Mapping[str, int], done: Done) -> tuple[Job, Done]:
    """The job as a document within the size limit: as YAML, a JSON object may be several times longer."""
    for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if (size := len(codec.write(job))) <= Job.max_bytes:
            break
        done[name] = f"the job is {size} bytes as YAML, and the limit is {Job.max_bytes}"
        job = job.model_copy(update={name: {_CUT: done[name]}})
    return job, done
