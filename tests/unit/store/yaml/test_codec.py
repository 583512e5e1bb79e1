"""The codec against PyYAML and against itself."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobserver.domain.base.permissions import Role
from jobserver.domain.base.registration import Registration, Researcher
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.members import Invitation
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Error
from jobserver.store.yaml import canonical, codec

times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["no", "Yes", "0123", "12:30:00", "1e5", "null", "~", "a: b", "- x", "#c", "a #c", " a", "a ", "2026-11-23", "\n"]
)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | text | st.floats(allow_nan=False)
finite = scalars.filter(lambda value: not isinstance(value, float) or abs(value) != float("inf"))
json_values = st.recursive(
    finite, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
)
jobs = st.builds(
    Job,
    identifier=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    action=text,
    status=st.sampled_from(["pending", "running", "failed", "succeeded"]),
    status_code=text,
    status_message=text,
    created_at=times,
    updated_at=st.none() | times,
    started_at=st.none() | times,
    completed_at=st.none() | times,
    run_command=st.none() | text,
    trace_context=st.none() | st.dictionaries(text, json_values, max_size=3),
    metrics=st.none() | st.dictionaries(text, json_values, max_size=3),
    requires_db=st.none() | st.booleans(),
)


@given(jobs)
def test_reads_what_it_wrote(job: Job) -> None:
    data = codec.write(job)
    assert codec.read(Job, data) == job
    assert codec._strict(Job, data, "") == job
    assert codec.write(codec.read(Job, data)) == data


def test_a_project_with_all_that_it_may_have() -> None:
    """Its invitations are written only where there are any; a day is text, and may be pushed unquoted."""
    researcher = Researcher(name="Bob", passed_researcher_training_at="2026-05-01", is_ons_accredited_researcher=True)
    registration = Registration(project_lead="Alice", purpose="To know\nmore", researchers=(researcher,))
    invitation = Invitation(
        username="bob",
        roles=(Role.PROJECT_DEVELOPER,),
        invited_by="alice",
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    bare = Project(slug="p", name="P", org="lab", registration=registration)
    assert b"invitations" not in codec.write(bare)
    for project in (bare, bare.model_copy(update={"invitations": (invitation,)})):
        data = codec.write(project)
        assert codec.read(Project, data) == codec._strict(Project, data, "") == project
        assert codec.read(Project, data.replace(b'"2026-05-01"', b"2026-05-01")) == project


@given(st.dictionaries(text.filter(lambda key: len(key) < 100), json_values, min_size=1, max_size=5))
def test_pyyaml_reads_the_same(value: dict[str, Any]) -> None:
    data = canonical.emit(value.items())
    assert yaml.safe_load(data) == value
    with contextlib.suppress(canonical.Unusual):
        assert canonical.parse(data) == value


@given(st.text(alphabet="ab:-[]{}\"'#&*! \n01.yn~", max_size=40))
def test_fast_reader_never_disagrees_with_pyyaml(source: str) -> None:
    try:
        fast = canonical.parse(source.encode())
    except canonical.Unusual:
        return
    assert yaml.safe_load(source) == fast


WORKSPACE = b"""\
version: 1
name: diabetes-trends
project: datalab/diabetes
repo: https://github.com/org/study
branch: main
db: full
created_by: alice
created_at: 2026-11-23T20:15:04.123456Z
archived: false
should_notify: false
"""


def test_canonical_form_of_a_workspace() -> None:
    assert codec.write(codec.read(Workspace, WORKSPACE)) == WORKSPACE


@pytest.mark.parametrize(
    ("old", "new", "key", "value"),
    [
        (b"branch: main", b"branch: no", "branch", "no"),
        (b"branch: main", b"branch: 0123456", "branch", "0123456"),
        (b"branch: main", b"branch: 12:30:00", "branch", "12:30:00"),
        (b"branch: main", b"# why\nbranch: 'feature/x'  # this", "branch", "feature/x"),
        (b"project: datalab/diabetes", b"project: ~", "project", None),
        (b"archived: false\n", b"", "archived", False),
        (b"20:15:04.123456Z", b"20:15:04Z", "created_at", datetime(2026, 11, 23, 20, 15, 4, tzinfo=UTC)),
    ],
)
def test_reads_what_a_person_writes(old: bytes, new: bytes, key: str, value: object) -> None:
    assert getattr(codec.read(Workspace, WORKSPACE.replace(old, new)), key) == value


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"archived: false", b"archived: no", "w.yaml:9: archived: expected true or false, found 'no'"),
        (b"archived: false", b'archived: "false"', "w.yaml:9: archived: expected true or false"),
        (b"db: full", b"db: full\ndb: slice", "w.yaml:7: db: duplicate key, first on line 6"),
        (b"db: full", b"database: full", "w.yaml:6: database: unknown key: did you mean db?"),
        (b"db: full\n", b"", "w.yaml:1: db: required, and missing"),
        (b"db: full", b"db: &x full", "w.yaml:6: anchor &x"),
        (b"db: full", b"db: *x", "w.yaml:6: alias *x"),
        (b"db: full", b"db: !!str full", "w.yaml:6: tag"),
        (b"db: full", b"db: [full]", "w.yaml:6: db: expected text, found sequence"),
        (b"db: full", b"db:", "w.yaml:6: db: expected text, found nothing"),
        (b"version: 1", b"version: 2", "w.yaml:1: version: expected 1"),
        (b"version: 1", b"version: true", "w.yaml:1: version: expected a whole number"),
        (b"version: 1\n", b"", "w.yaml:1: version: required, and missing"),
        (b"name: diabetes-trends", b"name: Diabetes", "w.yaml:2: name: 'Diabetes' is not valid"),
        (b"2026-11-23T20", b"2026-02-30T20", "w.yaml:8: created_at: expected a time like"),
        (b"20:15:04.123456Z", b"20:15:04", "w.yaml:8: created_at: expected a time like"),
        (b"20:15:04.123456Z", b"21:15:04+01:00", "w.yaml:8: created_at: expected a time like"),
        (b"20:15:04.123456Z", b"20:15:04.1234567Z", "w.yaml:8: created_at: expected a time like"),
        (b"https://github.com/org/study", b"../../etc", "w.yaml:4: repo: expected an https URL, or the path"),
        (b"should_notify: false\n", b"should_notify: false\n---\na: 1\n", "w.yaml:11: a second document"),
        (WORKSPACE, b"", "w.yaml:1: expected a mapping, found nothing"),
        (WORKSPACE, b"x" * 70_000, "w.yaml: 70000 bytes, at most 65536"),
    ],
)
def test_refuses_with_the_line_and_the_key(old: bytes, new: bytes, fault: str) -> None:
    with pytest.raises(Error) as caught:
        codec.read(Workspace, WORKSPACE.replace(old, new), "w.yaml")
    assert str(caught.value.faults[0]).startswith(fault)


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        (
            b"version: 1\nusername: a b\nroles: [Boss]\nactive: 3\nextra: 1\n",
            [(2, "username"), (3, "roles.0"), (4, "active"), (5, "extra")],
        ),
        (b"version: 1\nversion: 1\nusername: a b\n", [(2, "version"), (3, "username")]),
        (b"username: &x a b\nactive: *x\n", [(1, ""), (2, "")]),  # what comes after an alias can't be known
        (b"username: !!str a b\n? [a]\n: 1\n", [(1, ""), (1, "username"), (2, ""), (1, "version")]),
        (b"- &x a\n", [(1, ""), (1, "")]),
    ],
)
def test_names_every_fault_not_only_the_first(data: bytes, faults: list[tuple[int, str]]) -> None:
    with pytest.raises(Error) as caught:
        codec.read(User, data, "u.yaml")
    assert [(fault.line, fault.key) for fault in caught.value.faults] == faults


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_document_or_an_error(data: bytes) -> None:
    with pytest.raises(Error):
        codec.read(JobRequest, data, "r.yaml")


def test_free_values_of_a_job_are_read_as_yaml_means_them() -> None:
    data = codec.write(
        Job.model_validate(
            {
                "identifier": "j",
                "action": "a",
                "status": "running",
                "status_code": "",
                "status_message": "",
                "created_at": datetime(2026, 11, 24, tzinfo=UTC),
                "updated_at": None,
                "started_at": None,
                "completed_at": None,
                "trace_context": {"list": [1, {"deep": None}]},
            }
        )
    )
    by_hand = data.replace(
        b"  list:\n  - 1\n  - deep: null\n",
        b"  list: [1, 2.5, true, ~, '1', 2026, {deep: x y, empty: }]\n",
    )
    assert by_hand != data
    found = codec.read(Job, by_hand).trace_context
    assert found == {"list": [1, 2.5, True, None, "1", 2026, {"deep": "x y", "empty": None}]}


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "2026-11-24 25:00:00Z", "soon", "2026-11-24T10:00:00"])
def test_an_impossible_time_is_refused(time: str) -> None:
    """The first would be before the year 1 in UTC."""
    with pytest.raises(Error, match="expected a time like"):
        codec.read(Workspace, WORKSPACE.replace(b"2026-11-23T20:15:04.123456Z", time.encode()))


@pytest.mark.parametrize("version", ["x", "1x", "-x", "99999999999999999999", "٣"])
def test_an_impossible_number_is_refused(version: str) -> None:
    with pytest.raises(Error, match="expected a whole number"):
        codec.read(Workspace, WORKSPACE.replace(b"version: 1", f"version: {version}".encode()))


def test_a_document_that_is_no_mapping() -> None:
    with pytest.raises(Error, match="expected a mapping, found something else"):
        codec.read(Workspace, b"[a]\n", "w.yaml")


def test_a_longer_request_may_be_read_than_another_document() -> None:
    assert JobRequest.max_bytes > Workspace.max_bytes
