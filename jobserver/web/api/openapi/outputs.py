"""The operations on releases whose files leave with the approvals of people."""

from typing import get_args

from jobserver.domain.base import names
from jobserver.domain.outputs.approvals import ReleaseState
from jobserver.domain.outputs.documents import MAX_FILE_BYTES, MAX_FILES, Decision
from jobserver.web.api.openapi import parameters as p
from jobserver.web.api.openapi.operations import operation, read, write
from jobserver.web.api.openapi.schemas import (
    BINARY,
    FLAG,
    MAYBE_TEXT,
    MAYBE_TIME,
    TEXT,
    TEXTS,
    TIME,
    Schema,
    object_of,
    page_of,
    reference,
)

OUTPUTS = "Outputs"
_STATE: Schema = {"enum": list(ReleaseState)}
_SIZE: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_FILE_BYTES, "description": "Bytes."}
_DIGEST: Schema = {
    "type": "string",
    "pattern": f"^{names.DIGEST}$",
    "examples": ["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    "description": "In hex, of the contents.",
}
_NUMBER: Schema = {"type": "integer"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_DEED = _or_null(object_of({"by": TEXT, "at": TIME, "comment": TEXT}))
_STONE = _or_null(object_of({"by": TEXT, "at": TIME, "reason": TEXT, "vouched_by": MAYBE_TEXT}))
_JOB = _or_null(object_of({"request": TEXT, "identifier": TEXT, "action": TEXT, "commit": TEXT}))
_HEAD = {
    "identifier": TEXT,
    "workspace": TEXT,
    "backend": TEXT,
    "state": _STATE,
    "author": {**TEXT, "description": "Who asked for the release; never approves it."},
    "created_at": TIME,
    "comment": TEXT,
}
_FILE = object_of(
    {
        "path": TEXT,
        "size": _NUMBER,
        "sha256": TEXT,
        "date": MAYBE_TIME,
        "job": _JOB,
        "state": _STATE,
        "approved_by": {**TEXTS, "description": "Only people who may approve now."},
        "rejected_by": TEXTS,
        "uploaded": {**_DEED, "description": "When its bytes left the backend."},
        "withdrawn": _STONE,
    }
)
_REVIEW = object_of(
    {
        "by": TEXT,
        "at": TIME,
        "decision": {"enum": list(get_args(Decision))},
        "comment": TEXT,
        "files": {"type": ["array", "null"], "items": TEXT, "description": "null: all of them."},
        "vouched_by": {**MAYBE_TEXT, "description": "The backend in which they reviewed."},
    }
)
_PUBLICATION = object_of(
    {"files": TEXTS, "requested": _DEED, "approved": _DEED, "end_requested": _DEED, "ended": _DEED}
)
SCHEMAS: dict[str, Schema] = {
    "ReleaseSummary": object_of({**_HEAD, "changed_at": TIME, "files": _NUMBER, "size": _NUMBER}),
    "CheckedRelease": object_of(
        {
            **_HEAD,
            "required_approvals": {**_NUMBER, "description": "Of people other than the author, for each file."},
            "vouched_by": {**MAYBE_TEXT, "description": "The backend that speaks for the author."},
            "files": {"type": "array", "items": _FILE},
            "reviews": {"type": "array", "items": _REVIEW},
            "publications": {"type": "array", "items": _PUBLICATION},
            "withdrawn": _STONE,
        }
    ),
    "ReleasedFile": object_of(
        {
            "path": TEXT,
            "release": TEXT,
            "backend": TEXT,
            "size": _NUMBER,
            "sha256": TEXT,
            "date": MAYBE_TIME,
            "job": _JOB,
            "released_by": TEXT,
            "released_at": TIME,
            "published": FLAG,
        }
    ),
}
_PATHS: Schema = {
    "type": ["array", "null"],
    "items": TEXT,
    "minItems": 1,
    "maxItems": MAX_FILES,
    "examples": [["output/table.csv"]],
}
_COMMENT: Schema = {
    **MAYBE_TEXT,
    "minLength": 1,
    "maxLength": 10_000,
    "examples": ["For the paper"],
    "description": "What you say about it.",
}
_REASON: Schema = {**TEXT, "minLength": 1, "maxLength": 10_000, "examples": ["A number is below 7"]}
_NEW_FILE = object_of(
    {
        "path": {**TEXT, "minLength": 1, "examples": ["output/table.csv"]},
        "size": _SIZE,
        "sha256": _DIGEST,
        "job": {**_JOB, "examples": [None], "description": "The job that wrote it, as the server knows it."},
    },
    ("path", "size", "sha256"),
    closed=True,
)
NEW_RELEASE = object_of(
    {
        "backend": {**TEXT, "examples": ["tpp"], "description": "Where the files are."},
        "files": {
            "type": "array",
            "items": _NEW_FILE,
            "minItems": 1,
            "maxItems": MAX_FILES,
            "description": "The files that should leave.",
        },
        "comment": _COMMENT,
    },
    ("backend", "files"),
    closed=True,
)
NEW_REVIEW = object_of(
    {
        "decision": {"enum": list(get_args(Decision)), "description": "`returned`: earlier decisions count no longer."},
        "comment": _COMMENT,
        "files": {**_PATHS, "description": "By default all files."},
    },
    ("decision",),
    closed=True,
)
WITHDRAWAL = object_of(
    {
        "reason": {**_REASON, "description": "Why. It stays in the record."},
        "files": {**_PATHS, "description": "By default the whole release, for good."},
    },
    ("reason",),
    closed=True,
)
NEW_PUBLICATION = object_of(
    {"files": {**_PATHS, "description": "By default all that were released."}, "comment": _COMMENT}, (), closed=True
)
COMMENTED = object_of({"comment": _COMMENT}, (), closed=True)
ENDED = object_of({"reason": {**_REASON, "description": "Why. It stays in the record."}}, closed=True)


def outputs() -> Schema:
    release = reference("CheckedRelease")
    url = "/api/v2/workspaces/{name}/outputs"
    of_release, named = f"{url}/{{backend}}/{{identifier}}", [p.WORKSPACE, *p.CHECKED_RELEASE]
    file = {"200": {"description": "The file.", "content": {"application/octet-stream": {"schema": BINARY}}}}
    listed = page_of(reference("ReleaseSummary"))
    return {
        f"{url}/": {
            "parameters": [p.WORKSPACE],
            "get": read(OUTPUTS, "List releases, newest first", listed, "404", parameters=p.RELEASES),
            "post": write(OUTPUTS, "Ask for a release", release, NEW_RELEASE, "201"),
        },
        f"{url}/files/": {
            "parameters": [p.WORKSPACE],
            "get": read(
                OUTPUTS,
                "List the newest version of each released file, by path",
                page_of(reference("ReleasedFile")),
                "404",
                parameters=p.RELEASED_FILES,
            ),
        },
        f"{of_release}/": {
            "parameters": named,
            "get": read(OUTPUTS, "Get a release, with its files, reviews and publications", release, "404"),
        },
        f"{of_release}/files/{{path}}": {
            "parameters": [*named, p.RELEASE_PATH[1]],
            "get": operation(OUTPUTS, "Download a file that left its backend", file, "400", "404"),
        },
        **_changes(of_release, named, release),
    }


def _changes(url: str, named: list[Schema], release: Schema) -> Schema:
    operations: dict[str, tuple[str, Schema | None]] = {
        "reviews": ("Approve or reject files, or return the release to its author (output checkers)", NEW_REVIEW),
        "withdraw": ("Withdraw files: their bytes are erased (output checkers, the author, SuperUsers)", WITHDRAWAL),
        "request-publication": ("Ask that anybody may read files (developers)", NEW_PUBLICATION),
        "publish": ("Publish what was asked for (publishers)", None),
        "request-unpublication": ("Ask for the end of a publication (developers)", COMMENTED),
        "unpublish": ("End a publication, or decline it (publishers)", ENDED),
    }
    return {
        f"{url}/{name}/": {"parameters": named, "post": write(OUTPUTS, text, release, fields)}
        for name, (text, fields) in operations.items()
    }
