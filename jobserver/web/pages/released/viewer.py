"""What a page shows of a released file: its text, a table, a picture, or the page that it is. Pure.

A released file is data of strangers. It never becomes part of a page as HTML: text is escaped, and pictures and pages
are files of their own, whose headers forbid scripts (`web.downloads`).
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_SHOWN = 512 * 1024
"""Bytes of a text or table that are read to be shown."""
_MOST_ROWS, _MOST_COLUMNS, _MOST_LINES = 500, 50, 2000
_IMAGES = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
_PAGES = {"htm": "text/html; charset=utf-8", "html": "text/html; charset=utf-8"}
_SEPARATORS = {"csv": ",", "tsv": "\t"}


class FileKind(StrEnum):
    TEXT = "text"
    TABLE = "table"
    IMAGE = "image"
    PAGE = "page"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ShownFile:
    """``text``: of a text. ``columns`` and ``rows``: of a table. ``cut``: what is left out, in words; empty if nothing
    is."""

    kind: FileKind
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    cut: str = ""


def content_type(path: str) -> str:
    """Of a file that a browser may show by itself, in a frame or as a picture; empty for others."""
    return (_IMAGES | _PAGES).get(_ending(path), "")


def shown_file(path: str, size: int, start: bytes) -> ShownFile:
    """``start``: the first `MAX_SHOWN` bytes of the file, which has ``size`` bytes."""
    ending = _ending(path)
    if ending in _IMAGES:
        return ShownFile(FileKind.IMAGE)
    if ending in _PAGES:
        return ShownFile(FileKind.PAGE)
    text = as_text(start, size > len(start))
    if text is None:
        return ShownFile(FileKind.OTHER)
    if ending in _SEPARATORS and (table := _table(text, _SEPARATORS[ending], size > len(start))):
        return table
    lines = text.split("\n")
    is_cut = size > len(start) or len(lines) > _MOST_LINES
    cut = f"Only the beginning is shown: {min(len(lines), _MOST_LINES):,} lines." if is_cut else ""
    return ShownFile(FileKind.TEXT, "\n".join(lines[:_MOST_LINES]), cut=cut)


def as_text(data: bytes, is_cut: bool) -> str | None:
    """None for data that is not UTF-8 text. ``is_cut``: its last character may be there in part."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if not is_cut or error.start < len(data) - 3:
            return None
        text = data[: error.start].decode()
    return None if "\0" in text else text.removeprefix("\ufeff").replace("\r\n", "\n")


def _table(text: str, separator: str, is_cut: bool) -> ShownFile | None:
    """None for what is no table."""
    if is_cut:  # the last line may be there in part
        text = text[: text.rfind("\n") + 1]
    rows: list[list[str]] = []
    more = 0
    try:
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            if len(rows) > _MOST_ROWS:
                more += 1
            elif row:
                rows.append(row)
    except csv.Error:
        return None
    if not rows:
        return None
    width = max(map(len, rows))
    padded = [[*row[:_MOST_COLUMNS], *[""] * (min(width, _MOST_COLUMNS) - len(row))] for row in rows]
    return ShownFile(FileKind.TABLE, columns=padded[0], rows=padded[1:], cut=_left_out(more, width, is_cut))


def _left_out(rows: int, width: int, is_cut: bool) -> str:
    left_out = []
    if is_cut:
        left_out.append("the rows after the first half megabyte")
    elif rows:
        left_out.append(f"{rows:,} more row{'s' if rows != 1 else ''}")
    if width > _MOST_COLUMNS:
        columns = width - _MOST_COLUMNS
        left_out.append(f"{columns:,} more column{'s' if columns != 1 else ''}")
    return f"Not shown: {' and '.join(left_out)}." if left_out else ""


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()
