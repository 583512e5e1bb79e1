"""What was tried and what came of it; and the moment when something broke."""

import time
from collections import Counter

from tests.e2e.harness import Site

_LOOK_EVERY = 200


class Broken(Exception):
    """What was asked, and what came of it."""


class Tally:
    def __init__(self, name: str, site: Site, seconds: float) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self._site = site
        self._ends = time.monotonic() + seconds
        self._log = site.folder / "server.log"
        self._read = self._log.stat().st_size

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self._ends

    def answered(self, status: int, what: str, body: bytes = b"") -> None:
        """An answer of the server. 503 is one too: it is what a server says that has too much to do."""
        self.counts["503" if status == 503 else f"{status // 100}xx"] += 1
        if status >= 500 and status != 503:
            raise Broken(f"{status} for {what}\n{body[:2000]!r}")
        if self.counts.total() % _LOOK_EVERY == 0:
            self.look(what)

    def look(self, last: str = "") -> None:
        """Whether the server is still there, and has nothing to complain of."""
        server = self._site.server
        if server is None or server.poll() is not None:
            raise Broken(f"the server ended; the last call: {last}")
        with self._log.open("rb") as file:
            file.seek(self._read)
            said = file.read()
        self._read += len(said)
        if b"Traceback" in said or b"panicked" in said:
            raise Broken(f"{said.decode(errors='replace')}\none of the {_LOOK_EVERY} calls up to: {last}")
