"""The trailer `Via:` of a command says which user of the machine sat there."""

import os

import pytest

from jobserver.cli.admin import via


def test_via_is_who_the_machine_says_and_not_what_the_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "alice")
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert via() == "cli/root"


def test_a_user_without_an_entry_in_passwd_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    assert via() == "cli/4000000001"
