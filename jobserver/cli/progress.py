"""A progress bar for work that takes more than two seconds, where there is a terminal to see it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_PATIENCE_SECONDS = 2.0


@contextmanager
def reading() -> Iterator[Callable[[str, int], None]]:
    """Yields what to call with a branch and how many of its files have been read."""
    console = Console(stderr=True)
    bar = Progress(
        SpinnerColumn(), TextColumn("reading {task.description}"), TextColumn("{task.completed:,} files"),
        TimeElapsedColumn(), console=console, transient=True,
    )  # fmt: skip
    began = time.monotonic()
    tasks = {}

    def told(branch: str, count: int) -> None:
        if time.monotonic() - began < _PATIENCE_SECONDS:
            return
        if branch not in tasks:
            bar.start()
            tasks[branch] = bar.add_task(branch)
        bar.update(tasks[branch], completed=count)

    try:
        yield told
    finally:
        if tasks:
            bar.stop()
