"""The site message: what every page shows at its top, such as a planned interruption. Only administrators change it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from jobserver.domain.base.layout import SITE_MESSAGE, Kind
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.planning import write_document
from jobserver.domain.base.rules import Rules
from jobserver.domain.base.state import Changes, State
from jobserver.domain.base.values import Document, Line, Version


class MessageLevel(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    DANGER = "danger"


def _level(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return MessageLevel(value)
    except ValueError:
        raise ValueError(f"{value!r:.60} is not a level: expected one of: {', '.join(MessageLevel)}") from None


class SiteMessage(Document):
    """With an empty ``text``, pages show nothing."""

    version: Version = 1
    level: Annotated[MessageLevel, BeforeValidator(_level)] = MessageLevel.INFO
    text: Line


@dataclass(frozen=True, slots=True)
class SetSiteMessage:
    """An empty ``text`` removes the message from the pages."""

    text: str
    level: str = MessageLevel.INFO


Command: TypeAlias = SetSiteMessage


def plan(state: State, command: Command, actor: Actor) -> Changes:
    before = state.site_message()
    text = command.text.strip()
    after = SiteMessage.model_validate({"level": command.level if text else MessageLevel.INFO, "text": text})
    verb = "set" if text else "removed"
    subject = f"{actor.name} {verb} the site message"
    return write_document(Kind.MESSAGE, SITE_MESSAGE, before, after, "message.updated", subject)


RULES = Rules()
