"""What a fetch asks for, as git's clients say it and as nobody should."""

import gzip

import pytest

from jobserver.errors import Code, Error
from jobserver.web.wants import MAX_BODY, packet, plain, wants

ONE, TWO = "1" * 40, "2" * 40


def said(*lines: str, then: bytes = b"0032have " + b"3" * 40 + b"\n0000") -> bytes:
    return b"".join(packet(line.encode()) for line in lines) + b"0000" + then


def test_what_git_clients_say() -> None:
    first = f"want {ONE} multi_ack_detailed side-band-64k thin-pack ofs-delta agent=git/2.39.5\n"
    assert wants(said(first)) == [ONE]
    assert wants(said(first, f"want {TWO}\n", f"want {ONE}", "deepen 1", f"shallow {TWO}\n")) == [ONE, TWO]
    assert wants(b"0000") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        packet(f"want {ONE}\n".encode()),  # no flush
        b"0032want",
        b"0001" + said(f"want {ONE}\n"),  # v2's delimiter
        b"+032" + said(f"want {ONE}\n"),
        said(f"want {ONE[1:]}\n"),
        said(f"want {ONE}{ONE}\n"),
        said(f"want  {ONE}\n"),
        said(f"want\t{ONE}\n"),
        said(f"want {ONE.replace('1', 'A')}\n"),
        said(*(f"want {at:040x}" for at in range(17))),
    ],
)
def test_what_nobody_should(body: bytes) -> None:
    with pytest.raises(Error) as caught:
        wants(body)
    assert caught.value.code is Code.INVALID


def test_a_body_may_be_gzipped_and_no_bomb() -> None:
    assert plain(b"0000", "") == b"0000"
    assert plain(gzip.compress(b"0000"), "gzip") == plain(gzip.compress(b"0000"), "X-GZIP") == b"0000"
    for body in (b"0000", gzip.compress(b"0000")[:-1], gzip.compress(b"0" * (MAX_BODY + 1))):
        with pytest.raises(Error) as caught:
            plain(body, "gzip")
        assert caught.value.code is Code.INVALID
