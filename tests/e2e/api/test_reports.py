"""POST /api/v2/jobs/ as the runners of 2021 and 2025 call it, and what git has afterwards."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.harness import Client, Site, dumps, job, stamp

POST = "/api/v2/jobs/"
NINE = {
    "job_request_id",
    "identifier",
    "status",
    "status_code",
    "status_message",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
}


def jobs_of(client: Client, identifier: str) -> dict[str, dict[str, Any]]:
    item = client.get(f"/api/v2/job-requests/{identifier}/").json()
    return {one["identifier"]: one for one in item["jobs"]}


def test_the_2021_runner_takes_a_request_to_its_end(site: Site, tpp: Client) -> None:
    identifier = site.ask("analyse")
    a, b = f"{identifier}a", f"{identifier}b"
    pending = job(identifier, b, "pending", action="analyse", updated_at=None)
    answer = tpp.report(job(identifier, a), pending)
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    assert identifier in tpp.listed()
    item = tpp.get(f"/api/v2/job-requests/{identifier}/").json()
    assert (item["status"], item["started_at"], item["completed_at"]) == ("running", stamp(0)[:-1] + ".000000Z", None)
    assert [one["action"] for one in item["jobs"]] == ["generate", "analyse"]
    tpp.report(job(identifier, a, "succeeded", 5), job(identifier, b, "succeeded", 9, action="analyse"))
    assert identifier not in tpp.listed()
    item = tpp.get(f"/api/v2/job-requests/{identifier}/").json()
    assert (item["status"], item["completed_at"]) == ("succeeded", stamp(9)[:-1] + ".000000Z")
    folder, *_ = {path.rsplit("/", 1)[0] for path in site.files(identifier) if path.endswith("request.yaml")}
    assert folder.startswith("archive/")
    assert sorted(site.files(identifier)) == [
        f"{folder}/jobs/{a}.yaml",
        f"{folder}/jobs/{b}.yaml",
        f"{folder}/pipeline.yaml",
        f"{folder}/request.yaml",
    ]


def test_the_2025_runner_sends_more_and_it_is_kept(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    more = {
        "run_command": "python:latest python generate.py",
        "trace_context": {"traceparent": "00-abc"},
        "metrics": {"cpu": 1.5, "peak": 3, "mem": [1, None, True]},
        "requires_db": False,
    }
    answer = tpp.report(job(identifier, f"{identifier}a", **more, backend="tpp", anything=[1, {"else": 2}]))
    assert answer.status_code == 200
    kept = jobs_of(tpp, identifier)[f"{identifier}a"]
    assert {key: kept[key] for key in more} == more
    assert "anything" not in kept
    assert tpp.report(job(identifier, f"{identifier}a", at=1, **dict.fromkeys(more))).status_code == 200


def test_a_report_is_one_signed_commit_that_the_answer_names(site: Site, tpp: Client) -> None:
    first, second = site.ask(), site.ask()
    before = site.count()
    answer = tpp.report(job(first, f"{first}a"), job(second, f"{second}a"), job(first, f"{first}b"))
    assert site.count() == before + 1
    commit = answer.headers["X-Commit"]
    assert site.git("rev-parse", "backends/tpp") == commit
    body = site.git("log", "-1", "--format=%an <%ae>%n%B", commit)
    for line in (
        "tpp <tpp@backends.127.0.0.1>",
        "Event: jobs.updated",
        "Actor: backend/tpp",
        "Branch: backends/tpp",
        f"Job-Request: {first}",
        f"Job-Request: {second}",
        "Workspace: plain",
        "Policy: 4",
    ):
        assert line in body.splitlines(), body
    signers = site.folder / "allowed_signers"
    signers.write_text(site.git("show", "backends/tpp:allowed_signers") + "\n")
    site.git("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", commit)
    assert len(jobs_of(tpp, first)) == 2  # interleaved, and nothing lost


def test_nothing_to_say_is_a_success_that_writes_nothing(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    one = job(identifier, f"{identifier}a")
    tpp.report(one)
    before = site.count()
    for payload in ([], [one], [job("2222222222222222", "x")]):
        answer = tpp.report(*payload)
        assert answer.status_code == 200
        assert answer.headers["X-Commit"] == site.git("rev-parse", "backends/tpp")
    assert site.count() == before


def test_unknown_and_others_requests_are_ignored_and_named(site: Site, tpp: Client) -> None:
    mine, theirs = site.ask(), site.ask(backend="emis")
    unknown = ["2222222222222222", "x", "../../etc", "\u0000", "ü" * 300]
    answer = tpp.report(*(job(name, f"{mine}{n}") for n, name in enumerate([*unknown, theirs])), job(mine, f"{mine}a"))
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "ignored": [*unknown, theirs]}
    assert list(jobs_of(tpp, mine)) == [f"{mine}a"]
    with site.client("emis") as emis:
        assert jobs_of(emis, theirs) == {}


def test_a_list_is_expected(tpp: Client) -> None:
    for body in ({}, {"jobs": []}, "x", 1, None):
        answer = tpp.post(POST, content=dumps(body))
        assert answer.status_code == 400
        assert list(answer.json()) == ["non_field_errors"]


def test_missing_fields_are_named_one_by_one(tpp: Client) -> None:
    answer = tpp.post(POST, json=[{"action": "x"}])
    assert answer.status_code == 400
    assert set(answer.json()[0]) == NINE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job_request_id", ""),
        ("job_request_id", None),
        ("job_request_id", 1),
        ("identifier", ""),
        ("identifier", "a/b"),
        ("identifier", "x" * 65),
        ("identifier", None),
        ("status", "unknown"),
        ("status", " "),
        ("status", ["running"]),
        ("action", None),
        ("status_code", None),
        ("status_code", {}),
        ("status_message", None),
        ("created_at", None),
        ("created_at", "yesterday"),
        ("created_at", "2026-11-24"),
        ("created_at", "0001-01-01T00:00:00+23:59"),
        ("updated_at", "2026-13-24T10:00:00Z"),
        ("started_at", 1),
        ("completed_at", []),
        ("run_command", 1),
        ("trace_context", [1]),
        ("metrics", "x"),
        ("requires_db", "yes"),
    ],
)
def test_one_bad_field_refuses_all(site: Site, tpp: Client, field: str, value: Any) -> None:
    identifier = site.ask()
    before = site.count()
    answer = tpp.report(job(identifier, f"{identifier}a"), {**job("2222222222222222", "b"), field: value})
    assert answer.status_code == 400
    assert answer.json()[0] == {}
    assert list(answer.json()[1]) == [field]
    assert site.count() == before


def test_jobs_that_are_left_out_leave_the_tree(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    a, b = f"{identifier}a", f"{identifier}b"
    tpp.report(job(identifier, a, at=1), job(identifier, b, at=1))
    tpp.report(job(identifier, a, at=2))
    assert list(jobs_of(tpp, identifier)) == [a]
    tpp.report(job(identifier, b, at=1))  # older than what is stored: it takes nothing away
    assert list(jobs_of(tpp, identifier)) == [a, b]


@pytest.mark.parametrize(
    ("first", "second", "last"),
    [
        (("running", 5), ("pending", 4), "running"),  # older: skipped
        (("running", 5), ("pending", 6), "pending"),  # a reboot
        (("running", 5), ("pending", 5), "pending"),
        (("succeeded", 5), ("running", 4), "succeeded"),
        (("succeeded", 5), ("running", 5), "succeeded"),
        (("succeeded", 5), ("running", 6), "running"),  # run again by hand
        (("failed", 5), ("succeeded", 6), "succeeded"),
    ],
)
def test_the_newest_report_of_a_job_counts(
    site: Site, tpp: Client, first: tuple[str, int], second: tuple[str, int], last: str
) -> None:
    identifier = site.ask()
    for status, at in (first, second):
        assert tpp.report(job(identifier, f"{identifier}a", status, at)).status_code == 200
    assert jobs_of(tpp, identifier)[f"{identifier}a"]["status"] == last
    active = last in ("running", "pending")
    assert (identifier in tpp.listed()) is active
    assert all(path.startswith("active/" if active else "archive/") for path in site.files(identifier))


def test_a_job_id_can_not_be_of_two_requests(site: Site, tpp: Client) -> None:
    first, second = site.ask(), site.ask()
    assert tpp.report(job(first, "shared")).status_code == 200
    assert tpp.report(job(second, "shared")).status_code == 400
    assert tpp.report(job(first, "both"), job(second, "both")).status_code == 400
    assert jobs_of(tpp, second) == {}


def test_a_long_message_is_cut_and_says_so(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    assert tpp.report(job(identifier, f"{identifier}a", status_message="ü" * 30_000)).status_code == 200
    message = jobs_of(tpp, identifier)[f"{identifier}a"]["status_message"]
    assert len(message.encode()) <= 8 * 1024
    assert message.startswith("üü")
    assert "cut" in message[-40:]


def test_other_long_texts_do_not_stop_the_report_either(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    large = {"samples": ["x" * 100] * 1000}
    sent = job(identifier, f"{identifier}a", run_command="r" * 20_000, metrics=large, trace_context={"t": "1"})
    assert tpp.report(sent).status_code == 200
    stored = jobs_of(tpp, identifier)[f"{identifier}a"]
    assert len(stored["run_command"]) <= 8 * 1024
    assert "cut by the server" in stored["run_command"]
    assert "bytes of JSON" in stored["metrics"]["cut_by_the_server"]
    assert stored["trace_context"] == {"t": "1"}


DEEP: dict[str, object] = functools.reduce(lambda inner, _: {"a": inner}, range(300), {})
BLOATED = {"a": {"a": {"a": {"a": {"a": {"a": {"a": [0] * 7000}}}}}}}  # 14 KiB of JSON, 120 KiB of YAML
LARGE = dict.fromkeys(("action", "status_code", "status_message", "run_command"), "\u2029" * 20000)
UNSTORABLE: dict[str, tuple[dict[str, object], list[str]]] = {
    "an action of any length": ({"action": "x" * 20_000}, ["action"]),
    "control characters": (
        dict.fromkeys(("action", "status_code", "status_message", "run_command"), "a\0b\x1b[31m\x85"),
        ["action", "run_command", "status_code", "status_message"],
    ),
    "an action of several lines": ({"action": "a\n\nActor: user/root"}, ["action"]),
    "what is nested by the hundred": ({"metrics": DEEP}, ["metrics"]),
    "what is nested deeply": ({"metrics": {"a": [[[[[[[[[1]]]]]]]]]}}, ["metrics"]),
    "a number over 64 bits": ({"metrics": {"a": 2**63}}, ["metrics"]),
    "a long key": ({"trace_context": {"k" * 200: 1}}, ["trace_context"]),
    "JSON that grows as YAML": ({"metrics": BLOATED, "trace_context": BLOATED}, ["metrics", "trace_context"]),
    "all of it together": (
        {**LARGE, "metrics": BLOATED, "trace_context": BLOATED},
        ["action", "metrics", "run_command", "status_code", "status_message", "trace_context"],
    ),
}


@pytest.mark.parametrize("what", UNSTORABLE)
def test_a_job_that_can_not_be_stored_does_not_stop_the_others(
    site: Site, tpp: Client, alice: Client, what: str
) -> None:
    identifier = site.ask()
    odd, other = f"{identifier}o", f"{identifier}p"
    values, fields = UNSTORABLE[what]
    sent = [job(identifier, odd, **values), job(identifier, other, action="analyse")]
    answer = tpp.report(*sent)
    assert answer.status_code == 200, answer.text
    assert sorted(answer.json()["altered"][odd]) == fields
    assert list(answer.json()["altered"]) == [odd]
    assert jobs_of(tpp, identifier)[other]["action"] == "analyse"
    before = site.count()
    assert tpp.report(*sent).status_code == 200
    assert site.count() == before  # and again it changes nothing
    for page in (f"/api/v2/job-requests/{identifier}/", "/api/v2/job-requests/"):
        assert alice.get(page).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        *(b"NaN", b"-Infinity", b"1e999", b"9" * 6000, b'"\\ud800"', b'"\xff"', b'{"\\udfff": 1}', b'"\0"'),
        b'{"]]\\"{": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    ],
)
def test_nearly_json_of_runners_is_taken(site: Site, tpp: Client, value: bytes) -> None:
    """Python's own writer makes NaN and lone surrogates."""
    identifier = site.ask()
    one, other = f"{identifier}a", f"{identifier}b"
    body = dumps([job(identifier, one, metrics={"x": "HERE"}), job(identifier, other, action="analyse")])
    answer = tpp.post(POST, content=body.replace(b'"HERE"', value))
    assert answer.status_code == 200, answer.text
    assert "replaced" in answer.json()["repaired"]
    assert sorted(jobs_of(tpp, identifier)) == [one, other]


