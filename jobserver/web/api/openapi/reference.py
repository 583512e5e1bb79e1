"""openapi.json for people: its operations by tag, with tables of parameters and fields, and an example of each call."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jobserver.web.api.openapi.schemas import Schema

_SHAPE = re.compile(r"#/components/schemas/(\w+)")
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A parameter, or a field of a body or an answer. ``shape``: the schema that it links to."""

    name: str
    kind: str
    text: str
    place: str = ""
    is_required: bool = False
    shape: str = ""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    status: str
    text: str
    kind: str
    shape: str
    headers: Sequence[str]


@dataclass(frozen=True, slots=True)
class OperationRow:
    """``scope``: the smallest that a personal token needs; empty if nobody needs a token."""

    anchor: str
    method: str
    path: str
    summary: str
    text: str
    scope: str
    parameters: Sequence[FieldRow]
    fields: Sequence[FieldRow]
    answers: Sequence[AnswerRow]
    errors: Sequence[str]
    example: str


def sections(document: Schema) -> Mapping[str, Sequence[OperationRow]]:
    """Tag -> its operations, in the order of the document."""
    by_tag: dict[str, list[OperationRow]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if (operation := item.get(method)) is not None:
                parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
                row = _operation(document, method, path, operation, parameters)
                by_tag.setdefault(operation["tags"][0], []).append(row)
    return by_tag


def errors(document: Schema) -> Mapping[str, str]:
    """Status -> what it means, of all errors."""
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    operations = [operation for operation in operations if isinstance(operation, dict)]
    replies = [reply for operation in operations for reply in operation["responses"].items()]
    return dict(sorted((status, reply["description"]) for status, reply in replies if status >= "400"))


def shapes(document: Schema) -> Mapping[str, Sequence[FieldRow]]:
    """The schemas that answers name, with their fields."""
    return {name: list(_fields(schema)) for name, schema in document["components"]["schemas"].items()}


def _operation(
    document: Schema, method: str, path: str, operation: Schema, parameters: Sequence[Schema]
) -> OperationRow:
    body, replies = _json_of(operation.get("requestBody", {})), sorted(operation["responses"].items())
    return OperationRow(
        anchor=f"{method}-{re.sub(r'[^a-z0-9]+', '-', path.lower()).strip('-')}",
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation.get("description", ""),
        scope="" if operation.get("security") == [] else operation.get("x-scope", "read"),
        parameters=[
            FieldRow(
                parameter["name"],
                kind_of(parameter["schema"]),
                parameter["description"],
                parameter["in"],
                parameter["required"],
            )
            for parameter in parameters
        ],
        fields=list(_fields(_items(document, body))) if body else [],
        answers=[_answer(status, reply) for status, reply in replies if status < "400"],
        errors=[status for status, _ in replies if status >= "400"],
        example=_curl(document, method, path, operation, parameters, body),
    )


def _json_of(part: Schema) -> Schema:
    """The schema of a body or answer; empty if it is not JSON."""
    schema: Schema = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _items(document: Schema, schema: Schema) -> Schema:
    """The schema itself, or that of the items of a list."""
    schema = schema["items"] if schema.get("type") == "array" else schema
    return _resolved(document, schema)


def _resolved(document: Schema, schema: Schema) -> Schema:
    name = shape_of(schema)
    return document["components"]["schemas"][name] if name and "$ref" in schema else schema


def _fields(schema: Schema) -> Iterator[FieldRow]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        is_required, text = name in required, field.get("description", "")
        yield FieldRow(name, kind_of(field), text, is_required=is_required, shape=shape_of(field))


def _answer(status: str, reply: Schema) -> AnswerRow:
    schema = _json_of(reply)
    kind = kind_of(schema) if schema else next(iter(reply.get("content", {})), "")
    return AnswerRow(status, reply["description"], kind, shape_of(schema), list(reply.get("headers", {})))


def shape_of(schema: Schema) -> str:
    """The name of the schema that this schema names first; empty if it names none."""
    match = _SHAPE.search(json.dumps(schema))
    return match[1] if match else ""


def kind_of(schema: Schema) -> str:
    """The type of a value, in words."""
    if "$ref" in schema:
        return shape_of(schema)
    if "allOf" in schema:
        return kind_of(schema["allOf"][0])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join("null" if value is None else str(value) for value in schema["enum"])
    types = schema.get("type", ())
    words = [_word(schema, name) for name in ([types] if isinstance(types, str) else types)]
    return " or ".join(words).replace("true or false or", "true, false or") or "JSON"


def _word(schema: Schema, name: str) -> str:
    if name == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    if name == "object" and "results" in schema.get("properties", {}):
        return f"page of {kind_of(schema['properties']['results']['items'])}"
    words = {"boolean": "true or false", "integer": "whole number", "string": "text"}
    return "time" if schema.get("format") == "date-time" else words.get(name, name)


def example_of(document: Schema, schema: Schema) -> Any:
    """A value that the schema allows."""
    schema = _resolved(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    types = schema.get("type")
    match types if isinstance(types, str) else (types or ("string",))[0]:
        case "object":
            required = schema.get("required", ())
            return {
                name: example_of(document, field)
                for name, field in schema.get("properties", {}).items()
                if name in required or "examples" in field
            }
        case "array":
            return [example_of(document, schema["items"])]
        case "boolean":
            return True
        case "integer":
            return 1
    return "x"


def _curl(
    document: Schema, method: str, path: str, operation: Schema, parameters: Sequence[Schema], body: Schema
) -> str:
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(example_of(document, parameter["schema"]))))
    is_open = operation.get("security") == []
    lines = ["curl" if is_open else 'curl -H "Authorization: Bearer $TOKEN"']
    headers = [parameter for parameter in parameters if parameter["in"] == "header" and parameter["required"]]
    lines += [f"-H '{header['name']}: {example_of(document, header['schema'])}'" for header in headers]
    if method != "get":
        lines.append(f"-X {method.upper()}")
    if body:
        lines.append(f"-d '{json.dumps(example_of(document, body), ensure_ascii=False)}'")
    elif "requestBody" in operation:
        lines.append("--data-binary @release.zip")
    return " \\\n  ".join([*lines, f'"$URL{path}"'])
