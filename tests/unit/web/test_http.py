"""JSON from strangers is counted before it is read, and what is wrong with it is named up to a number."""

import json

import pytest

from jobserver.errors import MAX_FAULTS, Error, Fault, invalid, unavailable
from jobserver.service.reports.parsing import read_jobs
from jobserver.web import http
from jobserver.web.api.fields import Fields
from jobserver.web.errors import message_of
from tests.samples import first


@pytest.mark.parametrize("one", first(2, [b"{}", b"0", b"[]", b'{"a":[]}', b'"x"']))
def test_many_small_values_are_refused_unread(one: bytes) -> None:
    """Found: each costs a hundred bytes and more, of which ten million bytes have three million."""
    with pytest.raises(Error, match="more than 1000000 values"):
        http.read_json(b"[" + b",".join([one] * 1_100_000) + b"]")


@pytest.mark.parametrize("text", [",:[{" * 400_000, '\\",' * 500_000, "\\\\"])
def test_brackets_in_strings_are_not_counted(text: str) -> None:
    data = [text, {"a": text}, 1]
    assert http.read_json(json.dumps(data).encode()) == data


def test_an_error_names_a_limited_number_of_faults() -> None:
    faults = invalid("wrong", faults=[Fault("no", "a.yaml", number) for number in range(250)] * 2).faults
    assert len(faults) == MAX_FAULTS + 1
    assert (faults[99].line, str(faults[100])) == (99, "and 150 more")


def test_a_report_is_looked_at_until_so_many_faults_are_found() -> None:
    jobs, problems, _ = read_jobs([{}] * 1000)
    assert not jobs
    assert len(problems) < 20
    assert problems[-1] == {"non_field_errors": ["the rest was not checked: 100 faults so far"]}


def test_unknown_fields_are_named_to_a_number() -> None:
    fields = Fields({f"f{number}": 1 for number in range(1000)})
    with pytest.raises(Error) as error:
        fields.done()
    said = json.loads(http.refusal(error.value).body)
    assert len(said) == 51
    assert said["non_field_errors"] == ["950 more unknown fields"]


def test_paths_of_the_servers_machine_are_not_in_answers() -> None:
    full = unavailable("the disk is full", "/srv/jobs/state.git/objects/pack/tmp_1")
    assert json.loads(http.refusal(full).body) == {"detail": "the disk is full"}
    assert json.loads(http.refusal(invalid("is no key", "/srv/jobs/state.git.key")).body) == {"detail": "is no key"}
    assert json.loads(http.refusal(invalid("expected a name", "name")).body) == {"name": ["expected a name"]}
    assert message_of(unavailable("GitHub is silent", "github.com")) == "github.com: GitHub is silent"
