"""The shapes of a controller's answers. Strict about what the server uses, and silent about keys that it does not know.

A status answer holds each job as the controller sent it: `jobserver.service.reports` reads it as a runner's report.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from jobserver.domain.base.validation import reason
from jobserver.errors import unavailable

MAX_SHOWN = 2000  # characters of what a controller says about a request
CREATED, NO_CHANGE, NOTHING_TO_DO = "Success", "No change", "Nothing to do"


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError("a time needs a time zone")
    return moment


_Moment = Annotated[datetime, AfterValidator(_utc)] | None


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class ControllerFlag(_Answer):
    status: Literal["on", "off"]
    since: _Moment


class ControllerMaintenance(ControllerFlag):
    type: Literal["scheduled", "manual"] | None


class ControllerBackend(_Answer):
    """``last_seen``: when the controller last heard of the backend."""

    slug: str
    last_seen: _Moment
    paused: ControllerFlag
    db_maintenance: ControllerMaintenance

    def flags(self) -> dict[str, dict[str, Any]]:
        """As a runner's header Flags has them."""
        is_on = self.db_maintenance.status == "on"
        is_manual = is_on and self.db_maintenance.type == "manual"
        since = {"paused": self.paused.since, "maintenance": self.db_maintenance.since}
        times = {name: moment.isoformat() if moment else None for name, moment in since.items()}
        return {
            "paused": {"v": "true" if self.paused.status == "on" else None, "ts": times["paused"]},
            "mode": {"v": "db-maintenance" if is_on and not is_manual else None, "ts": times["maintenance"]},
            "manual-db-maintenance": {"v": "on" if is_manual else None, "ts": times["maintenance"]},
        }


class ControllerBackends(_Answer):
    backends: tuple[ControllerBackend, ...]


class RapStatus(_Answer):
    jobs: tuple[dict[str, Any], ...]
    unrecognised_rap_ids: tuple[str, ...]


class RapResult(_Answer):
    """Of a creation or a cancellation that was accepted."""

    result: str
    details: str = ""


class RapRefusal(_Answer):
    error: str
    details: str

    @property
    def text(self) -> str:
        """For the researcher."""
        return f"{self.error}: {self.details}"[:MAX_SHOWN]


A = TypeVar("A", bound=_Answer)


def read_answer(model: type[A], body: bytes) -> A:
    """Raises `Error` (unavailable) that says where the answer is not as expected."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the answer"
        message = "is not JSON" if fault["type"] == "json_invalid" else reason(fault)
        raise unavailable(f"its answer is not as expected: {where} {message}"[:300]) from None
