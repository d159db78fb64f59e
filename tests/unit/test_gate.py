"""Each way through the gate, with figures that leave no doubt which way it must go."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from training.gate import GateDecision, GateOptions, Sanity, decide

OPTIONS = GateOptions()
NOW = datetime(2017, 12, 1, tzinfo=UTC)
SIZES = {"customers": 1000, "products": 500, "purchases": 20_000, "described": 400}
SAME_SIZE = Sanity(NOW, SIZES, 0.2, champion_sizes=SIZES)
FIRST = Sanity(NOW, SIZES, 0.2)
HABIT = np.random.default_rng(1).random(400) * 0.6


def through(
    challenger: np.ndarray,
    champion: np.ndarray | None,
    popular: np.ndarray,
    *,
    same_recipe: bool = False,
    sanity: Sanity = SAME_SIZE,
    options: GateOptions = OPTIONS,
) -> GateDecision:
    return decide(
        challenger, champion, popular, same_recipe=same_recipe, sanity=sanity, horizon_days=7, options=options
    )


def test_a_better_recipe_is_published_and_the_sentence_has_its_figures() -> None:
    verdict = through(HABIT + 0.05, HABIT, HABIT / 2)
    assert verdict.decision == "published"
    assert verdict.why == (
        f"Recipe changed: NDCG@10 {HABIT.mean() + 0.05:.4f} against {HABIT.mean():.4f} of the champion on "
        f"400 customers, difference +0.0500 (95 % interval +0.0500 to +0.0500), lower bound not below the "
        f"allowed {-0.05 * HABIT.mean():+.4f}."
    )
    assert verdict.figures["champion_ndcg"] == pytest.approx(HABIT.mean())
    assert verdict.figures["difference"] == pytest.approx(0.05)


def test_the_very_same_lists_are_published() -> None:
    assert through(HABIT, HABIT, HABIT / 2).decision == "published"


def test_a_recipe_that_misses_everything_is_refused_even_against_zeros_with_no_margin() -> None:
    zeros = np.zeros(400)
    assert through(zeros, zeros, zeros, options=GateOptions(margin=0)).decision == "published"
    assert through(zeros, HABIT, zeros).decision == "refused"


def test_a_worse_recipe_is_refused() -> None:
    verdict = through(HABIT * 0.9, HABIT, HABIT / 2)
    assert verdict.decision == "refused"
    assert "lower bound below the allowed" in verdict.why


def test_the_margin_decides_and_not_the_mean_alone() -> None:
    # Exactly 2 % worse for everybody, so the interval is about the mean difference of -2 %.
    assert through(HABIT * 0.98, HABIT, HABIT / 2, options=GateOptions(margin=0.05)).decision == "published"
    assert through(HABIT * 0.98, HABIT, HABIT / 2, options=GateOptions(margin=0.01)).decision == "refused"


def test_a_recipe_that_may_be_much_worse_is_refused_though_its_mean_is_not() -> None:
    few = HABIT[:40]
    shaken = few[np.random.default_rng(2).permutation(40)]  # the same mean, but nothing is certain
    assert through(shaken, few, few / 2).decision == "refused"


def test_the_first_night_must_not_be_worse_than_popular() -> None:
    good = through(HABIT, None, HABIT, sanity=FIRST)
    bad = through(HABIT * 0.8, None, HABIT, sanity=FIRST)
    assert (good.decision, bad.decision) == ("published", "refused")
    assert good.why.startswith("First night: ")
    assert "of popular on 400 customers" in bad.why


@pytest.mark.parametrize(("is_first", "same_recipe"), [(True, False), (False, True), (False, False)])
def test_where_only_older_lists_or_none_would_answer_a_small_shop_need_not_prove_what_it_cannot(
    is_first: bool, same_recipe: bool
) -> None:
    few = HABIT[:40]
    shaken = few[np.random.default_rng(2).permutation(40)]  # no worse on average, but nothing is certain
    other = Sanity(NOW, SIZES, 0.2, champion_sizes=SIZES)
    verdict = through(shaken, None, few, same_recipe=same_recipe, sanity=FIRST if is_first else other)
    assert verdict.decision == ("published" if is_first or same_recipe else "refused")


def test_an_unchanged_recipe_is_not_compared_with_the_champion() -> None:
    verdict = through(HABIT, HABIT * 2, HABIT / 2, same_recipe=True)
    assert verdict.decision == "published"
    assert verdict.why.startswith("Recipe unchanged: ")


def test_an_unchanged_recipe_worse_than_popular_is_refused() -> None:
    assert through(HABIT / 2, None, HABIT, same_recipe=True).decision == "refused"


@pytest.mark.parametrize(
    ("name", "n", "what"),
    [
        ("customers", 799, "customers"),
        ("products", 399, "products"),
        ("purchases", 15_999, "purchases"),
        ("described", 319, "products with a title, category or brand"),
    ],
)
def test_a_history_that_has_shrunk_is_refused_before_anything_else(name: str, n: int, what: str) -> None:
    shrunk = Sanity(NOW, SIZES | {name: n}, 0.2, champion_sizes=SIZES)
    for same_recipe in (True, False):
        verdict = through(HABIT + 0.1, HABIT, HABIT / 2, same_recipe=same_recipe, sanity=shrunk)
        assert verdict.decision == "refused"
        assert verdict.why.startswith(f"The history has {n} {what}, 20% fewer than the champion's")
        assert verdict.figures[name] == n


def test_a_history_shrunk_by_just_the_allowed_share_passes() -> None:
    edge = Sanity(NOW, {name: n * 8 // 10 for name, n in SIZES.items()}, 0.2, champion_sizes=SIZES)
    assert through(HABIT, HABIT, HABIT / 2, sanity=edge).decision == "published"


def test_a_size_that_was_not_counted_when_the_champion_was_published_is_not_compared() -> None:
    before = {name: n for name, n in SIZES.items() if name != "described"}
    unknown = Sanity(NOW, SIZES | {"described": 0}, 0.2, champion_sizes=before)
    assert through(HABIT, HABIT, HABIT / 2, sanity=unknown).decision == "published"


def test_an_unchanged_recipe_whose_recorded_figure_dropped_is_refused() -> None:
    mean = float(HABIT.mean())
    fell = replace(SAME_SIZE, champion_ndcg=mean * 1.6)
    verdict = through(HABIT, None, HABIT / 2, same_recipe=True, sanity=fell)
    assert verdict.decision == "refused"
    assert "NDCG@10" in verdict.why
    assert "38% below" in verdict.why
    held = replace(SAME_SIZE, champion_ndcg=mean * 1.3)
    assert through(HABIT, None, HABIT / 2, same_recipe=True, sanity=held).decision == "published"


def test_a_drop_that_has_lasted_for_a_horizon_is_how_the_shop_is_now() -> None:
    """As in December: else the lists of November would stay until somebody forced a night."""
    fell = replace(SAME_SIZE, coverage=0.05, champion_coverage=0.2, champion_ndcg=float(HABIT.mean()) * 1.6)
    for days, decision in ((0, "refused"), (8, "refused"), (9, "published")):
        since = replace(fell, champion_last_purchase=NOW - timedelta(days=days))
        assert through(HABIT, None, HABIT / 2, same_recipe=True, sanity=since).decision == decision
    worse = replace(fell, champion_last_purchase=NOW - timedelta(days=9))
    assert through(HABIT / 2, None, HABIT, same_recipe=True, sanity=worse).decision == "refused"


def test_a_drop_that_may_be_chance_is_no_sign_of_a_broken_history() -> None:
    """Of few customers some weeks are far below others, and one that happened to be good was recorded."""
    hits = np.tile([1.0, 0.0, 0.0], 200)
    before = replace(SAME_SIZE, champion_ndcg=hits.mean() * 1.6)
    for n, decision in ((36, "published"), (600, "refused")):
        verdict = through(hits[:n], None, hits[:n] / 2, same_recipe=True, sanity=before)
        assert verdict.decision == decision


def test_an_unchanged_recipe_whose_coverage_dropped_is_refused_but_a_changed_one_is_not() -> None:
    narrow = replace(SAME_SIZE, coverage=0.05, champion_coverage=0.2)
    verdict = through(HABIT, HABIT, HABIT / 2, same_recipe=True, sanity=narrow)
    assert verdict.decision == "refused"
    assert "coverage 0.0500 is 75% below" in verdict.why
    assert through(HABIT, HABIT, HABIT / 2, sanity=narrow).decision == "published"


def test_coverage_of_fewer_customers_is_held_against_what_as_many_of_the_champions_had_at_least() -> None:
    """Of 1,600 customers' lists .4 was covered, so a quarter of them covered .1 at least."""
    before = replace(SAME_SIZE, champion_coverage=0.4, champion_judged=1600)
    for coverage, decision in ((0.11, "published"), (0.071, "published"), (0.069, "refused")):
        verdict = through(HABIT, None, HABIT / 2, same_recipe=True, sanity=replace(before, coverage=coverage))
        assert verdict.decision == decision
    assert "below the 0.1000 recorded for the champion (of 400 of the 1600 customers)" in verdict.why
    more = replace(SAME_SIZE, coverage=0.2, champion_coverage=0.3, champion_judged=100)
    assert "below the 0.3000 recorded" in through(HABIT, None, HABIT, same_recipe=True, sanity=more).why


