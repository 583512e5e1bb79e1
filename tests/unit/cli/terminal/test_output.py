"""Lines on a terminal."""

import json
import sys

import pytest

from jobserver.cli.terminal.output import say, show_rows


def test_a_runners_text_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[2Jjob", "title\x1b]0;owned\x07\nsecond line\t\u202e")
    out = capsys.readouterr().out
    assert out == "\\x1b[2Jjob\ttitle\\x1b]0;owned\\x07\\nsecond line\\t\\u202e\n"


ROWS = [{"name": "trends", "archived": True, "project": None, "roles": ["a", "b"]}]


def test_a_list_is_lines_with_tabs_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, form=None)
    assert capsys.readouterr().out == "trends\tarchived\t\ta, b\n"
    show_rows(ROWS, form="json")
    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_list_is_a_table_with_headings_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    show_rows([*ROWS, {"name": "[red]\x1b[2J", "archived": False, "project": "lab/p", "roles": []}], form=None)
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["NAME", "ARCHIVED", "PROJECT", "ROLES"]
    assert first == ["trends", "archived", "a,", "b"]
    assert second == ["[red]\\x1b[2J", "not", "archived", "lab/p"]


def test_a_list_is_csv_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"name": 'a "b", c', "active": True, "roles": ["x", "y"], "project": None}], form="csv")
    assert capsys.readouterr().out == 'name,active,roles,project\n"a ""b"", c",true,x y,\n'
    show_rows([], form="csv")
    assert capsys.readouterr().out == ""
