"""What a refusal says to whoever is elsewhere."""

import json

from jobserver.errors import invalid, unavailable
from jobserver.web import http


def test_where_something_stands_on_the_servers_machine_is_not_said() -> None:
    full = unavailable("the disk is full", "/srv/jobs/state.git/objects/pack/tmp_1")
    assert json.loads(http.refusal(full).body) == {"detail": "the disk is full"}
    assert json.loads(http.refusal(invalid("is no key", "/srv/jobs/state.git.key")).body) == {"detail": "is no key"}
    assert json.loads(http.refusal(invalid("expected a name", "name")).body) == {"name": ["expected a name"]}
    assert http.said(unavailable("GitHub is silent", "github.com")) == "github.com: GitHub is silent"
