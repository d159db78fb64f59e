"""The ranker: what it takes from others, what it says, and when the blend answers instead."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

import models.base as base_module
import models.ranker as ranker_module
import models.ranking.sources as sources_module
import models.ranking.windows as windows_module
from models.arrays import DAY_S
from models.blend import Blend, BlendOptions
from models.due import Due
from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.history.promotions import Promotions
from models.ranker import Discovery, Ranker, RankerOptions
from models.ranking.calibration import UNCHANGED
from models.ranking.ensembles import Ensembles
from models.ranking.lessons import Lessons
from models.ranking.sources import Candidates
from models.ranking.windows import Window
from models.registry import build
from models.season import Season
from tests.data.rankers import COUNTED, EVERYONE, OPTIONS, discovery, ranker
from tests.data.scores import told
from tests.data.shops import gift_shop, market


@cache
def short_blend() -> Blend:
    given = BlendOptions(
        popular_weight=0.4, item_item_weight=0.0, als_weight=0.0, affinity_weight=0.0, content_weight=0.0
    )
    return Blend(given, ranker().sources_).fit(market().interactions())


def owned() -> np.ndarray:
    return market().interactions().matrix().toarray() > 0


def test_it_learns_from_the_last_weeks_and_says_what_each_feature_brought() -> None:
    model = ranker()
    now = market().as_of_s
    assert model.why_not_ == ""
    assert [(now - start) / 86_400 for start in model.windows_] == [7, 14, 21, 28]
    assert sum(model.gains_.values()) == pytest.approx(1, abs=1e-3)
    assert "score: due" in model.gains_
    assert list(model.sources_) == ["popular", "trend", "repeat", "due"]


def test_scores_and_probabilities_are_of_the_same_pairs() -> None:
    scores, probability = told(ranker(), EVERYONE)
    assert scores.dtype == probability.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(scores), np.isnan(probability))
    known = probability[~np.isnan(probability)]
    assert (known > 0).all()
    assert (known < 1).all()
    assert np.isfinite(scores[owned()]).all()  # 150 own candidates are more than anyone has


def test_probabilities_follow_the_week_that_comes() -> None:
    """Fitted as of a week ago: what it told of that week's purchases, all candidates together."""
    shop, week = market(), 7 * 86_400
    model = Ranker(OPTIONS).fit(shop.interactions(shop.as_of_s - week))
    _, probability = told(model, EVERYONE)
    bought = shop.interactions().between(shop.as_of_s - week, shop.as_of_s).matrix().toarray() > 0
    is_told = ~np.isnan(probability)
    assert probability[is_told].sum() == pytest.approx(bought[is_told].sum(), rel=0.2)
    likely = is_told & (np.nan_to_num(probability) > 0.3)
    assert bought[likely].mean() > 2 * bought[is_told].mean()


def test_repeated_and_unsorted_customers_are_told_as_alone() -> None:
    rows = np.array([9, 3, 150, 3, 9, 0], np.int32)
    scores = ranker().score(rows)
    for place, row in enumerate(rows):
        alone = told(ranker(), np.array([row], np.int32))
        np.testing.assert_array_equal(scores[place], alone[0][0])


def test_judged_comes_in_blocks_of_the_same_pairs_as_opinions() -> None:
    scores, probability = told(ranker(), EVERYONE)
    n_pairs = 0
    for part in ranker().judged(EVERYONE):
        at = part.found.customer_row, part.found.product_row
        np.testing.assert_array_equal(scores[at], part.order)
        np.testing.assert_array_equal(probability[at], part.probability)
        n_pairs += len(part.found)
    assert n_pairs == np.isfinite(scores).sum()


