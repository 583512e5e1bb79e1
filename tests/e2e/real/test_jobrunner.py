"""OpenSAFELY's runner, unmodified: what it does with requests, and what the server has of it."""

from tests.e2e.harness import until
from tests.e2e.real.conftest import Real
from tests.samples import only_whole


def test_jobs_go_through_all_states_and_the_record_is_exact(real: Real) -> None:
    workspace = real.workspace()
    identifier = real.ask(workspace, "report")
    waiting = ("pending", "waiting_on_dependencies", "Waiting on dependencies")
    until(lambda: real.jobs(identifier).get("generate") == ("running", "", "Executing"))
    until(lambda: real.jobs(identifier).get("report") == waiting)
    real.end(workspace, "generate")
    jobs = real.wait(identifier, generate="succeeded", analyse="running")
    assert jobs["generate"] == ("succeeded", "", "Completed successfully")
    assert real.item(identifier)["status"] == "running"
    real.end(workspace, "analyse")
    real.end(workspace, "report")
    until(lambda: real.item(identifier)["status"] == "succeeded")
    item = real.item(identifier)
    assert all(job["started_at"] and job["completed_at"] for job in item["jobs"])
    files = real.site.files(identifier)
    assert len(files) == 5
    assert all(path.startswith("archive/") for path in files)
    with real.site.client("tpp") as tpp:
        assert identifier not in tpp.listed()


def test_polls_without_an_event_make_no_commit(real: Real) -> None:
    """The runner sends all of its jobs ten times a second here."""
    workspace = real.workspace()
    identifier = real.ask(workspace, "generate")
    until(lambda: real.jobs(identifier).get("generate") == ("running", "", "Executing"))
    before = real.site.count()
    real.let_it_report(10)
    assert real.site.count() == before
    real.end(workspace, "generate")
    real.wait(identifier, generate="succeeded")


def test_a_request_that_was_cancelled_before_the_runner_knew_it_ends_cancelled(real: Real) -> None:
    identifier = real.ask(real.workspace(), "analyse")
    real.freeze()
    other = real.ask(real.workspace(), "analyse")
    real.cancel(other)
    real.cancel(identifier)
    real.thaw()
    for request in (identifier, other):
        until(lambda request=request: real.item(request)["outcome"] == "cancelled")  # type: ignore[misc]
        # It cancels the requested action. What that needs, it ends by itself: it was not requested.
        assert real.jobs(request)["analyse"] == ("failed", "cancelled_by_user", "Cancelled by user")


def test_a_running_job_is_cancelled_and_its_end_does_not_move(real: Real) -> None:
    workspace = real.workspace()
    identifier = real.ask(workspace, "generate", "extract")
    real.wait(identifier, generate="running", extract="running")
    real.cancel(identifier, "generate")
    jobs = real.wait(identifier, generate="failed")
    assert jobs["generate"] == ("failed", "cancelled_by_user", "Cancelled by user")
    assert jobs["extract"][0] == "running"
    before, ended = real.site.count(), real.item(identifier)["jobs"]
    real.let_it_report(5)
    assert (real.site.count(), real.item(identifier)["jobs"]) == (before, ended)
    real.end(workspace, "extract")
    until(lambda: real.item(identifier)["outcome"] == "cancelled")


def test_failures_come_with_their_codes_and_skip_what_depends_on_them(real: Real) -> None:
    workspace = real.workspace()
    real.end(workspace, "generate", exit_code=3, message="A transient database error occurred")
    identifier = real.ask(workspace, "report")
    until(lambda: real.item(identifier)["status"] == "failed")
    jobs = real.jobs(identifier)
    message = "Job exited with error code 3: A transient database error occurred"
    assert jobs["generate"] == ("failed", "nonzero_exit", message)
    skipped = ("failed", "dependency_failed", "Not starting as dependency failed")
    assert jobs["analyse"] == jobs["report"] == skipped
    outcomes = {job["action"]: job["outcome"] for job in real.item(identifier)["jobs"]}
    assert outcomes == {"generate": "failed", "analyse": "skipped", "report": "skipped"}


