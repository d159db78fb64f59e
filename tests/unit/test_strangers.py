"""What a list for a stranger is made of, by hand; and what each source counts, learned in made-up shops."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from models.arrays import IntArray
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.numerics.by_group import ByGroup
from models.numerics.fold_in import taste_matrix
from models.strangers import Counts, Proposers, by_places, goes_with
from models.taste import Taste
from tests.data.scores import history_of
from training import strangers
from training.fitting import fit_variants
from training.strangers import _Stranger, learned_counts

NONE = np.array([], np.int32)
N_COLOURS, OF_A_COLOUR, N_CUSTOMERS = 5, 8, 60


def rows(*products: int) -> IntArray:
    return np.array(products, np.int32)


def test_a_product_counts_by_its_place_in_each_list() -> None:
    products, sums = by_places([(rows(7, 3), 1.0), (rows(3), 0.5), (rows(9), 0.0), (NONE, 1.0)], 2.0)
    assert products.tolist() == [3, 7]  # what counts nothing isn't there
    np.testing.assert_allclose(sums, [1 / 3 + 0.5 / 2, 1 / 2])
    assert [len(part) for part in by_places([], 2.0)] == [0, 0]


def test_similarities_to_several_products_add_up_and_the_one_that_adds_most_is_named() -> None:
    similar = np.array([[1, 2], [2, -1], [-1, -1]], np.int32)
    similarity = np.array([[0.5, 0.25], [0.75, 0], [0, 0]], np.float32)
    products, anchors = goes_with(similar, similarity, rows(0, 1))
    assert (products.tolist(), anchors.tolist()) == ([2, 1], [1, 0])
    assert [len(part) for part in goes_with(similar, similarity, rows(2))] == [0, 0]
    by_rule = goes_with(similar, similarity, rows(0, 1), np.array([1, 3, 1], np.float32))
    assert [part.tolist() for part in by_rule] == [[1, 2], [0, 1]]  # .5 times 3 is before .25 + .75


def test_each_source_proposes_under_its_name() -> None:
    category_row = rows(0, 0, 1, -1)
    proposers = Proposers(
        alike=np.array([[3, 2], [2, -1], [-1, -1], [-1, -1]], np.int32),
        trends=ByGroup.of(rows(2, 1, 0), category_row, 2),
        category_row=category_row.tolist(),
        taste=None,
        popular=rows(2, 1, 0),
    )
    told = [(name, found.tolist()) for name, found in proposers.proposals(rows(3), [0, 1, 3], [1, 1, 1])]
    # 2 is alike at places 1 and 0, 3 at 0; product 3 has no category
    assert told == [("similar", [3]), ("alike", [2, 3]), ("trend", [1, 0]), ("popular", [2, 1, 0])]


def test_a_taste_proposes_what_fits_to_the_purchases() -> None:
    factors = np.array([[1, 0], [0, 1], [-1, 0], [2, 0]], np.float32)
    proposers = Proposers(
        alike=np.full((4, 1), -1, np.int32),
        trends=ByGroup.of(rows(0), rows(-1, -1, -1, -1), 0),
        category_row=[-1] * 4,
        taste=Taste(np.arange(4, dtype=np.int32), factors, factors, taste_matrix(factors, 0.1)),
        popular=NONE,
    )
    told = {name: found.tolist() for name, found in proposers.proposals(NONE, [0], [1])}
    assert told == {"similar": [], "alike": [], "taste": [3, 0], "popular": []}


def test_a_taste_has_so_many_at_most_the_best_and_none_by_factors_that_are_no_numbers() -> None:
    factors = np.array([[1, 0], [0, 1], [-1, 0], [2, 0], [3, 0], [np.inf, 0]], np.float32)
    taste = Taste(rows(0, 1, 2, 3, 4), factors[:5], factors, taste_matrix(factors[:5], 0.1))
    assert [taste.nearest([0], [1], most).tolist() for most in (0, 1, 2, 9)] == [[], [4], [4, 3], [4, 3, 0]]
    assert taste.nearest([0, 5], [1, 1], 9).tolist() == []


def coloured(follow: Callable[[int, int, int], int]) -> tuple[Interactions, Interactions]:
    """A shop where each product has a colour in its title, and each customer bought one before day 100.

    Args:
        follow: the customer's n-th purchase after it: of the customer, the colour of the first one, and n.
    Returns:
        what was known on day 100, and what was bought in the week from then.
    """
    before = [(c, c % (N_COLOURS * OF_A_COLOUR), 90 + c % 9, c) for c in range(N_CUSTOMERS)]
    after = [
        (c, follow(c, first % N_COLOURS, n), 101 + n, N_CUSTOMERS + 3 * c + n)
        for c, first, *_ in before
        for n in range(3)
    ]
    n_products = N_COLOURS * OF_A_COLOUR
    whole = history_of(before + after, n_customers=N_CUSTOMERS, n_products=n_products, as_of_day=107)
    words = np.zeros((n_products, N_COLOURS), np.float32)
    words[np.arange(n_products), np.arange(n_products) % N_COLOURS] = 1
    catalogue = Catalogue.of(np.zeros(n_products, np.int32), words=sparse.csr_array(words))
    whole = replace(whole, catalogue=catalogue)
    return whole.before(100 * 86_400), whole.between(100 * 86_400, 107 * 86_400)


def joined(*parts: Interactions) -> Interactions:
    """The lines of all, whose orders are each part's own."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("customer_row", "product_row", "at_s")
    }
    orders = [part.order_row + 10_000 * number for number, part in enumerate(parts)]
    return Interactions.build(
        columns["customer_row"],
        columns["product_row"],
        np.concatenate(orders).astype(np.int32),
        columns["at_s"],
        catalogue=parts[0].catalogue,
        as_of_s=parts[0].as_of_s,
        n_customers=int(columns["customer_row"].max()) + 1,
    )


