"""What reads YAML: a document or an error, the same in both readers; a pipeline or an error."""

import random

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from jobserver.domain.documents import MODELS
from jobserver.domain.pipeline.reader import parse
from jobserver.errors import Error
from jobserver.store.yaml import canonical, codec
from jobserver.store.yaml.nodes import read_nodes
from tests.e2e.harness import STUDY, Site
from tests.fuzz.mutate import mutated
from tests.fuzz.tally import Broken, Tally

PIPELINES = (
    STUDY,
    "version: '3.0'\nx: &a {run: python:v2 python a.py, outputs: {moderately_sensitive: {log: a.txt}}}\nactions:\n"
    "  a: *a\n  b: {<<: *a, needs: [a]}\n  run_all: {needs: [a, b], run: x}\nexpectations: {population_size: 1000}\n",
)
YAML = st.text(alphabet="ab:-[]{}\"'#&*!|>%?<~ \n0123.ynT@`,\t\u2028é", max_size=80).map(str.encode)
KINDS = sorted(MODELS)


def fuzz(site: Site, chance: random.Random, tally: Tally) -> None:
    documents = _documents(site)
    known = [*documents, *(text.encode() for text in PIPELINES)]
    changed = st.builds(
        lambda data, number: mutated(data, random.Random(number), 2), st.sampled_from(known), st.integers(0, 2**63)
    )
    while tally.goes_on:

        @seed(chance.getrandbits(32))
        @settings(
            max_examples=2000, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(data=st.one_of(changed, changed, YAML, st.binary(max_size=200)))
        def read(data: bytes) -> None:
            if tally.goes_on:
                for kind in KINDS:
                    tally.counts["read" if check_document(kind, data) else "refused"] += 1
                tally.counts["read" if check_pipeline(data) else "refused"] += 1

        read()


def _documents(site: Site) -> list[bytes]:
    found = []
    for branch in ("main", "backends/tpp", "audit"):
        for path in site.git("ls-tree", "-r", "--name-only", branch).splitlines():
            if path.endswith(".yaml"):
                found.append(site.git("show", f"{branch}:{path}").encode() + b"\n")
    return found


def check_document(kind: object, data: bytes) -> bool:
    model = MODELS[kind]  # type: ignore[index]
    try:
        document = codec.read(model, data, "f.yaml")
    except Error as error:
        if not error.faults:
            raise Broken(f"refused without a reason: {data!r}") from None
        return False
    written = codec.write(document)
    if codec.read(model, written) != document or codec.write(codec.read(model, written)) != written:
        raise Broken(f"not the same when it is read again: {data!r}")
    try:
        fast = canonical.parse(data)
    except canonical.Unusual:
        return True
    if yaml.safe_load(data) != fast:
        raise Broken(f"PyYAML disagrees: {data!r}")
    return True


def check_pipeline(data: bytes) -> bool:
    try:
        pipeline = parse(read_nodes(data, "project.yaml", aliases=True), "project.yaml")
    except Error:
        return False
    for action in pipeline.actions:
        pipeline.closure([action])
    return True
