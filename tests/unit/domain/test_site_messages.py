"""The site message: set, changed and removed, each a commit."""

import pytest

from jobserver.domain.site_messages import MessageLevel, SetSiteMessage, SiteMessage
from jobserver.errors import Code, Error
from tests.memory import Memory
from tests.unit.domain.planning import ROOT, prepared


def test_it_is_set_changed_and_removed() -> None:
    state = prepared()
    assert state.site_message() is None
    first = state.do(ROOT, SetSiteMessage(" No jobs run on Friday ", "warning"))
    assert (first.event, first.subject) == ("message.updated", "root set the site message")
    assert state.site_message() == SiteMessage(level=MessageLevel.WARNING, text="No jobs run on Friday")
    state.do(ROOT, SetSiteMessage("All is well", "success"))
    removed = state.do(ROOT, SetSiteMessage(""))
    assert removed.subject == "root removed the site message"
    assert state.site_message() == SiteMessage(text="")
    assert not state.do(ROOT, SetSiteMessage("")), "nothing to write"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (SetSiteMessage("x", "loud"), "level: 'loud' is not a level: expected one of: info, success, warning, danger"),
        (SetSiteMessage("x" * 1001), "text: at most 1000 characters are allowed"),
        (SetSiteMessage("a\nb"), "text: "),
    ],
)
def test_what_pages_could_not_show_is_refused(command: SetSiteMessage, reason: str) -> None:
    state: Memory = prepared()
    with pytest.raises(Error, match=f"^{reason}") as refused:
        state.do(ROOT, command)
    assert refused.value.code is Code.INVALID
