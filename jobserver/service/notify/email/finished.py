"""The email to a person whose jobs finished."""

from jobserver.domain.job_requests import lifecycle
from jobserver.service.notify.email.mail import Mail
from jobserver.service.writes.job_requests import RequestWithJobs


def email(finished: RequestWithJobs, base_url: str) -> Mail:
    """Without messages of jobs: those may hold more than may leave the page."""
    request = finished.stored.request
    jobs = sorted(finished.jobs, key=lambda job: job.action)
    status = lifecycle.request_status([job.status for job in jobs])
    body = "\n".join(
        [
            f"Your jobs for {request.workspace.name} on {request.backend} have {status}.",
            "",
            *(f"  {job.action}: {job.status}" for job in jobs),
            "",
            f"View the job request: {base_url}/job-requests/{request.identifier}/",
            "",
            "You are receiving this email because you asked to be notified when these jobs finish.",
            f"Change your email address: {base_url}/settings/",
        ]
    )
    return Mail(f"{request.workspace.name}: jobs {status}", body + "\n")
