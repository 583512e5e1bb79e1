"""Tells when somebody else moved a ref: another server, a push, an administrator with plain git."""

import logging
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

_LOOK_SECONDS = 1.0
_log = logging.getLogger(__name__)


class _Moved(FileSystemEventHandler):
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._callback()


class Watch:
    """Calls ``callback`` from a thread of its own after refs moved: git renames a lock file over the ref.

    Only a hint, which may be late, doubled or (on a network file system) missing: look at the refs themselves. Where
    the kernel can't tell (all inotify instances or watches are in use), the files are looked at every second.
    """

    def __init__(self, repository: Path, callback: Callable[[], None]) -> None:
        self._handler, self._heads = _Moved(callback), str(repository / "refs" / "heads")
        try:
            self._observer = self._started(Observer(), [FileMovedEvent])
        except OSError as error:
            _log.warning("refs are looked at every second, since the kernel can't tell of them: %s", error.strerror)
            self._observer = self._started(PollingObserver(timeout=_LOOK_SECONDS), None)

    def _started(self, observer: BaseObserver, events: list[type[FileSystemEvent]] | None) -> BaseObserver:
        observer.schedule(self._handler, self._heads, recursive=True, event_filter=events)
        observer.start()
        return observer

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()
