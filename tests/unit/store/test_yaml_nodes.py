"""YAML to nodes: the same with libyaml and without it."""

import pytest
import yaml

from jobserver.domain.marked import Mapping, Scalar, Sequence
from jobserver.errors import Error
from jobserver.store import yaml_nodes
from jobserver.store.yaml_nodes import read_nodes


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "_Loader", getattr(yaml, request.param))


def test_nodes_have_their_lines_and_stay_text() -> None:
    node = read_nodes(b"a: no\nb:\n- 'x'\n- 0123\n")
    assert isinstance(node, Mapping)
    (_, first), (_, second) = node.entries
    assert first == Scalar("no", True, 1)
    assert second == Sequence((Scalar("x", False, 3), Scalar("0123", True, 4)), 3)


def test_aliases_where_they_are_allowed() -> None:
    node = read_nodes(b"a: &x [1]\nb: *x\n", aliases=True)
    assert isinstance(node, Mapping)
    assert node.entries[0][1] == node.entries[1][1]


@pytest.mark.parametrize("source", [b"", b"# only this\n"])
def test_nothing(source: bytes) -> None:
    assert read_nodes(source) is None


@pytest.mark.parametrize(
    ("source", "aliases", "fault"),
    [
        (b"a: &x 1\n", False, "f:1: anchor &x: not allowed"),
        (b"a: 1\nb: *x\n", False, "f:2: alias *x: write the value out"),
        (b"a: 1\nb: *x\n", True, "f:2: alias *x has no anchor before it"),
        (b"a: !!python/name:os.system\n", True, "f:1: tag tag:yaml.org,2002:python/name:os.system: not allowed"),
        (b"? [a]\n: b\n", True, "f:1: a key must be plain text"),
        (b"a: 1\na: 2\n", True, "f:2: a: duplicate key, first on line 1"),
        (b"[" * 40 + b"]" * 40, True, "f:1: nested deeper than 32 levels"),
        (b"a: 1\n---\nb: 2\n", True, "f:2: a second document in the file"),
        (b"a: 1\nb: \xff\n", True, "f:2: not UTF-8 at byte 8"),
        (b"a: [1\n", True, "f:"),
        (b"a: \x07\n", True, "f"),
    ],
)
def test_what_is_refused(source: bytes, aliases: bool, fault: str) -> None:
    with pytest.raises(Error) as refused:
        read_nodes(source, "f", aliases=aliases)
    (found,) = refused.value.faults
    assert str(found).startswith(fault)
    assert fault.count(":") > 1 or "not YAML: " in str(found)
