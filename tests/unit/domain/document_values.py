"""Tables of good and bad values of the documents, field by field."""

from datetime import datetime, timedelta, timezone
from typing import Any

from jobserver.domain.backends import Backend
from jobserver.domain.base.permissions import Role
from jobserver.domain.base.values import Document
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import PipelineAction, StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease, Review
from jobserver.domain.projects import Project
from jobserver.domain.record import Checkpoint, ImportStatement, Receipt
from jobserver.domain.site_messages import SiteMessage
from jobserver.domain.tokens import Token
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
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
        "accepts_requests": None,
        "alert_after_minutes": 5,
        "tokens": (),
        "rap": None,
    },
    User: {
        "version": 1,
        "github_id": None,
        "oidc_id": None,
        "name": "",
        "roles": (),
        "active": True,
        "sessions_since": None,
        "tokens": (),
        "one_time_token": None,
        "backends": None,
        "trained_until": None,
    },
    Org: {"version": 1, "members": ()},
    SiteMessage: {"version": 1, "level": "info"},
    Project: {
        "version": 1,
        "members": (),
        "invitations": (),
        "registration": None,
        "number": None,
        "status": None,
        "end_date": None,
        "backends": None,
        "analysis_scope": None,
        "requires_training": None,
        "runner_types": None,
        "output_approvals": None,
    },
    CheckedFile: {"date": None, "job": None, "uploaded": None, "withdrawn": None},
    Review: {"comment": None, "files": (), "vouched_by": None},
    CheckedRelease: {
        "version": 1,
        "project": None,
        "vouched_by": None,
        "comment": None,
        "files": (),
        "reviews": (),
        "publications": (),
        "airlock": (),
        "withdrawn": None,
    },
    Workspace: {"version": 1, "project": None, "archived": False, "should_notify": False},
    PipelineAction: {"needs": ()},
    JobRequest: {
        "version": 2,
        "cancelled_actions": (),
        "force_run_dependencies": False,
        "codelists_ok": True,
        "will_notify": False,
        "project": None,
        "rerun_of": None,
        "note": None,
        "commit_subject": None,
        "ref": None,
        "analysis_scope": None,
        "pipeline": None,
    },
    StoredPipeline: {"version": 1, "warnings": ()},
    Job: {"version": 1, "run_command": None, "trace_context": None, "metrics": None, "requires_db": None},
    Receipt: {"version": 1},
    Checkpoint: {"version": 1},
    ImportStatement: {"version": 1},
}
GOOD: dict[type[Document], dict[str, Any]] = {
    Token: {"sha256": "a" * 64, "label": "laptop", "created_at": NOW},
    Member: {"username": "alice"},
    Backend: {"slug": "tpp", "name": "TPP", "created_at": NOW},
    User: {"username": "alice"},
    Org: {"slug": "lab", "name": "Lab"},
    SiteMessage: {"text": "x"},
    Project: {"slug": "p", "name": "P", "org": "lab"},
    CheckedFile: {"path": "output/a.csv", "size": 3, "sha256": "a" * 64},
    Review: {"by": "carol", "at": NOW, "decision": "approved"},
    CheckedRelease: {
        "identifier": "01J9ZQ4V8N6T3W5X7Y9A1B2C3D",
        "workspace": "trends",
        "backend": "tpp",
        "author": "alice",
        "created_at": NOW,
    },
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
    ImportStatement: {
        "number": 1,
        "source": "SQLite, schema of 2021",
        "database": "0" * 64,
        "tables": {"jobserver_user": {"rows": 3, "sha256": "1" * 64}},
        "sha256": "2" * 64,
        "read_at": NOW,
    },
}


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


