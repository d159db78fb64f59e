"""A dry run of the tiny shop, counted by hand, and the commands around it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.live.sample import news_of
from service.live.told import NOT_PERSONAL, Told, told_of
from service.recommender import nothing_new
from service.rules.doubts import unknown_names, warnings_of
from service.rules.dry_run import EVERYWHERE, VARIANTS, DryRun, MovedProduct, PinNotShown, dry_run, sample
from service.rules.reading import NO_RULES, parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.changes import ProductState
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.live import Trade
from storage.record.products import change_product
from storage.versions.store import Store
from tests.data.records import SECRET, empty_record, event, sqlite_url, take
from tests.data.tiny_version import VARIANT, TinyShop, publish

HIDDEN = "none of its products may be shown: other rules hide them, or what was asked for"
NOON_S = datetime(2018, 1, 2, 12, tzinfo=UTC).timestamp()
SHOP = replace(
    TinyShop(),
    probability={("anna", "milk"): 0.5, ("anna", "bread"): 0.25, ("ben", "apple"): 0.5},
    audiences={"vip": ["anna"]},
    people={"anna": {"age": "19-24", "kids": "1"}, "ben": {"age": "65+", "kids": "3+"}},
    replaced={"old milk": "milk", "older milk": "milk"},
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    publish(made, SHOP)
    yield made


@pytest.fixture(scope="module")
def served(store: Store) -> ServedVersion:
    champion = store.champion()
    assert champion
    return ServedVersion(store.open(champion.current.version_id), VARIANT)


def tried(
    served: ServedVersion, rules: str, before: str = "", news: Callable[[str], Told | None] = nothing_new
) -> DryRun:
    old = parse_rules(f"schema = 1\n{before}") if before else NO_RULES
    return dry_run(served, old, parse_rules(f"schema = 1\n{rules}"), now_s=NOON_S, news_of=news)


def rule(rule_id: str, kind: str, **fields: str) -> str:
    lines = [f"{name} = {value}" for name, value in {"id": f'"{rule_id}"', **fields}.items()]
    return "\n".join(["[[rules]]", f'kind = "{kind}"', *lines, ""])


def test_it_counts_lists_that_change_and_products_that_come_and_go(served: ServedVersion) -> None:
    # 11 products may be shown, every list has 10: without milk all six have the eleventh
    (change,) = tried(served, rule("a", "block", products='["milk"]')).placements
    assert (change.placement, change.lists, change.changed) == (EVERYWHERE, 6, 6)
    assert change.leaving == [MovedProduct("milk", "Fresh Milk", 6)]
    assert sum(moved.lists for moved in change.entering) == 6
    assert change.expected_before == pytest.approx((0.5 + 0.25 + 0.5) / 6, abs=1e-4)
    assert change.expected_after == pytest.approx((0.25 + 0.5) / 6, abs=1e-4)


def test_it_says_how_many_lists_get_shorter_and_how_many_are_empty(served: ServedVersion) -> None:
    two = rule("two", "eligible", require='[["product.product_id", "in", ["milk", "bread"]]]')
    (change,) = tried(served, two).placements
    assert (change.shorter, change.empty) == (6, 0)
    (change,) = tried(served, rule("none", "eligible", require='[["product.margin", ">", 0]]')).placements
    assert (change.shorter, change.empty) == (6, 6)
    (change,) = tried(served, rule("a", "block", products='["milk"]')).placements
    assert (change.shorter, change.empty) == (0, 0)


def test_it_compares_with_the_rules_in_force(served: ServedVersion) -> None:
    block = rule("a", "block", products='["milk"]')
    found = tried(served, block, before=block)
    assert [change.changed for change in found.placements] == [0]
    assert found.placements[0].expected_before == found.placements[0].expected_after


def test_each_placement_that_a_rule_names_is_tried_by_itself(served: ServedVersion) -> None:
    found = tried(
        served,
        rule("a", "block", products='["milk"]', placements='["mail"]'),
        before=rule("b", "block", products='["bread"]', placements='["home"]'),
    )
    assert [(change.placement, change.changed) for change in found.placements] == [
        *((EVERYWHERE, 0), ("home", 6), ("mail", 6))
    ]


def test_rules_that_touch_nothing_are_named_and_so_are_those_asleep(served: ServedVersion) -> None:
    found = tried(
        served,
        rule("hides", "block", products='["milk"]')
        + rule("nothing", "block", products='["unheard of"]')
        + rule("gone anyway", "block", products='["cream"]').replace("gone anyway", "gone-anyway")
        + rule("moves", "boost", products='["plum"]', factor="2")
        + rule("caps", "cap", per='"category"', at_most="1")
        + rule("wide", "cap", per='"category"', at_most="9")
        + rule("varies", "diversity", strength="1")
        + rule("too-weak", "diversity", strength="0.01")
        + rule("lately", "exclude_bought", days="30")
        + rule("not-so-lately", "exclude_bought", days="1")
        + rule("never", "block", products='["bread"]', ends="2017-12-31")
        + rule("elsewhere", "min_stock", stock="2", placements='["mail"]'),
    )
    assert found.never_fired == ["nothing", "gone-anyway", "wide", "too-weak", "not-so-lately", "elsewhere"]
    assert found.asleep == ["never"]


def test_it_shows_what_those_see_who_allow_nothing_personal_or_bought_meanwhile(
    served: ServedVersion, tmp_path: Path
) -> None:
    pin = rule("mine", "pin", products='["plum"]', position="1", segments='["vip"]')  # anna's alone
    lately = rule("lately", "exclude_bought", days="30")
    with empty_record(sqlite_url(tmp_path)) as record:
        with record.writing() as connection:
            set_consent(connection, "anna", PRESETS["nothing"], now_ms=0, client="")
        take(record, event("e1", "new", "cake", at_ms=int(NOON_S * 1000), order_id="o1"))
        erase(record, "ben", now_ms=0, client="")
        news = news_of(record, served, sample(served), PRESETS["all"])
    assert news("anna") is news("ben") is NOT_PERSONAL
    assert news("7") is None
    found = tried(served, pin + lately, news=news)
    # the lists of the three who bought within 30 days and whom the night may know; for new cake was the 11th
    assert found.placements[0].changed == 3
    assert tried(served, pin + lately).placements[0].changed == 4  # anna's too
    assert found.never_fired == ["mine"]
    assert found.pins_not_shown == []  # it isn't for her as a stranger
    assert found.placements[0].expected_before == 0


def test_a_rule_fires_that_hides_what_was_bought_since_the_night(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, replace(SHOP, product_interval={"bread": 5.0}))
    champion = store.champion()
    assert champion
    again = ServedVersion(store.open(champion.current.version_id), VARIANT)
    trade = [Trade("bread", False, int(NOON_S * 1000), "o1", 1.0)]
    told = told_of(1, trade)
    lately = rule("lately", "exclude_bought", days="1")
    assert tried(again, lately).never_fired == ["lately"]
    assert tried(again, lately, news=lambda one: told if one == "new" else None).never_fired == []


def test_pins_that_do_not_get_to_their_place_say_why(served: ServedVersion) -> None:
    found = tried(
        served,
        rule("fine", "pin", products='["plum"]', position="1")
        + rule("unknown", "pin", products='["unheard of"]', position="2")
        + rule("sold-out", "pin", products='["cream"]', position="3")
        + rule("second", "pin", products='["cake"]', position="1", segments='["vip"]')
        + rule("far", "pin", products='["bag"]', position="11"),
    )
    assert sorted(found.pins_not_shown, key=lambda pin: pin.rule) == [
        PinNotShown("far", "its position is behind the 10 products of the list", 6),
        PinNotShown("second", "another pin stands there or has its products, or they were bought lately", 1),
        PinNotShown("sold-out", "its products are out of stock", 6),
        PinNotShown("unknown", "the version knows none of its products", 6),
    ]
    assert found.never_fired == ["unknown", "sold-out", "second", "far"]


def test_a_rule_for_somebody_who_never_bought_touches_their_list_alone(tmp_path: Path) -> None:
    made = Store(tmp_path)
    publish(made, replace(SHOP, audiences={"vip": ["zoe"]}))
    served = ServedVersion(made.open(made.require_champion().current.version_id), VARIANT)
    for_vips = {"products": '["milk"]', "segments": '["vip"]'}
    blocked, pinned = rule("a", "block", **for_vips), rule("b", "pin", position="1", **for_vips)
    rules = parse_rules(f"schema = 1\n{blocked}{pinned}")

    def of(customer_id: str) -> DryRun:
        return dry_run(served, NO_RULES, rules, now_s=NOON_S, one=(customer_id, Query(10)))

    assert of("zoe").never_fired == ["b"]
    assert of("zoe").pins_not_shown == [PinNotShown("b", HIDDEN, 1)]
    assert of("nobody").never_fired == ["a", "b"]
    assert of("nobody").pins_not_shown == []


def test_names_that_a_version_does_not_have_are_warnings(served: ServedVersion) -> None:
    rules = parse_rules(
        "schema = 1\n"
        + rule(
            "a",
            "block",
            products='["milk", "mlik"]',
            categories='["dairy", "diary"]',
            segments='["vip", "vop"]',
        )
        + rule("b", "eligible", require='[["customer.aeg", ">", 1], ["product.price", ">", 1]]')
        + rule("c", "cap", per='"brand"', at_most="1", names='["x"]')
        + rule("d", "eligible", require='[["product.margin", ">", 0], ["product.title", "!=", "Milk"]]')
    )
    assert unknown_names(served, rules) == [
        "rule a: no such segment: vop",
        "rule a: no such product: mlik",
        "rule a: no such category: diary",
        "rule b: no such customers' column: aeg",
        "rule c: no such brand: x",
        "rule d: no product has a margin: it hides all that it is about",
    ]


def test_beside_a_name_stands_the_one_that_differs_in_capitals_and_blanks_alone(
    served: ServedVersion,
) -> None:
    rules = parse_rules(
        "schema = 1\n" + rule("a", "block", categories='["DAIRY", "diary"]', segments='[" vip"]')
    )
    assert unknown_names(served, rules) == [
        "rule a: no such segment:  vip (is vip meant?)",
        "rule a: no such category: DAIRY (is dairy meant?), diary",
    ]


def test_names_in_conditions_that_no_product_has_are_warnings_too(served: ServedVersion) -> None:
    rules = parse_rules(
        "schema = 1\n"
        + rule("a", "eligible", require='[["product.category", "in", ["dairy", "diary"]]]')
        + rule("b", "eligible", require='[["product.brand", "!=", "x"], ["product.product_id", "=", "mlik"]]')
        + rule("c", "eligible", require='[["product.category", "=", "dairy"], ["product.title", "=", "?"]]')
    )
    assert unknown_names(served, rules) == [
        "rule a: no such category: diary",
        "rule b: no such brand: x",
        "rule b: no such product: mlik",
        "rule b: no product has a brand: it hides all that it is about",
    ]


def test_products_that_were_replaced_are_warnings_of_their_own(served: ServedVersion) -> None:
    rules = parse_rules(
        "schema = 1\n"
        + rule("a", "block", products='["old milk", "bread", "mlik", "older milk"]')
        + rule("b", "eligible", require='[["product.product_id", "=", "old milk"]]')
        + rule("c", "pin", products='["milk"]', position="1")
    )
    now = "it holds for the new ids of what was replaced: old milk is milk now"
    assert unknown_names(served, rules) == ["rule a: no such product: mlik"]
    assert warnings_of(served, rules, NOON_S) == [
        "rule a: no such product: mlik",
        f"rule a: {now}, older milk is milk now",
        f"rule b: {now}",
    ]


def test_cells_that_a_rule_takes_for_numbers_and_that_are_none_are_warnings(served: ServedVersion) -> None:
    rules = parse_rules(
        "schema = 1\n"
        + rule("adults", "eligible", require='[["customer.age", ">=", 18], ["customer.age", "!=", "65+"]]')
        + rule("families", "min_stock", stock="1", customers='[["kids", ">", 0], ["kids", "=", 1]]')
    )
    assert unknown_names(served, rules) == [
        "rule adults: age >= never holds for what is no number: 19-24, 65+",
        "rule families: kids > never holds for what is no number: 3+",
    ]


def test_a_rule_that_is_over_is_a_warning_and_one_that_has_not_begun_is_none(served: ServedVersion) -> None:
    today = datetime.fromtimestamp(NOON_S, served.zone).date()
    rules = parse_rules(
        "schema = 1\n"
        + rule("over", "block", products='["milk"]', ends=str(today - timedelta(days=1)))
        + rule("last-day", "block", products='["milk"]', ends=str(today))
        + rule("ahead", "block", products='["milk"]', starts=str(today + timedelta(days=1)))
    )
    assert warnings_of(served, rules, NOON_S) == [f"rule over: its end, {today - timedelta(days=1)}, is past"]


def test_a_rule_that_ends_before_it_starts_once_both_are_moments_is_a_warning(served: ServedVersion) -> None:
    end = "2018-01-02T21:00:00+02:00"  # 19:00 of the shop, whose time is UTC
    rules = parse_rules(
        "schema = 1\n"
        + rule("never", "block", products='["milk"]', starts="2018-01-02T20:00:00", ends=end)
        + rule("an-hour", "block", products='["milk"]', starts="2018-01-02T18:00:00", ends=end)
    )
    assert warnings_of(served, rules, NOON_S) == ["rule never: in the shop's time it ends before it starts"]


def test_the_commands_say_what_is_wrong_and_what_would_change(store: Store, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    over = rule("b", "block", products='["milk"]', ends="2017-12-31")
    good.write_text("schema = 1\n" + rule("a", "block", products='["milk", "mlik"]') + over)
    bad.write_text("schema = 1\n" + rule("a", "block", colour='"red"'))
    run, where = CliRunner(), ["--store", str(store.root)]
    checked = run.invoke(main, ["rules", "check", str(good), *where])
    assert checked.exit_code == 0
    assert "rules: 2, warnings: 2" in checked.output
    assert "warning: rule b: its end, 2017-12-31, is past" in checked.output
    assert "no such product: mlik" in checked.output
    refused = run.invoke(main, ["rules", "check", str(bad)])
    assert refused.exit_code == 1
    assert "bad.toml: line 2, rule a, rules.1.colour: there is no such key" in refused.output
    shown = run.invoke(main, ["rules", "dry-run", str(good), *where])
    assert f"{EVERYWHERE}: 6 of 6 lists change" in shown.output
    assert "shorter" not in shown.output
    none = tmp_path / "none.toml"
    none.write_text("schema = 1\n" + rule("b", "eligible", require='[["product.margin", ">", 0]]'))
    shown = run.invoke(main, ["rules", "dry-run", str(none), *where])
    assert "  shorter: 6 lists, of which 6 are empty\n" in shown.output
    told = run.invoke(main, ["rules", "dry-run", str(good), *where, "--against", str(good), "--json"])
    assert json.loads(told.stdout)["placements"][0]["changed"] == 0
    assert run.invoke(main, ["rules", "dry-run", str(bad), *where]).exit_code == 1
    url = sqlite_url(tmp_path)
    with empty_record(url) as record, record.writing() as connection:
        change_product(connection, ProductState("milk", 0, None, None), now_ms=0)
    soon = tmp_path / "soon.toml"
    soon.write_text("schema = 1\n" + rule("c", "block", products='["milk"]', starts="2030-01-01T12:00:00"))
    for at, is_awake in (
        ("2030-01-01T12:00:00", True),
        ("2030-01-01 11:59:59", False),
        ("2030-01-01T12:30:00+01:00", False),  # 11:30 in the shop, as POST /rules/dry-run?at= takes it
        ("2030-01-01T12:00:00Z", True),
    ):
        shown = run.invoke(main, ["rules", "dry-run", str(soon), *where, "--at", at])
        assert ("rule c: not now" not in shown.stdout, shown.exit_code) == (is_awake, 0), at
    for at in ("0001-01-01", "9999-12-31"):
        shown = run.invoke(main, ["rules", "dry-run", str(soon), *where, "--at", at])
        assert (shown.exit_code, "must be of 1970 to 9998" in shown.output) == (2, True)
    record_of = ["--url", str(url), "--erasure-key", SECRET]
    shown = run.invoke(main, ["rules", "dry-run", str(good), *where, *record_of])
    assert f"{EVERYWHERE}: 0 of 6 lists change" in shown.output  # milk is sold out by now
    assert run.invoke(main, ["rules", "put", str(bad)]).exit_code == 1


def test_rules_of_some_variants_are_tried_for_these_and_change_nothing_for_others(
    served: ServedVersion,
) -> None:
    found = tried(served, rule("a", "block", products='["milk"]', only_for='["bold"]'))
    assert [(one.placement, one.changed) for one in found.placements] == [
        (EVERYWHERE, 0),
        (VARIANTS.format("bold"), 6),
    ]
    assert found.never_fired == []
    lifted = tried(served, rule("a", "block", products='["milk"]', not_for='["bold"]'))
    assert [one.changed for one in lifted.placements] == [6, 0]


def test_rules_of_some_variants_at_some_placements_are_tried_there(served: ServedVersion) -> None:
    found = tried(served, rule("a", "block", products='["milk"]', only_for='["bold"]', placements='["home"]'))
    assert [(one.placement, one.changed) for one in found.placements] == [
        *((EVERYWHERE, 0), ("home", 0), (VARIANTS.format("bold"), 0)),
        ("home (variants with rules = bold)", 6),
    ]
    assert (found.never_fired, found.not_here) == ([], [])
    lifted = tried(served, rule("a", "block", products='["milk"]', not_for='["bold"]', placements='["home"]'))
    assert [(one.placement, one.changed) for one in lifted.placements] == [
        *((EVERYWHERE, 0), ("home", 6), (VARIANTS.format("bold"), 0)),
        ("home (variants with rules = bold)", 0),
    ]


def test_of_one_customer_it_says_which_rules_do_not_hold_where_it_was_tried(served: ServedVersion) -> None:
    rules = (
        rule("bold", "block", products='["milk"]', only_for='["bold", "shy"]')
        + rule("mail", "block", products='["milk"]', placements='["mail", "till"]')
        + rule("both", "block", products='["milk"]', placements='["mail"]', only_for='["bold"]')
        + rule("here", "block", products='["unheard of"]', placements='["home"]', not_for='["bold"]')
    )
    query = Query(10, placement="home")
    told = dry_run(served, NO_RULES, parse_rules(f"schema = 1\n{rules}"), now_s=NOON_S, one=("anna", query))
    assert told.never_fired == ["bold", "mail", "both", "here"]
    assert [(one.rule, one.why) for one in told.not_here] == [
        ("bold", "only for variants with rules = bold, shy"),
        ("mail", "only at mail, till"),
        ("both", "only at mail, only for variants with rules = bold"),
    ]
