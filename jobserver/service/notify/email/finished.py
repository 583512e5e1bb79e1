"""The email to a person whose jobs finished."""

from jobserver.domain.job_requests import outcomes
from jobserver.service.notify.email.mail import Mail
from jobserver.service.writes.job_requests import RequestWithJobs


def email(finished: RequestWithJobs, base_url: str, followed: str = "") -> Mail:
    """Without messages of jobs: those may hold more than may leave the page. ``followed``: what a person follows who
    did not request the jobs themselves, as `Subscriber` has it."""
    request = finished.stored.request
    jobs = [(job.action, outcomes.outcome(job.status, job.status_code)) for job in finished.jobs]
    jobs.sort(key=lambda job: (outcomes.OUTCOMES.index(job[1]), job[0]))
    ended = outcomes.in_words(finished.outcome, finished.cancelled_by)
    verb = "were" if finished.outcome == outcomes.CANCELLED else "have"
    whose = f"{request.created_by}'s" if followed else "Your"
    reason = "chose to be notified when these jobs finish"
    if followed:
        reason = f"follow {'the workspace' if followed.startswith('workspace/') else 'this job request'}"
    body = "\n".join(
        [
            f"{whose} jobs for {request.workspace.name} on {request.backend} {verb} {ended}.",
            "",
            *(f"  {action}: {outcome}" for action, outcome in jobs),
            "",
            f"View the job request: {base_url}/job-requests/{request.identifier}/",
            "",
            f"You are receiving this email because you {reason}.",
            f"Change what you get by email: {base_url}/settings/",
        ]
    )
    return Mail(f"{request.workspace.name}: jobs {ended}", body + "\n")
