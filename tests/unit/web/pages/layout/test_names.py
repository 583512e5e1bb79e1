"""Long names are shortened in the middle and stay distinct."""

from random import Random

from jobserver.web.pages.layout.names import lines, shortened, two_lines

REGIONS = [f"model_admissions_by_age_band_and_region_{letter}" for letter in "abc"]
SENSITIVITY = [
    f"generate_study_population_2019_to_2024_sensitivity_analysis_{name}_with_all_covariates"
    for name in ("primary", "secondary_care", "primary_care", "ons")
]


def test_short_names_stay() -> None:
    assert shortened(["clean", "model"], 18) == {"clean": "clean", "model": "model"}


def test_the_middle_goes_first() -> None:
    assert shortened(REGIONS, 19)[REGIONS[1]] == "model_adm…_region_b"


def test_what_differs_in_the_middle_is_shown() -> None:
    short = shortened(SENSITIVITY, 28)
    assert len(set(short.values())) == len(SENSITIVITY)
    assert short[SENSITIVITY[1]] == "genera…secondary_care…riates"
    assert shortened(SENSITIVITY, 45)[SENSITIVITY[3]] == "generate_study_popula…ons_with_all_covariates"
    assert all(text.startswith("genera") and text.endswith("riates") for text in short.values())


def test_all_names_stay_distinct_and_fit() -> None:
    choice = Random(5)
    for limit in (18, 19, 28, 42):
        names = {"".join(choice.choice("ab_") for _ in range(choice.randint(1, 80))) for _ in range(150)}
        names |= {"a" * length for length in range(1, 90)}
        names |= {f"{'x' * 40}{number}{'y' * 40}{number % 3}{'z' * 40}" for number in range(30)}
        short = shortened(sorted(names), limit)
        assert len(set(short.values())) == len(names)
        assert max(map(len, short.values())) <= limit


def test_two_lines_break_at_a_sign_and_lose_nothing() -> None:
    for length in range(1, two_lines(28) + 1):
        text = "abc_defgh_" * 5
        parts = lines(text[:length], 28)
        assert "".join(parts) == text[:length]
        assert all(len(part) <= 28 for part in parts)
    assert lines("generate_study_population_2019_to", 28) == ("generate_study_population_", "2019_to")
