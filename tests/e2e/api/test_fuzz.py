"""The API, asked whatever its own description allows and a good deal that it does not (schemathesis): never a 500."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from tests import samples
from tests.e2e.harness import Site

TAKEN = {"Job requests", "For runners", "For Airlock"}
"""The tags of what backends may call."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("fuzz") / "site")
    site.start()
    site.ask("generate")
    yield site
    site.stop()  # looks for tracebacks in the log
    site.check_record()


@pytest.mark.parametrize(
    ("mode", "who"),
    [
        ("positive", "alice"),
        ("negative", "tpp"),
        pytest.param("positive", "tpp", marks=samples.only_whole),
        pytest.param("negative", "alice", marks=samples.only_whole),
    ],
)
def test_no_call_breaks_the_server(fuzzed: Site, mode: str, who: str) -> None:
    import schemathesis  # takes as long as to collect a thousand tests
    from schemathesis.generation import GenerationMode

    described = schemathesis.openapi.from_url(f"{fuzzed.url}/api/v2/openapi.json")
    operations = [found.ok() for found in described.get_all_operations()]
    if who == "tpp":  # it is refused everything else, before anybody reads what it sent
        operations = [operation for operation in operations if TAKEN & set(operation.tags or ())]
    assert len(operations) >= 6
    tried = 0
    for operation in operations:

        @settings(
            max_examples=samples.size(2, 50),
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
        def calls(case: schemathesis.Case) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(headers={"Authorization": fuzzed.tokens[who]}, timeout=30)
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            # 400 is also what HTTP itself is refused with, below us: control characters in a header.
            documented = {*case.operation.responses.status_codes, "400"}
            assert str(answer.status_code) in documented, (case.as_curl_command(), answer.text)

        with contextlib.suppress(Unsatisfiable):  # some take nothing that could be wrong
            calls()
    assert tried > 20
