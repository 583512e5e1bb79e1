"""What is said at the start about where the server listens."""

from pathlib import Path

import pytest

from jobserver.cli import serve


@pytest.mark.parametrize(
    ("host", "is_container", "expected"),
    [("127.0.0.1", True, True), ("::1", True, True), ("0.0.0.0", True, False), ("127.0.0.1", False, False)],
)
def test_a_container_that_listens_to_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, is_container: bool, expected: bool
) -> None:
    monkeypatch.setattr(serve, "_CONTAINER", (tmp_path / "none", tmp_path if is_container else tmp_path / "none"))
    assert serve.unreachable(host) is expected
