"""Tells when somebody else moved a ref: another server, a push, an administrator with plain git."""

from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class _Moved(FileSystemEventHandler):
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._callback()


class Watch:
    """Calls ``callback`` from a thread of its own after refs moved: git renames a lock file over the ref.

    Only a hint, which may be late, doubled or (on a network file system) missing: look at the refs themselves.
    """

    def __init__(self, repository: Path, callback: Callable[[], None]) -> None:
        self._observer = Observer()
        handler = _Moved(callback)
        events: list[type[FileSystemEvent]] = [FileMovedEvent]
        self._observer.schedule(handler, str(repository / "refs" / "heads"), recursive=True, event_filter=events)
        self._observer.start()

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()
