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


def test_a_known_and_an_unknown_id_have_the_same_answer(place: Place) -> None:
    release, unknown = released(place), place.new_id()
    for method, path in (
        ("GET", "/releases/release/{}"),
        ("GET", "/releases/file/{}-0"),
        ("GET", "/releases/file/{}-7"),
        ("POST", "/releases/release/{}/reviews"),
    ):
        known, other = (
            place.call(method, path.format(name), "token of bob", json={"files": [], "metadata": {}, "review": None})
            for name in (release, unknown)
        )
        assert (known.status_code, known.text.replace(release, unknown)) == (404, other.text), path