def learned(past: Interactions, bought: Interactions) -> Counts:
    variants: dict[str, dict[str, object]] = {"popular": {}, "item_item": {}, "content": {}}
    models, _ = fit_variants(past, variants, horizon_days=7)
    return learned_counts(models, past, bought, 2.0)


def test_where_customers_keep_to_a_colour_what_is_alike_counts_more_than_the_trend() -> None:
    counts = learned(
        *coloured(lambda customer, colour, n: colour + N_COLOURS * ((customer + n) % OF_A_COLOUR))
    )
    assert counts.alike > 2 * Counts().alike * counts.trend / Counts().trend


def test_of_many_customers_some_are_learned_from_by_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = coloured(lambda customer, colour, n: colour + N_COLOURS * ((customer + n) % OF_A_COLOUR))
    of_all = learned(*shop)
    monkeypatch.setattr(strangers, "MOST_CUSTOMERS", 20)  # just enough
    assert learned(*shop) == of_all != Counts()  # each order is still held to its own customer's next ones
    monkeypatch.setattr(strangers, "MOST_CUSTOMERS", 19)
    assert learned(*shop) == Counts()


def of_two(*, first_is_bought: bool) -> _Stranger:
    """Of two products the first is alike, and the second similar: that one is ahead by the usual counts."""
    places = np.zeros((len(Counts._fields), 2))
    places[0, 1], places[1, 0] = 1.2, 1.0
    return _Stranger(places, np.array([first_is_bought, not first_is_bought]), 1)


def test_a_short_list_is_judged_by_what_it_has_and_what_counts_nothing_is_not_in_it() -> None:
    assert of_two(first_is_bought=False).ndcg(Counts()) == 1
    assert of_two(first_is_bought=True).ndcg(Counts()) == pytest.approx(1 / np.log2(3))
    assert of_two(first_is_bought=True).ndcg(Counts(alike=0)) == 0


@pytest.mark.parametrize(("n", "alike"), [(12, 0.5), (18, 1.0)])
def test_counts_stay_unless_customers_gain_more_than_a_standard_error(
    monkeypatch: pytest.MonkeyPatch, n: int, alike: float
) -> None:
    """As many as n of 22 gain .37 where what is alike counts more, and the others lose as much."""

    def made(*given: object) -> list[_Stranger]:
        assert given[-2:] == (2.0, 7.0)  # what places begin with, and the days between both
        return [of_two(first_is_bought=number < n) for number in range(22)]

    monkeypatch.setattr(strangers, "_strangers", made)
    past, bought = coloured(lambda customer, colour, n: n * 7)
    assert learned_counts({}, past, bought, 2.0) == Counts(alike=alike)


def test_where_colours_tell_nothing_what_is_alike_counts_less() -> None:
    counts = learned(*coloured(lambda customer, colour, n: n * 7))
    assert counts.alike / sum(counts) < Counts().alike / sum(Counts())
    assert counts.similar == Counts().similar  # nothing is similar: nothing to learn


def test_where_all_want_the_same_few_what_is_popular_counts_more() -> None:
    """Others than those who are learned from bought them, beside nothing else: nothing is similar to them."""
    past, bought = coloured(lambda customer, colour, n: n * 7)
    n_others = 30
    others = replace(
        past.only(past.customer_row < n_others),
        customer_row=np.arange(N_CUSTOMERS, N_CUSTOMERS + n_others, dtype=np.int32),
        product_row=np.arange(n_others, dtype=np.int32) % 3 * 7,
    )
    counts = learned(joined(past, others), replace(bought, n_customers=N_CUSTOMERS + n_others))
    assert counts.popular > Counts().popular


@pytest.mark.parametrize("n", [0, 19])
def test_few_customers_teach_nothing(n: int) -> None:
    past, bought = coloured(lambda customer, colour, n: n * 7)
    assert learned(past, bought.only(bought.customer_row < n)) == Counts()


def test_the_order_that_is_taken_for_all_that_is_known_is_the_latest() -> None:
    """The older order is of another colour than all that follows, and would teach that nothing is alike."""
    past, bought = coloured(lambda customer, colour, n: colour + N_COLOURS * ((customer + n) % OF_A_COLOUR))
    older = replace(past, product_row=(past.product_row + 1) % past.n_products, at_s=past.at_s - 86_400 * 30)
    counts = learned(joined(past, older), bought)
    assert counts.alike > Counts().alike or counts.trend < Counts().trend
