"""The canonical form, one rule at a time; that PyYAML agrees is the property in `test_codec`."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from jobserver.store.yaml import canonical

MOMENT = datetime(2026, 11, 23, 20, 15, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MOMENT, "2026-11-23T20:15:04.000005Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=2))), "2026-11-23T20:15:04.000005Z"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        (0.5, "0.5"),
        (1e20, "1.0e+20"),
        (1.5e-7, "1.5e-07"),
        ("a b", "a b"),
        ("No", '"No"'),
        ("a\x7fb", '"a\\u007fb"'),
        ("é\x85\u2028", '"é\\u0085\\u2028"'),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_how_a_value_is_written(value: Any, text: str) -> None:
    assert canonical.emit([("a", value)]) == f"a: {text}\n".encode()
    assert canonical.emit([("a", {"b": value})]) == f"a:\n  b: {text}\n".encode()
    assert canonical.emit([("a", [value])]) == f"a:\n- {text}\n".encode()


def test_how_lists_and_mappings_stand_in_each_other() -> None:
    value = {"a": [{"b": [1, [2, 3]], "c": {"d": {}}}, [[4], {}, []], "e"]}
    data = canonical.emit(value.items())
    assert data.decode() == (
        "a:\n- b:\n  - 1\n  - - 2\n    - 3\n  c:\n    d: {}\n- - - 4\n  - {}\n  - []\n- e\n"
    )  # fmt: skip
    assert yaml.safe_load(data) == value


def test_a_value_without_a_canonical_form_is_a_bug() -> None:
    with pytest.raises(TypeError, match="no canonical form for set"):
        canonical.emit([("a", {"b": {1}})])


def test_reads_every_form_that_it_writes() -> None:
    value = {
        "text": "a: b",
        "plain": "a/b-c",
        "time": MOMENT,
        "numbers": [0, -12, 2.5, True, False, None],
        "empty": {"list": [], "map": {}},
        "deep": {"er": {"list": [{"a": "x", "b": {"c": "y"}}, {"d": ["z"]}]}},
    }
    assert canonical.parse(canonical.emit(value.items())) == value


@pytest.mark.parametrize(
    "source",
    [
        "",  # nothing
        "a: b",  # no newline at the end
        "a: b\r\n",
        "a: \0\n",
        "a:\tb\n",
        "a: b\n\nc: d\n",
        "a: \xff\n",  # in Latin-1: not UTF-8
        "a\n",  # no key
        '"a": b\n',  # keys are plain
        "yes: b\n",
        "a: b\na: c\n",
        "a:b: c\n",
        "a:b\n",
        "a: yes\n",  # YAML's own words for true
        'a: "b\n',
        'a: "\\u0062"\n',
        'a: "\\/"\n',
        'a: "\x85"\n'.encode().decode("latin-1"),
        "a: 2026-13-23T20:15:04.000005Z\n",
        "a: 0123\n",
        "a: 'b'\n",
        "a: b\n  c: d\n",  # deeper than it stands
        "a:\n",
        "a:\nb: c\n",
        "a:\n   b: c\n",
        "a:\n- [b]\n",
        "a:\n- - b\n",
        "a:\n- 'b'\n",
        "a:\n-  b: c\n",
        "a:\n  b: c\n  \n",
        "- a\n",
        "# why\na: b\n",
    ],
)
def test_gives_up_on_what_it_would_not_have_written(source: str) -> None:
    with pytest.raises(canonical.Unusual):
        canonical.parse(source.encode("latin-1"))


def test_equal_values_of_different_types_are_written_as_what_they_are() -> None:
    for value, text in ((True, "true"), (1, "1"), (False, "false"), (0, "0"), (True, "true"), (1.0, "1.0"), (1, "1")):
        assert canonical.emit([("key", value)]) == f"key: {text}\n".encode()
        assert canonical.emit([("in", {"key": value})]) == f"in:\n  key: {text}\n".encode()
