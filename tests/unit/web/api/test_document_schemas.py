"""The schemas for editors accept what the server accepts, and refuse what a schema can refuse."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker, validators

from jobserver.domain.base.layout import MAIN, Kind, parse_path
from jobserver.domain.base.values import Document, timestamp
from jobserver.domain.documents import MODELS
from jobserver.store.read.validate import check_document
from jobserver.web.api.document_schemas import HELP, schema_of
from tests.unit.domain.document_values import ACCEPTED, BAD_REPOS, GOOD, GOOD_REPOS, REFUSED, WORKSPACE

BASE = "https://jobs.example.org"
KINDS = {model: kind for kind, model in MODELS.items()}
DOCS = Path(__file__).parents[4] / "docs" / "documents.md"


def ecma_pattern(_: Any, pattern: str, text: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """As editors match: `$` is the end, and not also before a last line break."""
    if isinstance(text, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), text):
        yield jsonschema.ValidationError(f"{text!r} does not match")


VALIDATORS = {
    kind: validators.extend(Draft7Validator, {"pattern": ecma_pattern})(
        schema_of(kind, BASE), format_checker=FormatChecker()
    )
    for kind in Kind
}


def as_json(value: Any) -> Any:
    """A value of a model as an editor has it."""
    if isinstance(value, datetime):
        return timestamp(value) if value.tzinfo else value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def instance(model: type[Document], key: str, value: Any) -> Any:
    version = {"version": model.model_fields["version"].default}
    return as_json(version | GOOD[model] | {key: value})


def core_yaml(text: str) -> Any:
    """The values by the core schema of YAML 1.2, as editors read them."""

    def value(node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {key.value: value(item) for key, item in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [value(item) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        if node.style is None and re.fullmatch(r"true|false|null|-?[0-9]+", node.value):
            return json.loads(node.value)
        return node.value

    node = yaml.compose(text, yaml.SafeLoader)
    assert node is not None
    return value(node)


def test_the_schemas_are_schemas() -> None:
    for kind in Kind:
        schema = schema_of(kind, BASE)
        Draft7Validator.check_schema(schema)
        assert schema["$id"] == f"{BASE}/schemas/{kind}.json"


@pytest.mark.parametrize(("model", "key", "values"), [case for case in ACCEPTED if case[0] in KINDS])
def test_what_the_server_accepts_is_valid(model: type[Document], key: str, values: list[Any]) -> None:
    for value in values:
        VALIDATORS[KINDS[model]].validate(instance(model, key, value))


def is_for_the_server_only(value: Any, depth: int = 0) -> bool:
    """Lone surrogates, numbers that a schema takes for the same, and the limits of JSON within a document."""
    match value:
        case float():
            return not isfinite(value) or value.is_integer()
        case bool() | None | datetime():
            return False
        case int():
            return not -(2**63) <= value < 2**63
        case str():
            return any("\ud800" <= char <= "\udfff" for char in value)
        case list():
            return depth > 7 or any(is_for_the_server_only(item, depth + 1) for item in value)
        case dict():
            return depth > 7 or any(
                len(key) > 128 or is_for_the_server_only(key) or is_for_the_server_only(item, depth + 1)
                for key, item in value.items()
            )
    return False


@pytest.mark.parametrize(("model", "key", "values"), [case for case in REFUSED if case[0] in KINDS])
def test_what_the_server_refuses_is_invalid(model: type[Document], key: str, values: list[Any]) -> None:
    for value in values:
        if not is_for_the_server_only(value):
            assert not VALIDATORS[KINDS[model]].is_valid(instance(model, key, value)), value


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Kind.USER, {"roles": ["ProjectDeveloper"]}),
        (Kind.ORG, {"members": [{"username": "a", "roles": ["SuperUser"]}]}),
        (Kind.PROJECT, {"members": [{"username": "a", "roles": ["SuperUser"]}]}),
        (Kind.PROJECT, {"slug": "new-project"}),
        (Kind.ORG, {"slug": "new"}),
        (Kind.WORKSPACE, {"name": "schemas"}),
        (Kind.WORKSPACE, {"extra": 1}),
        (Kind.WORKSPACE, {"created_at": "2026-11-23T20:15:04+01:00"}),
    ],
)
def test_rules_of_a_noun_that_a_schema_can_say(kind: Kind, document: dict[str, Any]) -> None:
    good = as_json({"version": 1} | GOOD[MODELS[kind]])
    VALIDATORS[kind].validate(good)
    assert not VALIDATORS[kind].is_valid(good | document)


def test_a_document_needs_its_version() -> None:
    for kind, model in MODELS.items():
        assert not VALIDATORS[kind].is_valid(as_json({**GOOD[model]} | {"version": None}))
        assert "version" in schema_of(kind, BASE)["required"]


def test_repositories_are_judged_as_the_server_judges_them() -> None:
    validator = VALIDATORS[Kind.WORKSPACE]
    for repo in (*GOOD_REPOS, *BAD_REPOS):
        document = as_json({"version": 1} | WORKSPACE | {"repo": repo})
        assert validator.is_valid(document) == (repo in GOOD_REPOS), repo


def test_the_examples_of_the_documentation_are_valid() -> None:
    examples = re.findall(r"^`(\S+\.yaml)`\n```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    assert len(examples) == 6
    for path, text in examples:
        branch = "backends/tpp" if path.startswith("releases/") else MAIN
        where = parse_path(branch, path)
        assert where is not None
        assert check_document(branch, path, text.encode()) == []
        VALIDATORS[where.kind].validate(core_yaml(text))


def test_an_editor_explains_every_key_that_people_write() -> None:
    for kind in (Kind.BACKEND, Kind.USER, Kind.ORG, Kind.PROJECT, Kind.WORKSPACE):
        assert list(HELP[kind]) == list(MODELS[kind].model_fields)
    workspace = schema_of(Kind.WORKSPACE, BASE)["properties"]
    assert workspace["name"]["patternErrorMessage"].startswith("expected lowercase letters")
