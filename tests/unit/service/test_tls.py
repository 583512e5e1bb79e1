"""The authorities that HTTP clients trust."""

import os
from pathlib import Path

import pytest

from jobserver.service import tls
from tests.certificates import write_certificate


def test_authorities_are_read_once_until_their_file_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = tls.context()
    assert tls.context() is usual
    named = tmp_path / "authorities.pem"
    write_certificate(named)
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    of_file = tls.context()
    assert len(of_file.get_ca_certs()) == 1
    assert tls.context() is of_file
    os.utime(named, ns=(1, 1))
    assert tls.context() not in (usual, of_file)
