"""The turn to write."""

import threading
from contextlib import ExitStack
from pathlib import Path

from jobserver.store.write.turn import Turn


def test_batches_share_a_turn_and_others_wait_for_its_end(tmp_path: Path) -> None:
    turn, other, is_others = Turn(tmp_path / "lock"), Turn(tmp_path / "lock"), threading.Event()

    def wait() -> None:
        with other.alone():
            is_others.set()

    waiting = threading.Thread(target=wait)
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(turn.shared())
        waiting.start()
        second.enter_context(turn.shared())
        first.close()
        assert not is_others.wait(0.05)
    waiting.join(20)
    assert is_others.is_set()


def test_batches_that_follow_each_other_end_their_turn_sometime(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "lock")
    with ExitStack() as last:
        last.enter_context(turn.shared())
        assert turn.takes_more
        for _ in range(7):
            following = ExitStack()
            following.enter_context(turn.shared())
            last.close()
            last.push(following)
        assert not turn.takes_more
    with turn.shared():
        assert turn.takes_more