ACCEPTED: list[tuple[type[Document], str, list[Any]]] = [
    (Token, "label", ["", "x" * 1000, "é"]),
    (Member, "roles", [["ProjectDeveloper"], [Role.AUDITOR]]),
    (Backend, "slug", ["a", "a" * 64, "a-b", "1"]),
    (Backend, "databases", [[], ["full", "a_b-1"], ["d" * 64]]),
    (Backend, "tokens", [[], [{"sha256": "a" * 64, "label": "x", "created_at": NOW}]]),
    (User, "tokens", [[], [{"sha256": "a" * 64, "label": "x", "created_at": NOW}]]),
    (User, "roles", [[], ["SuperUser", Role.AUDITOR]]),
    (SiteMessage, "level", ["info", "success", "warning", "danger"]),
    (SiteMessage, "text", ["", "x"]),
    (Org, "members", [[], [{"username": "a", "roles": ["OrgCoordinator"]}]]),
    (Project, "members", [[], [{"username": "a", "roles": ["ProjectDeveloper"]}]]),
    (PipelineAction, "needs", [[], ["a"]]),
    (JobRequest, "cancelled_actions", [[], ["a"]]),
    (Receipt, "pusher", ["user/a_B-1", "backend/tpp"]),
    (Backend, "alert_after_minutes", [1, 100_000]),
    (Backend, "accepts_requests", [True, False, None]),
    (Backend, "rap", [None, {"url": "https://a.example.org", "databases": {"full": "default"}}]),
    (Backend, "version", [1]),
    (User, "username", ["A", "a" * 64, "a_b-C"]),
    (Project, "output_approvals", [None, 1, 2, 3]),
    (CheckedRelease, "identifier", ["a" * 32, "0" * 16, "Z" * 40]),
    (CheckedFile, "size", [0, 16 * 1024 * 1024]),
    (Review, "decision", ["approved", "rejected", "returned"]),
    (Project, "registration", [None, {"project_lead": "A"}, {"project_lead": "A", "purpose": "x" * 10_000}]),
    (Project, "number", [None, "42", "POS-2025-2001", "a" * 32]),
    (Project, "status", [None, "ongoing", "completed", "postponed", "retired"]),
    (Project, "end_date", [None, "2027-03-31"]),
    (Project, "backends", [None, ["tpp"], ["emis", "tpp"]]),
    (Project, "runner_types", [None, ["r"], ["ehrql", "stata-mp"]]),
    (Project, "requires_training", [None, True, False]),
    (
        Project,
        "analysis_scope",
        [None, {}, {"dataset_permissions": ["icnarc"], "component_access": ["x" * 64]}, {"population_permissions": []}],
    ),
    (User, "backends", [None, ["tpp"]]),
    (User, "trained_until", [None, "2027-03-31"]),
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
]
REFUSED: list[tuple[type[Document], str, list[Any]]] = [
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
    (Project, "output_approvals", [0, 4, -1, 1.5, "2", True]),
    (CheckedRelease, "identifier", ["", "a" * 15, "a" * 41, "../" + "a" * 20, "a-" * 10, "é" * 20]),
    (CheckedRelease, "workspace", ["../x", "A", ""]),
    (CheckedFile, "size", [-1, 16 * 1024 * 1024 + 1, "3"]),
    (CheckedFile, "path", ["", "a\nb", None]),
    (Review, "decision", ["", "APPROVED", None]),
    (
        Project,
        "registration",
        [
            [],
            {},
            *({"project_lead": "A", "purpose": bad} for bad in ("x" * 10_001, 1, "\ud800", "a@example.org")),
        ],
    ),
    (Project, "number", ["", "-1", "a b", "a" * 33, 42]),
    (Project, "status", ["", "Ongoing", "ended", True]),
    (Project, "end_date", ["", "31/03/2027", "2027-02-30", "2027-W01-1"]),
    (Project, "backends", [[], "tpp", ["TPP"]]),
    (Project, "runner_types", [[], "r", ["r:v2"]]),
    (Project, "requires_training", ["yes", 1]),
    (
        Project,
        "analysis_scope",
        [
            [],
            {"datasets": []},
            {"dataset_permissions": "icnarc"},
            {"dataset_permissions": ["ICNARC"]},
            {"dataset_permissions": ["icnarc", "icnarc"]},
        ],
    ),
    (User, "backends", [[], ["-a"]]),
    (User, "trained_until", ["soon"]),
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
    (ImportStatement, "number", [0]),
    (ImportStatement, "database", ["0" * 63]),
    (ImportStatement, "tables", [{"a": {"rows": -1, "sha256": "1" * 64}}, {"a\nb": {"rows": 1, "sha256": "1" * 64}}]),
    (Checkpoint, "tips", [{"main": "x"}, {"a\nb": "0" * 40}]),
]
GOOD_REPOS = ["study", "org/study.git", "a b/c", "https://github.com/org/study", "https://git.example:8443/a/b.git"]
BAD_REPOS = ["", " ", "..", "../../etc", "a/../../b", "/etc", "~/study", "-x", "git@github.com:o/s", "host:study",
             "http://github.com/org/study", "file:///etc", "ssh://host/x", "https://", "https://github.com",
             "https://user:secret@github.com/o/s", "https://github.com/../x", "https://github.com/a?b"]  # fmt: skip
