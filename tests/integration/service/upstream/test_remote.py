"""What git can ask of a hosted repository."""

import contextlib
from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.store.git.remote import Remote
from tests.e2e.host import Host


def test_credentials_are_shown_to_nobody(tmp_path: Path, host: Host) -> None:
    remote = Remote(tmp_path, host.url())
    assert remote.tips() == {}
    assert "a-secret" not in remote.url
    wrong = Remote(tmp_path, host.url().replace("a-secret", "another"))
    with pytest.raises(Error) as refused:
        wrong.tips()
    assert "another" not in str(refused.value)
    with pytest.raises(Error, match="STATE_REMOTE"):
        Remote(tmp_path, "ftp://x")


def test_a_host_that_hangs_has_a_time_limit(tmp_path: Path, host: Host) -> None:
    host.delay = 1
    remote = Remote(tmp_path, host.url(), patience=0.01)
    with pytest.raises(Error, match="did not answer"):
        remote.tips()
    with contextlib.suppress(Error):
        remote.push({"main": (None, "0" * 40)})
