"""The requests that were created at a controller, of one backend. To the loop of a `Runner`, it is the server.

    raps/<id>.json       a request, and its jobs as they were last reported

A file is durable before the call that it is about is answered.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.errors import invalid
from jobserver.store.fs import disk_errors, replace_durably

_MAX_WAIT = 5.0  # seconds: the loop's next call shows that it is alive


@dataclass(slots=True)
class _Rap:
    """``item``: as of the server's list. ``jobs``: as in a runner's report."""

    item: dict[str, Any]
    jobs: list[dict[str, Any]]

    @property
    def is_finished(self) -> bool:
        return all(job["status"] in FINISHED for job in self.jobs)


class RapBook:
    """Thread-safe. A `jobserver.runner.transport.base.Transport`."""

    refused: Mapping[str, str] = {}

    def __init__(self, root: Path, now: Callable[[], datetime]) -> None:
        self._folder, self._now = root / "raps", now
        self._change = threading.Condition()
        self._listed: list[Any] | None = None
        self._is_closed = False
        self.seen_at: datetime | None = None
        with disk_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._raps = {path.stem: _read(path) for path in sorted(self._folder.glob("*.json"))}

    # For the loop

    def fetch(self, wait: float) -> list[Any] | None:
        with self._change:
            self.seen_at = self._now()
            items = self._items()
            if items == self._listed and not self._is_closed:
                self._change.wait(min(wait, _MAX_WAIT))
                items = self._items()
            self.seen_at = self._now()
            if items == self._listed:
                return None
            self._listed = items
            return items

    def _items(self) -> list[Any]:
        return [dict(rap.item) for rap in self._raps.values() if not rap.is_finished]

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        by_rap: dict[str, list[dict[str, Any]]] = {}
        for job in jobs:
            by_rap.setdefault(job["job_request_id"], []).append(job)
        with self._change:
            self.seen_at = self._now()
            for identifier, reported in by_rap.items():
                if (rap := self._raps.get(identifier)) is not None:
                    rap.jobs = reported
                    self._save(identifier, rap)
        return [identifier for identifier in by_rap if identifier not in self._raps]

    def close(self) -> None:
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    # For the API

    def item(self, identifier: str) -> dict[str, Any] | None:
        with self._change:
            rap = self._raps.get(identifier)
            return rap.item if rap is not None else None

    def add(self, item: dict[str, Any], jobs: list[dict[str, Any]]) -> None:
        with self._change:
            rap = _Rap(item, jobs)
            self._save(item["identifier"], rap)
            self._raps[item["identifier"]] = rap
            self._change.notify_all()

    def cancel(self, identifier: str, actions: Sequence[str]) -> None:
        with self._change:
            rap = self._raps[identifier]
            cancelled = dict.fromkeys([*rap.item["cancelled_actions"], *actions])
            rap.item = {**rap.item, "cancelled_actions": list(cancelled)}
            self._save(identifier, rap)
            self._change.notify_all()

    def jobs(self, identifier: str) -> list[dict[str, Any]] | None:
        with self._change:
            rap = self._raps.get(identifier)
            return rap.jobs if rap is not None else None

    def _save(self, identifier: str, rap: _Rap) -> None:
        with disk_errors():
            data = {"version": 1, "item": rap.item, "jobs": rap.jobs}
            replace_durably(self._folder / f"{identifier}.json", json.dumps(data, indent=1).encode())


def _read(path: Path) -> _Rap:
    try:
        data = json.loads(path.read_bytes())
        if data["version"] != 1:
            raise ValueError(f"version {data['version']}")
        return _Rap(data["item"], data["jobs"])
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(f"was not written by this version of the controller ({error}): move it away", str(path)) from None
