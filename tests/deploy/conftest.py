"""The image and the Debian below it are made once for all tests of this folder, in whichever process they run."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.deploy.image import Image, build, debian, once

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of this run of pytest share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "machines"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def image(machines: Path) -> Image:
    debian("trixie", machines)
    folder = machines / "image"
    folder.mkdir(exist_ok=True)
    made = folder / "image.json"
    with once(folder):
        if not made.exists():
            fields = asdict(build(ROOT, folder, machines))
            made.write_text(json.dumps({**fields, "root": str(fields["root"])}))
    fields = json.loads(made.read_text())
    return Image(**{**fields, "root": Path(fields["root"])})
