"""What a page shows of a released file."""

import pytest

from jobserver.web.pages.released.difference import difference
from jobserver.web.pages.released.viewer import MAX_SHOWN, FileKind, content_type, shown_file


def kind(path: str, data: bytes) -> FileKind:
    return shown_file(path, len(data), data).kind


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("a.txt", b"text", FileKind.TEXT),
        ("no_ending", b"text", FileKind.TEXT),
        ("a.csv", b"a,b\n1,2\n", FileKind.TABLE),
        ("A.TSV", b"a\tb\n1\t2\n", FileKind.TABLE),
        ("empty.csv", b"", FileKind.TEXT),
        ("a.PNG", b"\x89PNG", FileKind.IMAGE),
        ("a.svg", b"<svg/>", FileKind.IMAGE),
        ("a.htm", b"<p>", FileKind.PAGE),
        ("a.rds", b"\x1f\x8b\xff", FileKind.OTHER),
        ("a.csv", b"\xff\xfe", FileKind.OTHER),
        ("a.txt", b"a\0b", FileKind.OTHER),
        ("png/a", b"text", FileKind.TEXT),
    ],
)
def test_the_ending_and_the_bytes_say_how_a_file_is_shown(path: str, data: bytes, expected: FileKind) -> None:
    assert kind(path, data) is expected


def test_only_pictures_and_pages_are_shown_by_themselves() -> None:
    assert content_type("plots/a.svg") == "image/svg+xml"
    assert content_type("a.html").startswith("text/html")
    assert content_type("a.js") == content_type("a.pdf") == content_type("a.xhtml") == ""


def test_a_table_has_equal_rows_and_says_what_is_left_out() -> None:
    rows = "".join(f"{number},x\n" for number in range(600))
    shown = shown_file("a.csv", 9999999, f"n,v,w\n{rows}".encode())
    assert shown.columns == ["n", "v", "w"]
    assert shown.rows[0] == ["0", "x", ""]
    assert len(shown.rows) == 500
    assert shown.cut == "Not shown: the rows after the first half megabyte."
    whole = f"n,v\n{rows}".encode()
    assert shown_file("a.csv", len(whole), whole).cut == "Not shown: 100 more rows."
    wide = ",".join(map(str, range(60))).encode()
    assert shown_file("a.csv", len(wide), wide).cut == "Not shown: 10 more columns."


def test_a_field_that_is_too_long_for_a_table_is_shown_as_text() -> None:
    assert kind("a.csv", b"x" * 200_000) is FileKind.TEXT


def test_a_character_that_is_cut_in_two_does_not_make_a_text_unreadable() -> None:
    start = ("é" * MAX_SHOWN).encode()[: MAX_SHOWN - 1]
    shown = shown_file("a.txt", 2 * MAX_SHOWN, start)
    assert shown.kind is FileKind.TEXT
    assert shown.text.endswith("é")
    assert "Only the beginning is shown" in shown.cut


def test_a_difference_has_the_changed_lines_with_those_around_them() -> None:
    assert difference("a\nb\nc", "a\nx\nc") == (["@@ -1,3 +1,3 @@", " a", "-b", "+x", " c"], False)
    assert difference("a", "a") == ([], False)
    lines, has_more = difference("\n".join(map(str, range(1000))), "")
    assert len(lines) == 400
    assert has_more
    assert difference("a\n" * 6000, "b") == ((), True)
