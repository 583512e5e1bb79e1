"""A study of 150 actions beside the history, with two requests of it: one in the middle of running, one finished."""

from dataclasses import dataclass

from benchmarks.common import Site
from benchmarks.studies import add_workspace, ask, client, commit, new_study, report

ACTIONS = 150
WORKSPACE = "wide"
_NAMES = [f"describe_{number}" for number in range(ACTIONS)]


@dataclass(frozen=True)
class Wide:
    """Ids of requests."""

    running: str
    finished: str


def add_study(made: Site) -> None:
    """Of 15 groups, each of which needs what the one before it makes."""
    lines = ["version: '4.0'", "actions:"]
    for number, name in enumerate(_NAMES):
        lines += [
            f"  {name}:",
            f"    run: python:latest python analysis/describe.py --part {number}",
            *([f"    needs: [describe_{number - 10}]"] if number >= 10 else []),
            f"    outputs: {{moderately_sensitive: {{table: output/table_{number}.csv}}}}",
        ]
    new_study(made, WORKSPACE, "\n".join([*lines, ""]))


def ask_twice(made: Site) -> Wide:
    """By the API of the running server; a commit lies between the two."""
    with client(made, "alice") as alice, client(made, "tpp") as tpp:
        add_workspace(alice, WORKSPACE)
        finished = ask(alice, WORKSPACE, "tpp")
        tpp.post("/api/v2/jobs/", json=report(finished, _NAMES, ACTIONS)).raise_for_status()
        commit(made, WORKSPACE, "another")
        running = ask(alice, WORKSPACE, "tpp")
        tpp.post("/api/v2/jobs/", json=report(running, _NAMES, 40)).raise_for_status()
    return Wide(running, finished)
