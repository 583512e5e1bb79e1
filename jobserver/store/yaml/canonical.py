"""The one canonical YAML form: an emitter, and a reader of just that form. Pure text, no library.

Every write uses the emitter. The reader is the fast path of `codec.read`; on anything that the emitter would not write
it gives up (`Unusual`), and PyYAML decides. Tests hold both against PyYAML.

The form: block style, two spaces, sequences at the indent of their key. Text is plain only where no YAML reader could
read it as something else, and otherwise a JSON string, which is YAML too.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from jobserver.domain.base.values import timestamp

Value: TypeAlias = Any  # None, bool, int, float, str, datetime, and lists and mappings of them

_PLAIN = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_./@+-])| (?=[A-Za-z0-9_./@+]))*").fullmatch
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z").fullmatch
_INT = re.compile(r"0|-?[1-9]\d{0,18}").fullmatch
_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)\.\d+(?:e[-+]\d+)?").fullmatch
_SHORT = 64  # characters
_WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_quote = json.encoder.encode_basestring
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}


class Unusual(Exception):
    """Not the canonical form; PyYAML has to read it."""


def is_float(text: str) -> bool:
    return _FLOAT(text) is not None


def _text(text: str) -> str:
    return _known_text(text) if len(text) <= _SHORT else _any_text(text)


def _any_text(text: str) -> str:
    if _PLAIN(text) and text.lower() not in _WORDS:
        return text
    quoted: str = _quote(text)
    if not quoted.isascii():
        quoted = _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
    elif "\x7f" in quoted:
        quoted = quoted.replace("\x7f", "\\u007f")
    return quoted


_known_text = lru_cache(4096)(_any_text)  # documents repeat names and statuses again and again


def _float(number: float) -> str:
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{e}{exponent}"


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    raise TypeError(f"no canonical form for {type(value).__name__}")


_SIMPLE = frozenset({str, bool, type(None), int})


@lru_cache(8192, typed=True)  # True is 1, and is not written as 1
def _line(key: str, value: Value) -> str:
    return f"{_text(key)}: {_scalar(value)}"


def _mapping(entries: Iterable[tuple[str, Value]], indent: str, lines: list[str]) -> None:
    for key, item in entries:
        kind = type(item)  # documents repeat their lines: most of the writer's time went here
        if kind in _SIMPLE and (kind is not str or len(item) <= _SHORT):
            lines.append(indent + _line(key, item))
            continue
        head = f"{indent}{_text(key)}:"
        if kind is datetime:
            lines.append(f"{head} {timestamp(item)}")
        elif isinstance(item, Mapping):
            if item:
                lines.append(head)
                _mapping(item.items(), indent + "  ", lines)
            else:
                lines.append(head + " {}")
        elif isinstance(item, list | tuple):
            if item:
                lines.append(head)
                _sequence(item, indent, lines)
            else:
                lines.append(head + " []")
        else:
            lines.append(f"{head} {_scalar(item)}")


def _sequence(value: list[Value] | tuple[Value, ...], indent: str, lines: list[str]) -> None:
    for item in value:
        if isinstance(item, Mapping | list | tuple):
            if not item:
                lines.append(f"{indent}- {'{}' if isinstance(item, Mapping) else '[]'}")
                continue
            start = len(lines)
            if isinstance(item, Mapping):
                _mapping(item.items(), indent + "  ", lines)
            else:
                _sequence(item, indent + "  ", lines)
            lines[start] = f"{indent}- {lines[start][len(indent) + 2 :]}"
        else:
            lines.append(f"{indent}- {_scalar(item)}")


def emit(entries: Iterable[tuple[str, Value]]) -> bytes:
    """The canonical bytes of a mapping with these entries, in their order, with one final newline."""
    lines: list[str] = []
    _mapping(entries, "", lines)
    lines.append("")
    return "\n".join(lines).encode()


def _plain_value(text: str) -> Value:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text.lower() in _WORDS:
        raise Unusual
    return text


def _quoted_value(text: str) -> str:
    if "\\u" in text or "\\/" in text or _UNPRINTABLE.search(text):
        raise Unusual
    try:
        value: str = json.loads(text)
    except ValueError:
        raise Unusual from None
    return value


class _CanonicalReader:
    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.lines[-1] = "\0"  # less indented than anything: the end
        self.number = 0  # of the next line

    def scalar(self, text: str) -> Value:
        if _PLAIN(text):
            return _plain_value(text)
        if text.startswith('"'):
            return _quoted_value(text)
        if _TIME(text):
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                raise Unusual from None
        if _INT(text):
            return int(text)
        if _FLOAT(text):
            return float(text)
        if text in ("[]", "{}"):
            return [] if text == "[]" else {}
        raise Unusual

    def mapping(self, indent: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        lines, prefix, deeper = self.lines, " " * indent, " " * indent + "  "
        while (line := lines[self.number]).startswith(prefix) and line[indent] not in " -\0":
            head, colon, rest = line[indent:].partition(":")
            if not colon or not _PLAIN(head) or head.lower() in _WORDS or head in result:
                raise Unusual
            self.number += 1
            if rest:
                if rest[0] != " ":
                    raise Unusual
                result[head] = self.scalar(rest[1:])
                continue
            following = lines[self.number]
            if following.startswith(deeper) and following[indent + 2] not in " -":
                result[head] = self.mapping(indent + 2)
            elif following.startswith(prefix + "- "):
                result[head] = self.sequence(indent)
            else:
                raise Unusual
        return result

    def sequence(self, indent: int) -> list[Value]:
        result: list[Value] = []
        lines, dash = self.lines, " " * indent + "- "
        while (line := lines[self.number]).startswith(dash):
            rest = line[indent + 2 :]
            try:
                result.append(self.scalar(rest))
                self.number += 1
                continue
            except Unusual:
                if rest[:1] in '"-[{' or ":" not in rest:
                    raise
            lines[self.number] = " " * (indent + 2) + rest
            result.append(self.mapping(indent + 2))
        return result


def parse(data: bytes) -> dict[str, Value]:
    """The mapping that `emit` would write as ``data``. Raises `Unusual` for any other data."""
    if not data.endswith(b"\n") or b"\r" in data or b"\0" in data or b"\t" in data or b"\n\n" in data:
        raise Unusual
    try:
        reader = _CanonicalReader(data.decode())
        result = reader.mapping(0)
    except (UnicodeDecodeError, IndexError):
        raise Unusual from None
    if reader.number != len(reader.lines) - 1 or not result:
        raise Unusual
    return result