def test_too_few_customers_are_published_on_sizes_alone() -> None:
    verdict = through(np.zeros(29), np.ones(29), np.ones(29))
    assert verdict.decision == "published"
    assert verdict.why.startswith(
        "Of those who had bought before the horizon 29 bought in it, and it takes 30"
    )
    assert through(np.zeros(30), np.ones(30), np.ones(30)).decision == "refused"


def test_nobody_at_all_to_judge_by_is_no_error() -> None:
    empty = np.empty(0)
    assert through(empty, None, empty, sanity=FIRST).decision == "published"


def test_with_nobody_to_judge_by_the_champion_stays() -> None:
    empty = np.empty(0)
    for same_recipe in (True, False):
        verdict = through(empty, empty, empty, same_recipe=same_recipe)
        assert verdict.decision == "refused"
        assert verdict.why.startswith("Nobody who had bought before the horizon bought in it")


def test_against_a_recipe_that_cannot_be_made_again_popular_is_the_measure_and_the_sentence_says_so() -> None:
    good, bad = through(HABIT, None, HABIT), through(HABIT * 0.8, None, HABIT)
    assert (good.decision, bad.decision) == ("published", "refused")
    assert good.why.startswith("The champion's recipe can't be made again: NDCG@10 ")
    assert "of popular on 400 customers" in good.why