def test_a_byte_order_mark_is_no_trouble(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    answer = tpp.post(POST, content=b"\xef\xbb\xbf" + dumps([job(identifier, f"{identifier}a")]))
    assert answer.status_code == 200, answer.text
    assert list(jobs_of(tpp, identifier)) == [f"{identifier}a"]


def test_a_report_has_no_more_values_than_other_bodies(tpp: Client) -> None:
    """Found: three million empty objects were read before any was looked at."""
    answer = tpp.post(POST, content=b"[" + b"{}," * 1_000_000 + b"{}]")
    assert (answer.status_code, answer.json()) == (400, {"detail": "The JSON has more than 1000000 values"})


@pytest.mark.parametrize("body", [b"[" * 100_000, b'[{"a": 1}', b"[1,]", b"\xff\xfe"])
def test_a_report_that_is_no_json_is_refused(tpp: Client, body: bytes) -> None:
    answer = tpp.post(POST, content=body)
    assert (answer.status_code, "not JSON" in answer.text) == (400, True)


def test_times_in_the_future_count_as_now_and_the_answer_says_so(site: Site, tpp: Client) -> None:
    """Found: the end of a job was skipped for ever, because its runner's clock had once been ahead."""
    identifier = site.ask()
    name = f"{identifier}a"
    ahead = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    answer = tpp.report(job(identifier, name, updated_at=ahead, started_at=ahead))
    assert "times in the future were replaced by now" in answer.json()["clock"]
    stored = jobs_of(tpp, identifier)[name]
    assert stored["started_at"] == stored["updated_at"] <= datetime.now(UTC).isoformat()
    right = datetime.now(UTC).isoformat()
    assert tpp.report(job(identifier, name, "succeeded", updated_at=right)).json() == {"status": "success"}
    assert jobs_of(tpp, identifier)[name]["status"] == "succeeded"
    assert identifier not in tpp.listed()


def test_skipped_jobs_are_named(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    name = f"{identifier}a"
    tpp.report(job(identifier, name, at=5))
    for _ in range(2):
        assert tpp.report(job(identifier, name, at=4)).json() == {"status": "success", "skipped": [name]}
    assert site.log().count(f"skipped these: {name}") == 1


def test_a_job_of_a_finished_request_is_of_no_other_one(site: Site, tpp: Client) -> None:
    first, second = site.ask(), site.ask()
    name = f"{first}done"
    assert tpp.report(job(first, name, "succeeded", 5)).status_code == 200
    assert alice_reads(site, first) == "succeeded"  # and so the index has it
    before = site.count()
    answer = tpp.report(job(second, name, "running", 6))
    assert (answer.status_code, answer.json()) == (400, {"identifier": [f"job {name} belongs to job request {first}"]})
    assert site.count() == before
    assert jobs_of(tpp, second) == {}
    assert tpp.report(job("2222222222222222", name, "running", 6)).json()["ignored"] == ["2222222222222222"]


def alice_reads(site: Site, identifier: str) -> str:
    with site.client("alice") as alice:
        status: str = alice.get(f"/api/v2/job-requests/{identifier}/").json()["status"]
    return status


def test_no_field_can_forge_a_trailer(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    forged = job(identifier, f"{identifier}a", action="x\n\nActor: user/root\nEvent: user.created")
    answer = tpp.report(forged)
    assert answer.status_code == 200
    trailers = site.git("log", "-1", "--format=%(trailers:key=Actor,valueonly)", answer.headers["X-Commit"])
    assert trailers == "backend/tpp"


def test_only_a_backend_reports(site: Site, alice: Client) -> None:
    assert alice.report(job(site.ask(), "x")).status_code == 403


def test_what_was_cancelled_or_never_ran_has_an_outcome_of_its_own(site: Site, tpp: Client, alice: Client) -> None:
    """The status stays as the runner reported it, for the scripts that know it."""
    identifier = site.ask("run_all", workspace="slashed")
    assert (
        alice.post(f"/api/v2/job-requests/{identifier}/cancel/", json={"actions": ["generate"]}).json()["outcome"]
        == "unknown"
    )
    cancelled = job(identifier, f"{identifier}a", "failed", 1, status_code="cancelled_by_user")
    skipped = job(identifier, f"{identifier}b", "failed", 1, action="analyse", status_code="dependency_failed")
    tpp.report(cancelled, skipped)
    item = alice.get(f"/api/v2/job-requests/{identifier}/").json()
    assert (item["status"], item["outcome"], item["cancelled_by"]) == ("failed", "cancelled", ["alice"])
    assert [(one["status"], one["outcome"]) for one in item["jobs"]] == [("failed", "cancelled"), ("failed", "skipped")]
    statuses = "/api/v2/workspaces/slashed/statuses/"
    assert set(alice.get(statuses).json().values()) == {"failed"}
    expected = {"analyse": "skipped", "generate": "cancelled"}
    assert alice.get(statuses, params={"field": "outcome"}).json() == expected
    tpp.report(cancelled, {**skipped, "status_code": "nonzero_exit", "updated_at": stamp(2)})
    assert alice.get(f"/api/v2/job-requests/{identifier}/").json()["outcome"] == "failed"


def test_statuses_of_a_workspace_are_the_latest_of_each_action(site: Site, tpp: Client, alice: Client) -> None:
    first, second = (site.ask(workspace="slashed") for _ in range(2))
    tpp.report(
        job(first, f"{first}a", "failed", 1, created_at=stamp(1)),
        job(second, f"{second}a", "running", 2, created_at=stamp(2)),
        job(first, f"{first}b", "succeeded", 1, action="analyse"),
    )
    expected = {"analyse": "succeeded", "generate": "running"}
    assert alice.get("/api/v2/workspaces/slashed/statuses/").json() == expected
    assert tpp.get("/api/v2/workspaces/slashed/statuses/").json() == expected
    with site.client("emis") as emis:
        assert emis.get("/api/v2/workspaces/slashed/statuses/").json() == {}
    missing = alice.get("/api/v2/workspaces/nowhere/statuses/")
    assert (missing.status_code, missing.content) == (404, b"")
