"""The judge of the torture: it must notice each kind of wrong, or its silence says nothing."""

import pytest

from tests.torture.history import Call, Outcome, judge

COMMIT = "c" * 40


def call(kind: str, began: float, ended: float, outcome: Outcome = Outcome.OK, **more: object) -> Call:
    made = Call(kind, began, ended, outcome)
    for name, value in more.items():
        setattr(made, name, value)
    return made


ASK = call("ask", 1, 2, marker="m", commit=COMMIT, request="r")


@pytest.mark.parametrize(
    ("calls", "found", "words"),
    [
        ([ASK], {}, "acknowledged and is there 0 times"),
        ([ASK], {"m": [COMMIT, "d" * 40]}, "acknowledged and is there 2 times"),
        ([ASK], {"m": ["d" * 40]}, "was acknowledged as"),
        ([call("ask", 1, 2, Outcome.REFUSED, marker="m")], {"m": [COMMIT]}, "was refused and is there"),
        ([call("ask", 1, 2, Outcome.UNKNOWN, marker="m")], {"m": [COMMIT] * 2}, "is there 2 times"),
        ([ASK, call("read", 3, 4)], {"m": [COMMIT]}, "does not have it"),
        ([ASK, call("read", 5, 6, fresh=3)], {"m": [COMMIT]}, "does not have it"),
        ([ASK, call("read", 0, 0.5, seen=frozenset("r"))], {"m": [COMMIT]}, "before r was asked for has it"),
        (
            [ASK, call("report", 3, 4, finishes="r"), call("read", 5, 6, seen=frozenset("r"))],
            {"m": [COMMIT]},
            "after r was finished still has it",
        ),
    ],
)
def test_what_is_wrong_is_noticed(calls: list[Call], found: dict[str, list[str]], words: str) -> None:
    (wrong,) = judge(calls, found)
    assert words in wrong


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([ASK], {"m": [COMMIT]}),
        ([call("ask", 1, 2, Outcome.UNKNOWN, marker="m")], {}),
        ([call("ask", 1, 2, Outcome.UNKNOWN, marker="m")], {"m": [COMMIT]}),
        ([call("ask", 1, 2, Outcome.REFUSED, marker="m")], {}),
        ([ASK, call("read", 1.5, 4)], {"m": [COMMIT]}),
        ([ASK, call("read", 3, 4, seen=frozenset("r"))], {"m": [COMMIT]}),
        ([ASK, call("read", 3, 4, fresh=1.5)], {"m": [COMMIT]}),
        ([ASK, call("report", 3, 5, finishes="r"), call("read", 4, 6)], {"m": [COMMIT]}),
        ([ASK, call("report", 3, 5, finishes="r"), call("read", 4, 6, seen=frozenset("r"))], {"m": [COMMIT]}),
    ],
)
def test_what_may_be_is_let_be(calls: list[Call], found: dict[str, list[str]]) -> None:
    assert judge(calls, found) == []
