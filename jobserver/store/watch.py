"""Watches for refs that another process moved: another server, a push, or an administrator with plain git."""

import logging
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

_POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class _Moved(FileSystemEventHandler):
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._callback()


class Watch:
    """Calls ``callback`` from its own thread after a ref moved, which git does by renaming a lock file over the ref.

    The call is a hint only: it may be late, doubled or, on a network file system, missing. If the kernel can't watch
    the files (all inotify instances or watches are in use), the files are read every second.
    """

    def __init__(self, repository: Path, callback: Callable[[], None]) -> None:
        self._handler, self._heads = _Moved(callback), str(repository / "refs" / "heads")
        try:
            self._observer = self._started(Observer(), [FileMovedEvent])
        except OSError as error:
            _log.warning("polling refs every second, because the kernel can't watch them: %s", error.strerror)
            self._observer = self._started(PollingObserver(timeout=_POLL_SECONDS), None)

    def _started(self, observer: BaseObserver, events: list[type[FileSystemEvent]] | None) -> BaseObserver:
        observer.schedule(self._handler, self._heads, recursive=True, event_filter=events)
        observer.start()
        return observer

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()
