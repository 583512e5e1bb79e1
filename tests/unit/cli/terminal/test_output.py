"""Lines on a terminal."""

import pytest

from jobserver.cli.terminal.output import say


def test_a_runners_text_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[2Jjob", "title\x1b]0;owned\x07\nsecond line\t\u202e")
    out = capsys.readouterr().out
    assert out == "\\x1b[2Jjob\ttitle\\x1b]0;owned\\x07\\nsecond line\\t\\u202e\n"
