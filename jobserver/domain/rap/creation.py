"""What a controller is sent to create a request there."""

from collections.abc import Mapping
from typing import Any

from jobserver.domain.rap.controller import RapController

NO_PROJECT = "(none)"
"""For a workspace without a project, as controllers demand a text. No project can have this name."""


def creation(item: Mapping[str, Any], rap: RapController) -> dict[str, Any]:
    """``item``: the request as runners get it."""
    workspace = item["workspace"]
    return {
        "rap_id": item["identifier"],
        "backend": item["backend"],
        "workspace": workspace["name"],
        "repo_url": workspace["repo"],
        "branch": workspace["branch"],
        "commit": item["sha"],
        "database_name": rap.databases.get(item["database_name"], item["database_name"]),
        "requested_actions": item["requested_actions"],
        "codelists_ok": item["codelists_ok"],
        "force_run_dependencies": item["force_run_dependencies"],
        "created_by": item["created_by"],
        "project": item["project"] or NO_PROJECT,
        "orgs": item["orgs"],
        "analysis_scope": item.get("analysis_scope", {}),
    }
