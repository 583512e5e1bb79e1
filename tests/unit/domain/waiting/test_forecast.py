"""When a request is expected to start and end."""

from typing import Any

from jobserver.domain.waiting import forecast
from jobserver.index.queries.jobs import JobRow

S = 1_000_000
NOW = 1_000 * S


def job(action: str, status: str, started: int | None = None, completed: int | None = None) -> JobRow:
    return JobRow(action, "r", action, status, "", "", 900 * S, None, started, completed, {})


def _end(*given: Any) -> forecast.Moment | None:
    return forecast.ends(*given)[0]


def test_a_start_from_how_long_others_waited() -> None:
    moment = forecast.start(990 * S, NOW, [20 * S, 40 * S, 30 * S], "tpp")
    assert moment is not None
    assert (moment.expected, moment.earliest, moment.latest) == (1020 * S, 1010 * S, 1030 * S)
    assert moment.basis == "based on the last 3 requests on tpp"


def test_a_start_later_than_some_others_is_said_to_be() -> None:
    moment = forecast.start(960 * S, NOW, [20 * S, 50 * S], "tpp")
    assert moment is not None
    assert moment.expected == 1010 * S
    assert "1 of the last 2 requests on tpp waited less" in moment.basis
    assert forecast.start(900 * S, NOW, [20 * S, 50 * S], "tpp") is None
    assert forecast.start(990 * S, NOW, [], "tpp") is None


def test_an_end_by_the_longest_chain_of_what_is_left() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    past = {"a": [10 * S], "b": [20 * S, 30 * S, 40 * S], "c": [5 * S], "d": [1 * S]}
    jobs = {"a": job("a", "succeeded", 910 * S, 950 * S), "b": job("b", "running", 990 * S), "c": None, "d": None}
    moment = _end(jobs, needs, past, None, NOW)
    assert moment is not None
    assert (moment.expected, moment.earliest, moment.latest) == (1021 * S, 1011 * S, 1031 * S)
    assert moment.basis == "based on 1 past run of each action"


def test_what_waits_for_others_starts_when_the_last_of_them_ends() -> None:
    needs = {"a": [], "b": [], "c": ["a", "b"], "d": ["c"], "new": [], "after": ["new"]}
    past = {"a": [10 * S, 20 * S, 30 * S], "b": [5 * S], "c": [60 * S] * 3, "d": [S]}
    jobs = {"a": job("a", "running", 995 * S), **dict.fromkeys(["b", "c", "d", "new", "after"])}
    starts = forecast.ends(jobs, needs, past, None, NOW)[1]
    assert set(starts) == {"c", "d"}  # the others wait for no action, or for one that nothing is known of
    assert (starts["c"].expected, starts["c"].earliest, starts["c"].latest) == (1015 * S, 1005 * S, 1025 * S)
    assert starts["c"].basis == "based on 1 past run of each action"
    assert starts["d"].expected == 1075 * S
    assert forecast.ends({"b": None, "c": None}, {"c": ["b"]}, past, None, NOW)[1]["c"].basis == "based on 1 past run"


def test_an_end_counts_from_the_expected_start() -> None:
    starts = forecast.Moment(1100 * S, 1050 * S, 1200 * S, "")
    moment = _end({"a": None}, {"a": []}, {"a": [10 * S, 20 * S]}, starts, NOW)
    assert moment is not None
    assert (moment.expected, moment.earliest, moment.latest) == (1115 * S, 1060 * S, 1220 * S)
    assert moment.basis == "based on 2 past runs"


def test_an_action_that_never_ran_makes_an_estimate_a_guess_or_nothing() -> None:
    moment = _end({"a": None, "b": None}, {"a": [], "b": []}, {"a": [10 * S]}, None, NOW)
    assert moment is not None
    assert moment.basis == "a rough estimate: only 1 of 2 actions succeeded before on this backend"
    assert _end({"a": None}, {"a": []}, {}, None, NOW) is None
    assert _end({"a": job("a", "failed", NOW, NOW)}, {"a": []}, {"a": [S]}, None, NOW) is None


def test_actions_that_need_each_other_have_no_end() -> None:
    needs = {"a": ["b"], "b": ["a"]}
    assert _end({"a": None, "b": None}, needs, {"a": [S]}, None, NOW) is None


def test_a_chain_of_thousands_is_added_up() -> None:
    names = [f"a{n}" for n in range(20_000)]
    needs = {name: [names[n - 1]] if n else [] for n, name in enumerate(names)}
    moment = _end(dict.fromkeys(names), needs, {name: [2 * S] for name in names}, None, NOW)
    assert moment is not None
    assert moment.expected == NOW + 40_000 * S


def test_thousands_that_wait_for_the_same_share_their_moment() -> None:
    names = [f"a{n}" for n in range(3_000)]
    needs = {"first": [], **{name: ["first"] for name in names}}
    starts = forecast.ends(dict.fromkeys(needs), needs, {"first": [2 * S]}, None, NOW)[1]
    assert starts.keys() == set(names)
    assert len({id(moment) for moment in starts.values()}) == 1
