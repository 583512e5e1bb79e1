"""What will soon end, or has ended, of what a project needs: for its page, some weeks before people are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from jobserver.domain.governance.refusals import is_over

if TYPE_CHECKING:
    from datetime import date

    from jobserver.domain.base.state import Main
    from jobserver.domain.projects import Project

NOTICE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Ending:
    """``last_day``: the last day on which it counts. ``username``: whose training it is; empty for the project."""

    last_day: str
    is_over: bool
    username: str = ""


def endings(main: Main, project: Project, day: date) -> list[Ending]:
    """The project's end, and those of the trainings of its members, within 30 days or past; the first one first."""
    users = [main.user(member.username) for member in project.members]
    days = [(project.end_date, ""), *((user.trained_until, user.username) for user in users if user and user.active)]
    soon = (day + NOTICE).isoformat()
    return sorted(
        (Ending(last, is_over(last, day), username) for last, username in days if last is not None and last <= soon),
        key=lambda ending: (ending.last_day, ending.username),
    )
