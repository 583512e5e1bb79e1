"""The words of pages and emails: short, active, about people and things, and as docs/design.md has them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.web.pages.format import labels
from jobserver.web.pages.sent_form import LABELS

WEB = Path(__file__).parents[4] / "jobserver" / "web"
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
NOT_OURS = re.compile(
    r"\b(there (is|are) no|made|asked|mend(ed|s)?|take back|stands|rests on|may|whilst|kindly|please|simply)\b",
    re.IGNORECASE,
)
CLOCK = re.compile(r"\b\d\d:\d\d:\d\d\b")


def words(text: str) -> str:
    """What a person reads of a template: without comments, tags, and what is computed."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", text, flags=re.DOTALL)
    labelled = " ".join(re.findall(r'(?:aria-label|placeholder|title|data-confirm)="([^"]*)"', text))
    return " ".join(f"{re.sub(r'<[^>]+>', ' ', text)} {labelled}".split())


def computed(text: str) -> Iterator[str]:
    """The texts that a template passes to macros."""
    for code in re.findall(r"\{%.*?%\}|\{\{.*?\}\}", text, re.DOTALL):
        yield from (part for part in re.findall(r'"([^"]*)"', code) if " " in part)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(WEB / "templates").as_posix())
def test_templates_say_it_in_plain_words(path: Path) -> None:
    text = path.read_text()
    read = [words(text), *computed(text)]
    assert [match[0] for part in read for match in NOT_OURS.finditer(part)] == []
    assert [match[0] for part in read for match in CLOCK.finditer(part)] == []


def test_labels_say_it_in_plain_words() -> None:
    codes = [text for pair in labels.CODES.values() for text in pair]
    texts = [*labels.STATUS.values(), *codes, *labels.PERMISSIONS.values(), *LABELS.values()]
    assert [text for text in texts if NOT_OURS.search(text)] == []
    assert [text for text in codes if text and not text.endswith(".")] == []


def test_a_label_of_a_field_is_not_its_name() -> None:
    assert [name for name, label in LABELS.items() if "_" in label or not label[0].isupper()] == []
