"""Settings: what is missing or malformed stops the start with its name; every setting is in dotenv-sample."""

import re
from pathlib import Path

import pytest

from jobserver.config import Settings
from jobserver.errors import Error

GOOD = {
    "SECRET_KEY": "0123456789abcdef",
    "BASE_URL": "https://jobs.example.org/",
    "STATE_REPO": "/srv/state.git",
    "ADMIN_USERS": "root, alice",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    for name, value in {**GOOD, **changes}.items():
        monkeypatch.setenv(name, value)
    return Settings.from_env()


def test_good_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
    assert settings.admin_users == ("root", "alice")
    assert settings.base_url == "https://jobs.example.org"
    assert settings.hostname == "jobs.example.org"
    assert str(settings.signing_key) == "/srv/state.git.key"
    assert str(settings.private_store) == "/srv/state.git.private.sqlite3"
    assert [str(network) for network in settings.trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize("name", GOOD)
def test_a_required_setting_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other, value in GOOD.items():
        if other != name:
            monkeypatch.setenv(other, value)
    with pytest.raises(Error, match=f"{name}: required"):
        Settings.from_env()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SECRET_KEY", "short", "SECRET_KEY"),
        ("BASE_URL", "jobs.example.org", "expected a URL"),
        ("BASE_URL", "ftp://x", "expected a URL"),
        ("ADMIN_USERS", " , ", "expected user names"),
        ("ADMIN_USERS", "root,a b", "expected user names"),
        ("PORT", "99999", "PORT"),
        ("DEBUG", "perhaps", "DEBUG"),
        ("TRUSTED_PROXIES", "localhost", "expected addresses"),
        ("SOCIAL_AUTH_GITHUB_KEY", "x", "expected both"),
        ("STATE_REMOTE_WEBHOOK_SECRET", "short", "at least 16"),
    ],
)
def test_malformed_settings(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    with pytest.raises(Error, match=words):
        load(monkeypatch, **{name: value})


def test_every_setting_is_in_the_sample() -> None:
    sample = (Path(__file__).parents[2] / "dotenv-sample").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", sample, re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}
