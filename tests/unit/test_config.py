"""Settings: what is missing or malformed stops the start with its name; every setting is in dotenv-sample."""

import re
from pathlib import Path

import pytest

from jobserver.config.settings import RepositorySettings, Settings
from jobserver.errors import Error
from jobserver.index.sqlite import schema
from jobserver.service.accounts.private_store import PrivateStore

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


def test_settings_get_their_types_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
    assert settings.admin_users == ("root", "alice")
    assert settings.base_url == "https://jobs.example.org"
    assert settings.hostname == "jobs.example.org"
    assert str(settings.signing_key) == "/srv/state.git.key"
    assert str(settings.private_store) == "/srv/state.git.private.sqlite3"
    assert [str(network) for network in settings.trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert "0123456789abcdef" not in repr(settings)


def test_issues_go_to_the_organisations_repository_or_else_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, OUTPUT_CHECKING_REPOS="org/outputs, uni-x=org/outputs.x", OUTPUT_CHECKING_TOKEN="hush")
    assert settings.output_checking_repos == {"": "org/outputs", "uni-x": "org/outputs.x"}
    assert "hush" not in repr(settings)
    assert load(monkeypatch, OUTPUT_CHECKING_REPOS="").output_checking_repos == {}


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
        ("SECRET_KEY", "short", "at least 16"),
        ("SECRET_KEY", "short" + " " * 20, "at least 16"),
        ("SECRET_KEY", " " * 20, "required but not set"),
        ("OUTPUT_CHECKING_REPOS", "outputs", "expected repositories such as org/outputs"),
        ("OUTPUT_CHECKING_REPOS", "https://github.com/org/outputs", "expected repositories such as org/outputs"),
        ("OUTPUT_CHECKING_REPOS", "The Lab=org/outputs", "expected repositories such as org/outputs"),
        ("OUTPUT_CHECKING_REPOS", "org/a,org/b", "expected one repository for all organisations"),
        ("BASE_URL", "jobs.example.org", "expected a URL"),
        ("BASE_URL", "ftp://x", "expected a URL"),
        ("BASE_URL", "http://", "expected a URL"),
        ("BASE_URL", "http:// /", "expected a URL"),
        ("BASE_URL", "http://:8000", "expected a URL"),
        ("BASE_URL", "http://x:99999", "expected a URL"),
        ("BASE_URL", "http://x:eight", "expected a URL"),
        ("BASE_URL", "http://x:0", "expected a URL"),
        ("BASE_URL", "http://[::1", "expected a URL"),
        ("BASE_URL", "http://<x>", "expected a URL"),
        ("BASE_URL", "http://a b", "expected a URL"),
        ("BASE_URL", "http://me@x", "expected a URL"),
        ("BASE_URL", "http://x\ny", "expected printable characters"),
        ("STATE_REPO", "/", "expected the path of a folder"),
        ("STATE_REPO", "..", "expected the path of a folder"),
        ("STATE_REPO", "/srv/a\0b", "expected printable characters"),
        ("ADMIN_USERS", " , ", "expected usernames"),
        ("ADMIN_USERS", "root,a b", "expected usernames"),
        ("BACKENDS", "../x", "expected backends' slugs"),
        ("BACKENDS", "tpp, T P P", "expected backends' slugs"),
        ("PORT", "99999", "PORT: expected 65535 or less"),
        ("PORT", "http", "PORT: expected a whole number"),
        ("MAX_BODIES", "-1", "expected 0 or more"),
        ("READINGS_MINUTES", "0", "READINGS_MINUTES: expected 1 or more"),
        ("READINGS_MINUTES", "21", "READINGS_MINUTES: expected 20 or less"),
        ("READINGS_MINUTES", "soon", "READINGS_MINUTES: expected a whole number"),
        ("PUBLIC_READ", "maybe", "expected true or false"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT: expected 'text' or 'json'"),
        ("HOST", "nonsense", "expected an IP address"),
        ("HOST", "localhost", "expected an IP address"),
        ("HOST", "1.2.3.4.5", "expected an IP address"),
        ("HOST", "fe80::1%lo", "expected an IP address"),
        ("TRUSTED_PROXIES", "localhost", "expected addresses"),
        ("SOCIAL_AUTH_GITHUB_KEY", "x", "expected both"),
        (
            "OIDC_ISSUER",
            "https://login.example.org",
            "expected all of OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET",
        ),
        ("OIDC_CLIENT_SECRET", "x", "expected all of OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET"),
        ("OIDC_ISSUER", "http://login.example.org", "expected an https URL"),
        ("OIDC_ISSUER", "login.example.org", "expected a URL"),
        ("OIDC_SCOPES", "profile email", "openid among them"),
        ("SOCIAL_AUTH_GITHUB_SECRET", "x", "expected both"),
        ("EMAIL_BACKEND", "sendmail", "expected smtp, mailgun or console"),
        ("EMAIL_BACKEND", "smtp", "SMTP_HOST: required by EMAIL_BACKEND"),
        ("SMTP_HOST", "smtp.example.org:25", "without a port"),
        ("SMTP_PORT", "0", "SMTP_PORT"),
        ("SMTP_TLS", "ssl", "SMTP_TLS: expected 'starttls', 'tls' or 'none'"),
        ("SMTP_USER", "jobs", "SMTP_PASSWORD: expected both"),
        ("WEBHOOK_NETWORKS", "internal", "expected addresses"),
        ("EMAIL_BACKEND", "mailgun", "MAILGUN_API_KEY: required by EMAIL_BACKEND"),
        ("EMAIL_FROM", "jobs", "expected an address"),
        ("EMAIL_FROM", "Jobs <jobs@example.org>", "expected an address"),
        ("MAILGUN_URL", "api.mailgun.net", "expected a URL"),
        ("STATE_REMOTE", "foo", "expected the URL of a git repository"),
        ("STATE_REMOTE", "--upload-pack=x", "expected the URL of a git repository"),
        ("STATE_REMOTE", "https://host:99999/x", "expected the URL of a git repository"),
        ("STATE_REMOTE", "ext::sh", "expected the URL of a git repository"),
        ("STATE_REMOTE", "/nowhere/state.git", "is not a folder"),
        ("STATE_REMOTE_PUSHES_PER_MINUTE", "inf", "expected a number"),
        ("STATE_REMOTE_POLL_SECONDS", "0", "expected more than 0"),
        ("STATE_REMOTE_WEBHOOK_SECRET", "short", "at least 16"),
        ("STUDY_REPOS", "file", "file is not a folder"),
        ("RELEASE_STORAGE", "file", "file is not a folder"),
        ("INDEX", "missing/index", "expected a file in an existing folder"),
        ("INDEX", "folder", "expected a file, but folder is a folder"),
        ("INDEX", "file", "expected an SQLite database"),
        ("INDEX", "private", "expected an index"),
        ("INDEX", "/srv/state.git.key", "expected a different file from SIGNING_KEY"),
        ("PRIVATE_STORE", "missing/private", "expected a file in an existing folder"),
        ("PRIVATE_STORE", "folder", "expected a file, but folder is a folder"),
        ("PRIVATE_STORE", "file", "expected an SQLite database"),
        ("PRIVATE_STORE", "index", "expected a private store"),
        ("PRIVATE_STORE", "/srv/state.git.index.sqlite3", "expected a different file from INDEX"),
        ("SIGNING_KEY", "missing/key", "expected a file in an existing folder"),
        ("SIGNING_KEY", "folder", "expected a file, but folder is a folder"),
        ("SECRET_KEY", "     # at least 16 random characters", "contains a comment"),
        ("STATE_REPO", "/srv/state.git  # the state", "contains a comment"),
        ("STATE_REPO", '"/srv/state.git"', "is in quotes"),
        ("STATE_REPO", "~nobody-of-that-name/state.git", "this machine does not know this home folder"),
        ("STATE_REPO", "$HOME/state.git", "expected an absolute or relative path"),
        ("STUDY_REPOS", "file:///srv/studies", "expected an absolute or relative path"),
        ("GITHUB_ORG", "https://github.com/org", "expected the name of an organisation on GitHub"),
        ("GITHUB_ORG", "open safely", "expected the name of an organisation on GitHub"),
        ("BASE_URL", "https://bücher.example", "expected the host as browsers send it"),
        ("BASE_URL", "http://10.1", "expected the host as browsers send it"),
        ("BASE_URL", "http://0x7f.1.", "expected the host as browsers send it"),
        ("BASE_URL", "https://example.org/a/../b", "expected a path of letters"),
        ("BASE_URL", "https://example.org//jobs", "expected a path of letters"),
        ("BASE_URL", "https://example.org/a%20b", "expected a path of letters"),
        ("BASE_URL", "https://example.org/a'b", "expected a path of letters"),
    ],
)
def test_a_malformed_setting_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no database")
    PrivateStore(tmp_path / "private").close()
    schema.create(tmp_path / "index").close()
    with pytest.raises(Error, match=re.escape(words)) as refused:
        Settings.from_env(**{key.lower(): text for key, text in {**GOOD, name: value}.items()})
    assert refused.value.faults[0].key == words.partition(": ")[0] if ": " in words else name


