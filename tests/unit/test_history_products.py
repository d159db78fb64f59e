"""What read_history knows of products: from the shop's table, from purchase lines, and if never sold."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.history.catalogue import EVER, Catalogue
from storage.versions.order_keys import order_key
from storage.versions.strings import order_of
from tests.data.exports import HEADER, read, write
from training.history.facts import history_counts


def test_interactions_have_one_entry_for_an_order_and_product_and_the_category_of_each_product(
    tmp_path: Path,
) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01 10:00\na,p,2020-01-01 11:00\na,q,2020-01-01\n")
    write(tmp_path, "product_id,category\np,Tea\nunsold,Coffee\n", "products.csv")
    history = read(tmp_path)
    assert history.categories == ["Coffee", "Tea"]
    interactions = history.interactions()
    assert len(interactions) == 2
    known = dict(zip(history.products["product_id"], interactions.catalogue.category_row, strict=True))
    assert known == {"p": 1, "q": -1, "unsold": 0}
    assert interactions.as_of_s == int(history.as_of.timestamp())


def test_a_catalogue_is_joined_and_what_it_lacks_comes_from_the_purchase_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        "customer_id,product_id,purchased_at,title,price\na,p,2020-01-01,Sold as P,3\na,q,2020-01-01,Q,4\n",
    )
    write(tmp_path, "product_id,title,stock,margin,url\np,P,-3,-0.5,/p\np,P again,7,,\n", "products.csv")
    history = read(tmp_path)
    rows = {row["product_id"]: row for row in history.products.iter_rows(named=True)}
    assert (
        rows["p"] | {"title": "P again", "stock": 7, "price": 3.0, "margin": None, "url": None} == rows["p"]
    )
    assert rows["q"] | {"title": "Q", "stock": None, "price": 4.0} == rows["q"]
    assert history.counts["products"].left_out == {"listed again further down": 1}


def test_products_never_sold_have_rows_unless_they_are_out_of_stock_or_no_products(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,gone,2020-01-01\na,FEE,2020-01-01\na,late,2020-03-01\n")
    table = (
        "product_id,title,stock\ngone,G,0\nempty,E,0\nfull,F,3\nuncounted,U,\nFEE,Fee,\nlate,L,0\nunknown,,\n"
    )
    write(tmp_path, table, "products.csv")
    fees: dict[str, Any] = {"purchases": {"exclude_products": ["FEE"]}}
    history = read(tmp_path, as_of=datetime(2020, 2, 1, tzinfo=UTC), **fees)
    assert history.products["product_id"].to_list() == order_of(["gone", "full", "uncounted"])
    assert history.interactions().n_products == 3
    assert set(read(tmp_path, **fees).products["product_id"]) == {"gone", "full", "uncounted", "late"}


def test_a_product_is_known_from_a_day_before_it_is_available_or_when_it_was_sold(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,sold,2020-01-01 12:00\na,early,2020-01-20 12:00\na,last,2020-02-01 12:00\n")
    table = (
        "product_id,category,available_from\n"
        "sold,C,\nearly,C,2020-01-25\nnow,C,2020-01-20\nsoon,C,2020-02-01 18:00\nlater,C,2020-03-01\n"
    )
    write(tmp_path, table, "products.csv")
    history = read(tmp_path)
    names, whole = history.products["product_id"].to_list(), history.interactions()
    assert sorted(names) == ["early", "last", "later", "now", "sold", "soon"]

    def known(catalogue: Catalogue) -> set[str]:
        return {name for name, row in zip(names, catalogue.category_row, strict=True) if row >= 0}

    def known_on(day: int) -> set[str]:
        return known(whole.before(int(datetime(2020, 1, day, tzinfo=UTC).timestamp())).catalogue)

    assert known_on(19) == {"sold"}  # "now" comes a day later, as night by night it isn't there yet
    assert known_on(20) == {"sold", "now"}  # that "early" is sold at noon wasn't known
    assert known_on(21) == {"sold", "now", "early"}
    assert known(whole.catalogue) == {"sold", "now", "early", "soon"}
    since = dict(zip(names, whole.catalogue.available_s.tolist(), strict=True))
    assert since["early"] == int(datetime(2020, 1, 25, tzinfo=UTC).timestamp())
    assert since["sold"] == since["last"] == EVER
    noon = datetime(2020, 2, 1, 12, 30, tzinfo=UTC)
    assert set(read(tmp_path, now=noon).products["product_id"]) == {"sold", "early", "last", "now"}


def test_without_a_table_of_products_there_are_those_sold(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\na,q,2020-03-01\n")
    assert read(tmp_path, as_of=datetime(2020, 2, 1, tzinfo=UTC)).products["product_id"].to_list() == ["p"]


def test_an_oversold_stock_is_an_empty_one(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    write(tmp_path, "product_id,stock\np,-3\n", "products.csv")
    assert read(tmp_path).products["stock"].to_list() == [0]


def test_what_is_sold_out_is_told_by_the_stock_alone(tmp_path: Path) -> None:
    names = "gone", "there", "untold", "unlisted"
    write(tmp_path, HEADER + "".join(f"a,{name},2020-01-01\n" for name in names))
    write(tmp_path, "product_id,stock\ngone,0\nthere,3\nuntold,\n", "products.csv")
    history = read(tmp_path)
    told = dict(zip(history.products["product_id"], history.sold_out.tolist(), strict=True))
    assert told == {"gone": True, "there": False, "untold": False, "unlisted": False}


def test_titles_keywords_and_categories_have_words(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,shirt,2020-01-01\n")
    table = (
        "product_id,title,category,keywords\n"
        "shirt,Linen shirt,Women > Tops,summer\nskirt,Skirt,Women > Skirts,linen summer\nhat,,Hats,summer\n"
    )
    write(tmp_path, table, "products.csv")
    history = read(tmp_path)
    catalogue = history.interactions().catalogue
    words = dict(zip(history.products["product_id"], catalogue.words.toarray().tolist(), strict=True))
    # in alphabetical order: linen, skirt, summer, women
    assert words == {"shirt": [1, 0, 1, 0], "skirt": [1, 1, 1, 0], "hat": [0, 0, 1, 0]}
    assert history.categories == ["Hats", "Women > Skirts", "Women > Tops"]
    assert catalogue.category_words.toarray().tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]]


def test_models_take_names_that_are_alike_for_one_while_the_shop_s_own_stay(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    table = (
        "product_id,title,category,brand\n"
        "p,Mug,Home > Kitchen,Nestlé\nq,Cup,home/kitchen,NESTLE\nr,Pot,Garden,\ns,Pan,,Oral-B\n"
    )
    write(tmp_path, table, "products.csv")
    history = read(tmp_path)
    catalogue = history.interactions().catalogue
    row = {name: row for row, name in enumerate(history.products["product_id"])}
    category = {name: catalogue.category_row[at] for name, at in row.items()}
    brand = {name: catalogue.brand_row[at] for name, at in row.items()}
    assert category == {"p": 1, "q": 1, "r": 0, "s": -1}  # garden, home kitchen
    assert brand == {"p": 0, "q": 0, "r": -1, "s": 1}  # nestle, oral b
    assert catalogue.category_words.shape[0] == 2
    assert history.categories == ["Garden", "Home > Kitchen", "home/kitchen"]
    assert history.brands == ["NESTLE", "Nestlé", "Oral-B"]


def test_before_a_moment_nothing_is_known_that_a_later_purchase_tells(tmp_path: Path) -> None:
    lines = (
        "a,old,2020-01-01,Red cup,Cups,1\n"
        "a,late,2020-03-01,Red cup,Cups,2\n"
        "a,told,2020-03-01,Red mug,Mugs,3\n"
    )
    write(tmp_path, "customer_id,product_id,purchased_at,title,category,unit_price\n" + lines)
    write(tmp_path, "product_id,title,price\ntold,Red mug,3\nunsold,Red pot,4\n", "products.csv")
    moment = datetime(2020, 2, 1, tzinfo=UTC)
    whole = read(tmp_path)
    then = whole.interactions().before(int(moment.timestamp())).catalogue
    at = {product: row for row, product in enumerate(whole.products["product_id"])}
    has_words = then.words.sum(axis=1) > 0
    assert {name for name in at if has_words[at[name]]} == {"old", "told", "unsold"}
    assert {name for name in at if then.category_row[at[name]] >= 0} == {"old"}
    assert {name for name in at if then.price[at[name]] > 0} == {"old"}
    known = whole.interactions().catalogue
    assert {name for name in at if known.price[at[name]] > 0} == {"old", "late", "told"}
    assert {name for name in at if known.category_row[at[name]] >= 0} == {"old", "late", "told"}

    alone = read(tmp_path, as_of=moment)
    names = alone.products["product_id"].to_list()
    assert sorted(names) == ["old", "told", "unsold"]
    early = alone.interactions().catalogue
    for row, name in enumerate(names):
        assert (early.category_row[row] >= 0) == (then.category_row[at[name]] >= 0)
        assert (early.price[row] > 0) == (then.price[at[name]] > 0)
        assert (early.words[[row]].sum() > 0) == (then.words[[at[name]]].sum() > 0)


def test_what_was_bought_under_an_old_id_counts_for_the_one_under_which_it_is_sold_now(
    tmp_path: Path,
) -> None:
    lines = "a,old,2020-01-01,1\na,older,2020-01-02,2\na,new,2020-01-03,3\nb,other,2020-01-03,4\n"
    write(tmp_path, "customer_id,product_id,purchased_at,order_id\n" + lines)
    table = "older,Tea,old\nold,Tea,new\nnew,Tea 90 g,\nother,Cup,nowhere\nunsold,Tin,new\n"
    write(tmp_path, "product_id,title,replaced_by\n" + table, "products.csv")
    write(tmp_path, "product_id,starts_at,ends_at\nolder,2020-01-01,2020-01-05\n", "promotions.csv")
    write(tmp_path, "offer_id,product_ids\no,older;other;old\n", "offers.csv")
    history = read(tmp_path, as_of=datetime(2020, 1, 4, tzinfo=UTC))
    ids = history.products["product_id"].to_list()
    assert ids == order_of(["new", "other"])
    assert history.new_ids == {"older": "new", "old": "new", "unsold": "new"}  # for what events name
    bought = [ids[row] for row in history.purchases["product_row"]]
    assert sorted(bought) == ["new", "new", "new", "other"]
    rows = {row["product_id"]: row for row in history.products.iter_rows(named=True)}
    assert [rows[name]["title"] for name in ("new", "other")] == ["Tea 90 g", "Cup"]
    assert history.promotions is not None
    assert history.offers is not None
    assert history.promotions["product_id"].to_list() == ["new"]
    assert history.offers["product_ids"].to_list() == [["new", "other"]]
    assert history.counts["products"].left_out == {"replaced by another product": 3}
    assert history.counts["products"].kept == 2
    assert history_counts(history)["unsold"] == 0
    keys = {order_key("a", order, "new") for order in "123"}
    assert {*keys, order_key("b", "4", "other")} == set(history.order_keys.tolist())


def test_products_that_replace_each_other_in_a_circle_stay_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\na,q,2020-01-02\na,r,2020-01-02\na,s,2020-01-02\n")
    write(tmp_path, "product_id,replaced_by\np,q\nq,p\nr,p\ns,s\n", "products.csv")
    history = read(tmp_path)
    assert len(history.purchases["product_row"].unique()) == 4
    assert history.counts["products"].left_out == {}


def test_what_is_replaced_by_a_product_out_of_stock_counts_for_that(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,old,2020-01-01\n")
    write(tmp_path, "product_id,title,replaced_by,stock\nold,Tea,new,5\nnew,Tea,,0\n", "products.csv")
    history = read(tmp_path)
    assert history.products["product_id"][history.purchases["product_row"][0]] == "new"
    assert history.products["stock"].to_list() == [0]


def test_a_product_is_replaced_when_its_new_one_can_be_bought(tmp_path: Path) -> None:
    table = "older,old,\nold,new,2019-01-01\nnew,,2020-02-01\n"
    write(tmp_path, "product_id,replaced_by,available_from\n" + table, "products.csv")

    def sold(now: datetime, more: str = "") -> set[str]:
        write(tmp_path, HEADER + "a,older,2020-01-01\na,old,2020-01-02\n" + more)
        history = read(tmp_path, now=now)
        return {history.products["product_id"][row] for row in history.purchases["product_row"]}

    assert sold(datetime(2020, 1, 31, 23, tzinfo=UTC)) == {"old"}
    assert sold(datetime(2020, 2, 1, tzinfo=UTC)) == {"new"}
    assert sold(datetime(2020, 1, 31, 23, tzinfo=UTC), more="b,new,2020-01-31\n") == {"new"}


def test_what_replaces_a_product_is_available_since_that_was(tmp_path: Path) -> None:
    table = "p,q,2020-01-03\nq,r,2020-03-01\nr,,2020-05-01\ns,t,\nt,,2020-05-01\nu,,2020-05-01\n"
    write(tmp_path, "product_id,replaced_by,available_from\n" + table, "products.csv")
    lines = "a,p,2020-01-05\na,s,2020-01-05\na,u,2020-06-01\n"
    write(tmp_path, HEADER + lines)
    rows = {row["product_id"]: row["available_from"] for row in read(tmp_path).products.iter_rows(named=True)}
    day = {month: int(datetime(2020, month, 1, tzinfo=UTC).timestamp()) for month in (1, 5)}
    assert (rows["r"], rows["t"], rows["u"]) == (day[1] + 2 * 86_400, None, day[5])
