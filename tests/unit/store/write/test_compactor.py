"""Small packs joined beside the writer, when nobody else takes packs away."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.store.git.packs import BLOB, Pack
from jobserver.store.write import compactor
from jobserver.store.write.compactor import Compactor, maintaining
from tests.e2e.harness import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    return tmp_path / "objects" / "pack"


@pytest.fixture
def joining(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compactor]:
    monkeypatch.setattr(compactor, "_PACKS_TO_JOIN", 3)
    made = Compactor(folder, folder / "lock")
    yield made
    made.close()


def add(joining: Compactor, folder: Path, *texts: str) -> None:
    for text in texts:
        pack = Pack()
        pack.add(BLOB, text.encode())
        joining.add(pack.save(folder, keep=False))


def count(folder: Path) -> int:
    return len(list(folder.glob("*.pack")))


def test_the_compactor_waits_for_enough_packs(joining: Compactor, folder: Path) -> None:
    add(joining, folder, "a", "b")
    assert count(folder) == 2
    add(joining, folder, "c")
    until(lambda: count(folder) == 1)
    add(joining, folder, "d", "e", "f")
    until(lambda: count(folder) == 2)


def test_while_maintenance_is_at_work_they_stay(
    joining: Compactor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def watched(path: Path, wait: bool) -> object:
        asked.set()
        return maintaining(path, wait)

    monkeypatch.setattr(compactor, "maintaining", watched)
    with maintaining(folder / "lock") as ours:
        assert ours
        with maintaining(folder / "lock", wait=False) as other:
            assert not other
        add(joining, folder, "a", "b", "c")
        assert asked.wait(30)
        joining.close()
        assert count(folder) == 3


def test_a_compactor_that_was_never_needed_closes() -> None:
    Compactor(Path(), Path()).close()
