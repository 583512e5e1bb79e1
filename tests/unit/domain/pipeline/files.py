"""A real project.yaml, and how the tests read one or are told what is wrong in it."""

import pytest

from jobserver.domain.pipeline.reader import Pipeline, parse
from jobserver.errors import Code, Error
from jobserver.store.yaml.nodes import read_nodes

REAL = """\
version: '3.0'

expectations:
  population_size: 1000

actions:
  generate_cohort:
    run: cohortextractor:latest generate_cohort --study-definition study_definition
    outputs:
      highly_sensitive:
        cohort: output/input.csv

  describe:
    run: >-
      python:latest python analysis/describe.py
      --rows 10
    config: {threshold: 3}
    needs: [generate_cohort]
    outputs:
      moderately_sensitive:
        table: output/*.csv
        figure: output/figure.svg

  plot.v2:
    needs:
    - generate_cohort
    - describe
    run: r:latest analysis/plot.R
"""


def read(text: str) -> Pipeline:
    return parse(read_nodes(text.encode(), "project.yaml", aliases=True))


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(Error) as caught:
        read(text)
    assert caught.value.code is Code.INVALID
    assert all(fault.path == "project.yaml" for fault in caught.value.faults)
    return [(fault.line, fault.key, fault.message) for fault in caught.value.faults]


def chain(length: int) -> str:
    links = [f"  a{i}: {{run: x, needs: [a{i + 1}]}}\n" for i in range(length - 1)]
    return "actions:\n" + "".join(links) + f"  a{length - 1}: {{run: x}}\n"
