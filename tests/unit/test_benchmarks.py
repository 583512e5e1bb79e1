"""Two versions side by side: figures of the same place in the same table are compared, and nothing else. And the
picture: each figure at its place."""

import re

from benchmarks.against import _ratios
from benchmarks.picture import lines

COLUMNS = ("history", "clients", "gate", "errors")


def test_each_figure_is_compared_pair_by_pair() -> None:
    runs = [
        ([("1,000", 8, 100.0, 0), ("1,000", 64, 10.0, 0)], [("1,000", 8, 150.0, 2), ("1,000", 64, 30.0, 0)]),
        ([("1,000", 8, 50.0, 1), ("1,000", 64, 20.0, 0)], [("1,000", 8, 100.0, 0), ("1,000", 64, 20.0, 0)]),
        ([("1,000", 8, 80.0, 0), ("1,000", 64, 40.0, 0)], [("1,000", 8, 80.0, 0), ("1,000", 64, 80.0, 0)]),
    ]
    assert _ratios(COLUMNS, [([*old], [*new]) for old, new in runs]) == [
        ("1,000 8", "gate", 80.0, 100.0, "1.50 2.00 1.00", 1.0, 1.5, 2.0),
        ("1,000 64", "gate", 20.0, 30.0, "3.00 1.00 2.00", 1.0, 2.0, 3.0),
    ]


def test_a_chart_has_each_figure_at_its_place_and_no_name_above_another() -> None:
    drawn = lines("p50", (10, 100, 1_000), {"list": (0.0, 2.0, 4.0), "request": (4.0, 2.0, 4.0)})
    points = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    (left, low), (middle, half), (right, high) = points[:3]
    assert middle - left == right - middle
    assert low - half == half - high > 0
    assert points[3:] == [(left, high), (middle, half), (right, high)]
    names = [float(y) for y in re.findall(r'y="([\d.]+)" fill="#\w+">', drawn)]
    assert abs(names[0] - names[1]) >= 12
