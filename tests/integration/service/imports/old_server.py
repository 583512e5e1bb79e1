"""Databases as job-server left them, written from what is known of its tables: in May 2021, and in August 2026.

Every odd row that years of use leave is in them: see `ROWS_2021` and `ROWS_2026`.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Table = Mapping[str, str]
"""Column -> its type: id, text, time, bool, json, list, int or interval."""

_USER = {"id": "id", "username": "text", "roles": "roles", "date_joined": "time"}
_LINK = {"id": "id", "created_at": "time", "created_by_id": "int", "user_id": "int"}
_COMMON: dict[str, Table] = {
    "django_migrations": {"id": "id", "app": "text", "name": "text", "applied": "time"},
    "social_auth_usersocialauth": {"id": "id", "provider": "text", "uid": "text", "user_id": "int"},
    "jobserver_job": {
        "id": "id",
        "job_request_id": "int",
        "identifier": "text",
        "action": "text",
        "status": "text",
        "status_code": "text",
        "status_message": "text",
        "created_at": "time",
        "updated_at": "time",
        "started_at": "time",
        "completed_at": "time",
    },
    "jobserver_stats": {"id": "id", "url": "text"},
}
_REQUEST = {
    "id": "id",
    "identifier": "text",
    "backend_id": "int",
    "workspace_id": "int",
    "created_by_id": "int",
    "created_at": "time",
    "sha": "text",
    "cancelled_actions": "json",
    "force_run_dependencies": "bool",
    "will_notify": "bool",
    "project_definition": "text",
}
_WORKSPACE = {
    "id": "id",
    "name": "text",
    "branch": "text",
    "is_archived": "bool",
    "should_notify": "bool",
    "created_at": "time",
    "created_by_id": "int",
    "project_id": "int",
}
_FORM = (
    *("project_lead", "email", "telephone", "job_title", "team_name", "region", "purpose"),
    *("requested_data_meets_purpose", "why_data_is_required", "data_access_legal_basis"),
    *("satisfying_confidentiality", "ethics_approval", "is_research_on_cmo_priority_list", "funding_source"),
    *("team_details", "previous_experience_with_ehr", "evidence_of_scripting_languages"),
    "evidence_of_sharing_in_public",
)
SCHEMA_2021: dict[str, Table] = _COMMON | {
    "jobserver_user": _USER
    | {"first_name": "text", "last_name": "text", "is_active": "bool", "notifications_email": "text"},
    "jobserver_org": {"id": "id", "name": "text", "slug": "text", "created_at": "time"},
    "jobserver_orgmembership": _LINK | {"org_id": "int", "roles": "roles"},
    "jobserver_project": {"id": "id", "org_id": "int", "name": "text", "slug": "text", "created_at": "time"}
    | dict.fromkeys(_FORM, "text")
    | {"has_signed_declaration": "bool"},
    "jobserver_projectmembership": _LINK | {"project_id": "int", "roles": "roles"},
    "jobserver_projectinvitation": _LINK | {"project_id": "int", "roles": "roles", "accepted_at": "time"},
    "jobserver_researcherregistration": {
        "id": "id",
        "name": "text",
        "passed_researcher_training_at": "time",
        "is_ons_accredited_researcher": "bool",
    },
    "jobserver_project_researcher_registrations": {
        "id": "id",
        "project_id": "int",
        "researcherregistration_id": "int",
    },
    "jobserver_backend": {
        "id": "id",
        "name": "text",
        "display_name": "text",
        "parent_directory": "text",
        "auth_token": "text",
        "created_at": "time",
    },
    "jobserver_workspace": _WORKSPACE | {"repo": "text", "db": "text"},
    "jobserver_jobrequest": _REQUEST | {"requested_actions": "json"},
    "jobserver_release": {
        "id": "text",
        "workspace_id": "int",
        "backend_id": "int",
        "published_at": "time",
        "upload_dir": "text",
        "files": "json",
        "backend_user": "text",
        "publishing_user_id": "int",
    },
}
SCHEMA_2026: dict[str, Table] = _COMMON | {
    "jobserver_user": _USER | {"fullname": "text", "email": "text", "pat_token": "text"},
    "jobserver_org": {"id": "id", "name": "text", "slug": "text", "created_at": "time", "created_by_id": "int"},
    "jobserver_orgmembership": _LINK | {"org_id": "int"},
    "jobserver_project": {
        "id": "id",
        "name": "text",
        "slug": "text",
        "number": "text",
        "status": "text",
        "created_at": "time",
        "created_by_id": "int",
    },
    "jobserver_projectcollaboration": {"id": "id", "org_id": "int", "project_id": "int", "is_lead": "bool"},
    "jobserver_projectmembership": _LINK | {"project_id": "int", "roles": "roles"},
    "jobserver_backend": {
        "id": "id",
        "slug": "text",
        "name": "text",
        "is_active": "bool",
        "auth_token": "text",
        "alert_timeout": "interval",
        "created_at": "time",
    },
    "jobserver_repo": {"id": "id", "url": "text"},
    "jobserver_workspace": _WORKSPACE | {"repo_id": "int"},
    "jobserver_jobrequest": _REQUEST
    | {"requested_actions": "list", "codelists_ok": "bool", "_status": "text", "status_message": "text"},
    "jobserver_job": _COMMON["jobserver_job"] | {"run_command": "text", "trace_context": "json", "metrics": "json"},
    "jobserver_release": {
        "id": "text",
        "workspace_id": "int",
        "backend_id": "int",
        "created_by_id": "int",
        "created_at": "time",
    },
    "jobserver_releasefile": {
        "id": "text",
        "release_id": "text",
        "name": "text",
        "path": "text",
        "filehash": "text",
        "size": "int",
        "uploaded_at": "time",
        "deleted_at": "time",
    },
    "jobserver_snapshot": {"id": "id", "workspace_id": "int"},
}

_ROLES = "jobserver.authorization.roles."
DAY = "2021-05-{:02d} 10:00:00.123456"
DEFINITION = "version: '3.0'\nexpectations: {population_size: 10}\nactions:\n" + "".join(
    f"  {name}:\n    run: python:latest python {name}.py\n    needs: [{needs}]\n"
    f"    outputs: {{highly_sensitive: {{f: {name}.csv}}}}\n"
    for name, needs in (("extract", ""), ("analyse", "extract"))
)


def _request(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": number,
        "identifier": "abcdefghijklmn" + f"{number:02d}".translate(str.maketrans("0189", "wxyz")),
        "backend_id": 1,
        "workspace_id": 1,
        "created_by_id": 1,
        "created_at": DAY.format(number),
        "sha": "a" * 40,
        "cancelled_actions": [],
        "force_run_dependencies": False,
        "will_notify": True,
        "project_definition": DEFINITION,
        "requested_actions": ["analyse"],
    } | values


def _job(number: int, request: int, status: str, **values: Any) -> dict[str, Any]:
    day = min(request, 28)
    is_over = status.lower() in ("failed", "succeeded")
    return {
        "id": number,
        "job_request_id": request,
        "identifier": f"job{number}",
        "action": "analyse",
        "status": status,
        "status_code": "",
        "status_message": "",
        "created_at": DAY.format(day),
        "updated_at": f"2021-05-{day:02d} 11:00:00",
        "started_at": f"2021-05-{day:02d} 10:30:00",
        "completed_at": f"2021-05-{day:02d} 11:00:00" if is_over else None,
    } | values


_JOBS = [
    _job(1, 1, "succeeded", action="extract"),
    _job(2, 1, "succeeded"),
    _job(3, 2, "failed", status_code="nonzero_exit", status_message="x" * 20_000),
    _job(4, 2, "succeeded", action="extract"),
    _job(5, 3, "running"),
    _job(6, 3, "pending", action="extract", started_at=None, updated_at=None),
    # 4: no jobs.
    _job(7, 5, "failed", completed_at=None, started_at=None, updated_at=None, created_at=None),  # no times
    _job(8, 6, "Succeeded", status_message=None),
    _job(9, 7, "0", completed_at="2021-05-07 11:00:00"),  # a status that nobody knows
    _job(10, 7, "succeeded", identifier="job1"),  # twice
    _job(11, 8, "failed", identifier="no identifier!", action="__error__", status_message="line\nanother\x07"),
    _job(12, 9, "succeeded"),
    _job(13, 10, "succeeded"),
    _job(14, 99, "succeeded"),  # of no request
]
_REQUESTS = [
    _request(1),
    _request(2, cancelled_actions=["analyse"]),
    _request(3, requested_actions=["run_all"], force_run_dependencies=True),
    _request(4, sha=""),
    _request(5, created_by_id=None),
    _request(6, identifier="abcdefghijklmnwx"),  # as request 1
    _request(7, identifier="Not An Identifier", backend_id=2),
    _request(8, requested_actions=[], project_definition="actions: ["),
    _request(9, requested_actions=["an action", "analyse"], project_definition=""),
    _request(10, workspace_id=2, created_by_id=2, created_at=None),
    _request(11, workspace_id=99),
]
_USERS = [
    {"id": 1, "username": "alice", "roles": [_ROLES + "CoreDeveloper"], "date_joined": DAY.format(1)},
    {"id": 2, "username": "Bob O'Neil", "roles": [], "date_joined": DAY.format(1)},
    {"id": 3, "username": "ALICE", "roles": [_ROLES + "StaffAreaAdministrator"], "date_joined": None},
    {"id": 4, "username": "admin", "roles": [_ROLES + "OutputChecker"], "date_joined": DAY.format(2)},
]
_WORKSPACES = [
    {"id": 1, "name": "trends", "project_id": 1, "created_by_id": 1, "created_at": DAY.format(1)},
    {"id": 2, "name": "My Study", "project_id": None, "created_by_id": None, "created_at": DAY.format(1)},
    {"id": 3, "name": "jobs", "project_id": 2, "created_by_id": 3, "created_at": None, "is_archived": True},
]
_ACCOUNTS = [
    {"id": 1, "provider": "github", "uid": "583231", "user_id": 1},
    {"id": 2, "provider": "github", "uid": "none", "user_id": 2},
    {"id": 3, "provider": "github", "uid": "583231", "user_id": 3},
]
_MIGRATION = [{"id": 1, "app": "contenttypes", "name": "0001_initial", "applied": "2020-01-02 03:04:05.678901"}]
ROWS_2021: dict[str, list[dict[str, Any]]] = {
    "django_migrations": _MIGRATION,
    "jobserver_user": [
        _USERS[0] | {"first_name": "Alice", "last_name": "Ng", "is_active": True, "notifications_email": "a@x.org"},
        _USERS[1] | {"first_name": None, "last_name": None, "is_active": False, "notifications_email": "nobody"},
        _USERS[2] | {"first_name": "", "last_name": "", "is_active": True, "notifications_email": ""},
        _USERS[3] | {"first_name": "Ad", "last_name": "Min", "is_active": True, "notifications_email": ""},
    ],
    "social_auth_usersocialauth": _ACCOUNTS,
    "jobserver_org": [
        {"id": 1, "name": "The DataLab", "slug": "datalab", "created_at": DAY.format(1)},
        {"id": 2, "name": None, "slug": "New_Org", "created_at": None},
    ],
    "jobserver_orgmembership": [
        {"id": 1, "org_id": 1, "user_id": 1, "roles": [_ROLES + "OrgCoordinator"], "created_at": DAY.format(1)},
        {"id": 2, "org_id": 1, "user_id": 77, "roles": [], "created_at": DAY.format(1)},
    ],
    "jobserver_project": [
        dict.fromkeys(_FORM, "")
        | {"id": 1, "org_id": 1, "name": "Diabetes", "slug": "diabetes", "created_at": DAY.format(1)}
        | {"project_lead": "Alice Ng", "email": "lead@x.org", "telephone": "020 7946 0000"}
        | {"purpose": "Write to lead@x.org\nto know", "has_signed_declaration": True},
        dict.fromkeys(_FORM, None)
        | {"id": 2, "org_id": 9, "name": "A name\nof two lines", "slug": "settings", "created_at": None}
        | {"has_signed_declaration": False},
    ],
    "jobserver_projectmembership": [
        {"id": 1, "project_id": 1, "user_id": 1, "created_at": DAY.format(1)}
        | {"roles": [_ROLES + "ProjectDeveloper", _ROLES + "ProjectCoordinator"]},
        {"id": 2, "project_id": 1, "user_id": 1, "roles": [], "created_at": DAY.format(1)},  # twice
    ],
    "jobserver_projectinvitation": [
        {"id": 1, "project_id": 1, "user_id": 4, "created_by_id": None, "roles": [_ROLES + "ProjectDeveloper"]},
        {"id": 2, "project_id": 1, "user_id": 2, "created_by_id": 1, "roles": [_ROLES + "ProjectDeveloper"]},
        {"id": 3, "project_id": 1, "user_id": 1, "created_by_id": 1, "roles": [], "accepted_at": DAY.format(2)},
    ],
    "jobserver_researcherregistration": [
        {"id": 1, "name": "Bea Li", "passed_researcher_training_at": DAY.format(1)}
        | {"is_ons_accredited_researcher": True},
    ],
    "jobserver_project_researcher_registrations": [{"id": 1, "project_id": 1, "researcherregistration_id": 1}],
    "jobserver_backend": [
        {"id": 1, "name": "tpp", "display_name": "TPP", "parent_directory": "/srv", "auth_token": "secret-of-tpp"}
        | {"created_at": DAY.format(1)},
        {"id": 2, "name": "emis", "display_name": "EMIS", "parent_directory": "", "auth_token": "secret-of-tpp"}
        | {"created_at": DAY.format(1)},
    ],
    "jobserver_workspace": [
        _WORKSPACES[0] | {"repo": "https://github.com/opensafely/trends", "branch": "main", "db": "full"},
        _WORKSPACES[1] | {"repo": "git@github.com:opensafely/study.git", "branch": None, "db": "Dummy"},
        _WORKSPACES[2] | {"repo": "", "branch": "main", "db": "slice"},
    ],
    "jobserver_jobrequest": [*_REQUESTS, _request(12, backend_id=None)],
    "jobserver_job": [*_JOBS, _job(15, 12, "succeeded")],
    "jobserver_release": [
        {"id": "0" * 32, "workspace_id": 1, "backend_id": 1, "published_at": DAY.format(9), "upload_dir": "trends/x"}
        | {"files": ["metadata/manifest.json", "output.txt"], "backend_user": "alice", "publishing_user_id": 1},
    ],
    "jobserver_stats": [{"id": 1, "url": "/api"}],
}
ROWS_2026: dict[str, list[dict[str, Any]]] = {
    "django_migrations": _MIGRATION,
    "jobserver_user": [
        user | {"fullname": f"Person {user['id']}", "email": f"u{user['id']}@x.org", "pat_token": token}
        for user, token in zip(_USERS, ["hash", None, None, None], strict=True)
    ],
    "social_auth_usersocialauth": _ACCOUNTS,
    "jobserver_org": [{"id": 1, "name": "DataLab", "slug": "datalab", "created_at": DAY.format(1), "created_by_id": 1}],
    "jobserver_orgmembership": [{"id": 1, "org_id": 1, "user_id": 1, "created_at": DAY.format(1)}],
    "jobserver_project": [
        {
            "id": 1,
            "name": "Diabetes",
            "slug": "diabetes",
            "number": "7",
            "status": "completed-and-linked",
            "created_at": DAY.format(1),
            "created_by_id": 1,
        },
        {"id": 2, "name": "Orphan", "slug": "orphan", "created_at": DAY.format(1), "created_by_id": 2},
    ],
    "jobserver_projectcollaboration": [
        {"id": 1, "org_id": 9, "project_id": 1, "is_lead": False},
        {"id": 2, "org_id": 1, "project_id": 1, "is_lead": True},
    ],
    "jobserver_projectmembership": [
        {"id": 1, "project_id": 1, "user_id": 1, "roles": [_ROLES + "ProjectDeveloper"], "created_at": DAY.format(1)},
    ],
    "jobserver_backend": [
        {"id": 1, "slug": "tpp", "name": "TPP", "is_active": True, "auth_token": "secret-of-tpp"}
        | {"alert_timeout": 600, "created_at": DAY.format(1)},
        {"id": 2, "slug": "emis", "name": "EMIS", "is_active": False, "auth_token": "", "alert_timeout": 300}
        | {"created_at": DAY.format(1)},
    ],
    "jobserver_repo": [{"id": 5, "url": "https://github.com/opensafely/trends"}],
    "jobserver_workspace": [
        workspace | {"repo_id": 5, "branch": "main", "is_archived": workspace["id"] == 3} for workspace in _WORKSPACES
    ],
    "jobserver_jobrequest": [
        *(request | {"codelists_ok": True, "_status": "unknown"} for request in _REQUESTS),
        _request(12, _status="nothing_to_do", status_message="All actions have run", codelists_ok=True),
        _request(13, _status="failed", status_message="no such action", codelists_ok=False),
    ],
    "jobserver_job": [
        job
        | {"run_command": "python:latest python analyse.py", "trace_context": {"traceparent": "00-1-2-01"}}
        | {"metrics": {"cpu": 1.5}}
        for job in _JOBS
    ],
    "jobserver_release": [
        {"id": "01HZX5J8J4ZV0000000000ABCD", "workspace_id": 1, "backend_id": 1, "created_by_id": 1}
        | {"created_at": DAY.format(9)},
    ],
    "jobserver_releasefile": [
        {"id": "01HZX5J8J4ZV0000000000FILE", "release_id": "01HZX5J8J4ZV0000000000ABCD", "name": "output.txt"}
        | {"path": "trends/releases/01HZ/output.txt", "filehash": "0" * 64, "size": 3, "uploaded_at": DAY.format(9)},
    ],
    "jobserver_snapshot": [{"id": 1, "workspace_id": 1}, {"id": 2, "workspace_id": 1}],
}

_SQLITE = {"id": "INTEGER PRIMARY KEY", "int": "INTEGER", "interval": "INTEGER", "time": "datetime", "bool": "bool"}
_POSTGRES = {
    "id": "bigint PRIMARY KEY",
    "int": "bigint",
    "interval": "interval",
    "time": "timestamptz",
    "bool": "boolean",
    "json": "jsonb",
    "list": "text[]",
}
Execute = Callable[[str, Sequence[Any]], object]


def _tables(
    schema: Mapping[str, Table], types: Mapping[str, str], mark: str, convert: Callable[[str, Any], Any]
) -> Iterable[tuple[str, Callable[[Mapping[str, Any]], tuple[str, list[Any]]], str]]:
    for table, columns in schema.items():
        made = ", ".join(f'"{name}" {types.get(kind, "text")}' for name, kind in columns.items())

        def insert(row: Mapping[str, Any], table: str = table, columns: Table = columns) -> tuple[str, list[Any]]:
            names = ", ".join(f'"{name}"' for name in row)
            values = [convert(columns[name], value) for name, value in row.items()]
            return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join([mark] * len(row))})', values

        yield f'CREATE TABLE "{table}" ({made})', insert, table


def fill(
    execute: Execute,
    schema: Mapping[str, Table],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    is_postgres: bool = False,
) -> None:
    def convert(kind: str, value: Any) -> Any:
        if kind in ("json", "roles", "list") and value is not None:
            is_list = is_postgres and (kind == "list" or (kind == "roles" and schema is SCHEMA_2026))
            return value if is_list else json.dumps(value)
        if kind == "time" and is_postgres and value is not None:
            return f"{value}+00"
        if kind == "interval":
            return f"{value} seconds" if is_postgres else value * 1_000_000
        return value

    types = _POSTGRES if is_postgres else _SQLITE
    roles = "text[]" if schema is SCHEMA_2026 else "jsonb"
    for create, insert, table in _tables(schema, {**types, "roles": roles}, "%s" if is_postgres else "?", convert):
        execute(create, [])
        for row in rows.get(table, []):
            execute(*insert(row))


def make_sqlite(path: Path, schema: Mapping[str, Table], rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    with sqlite3.connect(path) as connection:
        fill(lambda statement, values: connection.execute(statement, values), schema, rows)
    connection.close()
    return path
