"""openapi.json has every URL of the API with every method, and nothing else."""

import html
import re
from collections.abc import Iterator

import httpx
import jsonschema
import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.users import AddUserToken
from jobserver.service.accounts.tokens import new_token
from jobserver.serving.server import Server, serve
from jobserver.web.api.openapi import reference

NOT_OURS = {"/health-check/", "/metrics"}  # described too, for monitors


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=tmp_path_factory.mktemp("openapi") / "state.git",
        admin_users="root",
    )
    bootstrap.create(settings).close()
    made = serve(settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def root(server: Server) -> httpx.Client:
    secret, digest = new_token()
    server.app.gate.submit(Actor(ActorKind.USER, "root"), AddUserToken("root", "x", digest), "test")
    transport = httpx.WSGITransport(app=server.wsgi)
    return httpx.Client(transport=transport, base_url="http://jobs.example", headers={"Authorization": secret})


def parts(path: str) -> str:
    """A path without the names of its parts."""
    return re.sub(r"<[^>]*>|\{[^}]*\}", "*", path)


def test_every_url_and_method_of_the_api_is_described(server: Server, root: httpx.Client) -> None:
    described = {
        parts(path): {method.upper() for method in operations if method != "parameters"}
        for path, operations in root.get("/api/v2/openapi.json").json()["paths"].items()
        if path not in NOT_OURS
    }
    rules: list[str] = [route.rule for route in server.wsgi.routes]  # type: ignore[attr-defined]
    ours = {
        parts(rule) for rule in rules if rule.startswith("/api/v2/") and rule != "/api/v2/" and f"{rule}/" not in rules
    }
    allowed = {rule: root.options(rule.replace("*", "x")).headers["Allow"] for rule in ours}
    assert {rule: set(methods.split(", ")) for rule, methods in allowed.items()} == described


def test_the_page_for_people_shows_every_operation_with_an_example(server: Server, root: httpx.Client) -> None:
    document = root.get("/api/v2/openapi.json").json()
    with httpx.Client(transport=httpx.WSGITransport(app=server.wsgi), base_url="http://jobs.example") as stranger:
        page = stranger.get("/api/")
        assert stranger.get("/api/v2/").headers["Location"].endswith("/api/")
    assert page.status_code == 200
    text = re.sub(r"<[^>]+>", "", page.text)
    for path, operations in document["paths"].items():
        for method in operations.keys() - {"parameters"}:
            operation = operations[method]
            assert f"{method.upper()} {path}" in text, (method, path)
            assert operation["summary"] in html.unescape(text)
            anchor = re.search(rf'<a href="#([^"]+)"><code><b>{method.upper()}</b> {re.escape(path)}</code>', page.text)
            assert anchor, (method, path)
            assert f'id="{anchor[1]}"' in page.text
    anchors = set(re.findall(r'href="#([^"]+)"', page.text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page.text))


def test_the_examples_are_what_the_description_allows(root: httpx.Client) -> None:
    document = root.get("/api/v2/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}) if method != "parameters" else {}
            if schema := body.get("content", {}).get("application/json", {}).get("schema"):
                example = reference.example_of(document, schema)
                jsonschema.validate(example, {**schema, "components": document["components"]})
                assert example, (method, path)
                fields = schema.get("properties", {}).items()
                assert [name for name, field in fields if "description" not in field] == [], (method, path)
                tried += 1
    assert tried > 10
