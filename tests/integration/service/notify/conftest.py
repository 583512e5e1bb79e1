from pathlib import Path

import pytest

from tests.certificates import write_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    write_certificate(file)
    return file
