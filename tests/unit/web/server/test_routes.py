"""Routes that are added together answer as those that are added one by one, and are compiled once."""

import pytest
from bottle import Bottle, HTTPError, Router

from jobserver.web.server.routes import compiled_at_the_end

RULES = ("/all/", "/<name>/", "/<name>/files/<rest:path>", "/jobs/<name>/")


def matched(app: Bottle, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    try:
        route, values = app.router.match({"REQUEST_METHOD": method, "PATH_INFO": path})
    except HTTPError:
        return None
    return route.rule, values


def made() -> Bottle:
    app = Bottle()
    for rule in RULES:
        app.route(rule, ["GET", "POST"] if "files" in rule else "GET", lambda **_: "")
    return app


def test_each_path_finds_the_same_route(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_routes = Router._compile

    def counted(router: Router, method: str) -> None:
        compiled.append(method)
        compile_routes(router, method)

    monkeypatch.setattr(Router, "_compile", counted)
    one_by_one, together = made(), Bottle()
    del compiled[:]
    with compiled_at_the_end(together):
        for route in one_by_one.routes:
            together.route(route.rule, route.method, route.callback)
    assert sorted(compiled) == ["GET", "POST"]
    for path in ("/all/", "/a/", "/a/files/b/c", "/jobs/x/", "/", "/a/b/"):
        for method in ("GET", "POST", "PUT"):
            assert matched(together, method, path) == matched(one_by_one, method, path)
    together.route("/later/<number>/", "GET", lambda **_: "")
    assert matched(together, "GET", "/later/1/") == ("/later/<number>/", {"number": "1"})


def test_a_route_that_cannot_be_added_leaves_a_bottle_that_compiles_its_routes() -> None:
    app = Bottle()
    with pytest.raises(ZeroDivisionError), compiled_at_the_end(app):
        raise ZeroDivisionError
    app.route("/later/", "GET", lambda: "")
    assert matched(app, "GET", "/later/") == ("/later/", {})
