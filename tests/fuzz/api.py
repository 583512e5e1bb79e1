"""Every operation of openapi.json, with what it allows and what it does not, by everybody (schemathesis)."""

import contextlib
import itertools
import random

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from tests.e2e.harness import Site
from tests.fuzz.tally import Tally

WHO = ("tpp", "emis", "alice", "bob", "root", "nobody", "stranger")


def fuzz(site: Site, chance: random.Random, tally: Tally) -> None:
    described = schemathesis.openapi.from_url(f"{site.url}/api/v2/openapi.json")
    operations = [found.ok() for found in described.get_all_operations()]
    rounds = list(itertools.product(operations, GenerationMode, WHO))
    while tally.goes_on:
        chance.shuffle(rounds)
        for operation, mode, who in rounds:
            if not tally.goes_on:
                return
            token = site.tokens.get(who, "" if who == "nobody" else "not-a-token")
            headers = {"Authorization": token} if token else {}

            @seed(chance.getrandbits(32))
            @settings(
                max_examples=20, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def calls(case: schemathesis.Case) -> None:
                if tally.goes_on:
                    answer = case.call(headers=headers, timeout=60)
                    tally.answered(answer.status_code, case.as_curl_command(), answer.content)

            with contextlib.suppress(Unsatisfiable):  # some take nothing that could be wrong
                calls()