@pytest.mark.parametrize("model", [ranker, discovery])
def test_of_how_many_pairs_trees_are_asked_at_once_changes_nothing(
    model: Callable[[], Ranker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen customers a block: all ten blocks, three or one of them at once."""
    monkeypatch.setattr(sources_module, "MOST_ROWS", 16)
    judged, asked = Ensembles.judged, []

    def listening(ensembles: Ensembles, found: Candidates, *others: Any) -> Any:
        asked.append(len(np.unique(found.rows)))
        return judged(ensembles, found, *others)

    monkeypatch.setattr(Ensembles, "judged", listening)
    at_once = list(model().judged(EVERYONE))
    assert (len(at_once), max(asked)) == (10, 128)
    for n_blocks in (1, 3):
        asked.clear()
        monkeypatch.setattr(ranker_module, "TOGETHER", 16 * n_blocks)
        in_parts = list(model().judged(EVERYONE))
        assert (len(in_parts), max(asked)) == (10, 16 * n_blocks)
        for part, alone in zip(at_once, in_parts, strict=True):
            for name in ("rows", "customer_row", "product_row"):
                np.testing.assert_array_equal(getattr(part.found, name), getattr(alone.found, name))
            np.testing.assert_array_equal(part.order, alone.order)
            np.testing.assert_array_equal(part.probability, alone.probability)


def test_a_large_catalogue_cuts_no_blocks_of_a_ranker_which_looks_at_few_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = [part.found.rows.tolist() for part in ranker().judged(EVERYONE)]
    monkeypatch.setattr(base_module, "BLOCK_CELLS", 1)
    assert [part.rows.tolist() for part in ranker().opinions(EVERYONE)] == blocks


def test_what_rose_a_year_ago_leads_the_list_of_everyone_who_may_get_it() -> None:
    """Half a year of history tells nothing of that, so it is told here."""
    without = tuple(name for name in OPTIONS.without if name != "season")
    seasonal = Ranker(replace(OPTIONS, without=without), ranker().sources_).fit(market().interactions())
    season = seasonal.sources_["season"]
    assert isinstance(season, Season)
    assert not season.rise_.any()
    before = list(seasonal.judged(EVERYONE))
    rising = int(before[0].found.product_row[~before[0].found.is_own][0])
    season.rise_ = np.where(np.arange(seasonal.n_products_) == rising, 50, 0).astype(np.float32)
    for part, other in zip(seasonal.judged(EVERYONE), before, strict=True):
        is_rising = part.found.product_row == rising
        np.testing.assert_array_equal(part.probability[~is_rising], other.probability[~is_rising])
        assert (part.probability[is_rising] > 0.999).all()
        for place in np.flatnonzero(is_rising):
            mine = part.found.customer_row == part.found.customer_row[place]
            assert part.order[place] == part.order[mine].max() > other.order[mine].max()


def test_a_saved_ranker_keeps_options_and_says_the_same_to_the_bit() -> None:
    again = Ranker.from_state(ranker().state())
    assert again.options_ == ranker().options_
    assert again.options_.without == OPTIONS.without
    assert (again.windows_, again.gains_, again.why_not_) == (ranker().windows_, ranker().gains_, "")
    for one, other in zip(told(again, EVERYONE), told(ranker(), EVERYONE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_put_forward_is_learned_from_and_kept() -> None:
    """Here each week's promotions are of what sold most in it, so they tell much."""
    shop, week_s = market().interactions(), 7 * DAY_S
    starts = [shop.as_of_s - number * week_s for number in range(1, 12)]
    best = [np.argsort(-shop.between(s, s + week_s).matrix().sum(axis=0))[:30] for s in starts]
    starts_s = np.repeat(starts, 30).astype(np.int64)
    row = np.concatenate(best).astype(np.int32)
    promotions = Promotions(row, starts_s, starts_s + week_s, np.ones(len(row), np.float32))
    catalogue = replace(shop.catalogue, promotions=promotions)
    model = Ranker(OPTIONS).fit(replace(shop, catalogue=catalogue))
    assert model.gains_["product: promoted_now"] > 10 * ranker().gains_["product: promoted_now"] == 0
    for one, other in zip(
        told(Ranker.from_state(model.state()), EVERYONE), told(model, EVERYONE), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_horizon_that_brings_more_makes_everything_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The market's twelve weeks tell nothing of that, so it is told here, of the coming week alone."""
    asked: list[list[int]] = []

    def rising(history: Interactions, starts_s: list[int], horizon_days: float) -> np.ndarray:
        asked.append(starts_s)
        return np.array([*np.zeros(len(starts_s) - 1), 0.7])

    monkeypatch.setattr(ranker_module, "levels", rising)
    model = Ranker(OPTIONS, ranker().sources_).fit(market().interactions())
    assert asked == [[*model.windows_, market().as_of_s]]
    scores, probability = told(model, EVERYONE)
    before, probability_before = told(ranker(), EVERYONE)
    np.testing.assert_array_equal(scores, before)
    moved = (logit(probability) - logit(probability_before))[np.isfinite(before)]
    np.testing.assert_allclose(moved, 0.7, rtol=0.01)
    np.testing.assert_array_equal(told(Ranker.from_state(model.state()), EVERYONE), (scores, probability))


def test_a_state_has_no_array_of_a_source_that_was_left_out() -> None:
    state = ranker().state()
    assert not [name for name in state.arrays if name.startswith(("als_", "ease_", "neighbours_"))]
    assert "due_probability" in state.arrays
    assert "als" not in state.facts


def test_discovery_lists_no_own_product() -> None:
    scores, probability = told(discovery(), EVERYONE)
    assert np.isnan(scores[owned()]).all()
    assert np.isnan(probability[owned()]).all()
    assert np.isfinite(scores).any(axis=1).all()


def test_discovery_learns_from_new_products_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    learned_from: list[Window] = []

    def noted(windows: list[Window], *others: Any) -> Lessons:
        learned_from.extend(windows)
        return Lessons(windows, *others)

    sources = ranker().sources_
    monkeypatch.setattr(ranker_module, "Lessons", noted)
    Discovery(OPTIONS, sources).fit(market().interactions())
    assert len(learned_from) == 4
    assert not any(each.is_own.any() for each in learned_from)


def test_discovery_has_nothing_to_say_to_one_who_has_all_there_is() -> None:
    options = replace(COUNTED, without=(*OPTIONS.without, "popular", "trend"))
    model = Ranker(options).fit(market().interactions())
    assert model.why_not_ == ""
    scores, _ = told(model, np.array([150], np.int32))  # own products alone, of which this one has none
    assert np.isnan(scores).all()


@pytest.mark.parametrize("kind", [Ranker, Discovery])
def test_with_little_history_the_blend_answers_and_it_says_why(kind: type[Ranker]) -> None:
    shop = gift_shop()
    model = kind(OPTIONS).fit(shop.interactions())
    assert "past windows in which 20 customers or more came again, with" in model.why_not_
    assert "a ranker takes at least 2 windows, 200 customers and 500 purchases" in model.why_not_
    assert model.gains_ == {}
    assert model.options_.calibration == UNCHANGED
    rows = np.arange(shop.n_customers, dtype=np.int32)
    (told_of_all,) = model.opinions(rows)
    assert told_of_all.probability is None
    scores = told_of_all.scores
    again = kind.from_state(model.state())
    assert again.why_not_ == model.why_not_
    np.testing.assert_array_equal(again.score(rows), scores)


def test_the_fallback_s_scores_are_the_blend_s_and_discovery_s_those_of_new_products() -> None:
    history = gift_shop().interactions()
    rows = np.arange(history.n_customers, dtype=np.int32)
    blend = Blend().fit(history)
    whole = Ranker(OPTIONS, {"blend": blend}).fit(history).score(rows)
    np.testing.assert_array_equal(whole, blend.score(rows))
    new = Discovery(OPTIONS, {"blend": blend}).fit(history).score(rows)
    own = history.matrix().toarray() > 0
    np.testing.assert_array_equal(new, np.where(own, np.nan, whole))


@pytest.mark.parametrize(
    ("name", "value"), [("MIN_WINDOWS", 5), ("MIN_CUSTOMERS", 10_000), ("MIN_BOUGHT", 10**6)]
)
def test_each_of_the_three_counts_can_be_too_small(
    name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = {**ranker().sources_, "blend": short_blend()}  # fitted once for all tests: before the change
    monkeypatch.setattr(windows_module, name, value)
    assert str(value) in Ranker(COUNTED, fitted).fit(market().interactions()).why_not_


def test_fitting_again_forgets_what_was_learned_before() -> None:
    """Both shops have windows of the same days, and the options leave nothing to learn."""
    model = Ranker(OPTIONS).fit(market().interactions())
    model.score(EVERYONE[:3])
    model.fit(gift_shop().interactions())
    assert model.why_not_ != ""
    assert model.score(EVERYONE[:3]).shape == (3, 40)
    model.fit(market().interactions())
    np.testing.assert_array_equal(model.score(EVERYONE), ranker().score(EVERYONE))


def test_sources_of_others_are_taken_as_they_are() -> None:
    history = market().interactions()
    due = Due(OPTIONS.due).fit(history)
    model = Ranker(OPTIONS, {"due": due}).fit(history)
    assert model.sources_["due"] is due
    assert model.options_.due == due.options_
    np.testing.assert_array_equal(model.score(EVERYONE), ranker().score(EVERYONE))


def test_an_unknown_source_to_leave_out_is_refused() -> None:
    with pytest.raises(BadConfigError, match="'als2' is no source; there are: popular, trend"):
        RankerOptions(without=("als2",))
    with pytest.raises(BadConfigError, match="is no source"):
        build("ranker", {"without": ["bpr"]})


@pytest.mark.parametrize("line", [(), (1.0,), (0.0, 1.0, 2.0)])
def test_a_calibration_that_is_no_shift_and_slope_is_refused(line: tuple[float, ...]) -> None:
    with pytest.raises(BadConfigError, match="not a shift, a slope and two bends"):
        RankerOptions(calibration=line)


def test_a_given_calibration_moves_probabilities_and_no_order() -> None:
    moved = Ranker(replace(OPTIONS, calibration=(-1.0, 1.0, 0.0, 0.0)), ranker().sources_).fit(
        market().interactions()
    )
    scores, probability = told(moved, EVERYONE)
    usual, before = told(ranker(), EVERYONE)
    np.testing.assert_array_equal(scores, usual)
    known = ~np.isnan(before)
    odds, odds_before = (p[known] / (1 - p[known]) for p in (probability, before))
    np.testing.assert_allclose(odds, odds_before * np.exp(-1), rtol=1e-2)


def test_calibration_is_learned_where_none_is_given() -> None:
    model = Ranker(replace(OPTIONS, calibration=None), ranker().sources_).fit(market().interactions())
    assert model.options_.calibration is not None
    assert len(model.options_.calibration) == 4
    two = Ranker(replace(COUNTED, calibration=None, n_folds=2), ranker().sources_).fit(
        market().interactions()
    )
    assert two.options_.calibration == UNCHANGED  # two windows are too few to tell
