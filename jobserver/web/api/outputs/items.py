"""A checked release and its files as JSON data, for the API and for commands."""

from typing import Any

from jobserver.domain.base.state import Main
from jobserver.domain.outputs.approvals import Decisions, Standing, file_groups, file_states, release_state
from jobserver.domain.outputs.documents import CheckedRelease, Deed, FileJob, Publication, Review, Tombstone
from jobserver.index.items import time_text
from jobserver.index.queries.releases import ReleasedFile, ReleaseSummary

Item = dict[str, Any]


def summary_item(release: ReleaseSummary, main: Main) -> Item:
    return {
        "identifier": release.identifier,
        "workspace": release.workspace,
        "backend": release.backend,
        "state": release.state(main).value,
        "author": release.author,
        "created_at": time_text(release.created_at),
        "changed_at": time_text(release.changed_at),
        "comment": release.comment,
        "files": release.files,
        "size": release.size,
    }


def release_item(release: CheckedRelease, main: Main) -> Item:
    """The whole document, with the states that follow from it now."""
    standing, decisions = Standing.of(main, release), Decisions(release.reviews)
    states = file_states(release, standing)
    return {
        "identifier": release.identifier,
        "workspace": release.workspace,
        "backend": release.backend,
        "state": release_state(file_groups(release), standing).value,
        "required_approvals": standing.required,
        "author": release.author,
        "vouched_by": release.vouched_by,
        "created_at": time_text(release.created_at),
        "comment": release.comment or "",
        "files": [
            {
                "path": file.path,
                "size": file.size,
                "sha256": file.sha256,
                "date": time_text(file.date),
                "job": _job(file.job),
                "state": states[file.path].value,
                "approved_by": standing.approvers(decisions.on(file.path)),
                "rejected_by": standing.rejecters(decisions.on(file.path)),
                "uploaded": _deed(file.uploaded),
                "withdrawn": _tombstone(file.withdrawn or release.withdrawn),
            }
            for file in release.files
        ],
        "reviews": [_review(review) for review in release.reviews],
        "publications": [_publication(publication) for publication in release.publications],
        "withdrawn": _tombstone(release.withdrawn),
    }


def file_item(file: ReleasedFile) -> Item:
    return {
        "path": file.path,
        "release": file.release,
        "backend": file.backend,
        "size": file.size,
        "sha256": file.sha256,
        "date": time_text(file.date),
        "job": file.job,
        "released_by": file.uploaded_by,
        "released_at": time_text(file.uploaded_at),
        "published": file.is_public,
    }


def _job(job: FileJob | None) -> Item | None:
    return job.model_dump() if job is not None else None


def _deed(deed: Deed | None) -> Item | None:
    return {"by": deed.by, "at": time_text(deed.at), "comment": deed.comment or ""} if deed is not None else None


def _tombstone(stone: Tombstone | None) -> Item | None:
    if stone is None:
        return None
    return {"by": stone.by, "at": time_text(stone.at), "reason": stone.reason, "vouched_by": stone.vouched_by}


def _review(review: Review) -> Item:
    return {
        "by": review.by,
        "at": time_text(review.at),
        "decision": review.decision,
        "comment": review.comment or "",
        "files": list(review.files) or None,
        "vouched_by": review.vouched_by,
    }


def _publication(publication: Publication) -> Item:
    return {
        "files": list(publication.files),
        "requested": _deed(publication.requested),
        "approved": _deed(publication.approved),
        "end_requested": _deed(publication.end_requested),
        "ended": _deed(publication.ended),
    }
