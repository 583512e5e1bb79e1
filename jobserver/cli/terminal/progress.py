"""Progress bars on a terminal, for work that takes more than two seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_PATIENCE_SECONDS = 2.0


@contextmanager
def counting(noun: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to call with (how many are done, how many there are)."""
    bar = Progress(
        TextColumn("{task.completed:,} of {task.total:,} {task.description}"), BarColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    began = time.monotonic()
    tasks: list[TaskID] = []

    def update(done: int, total: int) -> None:
        if time.monotonic() - began < _PATIENCE_SECONDS:
            return
        if not tasks:
            bar.start()
            tasks.append(bar.add_task(noun, total=total))
        bar.update(tasks[0], completed=done)

    try:
        yield update
    finally:
        if tasks:
            bar.stop()


@contextmanager
def reading() -> Iterator[Callable[[str, int], None]]:
    """Yields a function to call with (a branch, how many of its files are read)."""
    console = Console(stderr=True)
    bar = Progress(
        SpinnerColumn(), TextColumn("reading {task.description}"), TextColumn("{task.completed:,} files"),
        TimeElapsedColumn(), console=console, transient=True,
    )  # fmt: skip
    began = time.monotonic()
    tasks = {}

    def update(branch: str, count: int) -> None:
        if time.monotonic() - began < _PATIENCE_SECONDS:
            return
        if branch not in tasks:
            bar.start()
            tasks[branch] = bar.add_task(branch)
        bar.update(tasks[branch], completed=count)

    try:
        yield update
    finally:
        if tasks:
            bar.stop()
