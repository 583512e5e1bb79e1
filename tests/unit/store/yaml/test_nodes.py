"""YAML to nodes: the same with libyaml and without it."""

import pytest
import yaml

from jobserver.domain.base.yaml_positions import Mapping, Scalar, Sequence
from jobserver.errors import Error
from jobserver.store.yaml import nodes
from jobserver.store.yaml.nodes import read_nodes


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_Loader", getattr(yaml, request.param))


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
def test_a_file_without_a_document_has_no_nodes(source: bytes) -> None:
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
def test_yaml_that_is_not_plain_is_refused_with_its_line(source: bytes, aliases: bool, fault: str) -> None:
    with pytest.raises(Error) as refused:
        read_nodes(source, "f", aliases=aliases)
    (found,) = refused.value.faults
    assert str(found).startswith(fault)
    assert fault.count(":") > 1 or "not YAML: " in str(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:\n\t- b\n", "x.yaml:2: not YAML: a tab: indent with spaces"),
        ("a: x\n\tb: 1\n", "x.yaml:2: not YAML: a tab: indent with spaces"),
        ("a: |\n\tx\n", "x.yaml:2: not YAML: a tab: indent with spaces"),
        (
            'a: "c:\\q"\n',
            "x.yaml:1: not YAML: in double quotes a \\ begins an escape: write it twice, or use single quotes",
        ),
        ("a: @b\n", "x.yaml:1: not YAML: a text can't begin with @: put it in quotes"),
        ("a: 1\nb:c\nd: 2\n", "x.yaml:2: not YAML: a key without ': ' after it"),
        (
            "a: b: c\n",
            "x.yaml:1: not YAML: its indent fits no line above it, or a text that contains ': ' needs quotes",
        ),
        ("a: [b\nc: d\n", "x.yaml:2: not YAML: a list in [ ] that does not end, or has no comma between two items"),
        ("a: 'b\n", "x.yaml:2: not YAML: a text in quotes that does not end"),
        ("a: \x01\n", "x.yaml:1: not YAML: a control character"),
    ],
)
def test_text_that_is_no_yaml_is_told_with_a_hint(text: str, words: str) -> None:
    with pytest.raises(Error) as caught:
        read_nodes(text.encode(), "x.yaml")
    assert str(caught.value.faults[0]) == words


@pytest.mark.parametrize("ends", ["\n", "\r", "\x85", "\u2028"])
def test_many_tag_directives_are_not_even_begun(ends: str) -> None:
    """400 KiB of them took a second, 8 MiB minutes, in which nothing else ran."""
    text = "".join(f"%TAG !a{n}! b{n}{ends}" for n in range(101)) + f"---{ends}a: 1{ends}"
    with pytest.raises(Error) as caught:
        read_nodes(text.encode(), "project.yaml")
    assert str(caught.value) == "project.yaml: more than 100 lines begin with %TAG; tags are not allowed"
