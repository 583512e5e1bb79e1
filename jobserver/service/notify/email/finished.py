"""The email to a person whose jobs finished."""

from jobserver.domain.job_requests import outcomes
from jobserver.service.notify.email.mail import Mail
from jobserver.service.writes.job_requests import RequestWithJobs


def email(finished: RequestWithJobs, base_url: str) -> Mail:
    """Without messages of jobs: those may hold more than may leave the page."""
    request = finished.stored.request
    jobs = [(job.action, outcomes.outcome(job.status, job.status_code)) for job in finished.jobs]
    jobs.sort(key=lambda job: (outcomes.OUTCOMES.index(job[1]), job[0]))
    ended = outcomes.in_words(finished.outcome, finished.cancelled_by)
    verb = "were" if finished.outcome == outcomes.CANCELLED else "have"
    body = "\n".join(
        [
            f"Your jobs for {request.workspace.name} on {request.backend} {verb} {ended}.",
            "",
            *(f"  {action}: {outcome}" for action, outcome in jobs),
            "",
            f"View the job request: {base_url}/job-requests/{request.identifier}/",
            "",
            "You are receiving this email because you asked to be notified when these jobs finish.",
            f"Change your email address: {base_url}/settings/",
        ]
    )
    return Mail(f"{request.workspace.name}: jobs {ended}", body + "\n")
