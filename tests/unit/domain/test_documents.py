"""What each document may hold: tables of good and bad values, field by field."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Area, DocPath, Kind, Place, parse_path
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import Document, mismatch, same
from jobserver.domain.documents import MODELS, AnyDocument
from jobserver.domain.job_requests.jobs import MAX_MESSAGE_BYTES, Job, cut_message
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.orgs import Org
from jobserver.domain.releases import Release
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error
from tests.memory import ID, NOW, job
from tests.unit.domain.document_values import ACCEPTED, BAD_REPOS, GOOD, GOOD_REPOS, LEFT_OUT, REFUSED, WORKSPACE


@pytest.mark.parametrize("model", GOOD, ids=lambda model: model.__name__)
def test_optional_fields_have_defaults_and_others_are_required(model: type[Document]) -> None:
    given = {key: value for key, value in GOOD[model].items() if key not in LEFT_OUT[model]}
    document = checked(model, given)
    assert {key: getattr(document, key) for key in model.model_fields if key not in given} == LEFT_OUT[model]
    with pytest.raises(Error) as caught:
        checked(model, {})
    assert caught.value.code is Code.INVALID
    assert {fault.message for fault in caught.value.faults} == {"required, and missing"}
    with pytest.raises(Error, match="extra inputs are not permitted"):
        checked(model, GOOD[model] | {"else": 1})


@pytest.mark.parametrize(("model", "key", "values"), ACCEPTED)
def test_a_field_accepts_these_values(model: type[Document], key: str, values: list[Any]) -> None:
    for value in values:
        checked(model, GOOD[model] | {key: value})


@pytest.mark.parametrize(("model", "key", "values"), REFUSED)
def test_a_field_refuses_these_values(model: type[Document], key: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(Error) as caught:
            checked(model, GOOD[model] | {key: value})
        assert {fault.key.split(".")[0] for fault in caught.value.faults} == {key}, value
        assert caught.value.message == str(caught.value.faults[0])
        assert "nput should" not in caught.value.message  # pydantic's own words


def test_a_fault_says_what_was_found_and_what_was_expected() -> None:
    with pytest.raises(Error) as caught:
        checked(Backend, GOOD[Backend] | {"slug": "A" * 100, "active": 1, "created_at": datetime(2026, 1, 1)})  # noqa: DTZ001
    assert [(fault.key, fault.message) for fault in caught.value.faults] == [
        (
            "slug",
            f"'{'A' * 59} is not valid: expected lowercase letters, digits and hyphens, at most 64, "
            "with no hyphen first or last",
        ),
        ("active", "expected true or false"),
        ("created_at", "a time needs a time zone, such as 2026-11-23T20:15:04.123456Z"),
    ]


def test_times_are_kept_in_utc() -> None:
    there = datetime(2026, 11, 24, 10, tzinfo=timezone(timedelta(hours=1)))
    kept = checked(Job, GOOD[Job] | {"updated_at": there}).updated_at
    assert kept == NOW
    assert kept is not None
    assert kept.tzinfo is UTC


def test_a_time_at_the_end_of_the_calendar_is_refused_in_words() -> None:
    for there in (
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
    ):
        with pytest.raises(Error, match="is before the year 1 or after the year 9999 in UTC"):
            checked(Job, GOOD[Job] | {"updated_at": there})


def test_documents_have_largest_sizes() -> None:
    assert (Backend.max_bytes, JobRequest.max_bytes, MAX_MESSAGE_BYTES) == (65_536, 8_388_608, 8_192)


def test_documents_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        checked(Org, GOOD[Org]).name = "else"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", 0),
        ("x" * MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
        ("é" * (MAX_MESSAGE_BYTES // 2), MAX_MESSAGE_BYTES // 2),
    ],
)
def test_a_message_that_fits_is_left_alone(text: str, kept: int) -> None:
    assert cut_message(text) == text
    assert len(text) == kept


@pytest.mark.parametrize("char", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("before", ["", "a", "aa", "aaa"])
def test_a_message_that_is_too_long_is_cut_between_characters_and_says_so(char: str, before: str) -> None:
    cut = cut_message(before + char * (MAX_MESSAGE_BYTES + 1))
    says = " [cut by the server at 8 KiB]"
    assert cut.endswith(says)
    assert set(cut.removesuffix(says).removeprefix(before)) == {char}
    assert MAX_MESSAGE_BYTES - 3 <= len(cut.encode()) <= MAX_MESSAGE_BYTES
    assert cut_message(cut) == cut


def test_a_long_message_that_is_no_unicode_can_be_cut_too() -> None:
    assert len(cut_message("\ud800" * MAX_MESSAGE_BYTES * 2).encode()) == MAX_MESSAGE_BYTES


def test_documents_are_the_same_if_all_their_fields_are() -> None:
    one, other = job(), job()
    assert same(one, other)
    assert same(one, one)
    assert same(None, None)
    assert not same(one, None)
    assert not same(None, one)
    assert not same(one, job(minute=1))


def made(kind: Kind) -> AnyDocument:
    return checked(MODELS[kind], GOOD[MODELS[kind]])  # type: ignore[type-var,return-value]


PLACE = Place(Area.ACTIVE, NOW.date(), ID)


@pytest.mark.parametrize(
    ("branch", "path", "keys"),
    [
        ("main", "backends/tpp.yaml", {}),
        ("main", "backends/emis.yaml", {"slug": "is 'tpp', but the path says 'emis'"}),
        ("main", "users/alice.yaml", {}),
        ("main", "users/bob.yaml", {"username": "is 'alice', but the path says 'bob'"}),
        ("main", "orgs/lab.yaml", {}),
        ("main", "orgs/other.yaml", {"slug": "is 'lab', but the path says 'other'"}),
        ("main", "projects/lab/p.yaml", {}),
        ("main", "projects/lab/q.yaml", {"slug": "is 'p', but the path says 'q'"}),
        ("main", "projects/other/p.yaml", {"org": "is 'lab', but the path says 'other'"}),
        ("main", "workspaces/trends.yaml", {}),
        ("main", "workspaces/else.yaml", {"name": "is 'trends', but the path says 'else'"}),
        ("backends/tpp", PLACE.request, {}),
        ("backends/tpp", PLACE.moved(Area.ARCHIVE).request, {}),
        (
            "backends/tpp",
            f"active/2026-11-23/{'2' * 16}/request.yaml",
            {
                "identifier": f"is '{ID}', but the path says '{'2' * 16}'",
                "created_at": "is of 2026-11-24, but the path says 2026-11-23",
            },
        ),
        ("backends/tpp", PLACE.job("j"), {}),
        ("backends/tpp", PLACE.job("k"), {"identifier": "is 'j', but the path says 'k'"}),
        ("audit", "receipt.yaml", {}),
        ("audit", "checkpoint.yaml", {}),
    ],
)
def test_names_inside_agree_with_the_path(branch: str, path: str, keys: dict[str, str]) -> None:
    where = parse_path(branch, path)
    assert isinstance(where, DocPath)
    assert dict(made(where.kind).path_faults(where)) == keys


@pytest.mark.parametrize("repo", GOOD_REPOS)
def test_a_repository_of_a_workspace(repo: str) -> None:
    assert Workspace.model_validate(WORKSPACE | {"repo": repo}).repo == repo


@pytest.mark.parametrize("repo", BAD_REPOS)
def test_a_malformed_repository_is_refused(repo: str) -> None:
    with pytest.raises(ValidationError, match="an https URL, or the path of a study on the server"):
        Workspace.model_validate(WORKSPACE | {"repo": repo})


def test_no_fault_shows_a_pattern() -> None:
    """People mend documents, and few of them read regular expressions."""
    for model, key, value, words in (
        (Org, "slug", "Bad_Slug", "'Bad_Slug' is not valid: expected lowercase letters, digits and hyphens"),
        (Org, "name", "a\tb", "has a tab: expected one line of text"),
        (Org, "name", "a\nb", "has a line break: expected one line of text"),
        (Org, "name", "a\x7fb", "has a control character: expected one line of text"),
        (Workspace, "project", "nope", "'nope' is not valid: expected org/project"),
        (Backend, "alert_after_minutes", 0, "expected at least 1"),
        (JobRequest, "requested_actions", (), "expected at least 1"),
        (User, "roles", ("superuser",), "'superuser' is not a valid role: did you mean SuperUser?"),
        (User, "roles", ("Boss",), "'Boss' is not a valid role: expected one of: Auditor, CoreDeveloper"),
    ):
        with pytest.raises(Error) as caught:
            checked(model, GOOD[model] | {key: value})
        assert caught.value.faults[0].message.startswith(words)


def test_each_pattern_has_its_words() -> None:
    """Patterns within `not` are for editors only."""

    def patterns(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            schema.pop("not", None)
            if isinstance(schema.get("pattern"), str):
                yield schema["pattern"]
            yield from (found for value in schema.values() for found in patterns(value))
        elif isinstance(schema, list):
            yield from (found for value in schema for found in patterns(value))

    for model in (*MODELS.values(), Release):
        for pattern in patterns(model.model_json_schema()):
            assert pattern not in mismatch(pattern, "\t")
