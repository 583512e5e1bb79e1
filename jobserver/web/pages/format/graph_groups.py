"""What a picture of a pipeline shows as one: an action, or several of the same stage or status. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from jobserver.web.pages.format import labels
from jobserver.web.pages.layout.layers import Needs, layers_of

_ORDER = ("failed", "running", "pending", "unknown", "cancelled", "skipped", "succeeded")  # then all others
GROUPINGS = ("stage", "status", "none")
SHOWN = ("failed", "running")  # never in a group of a picture, nor folded: they are what people look for
_MOST_STATES = 2  # named on a group


@dataclass(frozen=True, slots=True)
class View:
    """How a person wants to see a pipeline: ``grouping`` is ``stage``, ``status``, ``none``, or empty for what fits.

    ``opened``: groups that are shown as their actions. ``chosen``: actions that matter as those that failed do.
    """

    grouping: str = ""
    opened: Collection[str] = ()
    chosen: Collection[str] = ()

    def opening(self, group: str) -> str:
        """The query for the same view with one more group opened."""
        return urlencode([("group", self.grouping), *(("open", name) for name in (*self.opened, group))])


@dataclass(frozen=True, slots=True)
class Group:
    """``status``: the worst of its actions' statuses. ``state``: their statuses in words."""

    label: str
    actions: tuple[str, ...]
    status: str
    state: str

    @property
    def is_several(self) -> bool:
        return len(self.actions) > 1


def groups(needs: Needs, statuses: Mapping[str, str], view: View) -> dict[str, Group]:
    """Name -> group. The actions of one layer that have their first word (or, by status, their status) in common are
    one; so no group ever needs itself."""
    layers = layers_of(needs)
    members: dict[str, list[str]] = {}
    for action in needs:
        status = statuses.get(action, "unknown")
        word = status if view.grouping == "status" else re.split(r"[_.-]", action)[0]
        key = f"{word}@{layers[action]}"
        is_alone = view.grouping == "none" or status in SHOWN or action in view.chosen or key in view.opened
        members.setdefault(action if is_alone else key, []).append(action)
    return dict(_group(key, actions, statuses, view) for key, actions in members.items())


def place_of(status: str) -> int:
    """Sorts statuses by importance."""
    return _ORDER.index(status) if status in _ORDER else len(_ORDER)


def _group(key: str, actions: list[str], statuses: Mapping[str, str], view: View) -> tuple[str, Group]:
    numbers = Counter(statuses.get(action, "unknown") for action in actions)
    ordered = sorted(numbers, key=place_of)
    if len(actions) == 1:
        return actions[0], Group(actions[0], tuple(actions), ordered[0], labels.status(ordered[0]))
    if view.grouping == "status":
        label, state = f"{len(actions)} actions", labels.status(ordered[0])
    else:
        label = f"{key.partition('@')[0]}… ({len(actions)})"
        known = [f"{numbers[status]} {labels.status(status).lower()}" for status in ordered]
        state = ", ".join(known[:_MOST_STATES]) + (", …" if len(known) > _MOST_STATES else "")
    return key, Group(label, tuple(actions), ordered[0], state)