def test_same_figures_same_decision() -> None:
    assert through(HABIT * 0.99, HABIT, HABIT / 2) == through(HABIT * 0.99, HABIT, HABIT / 2)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError):
        GateOptions.model_validate({"margn": 0.1})


@pytest.mark.parametrize(
    ("name", "least", "most", "beyond"),
    [
        ("margin", 0, 0.99, 1),
        ("min_customers", 2, 10**6, None),
        ("max_shrink", 0, 1, 1.01),
        ("max_drop", 0, 1, 1.01),
        ("resamples", 100, 10**6, None),
    ],
)
def test_options_have_bounds(name: str, least: float, most: float, beyond: float | None) -> None:
    for allowed in (least, most):
        assert getattr(GateOptions.model_validate({name: allowed}), name) == allowed
    for refused in (least - 1, beyond):
        if refused is not None:
            with pytest.raises(ValidationError):
                GateOptions.model_validate({name: refused})


def test_the_next_night_is_left_what_it_compares_with() -> None:
    for same_recipe in (True, False):
        figures = through(HABIT, HABIT, HABIT / 2, same_recipe=same_recipe).figures
        left = [figures[name] for name in ("challenger_ndcg", "popular_ndcg", "coverage", "customers_judged")]
        assert left == pytest.approx([HABIT.mean(), HABIT.mean() / 2, 0.2, 400])
        assert figures.items() >= SIZES.items()


def test_a_history_that_ends_before_the_champions_is_refused_and_the_same_one_is_not() -> None:
    same = replace(SAME_SIZE, champion_last_purchase=NOW)
    older = replace(SAME_SIZE, champion_last_purchase=NOW + timedelta(minutes=1))
    assert through(HABIT, HABIT, HABIT / 2, sanity=same).decision == "published"
    verdict = through(HABIT, HABIT, HABIT / 2, sanity=older)
    assert verdict.decision == "refused"
    assert verdict.why.startswith(
        "The last purchase is of 2017-12-01 00:00 UTC, before the champion's, which is of 2017-12-01 00:01"
    )
