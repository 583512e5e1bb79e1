"""The schemas of limits: what projects and people may use, and until when. In answers and in bodies."""

from typing import Any

from jobserver.domain.base import names
from jobserver.domain.governance.analysis_scope import KNOWN
from jobserver.domain.governance.project_limits import ProjectStatus

_DAY = {"type": ["string", "null"], "format": "date", "examples": ["2027-03-31"]}
_BACKENDS: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "string", "pattern": f"^{names.SLUG}$"},
    "minItems": 1,
    "examples": [["tpp"]],
}
SCOPE: dict[str, Any] = {
    "type": "object",
    "properties": {
        key: {"type": "array", "items": {"type": "string", "pattern": f"^{names.DATA}$"}, "examples": [[known[0]]]}
        for key, known in KNOWN.items()
    },
    "additionalProperties": False,
    "description": "The data that it may use beyond what every project may.",
}
PROJECT: dict[str, Any] = {
    "number": {
        "type": ["string", "null"],
        "pattern": f"^(?:{names.PROJECT_NUMBER})$",
        "examples": ["POS-2025-2001"],
        "description": "What the project is called outside. No two projects have the same.",
    },
    "status": {"enum": list(ProjectStatus), "description": "People can request jobs for an ongoing project only."},
    "end_date": {**_DAY, "description": "The last day on which people can request jobs. null if there is none."},
    "backends": {**_BACKENDS, "description": "The only backends that the project may use. null for all."},
    "runner_types": {
        **_BACKENDS,
        "examples": [["ehrql", "r"]],
        "description": "The only images that may run its actions, without versions. null for all.",
    },
    "analysis_scope": SCOPE,
    "requires_training": {
        "type": "boolean",
        "description": "Only people whose training is recorded can request jobs.",
    },
}
"""In answers. In bodies null removes each."""
PROJECT_CHANGE: dict[str, Any] = PROJECT | {
    "status": {**PROJECT["status"], "enum": [*ProjectStatus, None]},
    "analysis_scope": {
        **SCOPE,
        "type": ["object", "null"],
        "description": "Lists that are left out stay as they are.",
    },
    "requires_training": {**PROJECT["requires_training"], "type": ["boolean", "null"]},
}
PERSON: dict[str, Any] = {
    "backends": {**_BACKENDS, "description": "The only backends that the person may use. null for all."},
    "trained_until": {
        **_DAY,
        "description": "The last day on which their training counts. null if none is recorded.",
    },
}
