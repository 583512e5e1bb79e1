"""Pipelines to draw: some as studies have them, and random ones."""

from random import Random

SMALL = {
    "extract_cohort": [],
    "clean_cohort": ["extract_cohort"],
    "describe": ["clean_cohort"],
    "fit_cox_model": ["clean_cohort"],
    "plot_curves": ["fit_cox_model"],
    "forest_plot": ["fit_cox_model"],
    "report": ["describe", "plot_curves", "forest_plot"],
}


def by_year() -> dict[str, list[str]]:
    """30 actions: the same five steps for each of five years, and what sums them up."""
    years = range(2019, 2024)
    needs: dict[str, list[str]] = {"generate_study_population": [], "codelists": []}
    for year in years:
        needs[f"extract_{year}"] = ["generate_study_population"]
        needs[f"clean_{year}"] = [f"extract_{year}", "codelists"]
        needs[f"model_{year}"] = [f"clean_{year}"]
        needs[f"table_{year}"] = [f"clean_{year}", "generate_study_population"]
        needs[f"plot_{year}"] = [f"model_{year}", f"table_{year}"]
    needs["combine"] = [f"model_{year}" for year in years]
    needs["figures"] = [f"plot_{year}" for year in years]
    needs["report"] = ["combine", "figures", "codelists"]
    return needs


def large() -> dict[str, list[str]]:
    """150 actions."""
    needs: dict[str, list[str]] = {"extract": []}
    needs.update({f"clean_{number:03}": ["extract"] for number in range(50)})
    needs.update({f"model_{number:03}": [f"clean_{number:03}"] for number in range(50)})
    needs.update({f"plot_{number:03}": [f"model_{number:03}", f"model_{number + 1:03}"] for number in range(48)})
    needs["report"] = [f"plot_{number:03}" for number in range(48)]
    return needs


def random(seed: int, size: int = 0) -> dict[str, list[str]]:
    choice = Random(seed)
    needs: dict[str, list[str]] = {}
    for number in range(size or choice.randint(2, 60)):
        earlier = list(needs)[-25:]
        needs[f"action_{number}"] = choice.sample(earlier, min(len(earlier), choice.randint(0, 4)))
    return needs


SHAPES = {
    "7": SMALL,
    "30": by_year(),
    "150": large(),
    "chain": {f"a{number}": [f"a{number - 1}"] if number else [] for number in range(40)},
    **{f"random-{seed}": random(seed) for seed in range(40)},
    "random-150": random(99, 150),
}
