"""Contact details: erasable, private, and never in git."""

import stat
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.service.private import PrivateStore


def test_kept_erased_and_private(tmp_path: Path) -> None:
    path = tmp_path / "private.sqlite3"
    with closing(PrivateStore(path)) as store:
        assert store.email("alice") == ""
        store.set_email("alice", "alice@example.org")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(PrivateStore(path)) as store:
        assert store.email("alice") == "alice@example.org"
        store.set_email("alice", "")
    assert all(b"alice@example.org" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["alice", "a b@example.org", "a@b", "x" * 70 + "@example.org", "a@example.org\nBcc: b@c.d"]
)
def test_what_is_no_address(tmp_path: Path, text: str) -> None:
    with closing(PrivateStore(tmp_path / "p")) as store, pytest.raises(Error, match="address"):
        store.set_email("alice", text)
