"""Asks OpenCodelists whether the codelists of a study are those of today. It may be down: then nothing is refused.

May import errors, domain, cache, httpx and this package.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jobserver.cache import Cache
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import one_line
from jobserver.domain.pipeline.commands import HasRun, database_actions
from jobserver.domain.pipeline.graph import closure
from jobserver.errors import Code, Error, invalid, some, unavailable
from jobserver.service import tls
from jobserver.service.studies.deadline import DeadlineRunner

FOLDER, LIST, MANIFEST = "codelists", "codelists.txt", "codelists.json"
SECONDS = 3.0
_KNOWN_SECONDS = 600.0  # because somebody may change a codelist at any time
_SILENT_SECONDS = 60.0  # after a failure, in which nobody waits again
_COMMITS = 1000
_MAX_BYTES = 1024 * 1024
_MAX_TEXT = 500
_HELP = "run `opensafely codelists update`, then commit and push the changes"
_DIFFERENCES = ("added", "removed", "changed")
_log = logging.getLogger(__name__)

Files = Callable[[str, str], Mapping[str, bytes] | None]
"""(repository, commit) -> the list and the manifest, as far as they are there; None without the folder."""


@dataclass(frozen=True, slots=True)
class CodelistCheck:
    """``is_ok`` is also true where nothing is known; ``problem`` then says why. It begins with ``codelists``."""

    is_ok: bool = True
    problem: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        return (self.problem,) if self.problem else ()


class Codelists:
    """``url``: of OpenCodelists; without it, nothing is checked. Thread-safe. Remembers the answer for each commit."""

    def __init__(self, url: str, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._files, self._clock = url.rstrip("/"), files, clock
        self._known = Cache[tuple[str, str], tuple[float, CodelistCheck]](_COMMITS)
        self._within = DeadlineRunner(8)
        self._failure: tuple[float, CodelistCheck] | None = None
        self._guard = threading.Lock()

    def require(
        self, repo: str, sha: str, actions: Collection[str], pipeline: Mapping[str, PipelineAction], is_forced: bool
    ) -> CodelistCheck:
        """What to record of a request. Raises `Error` (invalid) if an action that surely runs needs other codelists.

        An action that others need may have succeeded before; if it has not, its runner refuses it."""
        using = database_actions(closure(actions, pipeline), pipeline) if self._url else ()
        check = self.check(repo, sha) if using else CodelistCheck()
        certain = [name for name in using if is_forced or name in actions]
        if certain and not check.is_ok:
            verb = "uses" if len(certain) == 1 else "use"
            raise invalid(f"{some(certain)} {verb} the database: {check.problem}", "requested_actions")
        return check

    def of_study(self, repo: str, sha: str, pipeline: Mapping[str, HasRun]) -> CodelistCheck:
        """As `check`, if any action uses the database."""
        return self.check(repo, sha) if self._url and database_actions(pipeline, pipeline) else CodelistCheck()

    def check(self, repo: str, sha: str) -> CodelistCheck:
        """Waits for OpenCodelists, but not again for some time after it has failed."""
        now = self._clock()
        known = self._known.get((repo, sha))
        if not self._url or (known is not None and now - known[0] < _KNOWN_SECONDS):
            return known[1] if known is not None else CodelistCheck()
        with self._guard:
            failure = self._failure
        if failure is not None and now - failure[0] < _SILENT_SECONDS:
            return failure[1]
        try:
            check = self._asked(repo, sha)
        except Error as error:
            if error.code is not Code.UNAVAILABLE:
                return CodelistCheck(False, f"{error.message}: {_HELP}")
            _log.warning("codelists of %s at %s were not checked: %s", repo, sha, error)
            return _unchecked(error)
        self._known.put((repo, sha), (now, check))
        return check

    def _asked(self, repo: str, sha: str) -> CodelistCheck:
        """Raises `Error`: unavailable, or invalid for files that are not what OpenCodelists reads."""
        files = self._files(repo, sha)
        if files is None:
            return CodelistCheck()
        if missing := [name for name in (LIST, MANIFEST) if name not in files]:
            raise invalid(f"{FOLDER}/ has no {' and no '.join(missing)}")
        fields = {"codelists": _text(LIST, files[LIST]), "manifest": _manifest(files[MANIFEST])}
        try:
            return _read(self._answer(fields))
        except Error as error:
            with self._guard:  # not for a study that can't be read: that says nothing about others
                self._failure = (self._clock(), _unchecked(error))
            raise

    def _answer(self, fields: Mapping[str, str]) -> Any:
        """As `_post`, within the time limit."""
        try:
            return self._within(time.monotonic() + SECONDS, lambda: self._post(fields))
        except TimeoutError:
            raise unavailable(f"OpenCodelists did not answer within {SECONDS:g} s") from None

    def _post(self, fields: Mapping[str, str]) -> Any:
        """The JSON of the answer. Raises `Error` (unavailable)."""
        import httpx  # takes long to import

        try:
            url = f"{self._url}/api/v1/check/"
            with httpx.stream("POST", url, data=fields, timeout=SECONDS, verify=tls.context()) as answer:
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > _MAX_BYTES:
                        raise unavailable("OpenCodelists sent too much")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unavailable(f"OpenCodelists can't be reached ({type(error).__name__})") from None
        if answer.status_code != 200:
            raise unavailable(f"OpenCodelists answered {answer.status_code}")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise unavailable("OpenCodelists sent an answer that can't be read") from None


def _unchecked(error: Error) -> CodelistCheck:
    return CodelistCheck(problem=f"codelists were not checked: {error.message}")


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeError:
        raise invalid(f"{FOLDER}/{name} is not UTF-8 text") from None


def _manifest(data: bytes) -> str:
    """Checked, because OpenCodelists has a fault if it is another JSON, and would count as down."""
    text = _text(MANIFEST, data)
    try:
        files = json.loads(text)["files"]
        is_usual = all(isinstance(file["id"], str) and isinstance(file["sha"], str) for file in files.values())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        is_usual = False
    if not is_usual:
        raise invalid(f"{FOLDER}/{MANIFEST} is not what `opensafely codelists update` writes")
    return text


def _read(answer: Any) -> CodelistCheck:
    """Raises `Error` (unavailable) for another answer than OpenCodelists gives."""
    status = answer.get("status") if isinstance(answer, dict) else None
    if status == "ok":
        return CodelistCheck()
    if status != "error":
        raise unavailable("OpenCodelists sent an answer that can't be read")
    data = answer.get("data") if isinstance(answer.get("data"), dict) else {}
    reasons = [f"{key} {some(names)}" for key in _DIFFERENCES if (names := _names(data.get(key)))]
    if isinstance(data.get("error"), str):
        reasons.append(one_line(data["error"]))
    reason = f" ({'; '.join(reasons)[:_MAX_TEXT]})" if reasons else ""
    return CodelistCheck(False, f"codelists are out of date{reason}: {_HELP}")


def _names(value: Any) -> list[str]:
    return sorted(one_line(name) for name in value if isinstance(name, str)) if isinstance(value, list) else []
