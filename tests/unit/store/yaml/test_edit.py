"""The server's write of a document leaves the comments and the order that a person gave it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.base.permissions import Role
from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Error
from jobserver.store.yaml import codec
from jobserver.store.yaml.edit import rewrite

WORKSPACE = """\
# yaml-language-server: $schema=https://jobs.example.org/schemas/workspace.json
name: trends   # as in the URL
version: 1

# The study moved here in May.
repo: https://github.com/org/study
branch: "main"  # not dev
db: full
created_by: alice
created_at: 2026-11-23T20:15:04Z
# The end.
"""
USER = """\
version: 1
roles:  # ask Bea first
- CoreDeveloper  # since May
# checked every year

username: alice
name: >-
  Alice
  Ng
# last
"""
TOKEN = PersonalToken(sha256="0" * 64, label="laptop", created_at=datetime(2026, 5, 1, tzinfo=UTC))


def edited(model: type[Any], text: str, **update: Any) -> str:
    before = codec.read(model, text.encode())
    after = model.model_validate({**dict(before), **update})
    result = rewrite(text.encode(), before, after)
    assert codec.read(model, result) == after
    return result.decode()


@pytest.mark.parametrize(
    ("update", "old", "new"),
    [
        ({"branch": "dev"}, 'branch: "main"  # not dev', "branch: dev  # not dev"),
        ({"archived": True}, "20:15:04Z\n", "20:15:04Z\narchived: true\n"),
        ({"project": "lab/p"}, "as in the URL\n", "as in the URL\nproject: lab/p\n"),
        ({"db": "slice"}, "db: full", "db: slice"),
    ],
)
def test_a_write_changes_its_own_line(update: dict[str, Any], old: str, new: str) -> None:
    assert edited(Workspace, WORKSPACE, **update) == WORKSPACE.replace(old, new)


def test_a_write_that_changes_nothing_leaves_every_byte() -> None:
    assert edited(Workspace, WORKSPACE) == WORKSPACE
    assert edited(User, USER) == USER


def test_a_list_that_changes_is_written_again_and_what_is_around_it_stays() -> None:
    """A comment inside the list goes with it."""
    text = edited(User, USER, roles=(Role.AUDITOR, Role.CORE_DEVELOPER))
    old = "roles:  # ask Bea first\n- CoreDeveloper  # since May"
    assert text == USER.replace(old, "roles:\n- Auditor\n- CoreDeveloper  # since May")
    assert edited(User, USER, name="Alice") == USER.replace(">-\n  Alice\n  Ng", "Alice")


def test_keys_come_and_go() -> None:
    with_number = edited(User, USER, github_id=7)
    assert with_number == USER.replace("username: alice\n", "username: alice\ngithub_id: 7\n")
    assert edited(User, with_number, github_id=None) == USER
    with_token = edited(User, USER, tokens=(TOKEN,))
    token = with_token[with_token.index("tokens:\n") : with_token.index("# checked")]
    assert with_token.replace(token, "") == USER


@pytest.mark.parametrize(
    "text",
    [
        "{version: 1, username: alice, name: x}  # all in one line\n",
        "  version: 1\n  username: alice\n",
        "version: 1\nusername: alice",
        "version: 1\nusername: alice\nname: 'a\n  b'\ngithub_id:\n",
        "---\nversion: 1\nusername: alice\nroles: [\n  Auditor, # x\n  ]\n...\n",
        "version: 1\r\nusername: alice\r\n# x\r\n",
        "\ufeffversion: 1\nusername: alice\n# é\U0001f600\nname: é\n",
    ],
)
def test_any_text_that_is_valid_can_be_changed(text: str) -> None:
    before = codec.read(User, text.encode())
    for update in (
        {"name": "b"},
        {"active": False},
        {"github_id": 3},
        {"roles": (Role.SUPER_USER,), "tokens": (TOKEN,)},
    ):
        after = before.model_copy(update=update)
        assert codec.read(User, rewrite(text.encode(), before, after)) == after


def test_a_canonical_document_stays_canonical() -> None:
    before = User(username="alice", roles=(Role.AUDITOR,))
    after = before.model_copy(update={"github_id": 7, "roles": ()})
    assert rewrite(codec.write(before), before, after) == codec.write(after)


WRITTEN = [
    "# c",
    "",
    "name: x # y",
    "roles: []",
    "roles:\n- Auditor\n  # z",
    "active: true",
    "github_id: 5",
    "name: |-\n  a\n",
    "tokens: []",
]
lines = st.lists(st.sampled_from(WRITTEN), unique_by=lambda line: line[:4])


@given(lines, st.text(max_size=5), st.none() | st.integers(1, 9))
def test_the_document_is_always_the_one_that_was_decided(texts: list[str], name: str, number: int | None) -> None:
    text = "\n".join(["version: 1", *texts, "username: alice", ""]).encode()
    try:
        before = codec.read(User, text)
        after = User(username="alice", name=name, github_id=number)
    except (ValueError, Error):
        return
    assert codec.read(User, rewrite(text, before, after)) == after
