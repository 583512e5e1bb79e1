"""The navigation: the main pages, and the tabs of each thing's pages, as (label, URL). Pure."""

from collections.abc import Collection

from jobserver.index.queries.jobs import JobRow

Links = list[tuple[str, str]]


def main(is_admin: bool, manages_users: bool) -> Links:
    links = [("Event log", "/jobs/"), ("Workspaces", "/workspaces/"), ("Status", "/status/"), ("Projects", "/orgs/")]
    links += [("Backends", "/backends/")] if is_admin else []
    return [*links, ("People", "/users/")] if manages_users else links


def request(identifier: str) -> Links:
    return [("Overview", f"/job-requests/{identifier}/"), ("Audit", f"/job-requests/{identifier}/audit/")]


def job_url(job: JobRow) -> str:
    """Names the request, too: another request can have a job with the same id."""
    return f"/job-requests/{job.request}/jobs/{job.identifier}/"


def job(row: JobRow) -> Links:
    return [("Overview", job_url(row)), ("Audit", f"{job_url(row)}audit/")]


def backend(slug: str, is_admin: bool) -> Links:
    settings = [("Settings", f"/backends/{slug}/")] if is_admin else []
    history = ("History", f"/backends/{slug}/history/")
    return [("Status", "/status/"), history, *settings, ("Audit", f"/backends/{slug}/audit/")]


def project(name: str, can_manage: bool, can_audit: bool) -> Links:
    settings = [("Settings", f"/orgs/{name}/settings/")] if can_manage else []
    audit = [("Audit", f"/orgs/{name}/audit/")] if can_audit else []
    return [("Project", f"/orgs/{name}/"), *settings, *audit]


def workspace(name: str, has_releases: bool, changeable: Collection[str] = ()) -> Links:
    """``changeable``: the settings that this person can change."""
    settings = [("Settings", f"/{name}/settings/")] if changeable else []
    releases = [("Releases", f"/{name}/releases/")] if has_releases else []
    runs = [("Event log", f"/{name}/logs/"), ("Trends", f"/{name}/trends/")]
    return [("Run", f"/{name}/"), *runs, *releases, *settings, ("Audit", f"/{name}/audit/")]
