"""What the record makes of a controller's answers, pass by pass, with a state repository and HTTP."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.backends import AddBackend, ConnectController
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.jobs import RetryRequest
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import CancelJobs, RequestJobs
from jobserver.domain.workspaces import AddWorkspace
from jobserver.index.index import Index
from jobserver.service.presence import Presence
from jobserver.service.rap import client, poll
from jobserver.service.rap.client import ControllerClient
from jobserver.service.rap.poll import ControllerPoll
from jobserver.service.rap.record import RapRecord
from jobserver.service.reports.reports import Reports
from jobserver.store.git.command import git
from tests.integration.service.rap.fake import TOKEN, FakeController, job
from tests.samples import size

ROOT = Actor(ActorKind.USER, "root")
PIPELINE = {
    "generate": PipelineAction(run="python g.py"),
    "analyse": PipelineAction(needs=("generate",), run="python a.py"),
}
PATIENCE, IMPATIENCE = 0.5, 0.02  # of 20 s for most calls


class Held:
    """The lease, held until somebody else has it."""

    is_ours = True

    def is_held(self) -> bool:
        return self.is_ours


def settings_in(folder: Path) -> Settings:
    return Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=folder / "state.git",
        admin_users="root",
    )


class Site:
    """A server's parts, with `tpp` and `emis` on one controller. It makes no pass by itself."""

    def __init__(self, folder: Path) -> None:
        self.controller = FakeController("tpp", "emis")
        self.now = datetime(2026, 11, 24, 10, tzinfo=UTC)
        settings = settings_in(folder)
        self.app = bootstrap.connect(settings, lambda: self.now)
        self.gate, writer = self.app.gate, self.app.repo.writer
        self.index = Index(settings.state_repo, writer.refs, settings.index)
        writer.listen(self.index.announce, self.index.refs_moved)
        for slug in ("tpp", "emis"):
            self.gate.submit(ROOT, ConnectController(slug, self.controller.url), "x")
        self.lease = Held()
        self.restart()

    def restart(self) -> None:
        """What a process knows beyond the record is gone."""
        self.live = Presence(lambda: self.now)
        reports = Reports(self.gate, self.index, self.live)
        self.client = ControllerClient(self.controller.url, TOKEN, PATIENCE)
        record = RapRecord(self.app.repo, self.index, reports)
        self.poll = ControllerPoll(self.client, record, self.live, self.lease, lambda: self.now)  # type: ignore[arg-type]
        self.poll.slugs = ("emis", "tpp")

    def ask(self, *actions: str, backend: str = "tpp") -> str:
        command = RequestJobs("trends", backend, actions or ("generate",), "0" * 40, PIPELINE)
        identifier: str = self.gate.submit(ROOT, command, "x").changes.result["identifier"]
        return identifier

    def cancel(self, identifier: str, *actions: str) -> None:
        self.gate.submit(ROOT, CancelJobs(identifier, "tpp", actions), "x")

    def jobs(self, identifier: str) -> dict[str, tuple[str, str, str]]:
        seen = self.app.requests.find(identifier)
        return {job.action: (job.status, job.status_code, job.status_message) for job in seen.jobs}

    def commits(self) -> int:
        """On the branch of tpp."""
        return int(git(self.app.repo.path, "rev-list", "--count", "backends/tpp"))

    @property
    def problem(self) -> str:
        known = self.live.contacts()["tpp"].problem
        return known[0] if known is not None else ""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To copy: to make it takes as long as a test."""
    folder = tmp_path_factory.mktemp("rap")
    with closing(bootstrap.create(settings_in(folder))) as app:
        for digit, slug in enumerate(("tpp", "emis")):
            app.gate.submit(ROOT, AddBackend(slug, str(digit) * 64, databases=("full",)), "x")
        app.gate.submit(ROOT, AddWorkspace("trends", "https://github.com/opensafely/study", "main"), "x")
    return folder


@pytest.fixture
def site(tmp_path: Path, template: Path) -> Iterator[Site]:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    made = Site(tmp_path)
    yield made
    made.index.close()
    made.app.close()
    made.client.close()
    made.controller.close()


def test_a_request_is_created_once_and_followed_to_its_end(site: Site) -> None:
    asked, other = site.ask("analyse"), site.ask(backend="emis")
    assert site.poll.step() < 1  # it was created: what are its jobs?
    assert site.poll.step() < 1
    assert site.jobs(asked) == {"analyse": ("pending", "created", "Created")}
    commits = site.commits()
    pauses = [site.poll.step() for _ in range(3)]
    assert (pauses[0] > 1, pauses[2] > pauses[0]) == (True, True)
    assert site.commits() == commits
    site.controller.move(asked, "running", "executing")
    site.poll.step()
    site.controller.move(asked, "succeeded", "succeeded", 2)
    site.controller.move(other, "failed", "nonzero_exit", 2)
    site.poll.step()
    assert site.commits() == commits + 2
    assert site.jobs(asked)["analyse"][0] == "succeeded"
    site.poll.step()
    assert site.controller.sent("rap/status/")[-1] == {"rap_ids": [asked, other]}  # then nothing was active
    assert [body["rap_id"] for body in site.controller.sent("rap/create/")] == [asked, other]
    assert site.problem == ""


def test_a_server_that_was_killed_asks_before_it_creates(site: Site) -> None:
    first, second = site.ask(), site.ask()
    body = {"rap_id": first, "backend": "tpp", "requested_actions": ["generate"]}
    site.controller.create(body)  # the call was made, and the server killed before the answer
    for _ in range(3):
        site.poll.step()
        site.restart()
    assert [body["rap_id"] for body in site.controller.sent("rap/create/")] == [second]
    assert site.jobs(first).keys() == site.jobs(second).keys() == {"generate"}


def test_only_the_server_with_the_lease_calls(site: Site) -> None:
    site.ask()
    site.lease.is_ours = False
    assert site.poll.step() > 0
    assert site.controller.calls == []


@pytest.mark.parametrize(
    "details",
    ["All actions have already completed successfully", "All requested actions were already scheduled to run"],
)
def test_nothing_to_do_ends_the_request(site: Site, details: str) -> None:
    site.controller.on_create = lambda body: (200, {"result": "Nothing to do", "details": details, "count": 0})
    asked = site.ask()
    site.poll.step()
    assert site.jobs(asked) == {"generate": ("succeeded", "succeeded", details)}


@pytest.mark.parametrize(
    ("error", "details"),
    [
        ("Inconsistent request data", "Jobs already created"),
        ("Error creating jobs", "GitError: no such commit"),
        ("Error creating jobs", "Unknown error"),
        ("Validation error", "Invalid request body received"),
    ],
)
def test_a_refused_request_fails_with_the_controllers_words(site: Site, error: str, details: str) -> None:
    site.controller.on_create = lambda body: (400, {"error": error, "details": details})
    asked, commits = site.ask(), site.commits()
    assert site.poll.step() < 1
    assert site.commits() == commits  # it might be there after all, from another call
    site.poll.step()
    assert site.jobs(asked) == {"__error__": ("failed", "job_error", f"The controller refused it: {error}: {details}")}


def test_a_refusal_of_what_is_there_all_the_same_does_not_count(site: Site) -> None:
    """Found in the real controller: of two calls at the same time, one is refused by its database."""

    def create(body: dict[str, Any]) -> tuple[int, Any]:
        site.controller.create(body)
        return 400, {"error": "Error creating jobs", "details": "Unknown error"}

    site.controller.on_create = create
    asked = site.ask()
    site.poll.step()
    site.poll.step()
    assert site.jobs(asked) == {"generate": ("pending", "created", "Created")}


def test_a_creation_without_an_answer_is_unknown_until_a_status_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_CREATE_SECONDS", 0.5)
    asked, other = site.ask(), site.ask()
    site.controller.fault["rap/create/"] = 1.0
    site.poll.step()
    monkeypatch.setattr(client, "_CREATE_SECONDS", 20.0)
    assert "has not said whether it created" in site.problem
    del site.controller.fault["rap/create/"]
    site.controller.create({"rap_id": asked, "backend": "tpp", "requested_actions": ["generate"]})
    site.poll.step()  # the first was created; the other had not been asked for
    site.poll.step()
    assert site.jobs(asked).keys() == site.jobs(other).keys() == {"generate"}
    assert [body["rap_id"] for body in site.controller.sent("rap/create/")] == [asked, other]


def test_a_creation_that_never_came_about_is_made_again_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_CREATE_SECONDS", 0.5)
    asked = site.ask()
    site.controller.fault["rap/create/"] = 1.0
    site.poll.step()
    monkeypatch.setattr(client, "_CREATE_SECONDS", 20.0)
    del site.controller.fault["rap/create/"]
    site.poll.step()
    assert site.jobs(asked) == {}
    monkeypatch.setattr(poll, "monotonic", lambda: 1e12)  # half a minute later
    site.poll.step()
    site.poll.step()
    assert site.jobs(asked).keys() == {"generate"}


NO_WHOLE_ANSWER = {
    "reset": b"",
    "half": b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{",
    "502": (502, b"<html>Bad Gateway</html>"),
    "another result": (200, {"result": "Perhaps", "details": ""}),
}


@pytest.mark.parametrize("fault", NO_WHOLE_ANSWER.values(), ids=NO_WHOLE_ANSWER)
def test_while_a_controller_may_work_on_a_creation_there_is_no_second_and_no_end(site: Site, fault: Any) -> None:
    """It was cancelled meanwhile, and the jobs that come of the creation are cancelled there."""
    asked, kept = site.ask(), site.ask()
    site.poll._settled_at = 1.0  # no other process
    site.controller.fault["rap/create/"] = fault
    site.poll.step()
    del site.controller.fault["rap/create/"]
    site.cancel(asked)
    site.poll.step()
    assert len(site.controller.sent("rap/create/")) == 2
    assert (site.jobs(asked), "has not said whether it created" in site.problem) == ({}, True)
    for identifier in (asked, kept):
        site.controller.create({"rap_id": identifier, "backend": "tpp", "requested_actions": ["generate"]})
    site.poll.step()
    assert site.controller.sent("rap/cancel/") == [{"rap_id": asked, "actions": ["generate"]}]
    assert (site.jobs(kept).keys(), site.problem) == ({"generate"}, "")


def test_a_server_killed_in_a_creation_does_not_call_it_cancelled_at_once(site: Site) -> None:
    asked = site.ask()
    site.cancel(asked)
    site.poll.step()
    site.poll.step()
    assert site.jobs(asked) == {}
    site.controller.create({"rap_id": asked, "backend": "tpp", "requested_actions": ["generate"]})
    site.poll.step()
    assert site.controller.sent("rap/cancel/") == [{"rap_id": asked, "actions": ["generate"]}]


def test_who_gets_the_lease_later_waits_again_for_what_its_holder_sent(site: Site) -> None:
    site.poll.step()
    site.poll._settled_at = 1.0
    site.lease.is_ours = False
    site.poll.step()
    site.lease.is_ours = True
    asked = site.ask()
    site.cancel(asked)
    site.poll.step()
    assert site.jobs(asked) == {}


@pytest.mark.parametrize("status", [500, 404])
def test_a_request_that_can_not_be_created_holds_up_no_other(
    site: Site, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = site.ask()

    def create(body: dict[str, Any]) -> tuple[int, Any]:
        return (status, {"error": "oh"}) if body["rap_id"] == bad else site.controller.create(body)

    site.controller.on_create = create
    good = site.ask()
    for _ in range(3):
        site.poll.step()
    assert (site.jobs(bad), site.jobs(good).keys()) == ({}, {"generate"})
    assert bad in site.problem
    assert f"it answered {status}" in site.problem
    assert [body["rap_id"] for body in site.controller.sent("rap/create/")] == [bad, good]  # it waits
    monkeypatch.setattr(poll, "monotonic", lambda: 1e12)
    site.controller.on_create = None
    site.poll.step()
    site.poll.step()
    assert (site.jobs(bad).keys(), site.problem) == ({"generate"}, "")


def test_a_cancellation_that_fails_holds_up_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = site.ask(), site.ask()
    site.poll.step()
    site.poll.step()
    for identifier in (first, second):
        site.cancel(identifier)
    new = site.ask()
    site.controller.fault["rap/cancel/"] = (500, {})
    site.poll.step()
    site.poll.step()
    assert [body["rap_id"] for body in site.controller.sent("rap/cancel/")] == [first, second]
    assert site.jobs(new).keys() == {"generate"}
    assert f"has not cancelled jobs of {second}: it answered 500" in site.problem
    del site.controller.fault["rap/cancel/"]
    monkeypatch.setattr(poll, "monotonic", lambda: 1e12)
    site.poll.step()
    assert [body["rap_id"] for body in site.controller.sent("rap/cancel/")] == [first, second] * 2
    assert site.problem == ""


def test_what_was_accepted_and_is_still_not_recognised_is_asked_for_less_and_less(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.controller.on_create = lambda body: (200, {"result": "No change", "details": ""})
    asked, now = site.ask(), 1000.0
    monkeypatch.setattr(poll, "monotonic", lambda: now)
    for _ in range(60):
        site.poll.step()
        now += 1.0
    assert 3 <= len(site.controller.sent("rap/create/")) <= 6
    site.controller.on_create = None
    now += 600
    site.poll.step()
    site.poll.step()
    assert site.jobs(asked).keys() == {"generate"}


def test_what_nobody_thought_of_is_a_problem_that_people_see(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(request: Any, jobs: Any) -> bool:
        raise TypeError("oh")

    site.ask()
    site.poll.step()
    monkeypatch.setattr(site.poll._record, "report", report)
    assert site.poll.step() > 1
    assert site.problem == "The server can't use what the controller says (TypeError): see its log."


def test_jobs_that_a_retry_removed_are_reported_again(site: Site) -> None:
    asked = site.ask()
    site.poll.step()
    site.poll.step()
    site.gate.submit(ROOT, RetryRequest(asked, "tpp"), "x")
    assert site.jobs(asked) == {}
    site.poll.step()
    assert site.jobs(asked).keys() == {"generate"}


def test_a_job_belongs_to_the_request_that_the_controller_was_asked_about(site: Site) -> None:
    asked, other = site.ask(), site.ask()
    site.poll.step()
    site.controller.jobs[asked][0]["job_request_id"] = other
    site.poll.step()
    assert site.jobs(asked).keys() == {"generate"}


LARGE = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 3_000_000
FAULTS = {
    "html": (200, b"<html>Welcome</html>"),
    "a list": (200, []),
    "nothing": (200, b""),
    "another schema": (200, {"backends": [{"name": "tpp"}], "jobs": {}, "unrecognised_rap_ids": None, "result": 1}),
    "500": (500, {"error": "oh"}),
    "404": (404, b"not here"),
    "401": (401, {"error": "Unauthorized", "details": "Invalid token"}),
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "no http": b"SSH-2.0-OpenSSH\r\n",
    "half of it": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "too much": LARGE,
    "an unknown result": (200, {"result": "Perhaps", "details": "", "backends": 1, "jobs": 1}),
    "slow": 1.0,
    "400 of another shape": (400, {"detail": "no"}),
    "deep": (200, b"[" * 100_000),
    "not unicode": (200, b'{"backends": "\xff\xfe"}'),
}


PATHS = ("backend/status/", "rap/status/", "rap/create/", "rap/cancel/")


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_that_is_none_is_said_and_nothing_is_lost(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "MAX_BYTES", 2_000_000)
    monkeypatch.setattr(client, "_CREATE_SECONDS", 20.0)
    monkeypatch.setattr(client, "UNKNOWN_SECONDS", 0)
    monkeypatch.setattr(poll, "_AGAIN_SECONDS", 0)
    faults = list(FAULTS.items())[size(PATHS.index(path), 0) :: size(len(PATHS), 1)]
    for number, (name, fault) in enumerate(faults):
        running = site.ask("generate")
        site.poll.step()
        site.poll.step()
        site.cancel(running, "generate")
        asked, commits = site.ask(), site.commits()
        site.controller.fault[path] = fault
        site.poll._backends_at = -100.0
        site.client._patience = IMPATIENCE if name == "slow" else PATIENCE
        assert site.poll.step() > 1, name
        site.client._patience = PATIENCE
        assert site.problem, name
        assert site.commits() == commits, name
        del site.controller.fault[path]
        for _ in range(3):
            site.poll._retry_at = 0.0
            site.poll.step()
        assert (site.problem, site.jobs(asked).keys()) == ("", {"generate"}), name
        assert len(site.controller.raps) == 2 * number + 2, name
        assert site.controller.sent("rap/cancel/")[-1] == {"rap_id": running, "actions": ["generate"]}, name
        for identifier in (running, asked):
            site.controller.move(identifier, "failed", "nonzero_exit")
        site.poll.step()
    assert "Traceback" not in caplog.text


def test_a_controller_that_is_down_is_not_called_more_often_for_what_is_asked_meanwhile(site: Site) -> None:
    """Found with the real controller: each request woke the caller, and made the next pause longer."""
    site.controller.fault["backend/status/"] = (500, {})
    pauses = []
    for _ in range(5):
        site.ask()
        pauses.append(site.poll.step())
    assert len(site.controller.calls) == 1
    assert max(pauses) == pauses[0] < 5


def test_a_faulty_job_costs_its_own_request_only(site: Site) -> None:
    bad, good = site.ask(), site.ask()
    site.poll.step()
    site.controller.jobs[bad][0]["status"] = "lost"
    site.poll.step()
    assert (site.jobs(bad), site.jobs(good).keys()) == ({}, {"generate"})
    assert f"What the controller says of {bad} is wrong" in site.problem
    assert "status: expected one of: pending, running" in site.problem
    site.controller.jobs[bad][0]["status"] = "running"
    site.poll.step()
    assert (site.jobs(bad).keys(), site.problem) == ({"generate"}, "")


def test_a_long_message_and_odd_values_are_altered_as_in_a_runners_report(site: Site) -> None:
    asked = site.ask()
    site.poll.step()
    site.controller.jobs[asked][0] |= {"status_message": "x" * 100_000, "metrics": {"a": 2**70}, "run_command": None}
    site.poll.step()
    assert site.jobs(asked)["generate"][2].endswith("[cut by the server at 8 KiB]")


def test_a_cancellation_is_sent_once_and_again_after_a_restart(site: Site) -> None:
    asked = site.ask("run_all")
    site.poll.step()
    site.poll.step()
    site.cancel(asked)
    for _ in range(3):
        site.poll.step()
    sent = {"rap_id": asked, "actions": ["analyse", "generate"]}
    assert site.controller.sent("rap/cancel/") == [sent]
    site.restart()
    site.poll.step()
    assert site.controller.sent("rap/cancel/") == [sent, sent]
    site.controller.move(asked, "failed", "cancelled_by_user")
    site.poll.step()
    site.poll.step()
    assert len(site.controller.sent("rap/cancel/")) == 2


def test_what_was_cancelled_before_it_was_created_is_never_created(site: Site) -> None:
    whole, part = site.ask("run_all"), site.ask("run_all")
    site.cancel(whole)
    site.cancel(part, "analyse")
    for _ in range(3):
        site.poll.step()
    assert site.jobs(whole) == {}  # another process may have sent it just before
    site.poll._settled_at = 1.0  # half a minute later
    site.poll.step()
    assert [body["rap_id"] for body in site.controller.sent("rap/create/")] == [part]
    assert site.controller.sent("rap/cancel/") == [{"rap_id": part, "actions": ["analyse"]}]
    assert {action: code for action, (_, code, _) in site.jobs(whole).items()} == {
        "generate": "cancelled_by_user",
        "analyse": "cancelled_by_user",
    }


def test_a_request_that_the_controller_has_forgotten_is_said_and_not_run_twice(site: Site) -> None:
    asked = site.ask()
    site.poll.step()
    site.poll.step()
    del site.controller.jobs[asked], site.controller.raps[asked]
    site.poll.step()
    assert site.problem == f"The controller no longer knows {asked}: see `jobserver rap retry`."
    assert len(site.controller.sent("rap/create/")) == 1


def test_a_backend_that_the_token_may_not_speak_for_waits_and_the_other_goes_on(site: Site) -> None:
    site.controller.slugs = ("emis",)
    asked, other = site.ask(), site.ask(backend="emis")
    site.poll.step()
    site.poll.step()
    assert "does not know this backend" in site.problem
    assert (site.jobs(asked), site.jobs(other).keys()) == ({}, {"generate"})


def test_what_the_controller_says_of_a_backend_is_shown_as_a_runners_flags_are(site: Site) -> None:
    site.controller.backend = {"paused": {"status": "on", "since": "2026-11-24T08:00:00Z"}}
    site.poll.step()
    contact = site.live.contacts()["tpp"]
    assert contact.last_seen == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert contact.flags["paused"]["v"] == "true"
    site.controller.backend = {"last_seen": "2030-01-01T00:00:00Z"}
    site.poll._backends_at = -100.0
    site.poll.step()
    assert site.live.contacts()["tpp"].last_seen == site.now  # its clock is not ours
    assert site.live.contacts()["tpp"].flags["paused"]["v"] is None


def test_a_backend_that_never_called_its_controller_has_not_been_seen(site: Site) -> None:
    site.controller.backend = {"last_seen": None}
    site.ask()
    for _ in range(3):
        site.poll.step()
        site.now += timedelta(minutes=1)
    assert site.live.contacts()["tpp"].last_seen is None


def test_jobs_of_requests_that_were_not_asked_about_are_nothing(site: Site) -> None:
    asked = site.ask()
    site.poll.step()
    site.controller.jobs[asked].append(job("z" * 16, "generate"))
    site.poll.step()
    assert site.jobs(asked).keys() == {"generate"}
