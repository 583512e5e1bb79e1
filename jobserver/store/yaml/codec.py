"""Converts documents to canonical YAML and back. Reading is strict, and lists every fault with file, line and key."""

import re
import types
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, ValidationError

from jobserver.domain.base.validation import MISSING, reason
from jobserver.domain.base.values import Document
from jobserver.domain.base.yaml_positions import Mapping, Node, Scalar, Sequence
from jobserver.errors import Error, Fault, invalid
from jobserver.store.yaml import canonical
from jobserver.store.yaml.nodes import read_nodes

D = TypeVar("D", bound=Document)


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_MAX_GUESSED = 40  # characters of a misspelt key
_AS_IT_IS = frozenset({str, int, bool, datetime, type(None), float})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, Document):
        return {key: _plain(item) for key, item in value.written_items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, StrEnum):
        return value.value
    return value


def values(document: Document) -> list[tuple[str, Any]]:
    """The keys and values of the document's YAML, as `canonical.emit` takes them."""
    return [(key, item if type(item) in _AS_IT_IS else _plain(item)) for key, item in document.written_items()]


def write(document: Document) -> bytes:
    """The canonical YAML of ``document``."""
    return canonical.emit(values(document))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a schema expects at one place. ``kind``: text, int, bool, time, any, list, map or model."""

    kind: str
    optional: bool = False
    inner: "_Shape | None" = None
    model: type[BaseModel] | None = None


@cache
def _shape(annotation: Any, optional: bool = False) -> _Shape:
    if annotation is JsonValue:
        return _Shape("any")
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(args[0], optional)
    if origin in (Union, types.UnionType):
        (inner,) = [arg for arg in args if arg is not type(None)]
        return _shape(inner, True)
    if origin is Literal:
        return _Shape("int" if isinstance(args[0], int) else "text", optional)
    if origin is tuple:
        return _Shape("list", optional, _shape(args[0]))
    if origin is dict:
        return _Shape("map", optional, _shape(args[1]))
    if issubclass(annotation, BaseModel):
        return _Shape("model", optional, model=annotation)
    simple = {bool: "bool", int: "int", datetime: "time"}
    return _Shape(simple.get(annotation, "text"), optional)


_EXPECTED = {
    "text": "text",
    "int": "a whole number",
    "bool": "true or false",
    "time": "a time like 2026-11-23T20:15:04.123456Z",
    "list": "a list",
    "map": "a mapping",
    "model": "a mapping",
}


class _Conversion:
    """Converts nodes to the values that the schema expects; remembers the line of every place."""

    def __init__(self, path: str, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        self.faulty: list[tuple[str | int, ...]] = []
        self.unknown: dict[tuple[str | int, ...], list[Scalar]] = {}
        self.lines: dict[tuple[str | int, ...], int] = {}

    def fault(self, message: str, line: int, place: tuple[str | int, ...]) -> None:
        self.faults.append(Fault(message, self.path, line, ".".join(map(str, place))))
        self.faulty.append(place)

    def value(self, node: Node, shape: _Shape, place: tuple[str | int, ...]) -> Any:
        self.lines[place] = node.line
        if shape.kind == "any":
            return self.free(node, place)
        null = isinstance(node, Scalar) and node.plain and node.text in ("", "null", "~")
        if null and shape.optional:
            return None
        match node, shape.kind:
            case Mapping(entries, _), "model":
                assert shape.model is not None
                fields = shape.model.model_fields
                result = {}
                for key, item in entries:
                    if key.text not in fields:
                        self.unknown.setdefault(place, []).append(key)
                        continue
                    expected: Any = fields[key.text].annotation
                    result[key.text] = self.value(item, _shape(expected), (*place, key.text))
                self.report_unknown(place, [key for key in fields if key not in result], shape.model)
                return result
            case Mapping(entries, _), "map":
                assert shape.inner is not None
                return {key.text: self.value(item, shape.inner, (*place, key.text)) for key, item in entries}
            case Sequence(items, _), "list":
                assert shape.inner is not None
                return [self.value(item, shape.inner, (*place, number)) for number, item in enumerate(items)]
            case Scalar(text, plain, _), ("text" | "int" | "bool" | "time") as kind if not (null and plain):
                if kind == "text":
                    return text
                if (converted := _typed(text, kind) if plain or kind == "time" else None) is not None:
                    return converted
        shown = f"{node.text[:40]!r}" if isinstance(node, Scalar) else type(node).__name__.lower()
        self.fault(f"expected {_EXPECTED[shape.kind]}, found {'nothing' if null else shown}", node.line, place)
        return None

    def report_unknown(self, place: tuple[str | int, ...], absent: list[str], model: type[BaseModel]) -> None:
        """Adds the faults of unknown keys. A key that looks like a missing one is one fault, not two."""
        fields, unknown = model.model_fields, self.unknown.get(place, [])
        missing = [key for key in absent if fields[key].is_required() or key == "version"]
        for key in unknown:
            is_only = len(unknown) == len(missing) == 1
            near = missing if is_only else get_close_matches(key.text[:_MAX_GUESSED], absent, 1)
            if near:
                absent = [name for name in absent if name != near[0]]
                self.faulty.append((*place, near[0]))
            meant = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(fields)}"
            self.fault(f"unknown key: {meant}", key.line, (*place, key.text))

    def free(self, node: Node, place: tuple[str | int, ...]) -> Any:
        match node:
            case Mapping(entries, _):
                return {key.text: self.free(item, place) for key, item in entries}
            case Sequence(items, _):
                return [self.free(item, place) for item in items]
            case Scalar(text, True, _):
                if text in ("", "null", "~"):
                    return None
                for kind in ("bool", "int", "float"):
                    if (value := _typed(text, kind)) is not None:
                        return value
        return node.text


def _typed(text: str, kind: str) -> Any:
    """A scalar as bool, int, float or time; None if it is not one."""
    if kind == "bool":
        return {"true": True, "false": False}.get(text)
    try:
        if kind == "time":
            return datetime.fromisoformat(text).astimezone(UTC) if _TIME.fullmatch(text) else None
        if kind == "int":
            digits = text.removeprefix("-")
            return int(text) if digits.isdecimal() and digits.isascii() and len(digits) < 20 else None
        return float(text) if canonical.is_float(text) else None
    except (ValueError, OverflowError):
        return None


def _strict(model: type[D], data: bytes, path: str) -> D:
    faults: list[Fault] = []
    try:
        node = read_nodes(data, path, collected=faults)
    except Error as error:
        raise _refusal([*faults, *error.faults]) from None
    if not isinstance(node, Mapping):
        actual = "nothing" if node is None else "something else"
        raise _refusal([*faults, Fault(f"expected a mapping, found {actual}", path, 1)])
    conversion = _Conversion(path, faults)
    value = conversion.value(node, _Shape("model", model=model), ())
    known = set(conversion.faulty)
    if (
        "version" not in value and ("version",) not in known
    ):  # the model fills it in for documents that this server creates
        conversion.fault(MISSING, node.line, ("version",))
    try:
        document = model.model_validate(value)
        if not faults:
            return document
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = tuple(part for part in problem["loc"] if part != "[key]")
            if any(place[:n] in known for n in range(len(place) + 1)):
                continue  # it has a fault already
            stands = next(place[:n] for n in range(len(place), -1, -1) if place[:n] in conversion.lines)
            conversion.fault(reason(problem), conversion.lines[stands], place)
    raise _refusal(faults)


def _refusal(faults: list[Fault]) -> Error:
    # Missing keys have no line. They come last, after the unknown keys that may be misspelt ones.
    faults = sorted(faults, key=lambda fault: (fault.message == MISSING, fault.line))
    return invalid(str(faults[0]), faults=faults)


def read(model: type[D], data: bytes, path: str = "") -> D:
    """The document in ``data``. Raises `Error` (invalid) with every fault: file, line, key and the expected value."""
    limit = model.max_bytes
    if len(data) > limit:
        fault = Fault(f"{len(data)} bytes, at most {limit} are allowed", path)
        raise invalid(str(fault), faults=[fault])
    try:
        values = canonical.parse(data)
        if "version" not in values:
            raise canonical.Unusual
        return model.model_validate(values)
    except (canonical.Unusual, ValidationError):
        return _strict(model, data, path)
