"""Whose a token is, by what stands on main."""

from jobserver.domain.backends import Backend
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.tokens import PersonalToken, Token
from jobserver.domain.users import User
from jobserver.index.directory import Directory
from jobserver.index.sqlite.apply import Delta
from tests.memory import NOW

OWN, BOTH = (PersonalToken(sha256=digit * 64, label="x", created_at=NOW) for digit in "12")
OFF = Token(sha256="3" * 64, label="x", created_at=NOW)


def test_a_token_that_two_have_is_nobodys() -> None:
    """`admit` takes no such push any more; what stood in an older record must not make one person another."""
    documents = {
        "users/alice.yaml": User(username="alice", tokens=(OWN, BOTH)),
        "users/zed.yaml": User(username="zed", tokens=(BOTH,)),
        "backends/tpp.yaml": Backend(slug="tpp", name="TPP", tokens=(OFF,), active=False, created_at=NOW),
    }
    found = Directory().updated("0" * 40, [Delta(path, document) for path, document in documents.items()])
    assert found.tokens == {OWN.sha256: Actor(ActorKind.USER, "alice")}
