"""docs/glossary.md and the code's names: each type that it names exists, and types have names made of its words."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
FOLDERS = ("domain", "store", "index", "service", "audit")

# Words that mean in jobserver what they mean in any program.
PLAIN_WORDS = """
add announced archive auth builder cached check checkpointer client completed console context count cube database
deadline decision delta diff difference disk doc doubt email entry failure filter git github ha health identity lag
lander list local log lru mail mailer mailgun main mapping need no notifier open outbox outside path pending person
piped pushed random range queued received refused registry remote requested scalar sender sequence server service smtp
socket spot staged store stored summary tree unconfirmed unreadable unusual upload verdict watch with write written
"""


def words(name: str) -> set[str]:
    """The words of a type's name, or of a text: in lower case, and in the singular."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("GitHub", "Github")).lower()
    return {_singular(word) for word in re.findall(r"[a-z]+", spaced)}


def _singular(word: str) -> str:
    return re.sub(r"ies$", "y", re.sub(r"(?<=ch)es$|(?<=[^s])s$", "", word) if not word.endswith("ies") else word)


def trees(*folders: str) -> Iterator[ast.Module]:
    for folder in folders:
        yield from (ast.parse(path.read_text()) for path in (ROOT / "jobserver" / folder).rglob("*.py"))


@cache
def public_types(*folders: str) -> set[str]:
    nodes = (node for tree in trees(*folders) for node in tree.body)
    return {node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}


@cache
def commands() -> set[str]:
    """The classes in each noun's `Command`, and in the private unions that it is made of."""
    aliases = (node for tree in trees("domain") for node in tree.body if isinstance(node, ast.AnnAssign) and node.value)
    unions = [alias.value for alias in aliases if re.fullmatch(r"Command|_[A-Z]\w+", ast.unparse(alias.target))]
    return {node.id for union in unions for node in ast.walk(union) if isinstance(node, ast.Name)} & public_types(
        "domain"
    )


def glossary_words() -> set[str]:
    terms = re.findall(r"\*\*(.*?)\*\*", GLOSSARY)
    types = re.findall(r"`([A-Z]\w+)`", GLOSSARY)
    return set().union(*map(words, (*terms, *types)))


def test_each_type_that_the_glossary_names_exists() -> None:
    last_columns = re.findall(r"^\|.*\|(.*)\|$", GLOSSARY, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", "\n".join(last_columns)))
    assert len(named) > 40
    assert sorted(named - public_types("")) == []


def test_types_have_names_made_of_the_glossarys_words() -> None:
    """A new word gets a line in the glossary, or is a word of every program."""
    known = glossary_words() | set(PLAIN_WORDS.split())
    unknown = {name: sorted(words(name) - known) for name in public_types(*FOLDERS) - commands()}
    assert {name: new for name, new in unknown.items() if new} == {}, "a new word needs a line in docs/glossary.md"


def test_commands_are_a_verb_and_words_of_the_glossary() -> None:
    assert len(commands()) > 20
    known = glossary_words() | {"to"}
    unknown = {name: sorted(words(re.sub(r"^[A-Z][a-z]+", "", name)) - known) for name in commands()}
    assert {name: new for name, new in unknown.items() if new} == {}
