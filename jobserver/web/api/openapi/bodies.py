"""The JSON schemas of the bodies that people send. Each field has a description, for people who write scripts."""

from jobserver.domain.base import names
from jobserver.domain.job_requests.refs import MAX_REF
from jobserver.domain.job_requests.requests import MAX_NOTE
from jobserver.domain.site_messages import MessageLevel
from jobserver.service.notify.subscriptions import EmailChoice
from jobserver.web.api.openapi import limits
from jobserver.web.api.openapi.schemas import ACTION, FLAG, MAYBE_TEXT, ROLE_LIST, TEXT, TEXTS, VIEWS, object_of

NEW_REQUEST = object_of(
    {
        "requested_actions": {
            "type": "array",
            "items": ACTION,
            "minItems": 1,
            "examples": [["run_all"]],
            "description": "`run_all` means every action.",
        },
        "backend": {**TEXT, "examples": ["tpp"], "description": "Where the jobs run."},
        "force_run_dependencies": {
            "type": ["boolean", "null"],
            "description": "Also run dependencies that have succeeded already.",
        },
        "will_notify": {
            "type": ["boolean", "null"],
            "description": "Send you an email when the request ends. By default as the workspace says.",
        },
        "database_name": {**MAYBE_TEXT, "description": "By default the workspace's."},
        "note": {
            **MAYBE_TEXT,
            "maxLength": MAX_NOTE,
            "description": "What you say about it, on one line. Pages and lists show it.",
        },
        "ref": {
            **MAYBE_TEXT,
            "maxLength": MAX_REF,
            "examples": ["v1.0"],
            "description": "A branch, a tag or a commit of the study, such as `dev`, `refs/tags/v1.0` or `1a2b3c4`."
            " By default the newest commit of the workspace's branch.",
        },
    },
    ("requested_actions", "backend"),
    closed=True,
)
PREVIEW = object_of(
    {
        name: NEW_REQUEST["properties"][name]
        for name in ("requested_actions", "backend", "force_run_dependencies", "ref")
    },
    ("requested_actions", "backend"),
    closed=True,
)
CANCELLATION = object_of(
    {
        "actions": {
            "type": ["array", "null"],
            "items": ACTION,
            "examples": [["analyse"]],
            "description": "By default all that are not finished.",
        }
    },
    (),
    closed=True,
)
NEW_WORKSPACE = object_of(
    {
        "name": {
            "type": "string",
            "pattern": f"^{names.WORKSPACE}$",
            "examples": ["trends"],
            "description": f"{names.WORDS[names.WORKSPACE].capitalize()}.",
        },
        "repo": {
            "type": "string",
            "minLength": 1,
            "examples": ["https://github.com/org/study"],
            "description": "An https URL on GitHub, or a path inside STUDY_REPOS.",
        },
        "branch": {
            "type": "string",
            "minLength": 1,
            "examples": ["main"],
            "description": "A branch of the repository.",
        },
        "db": {"type": ["string", "null"], "description": "The database that its jobs use; `full` by default."},
        "project": {
            "type": ["string", "null"],
            "examples": ["datalab/trends"],
            "description": "Its members can run jobs.",
        },
    },
    ("name", "repo", "branch"),
    closed=True,
)
WORKSPACE_CHANGE = object_of(
    {
        "branch": {"type": ["string", "null"], "examples": ["main"], "description": "A branch of the repository."},
        "db": {"type": ["string", "null"], "description": "The database that new requests use."},
        "should_notify": {
            "type": ["boolean", "null"],
            "description": "Whether new requests send an email when they end.",
        },
        "archived": {"type": ["boolean", "null"], "description": "true archives the workspace, false unarchives it."},
        "repo": {"type": ["string", "null"], "description": "SuperUsers only."},
        "project": {
            "type": ["string", "null"],
            "description": "Moves the workspace to this project, or out of its project. In a call of its own.",
        },
    },
    (),
    closed=True,
)
NEW_ORG = object_of(
    {
        "slug": {
            "type": "string",
            "minLength": 1,
            "examples": ["datalab"],
            "description": f"{names.WORDS[names.SLUG].capitalize()}.",
        },
        "name": {**MAYBE_TEXT, "examples": ["Data lab"], "description": "The name that people see."},
    },
    ("slug",),
    closed=True,
)
NEW_PROJECT = object_of(
    {
        "project": {
            "type": "string",
            "minLength": 1,
            "examples": ["datalab/trends"],
            "description": "The organisation and the project's slug.",
        },
        "name": {**MAYBE_TEXT, "examples": ["Trends"], "description": "The name that people see."},
    },
    ("project",),
    closed=True,
)
PROJECT_CHANGE = object_of(
    {
        "name": {
            "type": ["string", "null"],
            "minLength": 1,
            "examples": ["Trends"],
            "description": "The name that people see. In a call of its own.",
        },
        **limits.PROJECT_CHANGE,
        "output_approvals": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 3,
            "description": "How many people must approve each file that leaves. In a call of its own;"
            " needs the role GovernanceReviewer.",
        },
    },
    (),
    closed=True,
)
MEMBER_ROLES = object_of(
    {"roles": {**ROLE_LIST, "examples": [["ProjectDeveloper"]], "description": "All roles of the member."}},
    closed=True,
)
NEW_INVITATION = object_of(
    {
        "usernames": {
            **TEXTS,
            "minItems": 1,
            "examples": [["bob"]],
            "description": "All of them, or none if one is wrong.",
        },
        "roles": {
            **ROLE_LIST,
            "examples": [["ProjectDeveloper"]],
            "description": "The roles they get if they accept.",
        },
    },
    closed=True,
)
NEW_USER = object_of(
    {
        "username": {
            "type": "string",
            "pattern": f"^{names.USERNAME}$",
            "examples": ["bob"],
            "description": "The person's name on GitHub, if people log in there.",
        },
        "name": {**MAYBE_TEXT, "examples": ["Bob Hill"], "description": "Full name."},
        "github_id": {
            "type": ["integer", "null"],
            "minimum": 1,
            "description": "The number of the person's account on GitHub.",
        },
        "roles": {**ROLE_LIST, "type": ["array", "null"], "description": "The roles that count everywhere."},
    },
    ("username",),
    closed=True,
)
USER_CHANGE = object_of(
    {
        "roles": {
            **ROLE_LIST,
            "type": ["array", "null"],
            "description": "The roles that count everywhere. They replace those of now.",
            "examples": [["CoreDeveloper"]],
        },
        "active": {"type": ["boolean", "null"], "description": "false disables the user at once, true enables them."},
        **limits.PERSON,
    },
    (),
    closed=True,
)
SETTINGS_CHANGE = object_of(
    {
        "email": {**MAYBE_TEXT, "description": "null removes it.", "examples": ["alice@example.org"]},
        "email_when": {
            "enum": [*EmailChoice, None],
            "description": "Whether you get an email when a request is finished, has failed, or has another outcome"
            " than the one before it.",
        },
        "pinned": {
            "type": ["array", "null"],
            "items": TEXT,
            "examples": [["trends"]],
            "description": "The workspaces that you pin. They replace those of now.",
        },
        "views": {
            **VIEWS,
            "type": ["object", "null"],
            "description": "Your saved views, name -> query. They replace those of now.",
        },
    },
    (),
    closed=True,
)
BACKEND_CHANGE = object_of(
    {
        "active": {**FLAG, "description": "false deactivates the backend."},
        "accepts_requests": {**FLAG, "description": "false pauses the backend.", "examples": [False]},
    },
    (),
    closed=True,
)
CONTROLLER = object_of(
    {
        "url": {
            "type": "string",
            "minLength": 1,
            "examples": ["https://controller.example.org/controller/v1"],
            "description": "The address before /rap/create/.",
        },
        "databases": {
            "type": ["object", "null"],
            "additionalProperties": TEXT,
            "examples": [{"full": "default"}],
            "description": "A database of the backend, and its name at the controller. By default full is default.",
        },
        "repositories": {
            **MAYBE_TEXT,
            "description": "What the addresses of the repositories that it takes begin with. By default"
            " https://github.com/.",
        },
    },
    ("url",),
    closed=True,
)
NEW_MESSAGE = object_of(
    {
        "text": {"type": "string", "minLength": 1, "examples": ["TPP is down on Friday."], "description": "One line."},
        "level": {"enum": [*MessageLevel, None], "description": "info by default."},
    },
    ("text",),
    closed=True,
)
RERUN = object_of(
    {
        "actions": {"type": ["array", "null"], "items": ACTION, "description": "Without any, all that were requested."},
        "only_failed": {
            "type": ["boolean", "null"],
            "examples": [True],
            "description": "The actions whose jobs failed.",
        },
        "commit": {
            "enum": ["newest", "same", None],
            "description": "The newest of the branch, or the request's own.",
        },
    },
    (),
    closed=True,
)
