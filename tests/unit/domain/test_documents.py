"""What each document may hold: tables of good and bad values, field by field."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Area, DocPath, Kind, Place, parse_path
from jobserver.domain.base.permissions import Role
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import Document, mismatch, same
from jobserver.domain.documents import MODELS, AnyDocument
from jobserver.domain.job_requests.jobs import MAX_MESSAGE_BYTES, Job, cut_message
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.projects import Project
from jobserver.domain.record import Checkpoint, Receipt
from jobserver.domain.releases import Release
from jobserver.domain.tokens import Token
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error
from tests.memory import ID, NOW, job

WORKSPACE = {"name": "trends", "repo": "study", "branch": "main", "db": "full", "created_by": "a", "created_at": NOW}
# What is left out, and then is so. Each document has a version.
LEFT_OUT: dict[type[Document], dict[str, Any]] = {
    Token: {},
    Member: {"roles": ()},
    Backend: {
        "version": 1,
        "parent_directory": "",
        "databases": (),
        "active": True,
        "alert_after_minutes": 5,
        "tokens": (),
    },
    User: {
        "version": 1,
        "github_id": None,
        "name": "",
        "roles": (),
        "active": True,
        "sessions_since": None,
        "tokens": (),
    },
    Org: {"version": 1, "members": ()},
    Project: {"version": 1, "members": (), "invitations": (), "registration": None},
    Workspace: {"version": 1, "project": None, "archived": False, "should_notify": False},
    PipelineAction: {"needs": ()},
    JobRequest: {
        "version": 2,
        "cancelled_actions": (),
        "force_run_dependencies": False,
        "codelists_ok": True,
        "will_notify": False,
        "project": None,
        "pipeline": None,
    },
    StoredPipeline: {"version": 1, "warnings": ()},
    Job: {"version": 1, "run_command": None, "trace_context": None, "metrics": None, "requires_db": None},
    Receipt: {"version": 1},
    Checkpoint: {"version": 1},
}
GOOD: dict[type[Document], dict[str, Any]] = {
    Token: {"sha256": "a" * 64, "label": "laptop", "created_at": NOW},
    Member: {"username": "alice"},
    Backend: {"slug": "tpp", "name": "TPP", "created_at": NOW},
    User: {"username": "alice"},
    Org: {"slug": "lab", "name": "Lab"},
    Project: {"slug": "p", "name": "P", "org": "lab"},
    Workspace: WORKSPACE,
    PipelineAction: {"run": "x"},
    JobRequest: {
        "identifier": ID,
        "backend": "tpp",
        "created_by": "alice",
        "created_at": NOW,
        "sha": "0" * 40,
        "requested_actions": ["a"],
        "database_name": "full",
        "workspace": WORKSPACE,
    },
    StoredPipeline: {"actions": {"a": {"run": "x"}}},
    Job: job().model_dump(exclude_none=False),
    Receipt: {
        "number": 1,
        "branch": "main",
        "old": "0" * 40,
        "new": "1" * 40,
        "pusher": "user/alice",
        "received_at": NOW,
    },
    Checkpoint: {"number": 1, "tips": {"main": "0" * 40}, "made_at": NOW},
}


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


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


@pytest.mark.parametrize(
    ("model", "key", "values"),
    [
        (Token, "label", ["", "x" * 1000, "é"]),
        (Member, "roles", [["ProjectDeveloper"], [Role.AUDITOR]]),
        (Backend, "slug", ["a", "a" * 64, "a-b", "1"]),
        (Backend, "databases", [[], ["full", "a_b-1"], ["d" * 64]]),
        (Backend, "tokens", [[], [{"sha256": "a" * 64, "label": "x", "created_at": NOW}]]),
        (User, "tokens", [[], [{"sha256": "a" * 64, "label": "x", "created_at": NOW}]]),
        (User, "roles", [[], ["SuperUser", Role.AUDITOR]]),
        (Org, "members", [[], [{"username": "a", "roles": ["OrgCoordinator"]}]]),
        (Project, "members", [[], [{"username": "a", "roles": ["ProjectDeveloper"]}]]),
        (PipelineAction, "needs", [[], ["a"]]),
        (JobRequest, "cancelled_actions", [[], ["a"]]),
        (Receipt, "pusher", ["user/a_B-1", "backend/tpp"]),
        (Backend, "alert_after_minutes", [1, 100_000]),
        (Backend, "version", [1]),
        (User, "username", ["A", "a" * 64, "a_b-C"]),
        (Project, "registration", [None, {"project_lead": "A"}, {"project_lead": "A", "purpose": "x" * 10_000}]),
        (Workspace, "name", ["a", "1_b-c", "a" * 128]),
        (Workspace, "project", [None, "lab/p"]),
        (JobRequest, "requested_actions", [["run_all"], ["_a.b-c", "A" * 128]]),
        (JobRequest, "project", [None, "lab/p"]),
        (JobRequest, "workspace", [WORKSPACE | {"created_by": None}]),
        (Job, "identifier", ["-", "_", "a" * 64]),
        (Job, "status", ["pending", "running", "failed", "succeeded"]),
        (Job, "action", ["", "any text\n"]),
        (Job, "status_message", ["", "x" * 10_000]),
        (Job, "updated_at", [None, datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))]),
        (Job, "requires_db", [None, True]),
        (Job, "metrics", [None, {}, {"a": [1, 1.5, "x", None, True, {"b": []}]}, deep(8), {"a": -(2**63)}]),
        (Job, "trace_context", [{"k" * 128: 2**63 - 1}]),
    ],
)
def test_a_field_accepts_these_values(model: type[Document], key: str, values: list[Any]) -> None:
    for value in values:
        checked(model, GOOD[model] | {key: value})


@pytest.mark.parametrize(
    ("model", "key", "values"),
    [
        (Token, "sha256", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, 1, None]),
        (Token, "label", ["x" * 1001, "a\nb", "\x7f", "\x00", "\ud800", None]),
        (Member, "username", ["", "-a", "a b", "a/b"]),
        (Member, "roles", [["Boss"], [1], "AUDITOR", None]),
        (Backend, "slug", ["", "-a", "a-", "A", "a" * 65, "a\n", "a_b"]),
        (Backend, "name", ["x" * 1001, None]),
        (Backend, "databases", [["Full"], ["d" * 65], [""], "full"]),
        (Backend, "alert_after_minutes", [0, 100_001, "5", 5.0, True]),
        (Backend, "active", [None, 1, "true"]),
        (Backend, "version", [0, 2, True, 1.0, "1", None]),
        (User, "username", ["", "_a", "a" * 65, "a.b"]),
        (
            Project,
            "registration",
            [
                [],
                {},
                *({"project_lead": "A", "purpose": bad} for bad in ("x" * 10_001, 1, "\ud800", "a@example.org")),
            ],
        ),
        (Workspace, "name", ["", "A", "_a", "-a", "a" * 129, "a b"]),
        (Workspace, "project", ["lab", "lab/", "/p", "lab/p/q", "Lab/p"]),
        (Workspace, "created_at", [None, "2026-11-24", datetime(2026, 11, 24)]),  # noqa: DTZ001
        (JobRequest, "identifier", ["", "a" * 15, "a" * 17, "1" * 16, "A" * 16]),
        (JobRequest, "sha", ["0" * 39, "0" * 41, "A" * 40]),
        (JobRequest, "requested_actions", [[], ["a b"], [""], ["A" * 129], ["-a"]]),
        (StoredPipeline, "actions", [{"a b": {"run": "x"}}, {"a": {}}, {"a": {"run": "\ud800"}}]),
        (JobRequest, "workspace", [{}, WORKSPACE | {"project": None}]),
        (Job, "identifier", ["", "a" * 65, "a.b", "a/b", "é"]),
        (Job, "status", ["", "unknown", "Running", None]),
        (Job, "status_message", ["x" * 10_001, "\udfff", None]),
        (Job, "metrics", [[], "x", deep(9), {"k" * 129: 1}, {"a": 2**63}, {"a": -(2**63) - 1}, {"a": [float("nan")]}]),
        (Job, "trace_context", [{"a": "\ud800"}, {"\udfff": 1}, {"a": float("inf")}, {"a": [[[[[[[[1]]]]]]]]}]),
        (Receipt, "number", [0, -1, "1", True]),
        (Receipt, "pusher", ["", "alice", "server/jobserver", "user/", "user/a/b", "backend/TPP", "user/a\n"]),
        (Receipt, "old", ["0" * 39, "x" * 40]),
        (Checkpoint, "number", [0]),
        (Checkpoint, "tips", [{"main": "x"}, {"a\nb": "0" * 40}]),
    ],
)
def test_a_field_refuses_these_values(model: type[Document], key: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(Error) as caught:
            checked(model, GOOD[model] | {key: value})
        assert {fault.key.split(".")[0] for fault in caught.value.faults} == {key}, value
        assert caught.value.message == str(caught.value.faults[0])


def test_a_fault_says_what_was_found_and_what_was_expected() -> None:
    with pytest.raises(Error) as caught:
        checked(Backend, GOOD[Backend] | {"slug": "A" * 100, "active": 1, "created_at": datetime(2026, 1, 1)})  # noqa: DTZ001
    assert [(fault.key, fault.message) for fault in caught.value.faults] == [
        (
            "slug",
            f"'{'A' * 59} is not valid: expected lowercase letters, digits and hyphens, at most 64, "
            "with no hyphen first or last",
        ),
        ("active", "input should be a valid boolean"),
        ("created_at", "a time needs a time zone, such as 2026-11-23T20:15:04.123456Z"),
    ]


def test_times_are_kept_in_utc() -> None:
    there = datetime(2026, 11, 24, 10, tzinfo=timezone(timedelta(hours=1)))
    kept = checked(Job, GOOD[Job] | {"updated_at": there}).updated_at
    assert kept == NOW
    assert kept is not None
    assert kept.tzinfo is UTC


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
    assert dict(made(where.kind).path_problems(where)) == keys


GOOD_REPOS = ["study", "org/study.git", "a b/c", "https://github.com/org/study", "https://git.example:8443/a/b.git"]
BAD_REPOS = ["", " ", "..", "../../etc", "a/../../b", "/etc", "~/study", "-x", "git@github.com:o/s", "host:study",
             "http://github.com/org/study", "file:///etc", "ssh://host/x", "https://", "https://github.com",
             "https://user:secret@github.com/o/s", "https://github.com/../x", "https://github.com/a?b"]  # fmt: skip


@pytest.mark.parametrize("repo", GOOD_REPOS)
def test_a_repository_of_a_workspace(repo: str) -> None:
    assert Workspace.model_validate(WORKSPACE | {"repo": repo}).repo == repo


@pytest.mark.parametrize("repo", BAD_REPOS)
def test_a_malformed_repository_is_refused(repo: str) -> None:
    with pytest.raises(ValidationError, match="an https URL, or a path inside STUDY_REPOS"):
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
    def patterns(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            if isinstance(schema.get("pattern"), str):
                yield schema["pattern"]
            yield from (found for value in schema.values() for found in patterns(value))
        elif isinstance(schema, list):
            yield from (found for value in schema for found in patterns(value))

    for model in (*MODELS.values(), Release):
        for pattern in patterns(model.model_json_schema()):
            assert pattern not in mismatch(pattern, "\t")