@only_whole
def test_what_the_runner_refuses_is_a_job_that_says_why(real: Real) -> None:
    elsewhere = real.ask(real.workspace("study"), "generate")
    until(lambda: real.item(elsewhere)["status"] == "failed")
    message = "GithubValidationError: Repository URLs must start https://github.com"
    assert real.jobs(elsewhere) == {"__error__": ("failed", "", message)}
    workspace = real.workspace()
    real.end(workspace, "generate", refused="no image python:latest")
    refused = real.ask(workspace, "generate")
    assert real.wait(refused, generate="failed")["generate"][2] == "no image python:latest"
    again = real.ask(workspace, "analyse")
    until(lambda: real.item(again)["status"] == "failed")
    assert "generate failed on a previous run and must be re-run" in real.jobs(again)["__error__"][2]
    unmatched = real.workspace()
    real.end(unmatched, "generate", unmatched=["output/*.csv"])
    missing = real.ask(unmatched, "generate")
    message = "No outputs found matching patterns:\n - output/*.csv"
    assert real.wait(missing, generate="failed")["generate"][2] == message


def test_a_long_message_is_cut_and_costs_no_other_job_its_report(real: Real) -> None:
    workspace = real.workspace()
    real.end(workspace, "generate", exit_code=1, message="é\x1b[31m " * 5_000)
    real.end(workspace, "extract")
    identifier = real.ask(workspace, "generate", "extract")
    until(lambda: real.item(identifier)["status"] == "failed")
    jobs = real.jobs(identifier)
    assert jobs["extract"][0] == "succeeded"
    message = jobs["generate"][2]
    assert message.startswith("Job exited with error code 1: é")
    assert len(message.encode()) <= 8 * 1024
    assert "\x1b" not in message


@only_whole
def test_reruns_run_what_failed_and_find_nothing_to_do(real: Real) -> None:
    workspace = real.workspace()
    real.end(workspace, "generate", exit_code=1)
    first = real.ask(workspace, "generate")
    real.wait(first, generate="failed")
    real.end(workspace, "generate")
    again = real.ask(workspace, "generate", rerun_of=first)
    real.wait(again, generate="succeeded")
    real.end(workspace, "analyse")
    analysed = real.ask(workspace, "analyse")
    assert set(real.wait(analysed, analyse="succeeded")) == {"analyse"}  # generate was not run again
    forced = real.ask(workspace, "analyse", force_run_dependencies=True)
    assert set(real.wait(forced, analyse="succeeded")) == {"generate", "analyse"}
    for action in ("extract", "report"):
        real.end(workspace, action)
    whole = real.ask(workspace, "run_all")
    real.wait(whole, extract="succeeded", report="succeeded")
    nothing = real.ask(workspace, "run_all")
    until(lambda: real.item(nothing)["status"] == "succeeded")
    assert [job["status_message"] for job in real.item(nothing)["jobs"]] == ["All actions have already run"]


def test_maintenance_of_the_database_is_shown_and_makes_no_commit(real: Real) -> None:
    """In maintenance, this runner moves the time of each waiting job at every turn."""
    workspace = real.workspace()
    identifier = real.ask(workspace, "extract")
    real.wait(identifier, extract="running")
    real.set_flag("mode=db-maintenance")
    jobs = real.wait(identifier, extract="pending")
    assert jobs["extract"] == ("pending", "", "Waiting for database to finish maintenance")
    before, seen = real.site.count(), real.item(identifier)["jobs"][0]["updated_at"]
    until(lambda: real.item(identifier)["jobs"][0]["updated_at"] > seen)
    assert real.site.count() == before
    assert "In database maintenance" in real.page("/status/")
    real.set_flag("mode=")
    real.wait(identifier, extract="running")
    until(lambda: "In database maintenance" not in real.page("/status/"))
    real.end(workspace, "extract")
    real.wait(identifier, extract="succeeded")


@only_whole
def test_a_paused_runner_starts_nothing_and_goes_on_later(real: Real) -> None:
    workspace = real.workspace()
    real.end(workspace, "generate")
    real.set_flag("paused=true")
    identifier = real.ask(workspace, "generate")
    real.wait(identifier, generate="pending")
    real.let_it_report(5)
    assert real.jobs(identifier)["generate"][0] == "pending"
    real.set_flag("paused=false")
    real.wait(identifier, generate="succeeded")


@only_whole
def test_the_runner_goes_on_after_a_crash_of_the_server_and_of_itself(real: Real) -> None:
    workspace = real.workspace()
    identifier = real.ask(workspace, "analyse")
    real.wait(identifier, generate="running", analyse="pending")
    real.site.kill()
    real.end(workspace, "generate")
    real.site.start()
    real.wait(identifier, generate="succeeded", analyse="running")
    real.stop()
    real.start()
    real.end(workspace, "analyse")
    real.wait(identifier, analyse="succeeded")
