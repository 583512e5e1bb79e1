"""Two versions side by side: figures of the same place in the same table are compared, and nothing else."""

from benchmarks.against import _ratios

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
