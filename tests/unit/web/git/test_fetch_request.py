"""What a fetch asks for, as git's clients say it and as nobody should."""

import gzip

import pytest

from jobserver.errors import Code, Error
from jobserver.web.git.fetch_request import Fetch
from jobserver.web.git.pkt_line import MAX_BODY, decoded, lines, packet

ONE, TWO = "1" * 40, "2" * 40


def said(*lines: str, then: bytes = b"0032have " + b"3" * 40 + b"\n0000") -> bytes:
    return b"".join(packet(line.encode()) for line in lines) + b"0000" + then


FIRST = f"want {ONE} multi_ack_detailed side-band-64k thin-pack ofs-delta agent=git/2.39.5\n"
HAVE = b"0032have " + b"3" * 40 + b"\n"


def test_requests_of_gits_clients_are_read() -> None:
    assert (Fetch(said(FIRST)).wants, Fetch(said(FIRST)).commits) == ([ONE], {ONE, "3" * 40})
    again = said(FIRST, f"want {TWO}\n", f"want {ONE}", "deepen 1", "deepen-since 1700000000\n", f"shallow {TWO}\n",
                 then=HAVE + b"0000" + HAVE + b"0009done\n")  # fmt: skip
    fetch = Fetch(again)
    assert (fetch.wants, fetch.commits) == ([ONE, TWO], {ONE, TWO, "3" * 40})
    assert fetch.without(set()) == again
    assert Fetch(b"0000").wants == []


def test_ids_that_the_repository_lacks_are_left_out_of_a_fetch_request() -> None:
    whole = said(FIRST, f"shallow {TWO}\n", f"shallow {ONE}", then=HAVE + b"0000" + HAVE + b"0009done\n")
    assert Fetch(whole).without({TWO, "3" * 40}) == said(FIRST, f"shallow {ONE}", then=b"00000009done\n")


def test_filters_are_read_and_not_passed_on() -> None:
    fetch = Fetch(said(FIRST, "deepen 1", "filter sparse:oid=active\n", "filter blob:none"))
    assert fetch.filters == {"sparse:oid=active", "blob:none"}
    assert fetch.without(set()) == said(FIRST, "deepen 1")
    assert Fetch(said(FIRST)).filters == set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        packet(FIRST.encode()),  # no flush
        b"0032want",
        b"0001" + said(FIRST),  # v2's delimiter
        b"+032" + said(FIRST),
        said(f"want {ONE[1:]}\n"),
        said(f"want {ONE}{ONE}\n"),
        said(f"want  {ONE}\n"),
        said(f"want\t{ONE}\n"),
        said(f"want {ONE.replace('1', 'A')}\n"),
        said(*(f"want {at:040x}" for at in range(17))),
        said(FIRST, "deepen-not refs/heads/backends/emis"),
        said(FIRST, "filter "),
        said(FIRST, "deepen x"),
        said(FIRST, f"shallow {ONE[1:]}"),
        said(FIRST, then=b"000bgarbage"),
        said(FIRST, then=b"0032have"),
        said(FIRST, then=HAVE + b"x"),
        said(FIRST, then=b"0031have " + b"3" * 39 + b"\n"),
    ],
)
def test_a_malformed_fetch_request_is_refused(body: bytes) -> None:
    with pytest.raises(Error) as caught:
        Fetch(body)
    assert caught.value.code is Code.INVALID


def test_lines_up_to_the_first_flush() -> None:
    assert lines(packet(b"a") + b"0000rest") == ([b"a"], 9)
    assert lines(b"0000") == ([], 4)


def test_a_body_may_be_gzipped_and_no_bomb() -> None:
    assert decoded(b"0000", "") == b"0000"
    assert decoded(gzip.compress(b"0000"), "gzip") == decoded(gzip.compress(b"0000"), "X-GZIP") == b"0000"
    for body in (b"0000", gzip.compress(b"0000")[:-1], gzip.compress(b"0" * (MAX_BODY + 1))):
        with pytest.raises(Error) as caught:
            decoded(body, "gzip")
        assert caught.value.code is Code.INVALID