@pytest.mark.parametrize(
    "values",
    [
        {"HOST": "::1"},
        {"HOST": "0.0.0.0"},
        {"BASE_URL": "http://[::1]:8000"},
        {"BASE_URL": "http://jobs_server"},
        {"BACKENDS": "tpp, emis"},
        {"STATE_REMOTE": "https://servers:TOKEN@git.example.org/org/state"},
        {"STATE_REMOTE": "git@github.com:org/state"},
        {"STATE_REMOTE": "ssh://git@host:22/x"},
        {"STATE_REMOTE": "file:///srv/x"},
        {"STATE_REMOTE": "/tmp"},
        {"EMAIL_BACKEND": "mailgun", "MAILGUN_API_KEY": "x", "EMAIL_FROM": "jobs@example.org"},
        {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"},
        {"EMAIL_BACKEND": "anymail.backends.mailgun.EmailBackend", "MAILGUN_API_KEY": "x"},
        {"EMAIL_BACKEND": "smtp", "SMTP_HOST": "mail", "SMTP_PORT": "1025", "SMTP_TLS": "none"},
        {"EMAIL_BACKEND": "smtp", "SMTP_HOST": "smtp.example.org", "SMTP_USER": "x", "SMTP_PASSWORD": "y"},
        {"STUDY_REPOS": "."},
        {"RELEASE_STORAGE": "made-by-the-first-release"},
        {"INDEX": "index", "PRIVATE_STORE": "private"},
        {"STATE_REPO": "made-by-init/state.git"},
    ],
)
def test_settings_that_are_good_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, str]) -> None:
    PrivateStore(tmp_path / "private").close()
    schema.create(tmp_path / "index").close()
    load(monkeypatch, **values)


