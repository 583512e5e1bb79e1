import threading
from pathlib import Path

from jobserver.store.watch import Watch


def test_a_ref_that_git_moves_is_told(tmp_path: Path) -> None:
    heads = tmp_path / "refs" / "heads"
    heads.mkdir(parents=True)
    told = threading.Event()
    watch = Watch(tmp_path, told.set)
    try:
        (heads / "main.lock").write_text("0" * 40)
        (heads / "main.lock").rename(heads / "main")
        assert told.wait(30)
    finally:
        watch.close()
