"""With LIMIT_READING, releases of other people's projects do not exist for a person, whatever id they try."""

from tests.integration.web.airlock.conftest import Place
from tests.integration.web.airlock.test_releases import released

SETTINGS = {"limit_reading": True}


def test_a_release_of_another_project_does_not_exist(place: Place) -> None:
    release = released(place)
    for path in (f"/releases/release/{release}", f"/releases/file/{release}-0", "/releases/workspace/trends"):
        assert place.call("GET", path, "token of alice").status_code == 200
        reply = place.call("GET", path, "token of bob")
        assert reply.status_code == 404, path
        assert "trends" not in reply.text.replace("Workspace trends does not exist", "")
    body = {"file_ids": [f"{release}-0"]}
    assert place.call("POST", "/workspaces/trends/snapshots", "token of bob", json=body).status_code == 404