def test_an_empty_setting_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {name.upper(): "" for name in Settings.model_fields} | GOOD
    assert load(monkeypatch, **empty) == load(monkeypatch)


def test_a_setting_that_is_empty_in_the_environment_is_not_that_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=9000\n")
    assert load(monkeypatch).port == 9000
    assert load(monkeypatch, PORT="").port == 8000


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"SECRET_KEY": "", "HOST": "x", "SOCIAL_AUTH_GITHUB_KEY": "x", "EMAIL_BACKEND": "mailgun", "INDEX": "/srv"}
    with pytest.raises(Error) as refused:
        load(monkeypatch, **bad)
    assert [fault.key for fault in refused.value.faults] == [
        "SECRET_KEY",
        "SOCIAL_AUTH_GITHUB_SECRET",
        "MAILGUN_API_KEY",
        "HOST",
        "INDEX",
    ]


def test_a_file_of_settings_that_is_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"SENTRY_ENVIRONMENT=\xff\n")
    with pytest.raises(Error, match=r"\.env: expected UTF-8, found the byte 0xff"):
        load(monkeypatch)


def test_reading_the_record_needs_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_REPOS", "missing")
    with pytest.raises(Error, match="STATE_REPO: required but not set"):
        RepositorySettings.from_env()
    monkeypatch.setenv("STATE_REPO", "/srv/state.git")
    assert RepositorySettings.from_env().state_repo == Path("/srv/state.git")


def test_every_setting_is_in_the_sample() -> None:
    sample = (Path(__file__).parents[2] / "dotenv-sample").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", sample, re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


def test_the_sample_as_it_is_sets_nothing_however_it_is_read() -> None:
    """Its comments stood behind the values: `--env-file` made public text of them, SECRET_KEY's too."""
    sample = (Path(__file__).parents[2] / "dotenv-sample").read_text()
    for line in filter(None, sample.splitlines()):
        assert line.startswith("#") or re.fullmatch(r"[A-Z_]+=", line)
        assert not re.match(r"#[A-Z_]+=.*\s", line)


def test_a_path_may_begin_with_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It made a folder of the name ~."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load(monkeypatch, STATE_REPO="~/state.git", STUDY_REPOS="~")
    assert (settings.state_repo, settings.study_repos) == (tmp_path / "state.git", tmp_path)
    assert settings.signing_key == tmp_path / "state.git.key"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("HTTPS://Jobs.Example.ORG:443/", "https://jobs.example.org"),
        ("http://jobs.example.org:80", "http://jobs.example.org"),
        ("http://[::1]:8000/jobs/", "http://[::1]:8000/jobs"),
        ("  https://example.org/a/b-c_d.e~f//", "https://example.org/a/b-c_d.e~f"),
    ],
)
def test_a_base_url_is_kept_as_browsers_spell_it(monkeypatch: pytest.MonkeyPatch, given: str, kept: str) -> None:
    settings = load(monkeypatch, BASE_URL=given)
    assert (settings.base_url, settings.is_https) == (kept, kept.startswith("https"))
