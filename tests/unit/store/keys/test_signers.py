"""Which lines of an allowed_signers file are read, and how long each key may sign."""

from datetime import UTC, datetime

import pytest

from jobserver.errors import Code, Error
from jobserver.store.keys.signers import Signer, read, signed_by
from jobserver.store.keys.signing import fingerprint
from jobserver.store.read.commits import Commit

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIBFnOcYOQ5zk3ZV8hWYQBcD1u6eQ8gXx8b8bnHsL7mFo"
LINE = f"jobserver {{}}ssh-ed25519 {KEY} a comment"


def one(options: str) -> Signer:
    (signer,) = read(LINE.format(options)).values()
    return signer


@pytest.mark.parametrize(
    ("options", "after", "before"),
    [
        ("", None, None),
        ('namespaces="git" ', None, None),
        ('namespaces="file,git" ', None, None),
        ("cert-authority ", None, None),
        ('valid-after="20261124" ', datetime(2026, 11, 24, tzinfo=UTC), None),
        ('valid-before="202611240930" ', None, datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
        (
            'namespaces="git",valid-after="20261124093001Z",valid-before="20261125Z" ',
            datetime(2026, 11, 24, 9, 30, 1, tzinfo=UTC),
            datetime(2026, 11, 25, tzinfo=UTC),
        ),
    ],
)
def test_a_line_of_signers_is_read(options: str, after: datetime | None, before: datetime | None) -> None:
    found = one(options)
    assert (found.after, found.before) == (after, before)
    assert found.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "allowed_signers: names no key"),
        ("# jobserver\n\n", "allowed_signers: names no key"),
        ("jobserver", "allowed_signers:1: expected: name options ssh-ed25519 key"),
        ("jobserver ssh-ed25519", "allowed_signers:1: expected: name options ssh-ed25519 key"),
        ("\njobserver ssh-ed25519 !!!", "allowed_signers:2: the key is not base64"),
        (LINE.format('namespaces="file" '), "allowed_signers:1: the key is not for git"),
        (
            LINE.format('valid-after="tomorrow" '),
            "allowed_signers:1: expected a time such as 20261124093000Z, found 'tomorrow'",
        ),
        (LINE.format('valid-after="20261399" '), "allowed_signers:1: "),
        # Found: forty letters in one line kept the server busy for years.
        (f"jobserver {'a' * 100_000}!", "allowed_signers:1: expected: name options ssh-ed25519 key"),
        (f"jobserver{' ' * 100_000}x", "allowed_signers:1: expected: name options ssh-ed25519 key"),
        (f"jobserver {'a,' * 50_000}x y", "allowed_signers:1: expected: name options ssh-ed25519 key"),
    ],
)
def test_a_malformed_line_of_signers_is_refused(text: str, fault: str) -> None:
    with pytest.raises(Error) as caught:
        read(text)
    assert caught.value.code is Code.INVALID
    assert (str(caught.value.faults[0]) if caught.value.faults else str(caught.value)).startswith(fault)


def test_every_line_that_can_not_be_read_is_told() -> None:
    with pytest.raises(Error) as caught:
        read(f"x\n{LINE.format('')}\ny\n", "keys")
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [("keys", 1), ("keys", 3)]


def test_how_long_a_key_may_sign() -> None:
    day = [datetime(2026, 11, number, tzinfo=UTC) for number in range(20, 25)]
    assert [Signer("x", day[1], day[3]).was_valid(at) for at in day] == [False, True, True, True, False]
    assert [Signer("x", None, day[3]).was_valid(at) for at in day] == [True, True, True, True, False]
    assert [Signer("x", day[1]).was_valid(at) for at in day] == [False, True, True, True, True]
    assert Signer("x").was_valid(day[0])


def test_a_key_is_known_by_its_fingerprint() -> None:
    assert list(read(LINE.format(""))) == [one("").fingerprint]
    assert fingerprint(b"a") != fingerprint(b"b")


def test_an_unsigned_commit_has_no_signer() -> None:
    with pytest.raises(Error, match="is not signed"):
        signed_by(Commit("0" * 40, b"", (), "x", 0, "x"), {})
