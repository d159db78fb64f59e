"""A file of rules: every mistake is named with its rule, line, path and what is allowed."""

import re
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rules.errors import BadRulesError, Mistake
from service.rules.file import KINDS_OF_RULES, PriceRange
from service.rules.reading import MAX_BYTES, decode, parse_rules, version_of

DOCS = (Path(__file__).parents[2] / "docs/rules.md").read_text()
PIN = '[[rules]]\nid = "a"\nkind = "pin"\nproducts = ["p"]\nposition = 1\n'

STOCK = 'kind = "min_stock"\nstock = 1\n'


def mistakes(rules: str, head: str = "schema = 1\n") -> tuple[Mistake, ...]:
    with pytest.raises(BadRulesError) as caught:
        parse_rules(head + rules)
    return caught.value.mistakes


def test_the_file_of_the_docs_has_every_kind_and_every_key_stands_in_the_docs() -> None:
    first, every = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert len(parse_rules(first).rules) == 2
    rules = parse_rules(every).rules
    assert {type(rule) for rule in rules} == set(KINDS_OF_RULES)
    for kind in KINDS_OF_RULES:
        for key in kind.model_fields:
            assert f"`{key}`" in DOCS, key


def test_dates_lists_and_numbers_are_read_as_toml_has_them() -> None:
    rules = parse_rules(
        'schema = 1\n[[rules]]\nid = "a"\nkind = "price"\nat_most = 10\nstarts = 2026-12-01\n'
        'ends = 2026-12-24T18:00:00\ncustomers = [["age", "in", [18, "x"]]]\n'
    ).rules
    assert isinstance(rules[0], PriceRange)
    assert (rules[0].starts, rules[0].ends) == (date(2026, 12, 1), datetime(2026, 12, 24, 18))
    assert rules[0].customers == (("age", "in", (18, "x")),)


def test_a_mistake_says_rule_line_path_and_why() -> None:
    (found,) = mistakes(PIN.replace("position = 1", "position = 0"))
    assert (found.rule, found.line, found.path) == ("a", 2, "rules.1.position")
    assert found.why == "must be at least 1"
    assert str(found).startswith("line 2, rule a, rules.1.position: ")


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes(PIN.replace('"p"', "3") + '[[rules]]\nid = "b"\nkind = "block"\ncolour = "red"\n')
    assert [(mistake.rule, mistake.path) for mistake in found] == [
        ("a", "rules.1.products.1"),
        ("b", "rules.2.colour"),
    ]


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        ("2026-11-28", "2026-11-28"),  # all of a day
        ("2026-11-28T18:00:00", "2026-11-28"),
        ("2026-11-28", "9999-12-31"),
        ("2026-11-28T18:00:00Z", "2026-11-28T12:00:00"),  # what the latter is only the shop's time zone says
    ],
)
def test_a_rule_may_end_on_the_day_on_which_it_starts(starts: str, ends: str) -> None:
    (rule,) = parse_rules(f'schema = 1\n[[rules]]\nid = "a"\n{STOCK}starts = {starts}\nends = {ends}\n').rules
    assert rule.starts is not None


@pytest.mark.parametrize(
    ("rule", "path", "why"),
    [
        ('kind = "boots"', "rules.1", "no kind 'boots'; the kinds are pin, boost, bury, block"),
        ('products = ["p"]', "rules.1", "kind is missing"),
        ('kind = "block"', "rules.1", "needs products, brands or categories"),
        ('kind = "block"\nproducts = ["p"]\nfactor = 2', "rules.1.factor", "there is no such key"),
        ('kind = "boost"\nproducts = ["p"]', "rules.1.factor", "is missing"),
        ('kind = "boost"\nproducts = ["p"]\nfactor = 1', "rules.1.factor", "must be above 1"),
        ('kind = "bury"\nproducts = ["p"]\nfactor = inf', "rules.1.factor", "must be a number"),
        ('kind = "bury"\nproducts = ["p"]\nfactor = "2"', "rules.1.factor", "must be a number"),
        ('kind = "diversity"\nstrength = true', "rules.1.strength", "must be a number"),
        ('kind = "exclude_bought"\ndays = true', "rules.1.days", "must be a whole number"),
        ('kind = "cap"\nper = "colour"\nat_most = 1', "rules.1.per", "'brand' or 'category'"),
        ('kind = "price"', "rules.1", "needs at_least or at_most"),
        ('kind = "price"\nat_least = 2\nat_most = 1', "rules.1", "at_least is above at_most"),
        ('kind = "min_stock"\nstock = 1\nstarts = "tomorrow"', "rules.1.starts", "a date-time of TOML"),
        (f"{STOCK}starts = 2026-11-28\nends = 2026-11-27", "rules.1", "ends before it starts"),
        (f"{STOCK}starts = 2026-11-28T12:00:00\nends = 2026-11-28T12:00:00", "rules.1", "before it starts"),
        ('kind = "min_stock"\nstock = 1\nplacements = ["Home Page"]', "rules.1.placements.1", "1 to 32"),
        ('kind = "block"\nbrands = "Own"', "rules.1.brands", "must be a list: values stand in [ ]"),
        ('kind = "block"\nproducts = [1]', "rules.1.products.1", "must be a text, in quotes"),
        ('kind = "pin"\nproducts = []\nposition = 1', "rules.1.products", "needs at least 1"),
        ('kind = "pin"\nproducts = ["p"]\nposition = 1.5', "rules.1.position", "must be a whole number"),
        ('kind = "pin"\nproducts = ["p"]\nposition = 101', "rules.1.position", "must be at most 100"),
        ('kind = "eligible"\nrequire = []', "rules.1.require", "at least 1"),
        ('kind = "eligible"\nrequire = [["margin", ">", 0]]', "rules.1", "'product.' or 'customer.'"),
        ('kind = "eligible"\nrequire = [["product.colour", "=", "x"]]', "rules.1", "there are: product_id"),
        ('kind = "eligible"\nrequire = [["product.margin", "~", 0]]', "rules.1.require.1.2", "'not in'"),
        ('kind = "eligible"\nrequire = [["product.margin", "=", "x"]]', "rules.1", "is a number, 'x' isn't"),
        ('kind = "eligible"\nrequire = [["product.brand", "in", ["x", 1]]]', "rules.1", "is a text, 1 isn't"),
        ('kind = "eligible"\nrequire = [["product.brand", ">", 1]]', "rules.1", "needs a number"),
        ('kind = "eligible"\nrequire = [["customer.age", "<", "18"]]', "rules.1.require.1", "needs a number"),
        ('kind = "eligible"\nrequire = [["customer.age", "in", 18]]', "rules.1.require.1", "needs a list"),
        ('kind = "eligible"\nrequire = [["customer.age", "=", [18]]]', "rules.1.require.1", "a single value"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_path(rule: str, path: str, why: str) -> None:
    (found,) = mistakes(f'[[rules]]\nid = "a"\n{rule}\n')
    assert (found.rule, found.line, found.path) == ("a", 2, path)
    assert why in found.why


def test_beside_a_rules_first_unknown_key_stand_those_that_its_kind_has() -> None:
    block = '[[rules]]\nid = "{}"\nkind = "block"\nproduct = ["p"]\ncolour = "red"\nbrands = ["Own"]\n'
    keys = "id, note, placements, segments, customers, starts, ends, only_for, not_for, "
    first = f"there is no such key; block has {keys}products, brands, categories, kind"
    found = mistakes(block.format("a") + block.format("b"))
    assert sorted(one.path for one in found) == [
        f"rules.{n}.{key}" for n in (1, 2) for key in ("colour", "product")
    ]
    assert [one.why for one in found] == [first, "there is no such key"] * 2


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("nan", "must be a number that a float64 can be"),
        ("[1, inf]", "must be a number that a float64 can be"),
        ("1" + 400 * "0", "must be a number that a float64 can be"),
        ("2018-01-01", "must be a text, true, false, a number, or a list of such"),
        ("[[18]]", "must be a text, true, false, a number, or a list of such"),
    ],
)
def test_what_no_column_can_have_is_refused_in_one_sentence(value: str, why: str) -> None:
    rule = f'[[rules]]\nid = "a"\nkind = "eligible"\nrequire = [["product.stock", "in", {value}]]\n'
    (found,) = mistakes(rule)
    assert (found.path, found.why) == ("rules.1.require.1.3", why)


def test_an_id_stands_once_and_has_no_odd_letters() -> None:
    (twice,) = mistakes(PIN + PIN)
    assert (twice.rule, twice.line, twice.path) == ("a", 7, "rules.2.id")
    (odd,) = mistakes(PIN.replace('"a"', '"a b"'))
    assert (odd.path, odd.why[:31]) == ("rules.1.id", "must be 1 to 64 letters, digits")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("schema = 1\nrules = ]", 2, "not TOML"),
        ("schema = 2\n", None, "1"),
        ("rules = []\n", None, "is missing"),
        ("schema = 1\nrule = []\n", None, "no such key"),
        ("schema = 1\n[rules]\n", None, "must be a list: of rules each begins with [[rules]]"),
        ("schema = 1\n# " + "x" * MAX_BYTES, None, "longer than"),
        ("schema = 1\nx = " + "[" * 5000, None, "TOML"),
        ("schema = 1\nx = " + "9" * 5000, None, "a number has more digits than can be read"),
    ],
)
def test_what_is_no_file_of_rules_is_refused(text: str, line: int | None, why: str) -> None:
    found = mistakes(text, head="")[0]
    assert (found.rule, found.line) == (None, line)
    assert why in found.why


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadRulesError, match=r"rules.toml: file: not UTF-8"):
        decode(b"\xff", "rules.toml")


def test_a_mark_that_windows_editors_put_first_is_no_text_of_the_file() -> None:
    assert parse_rules(decode("\ufeffschema = 1\n".encode())).version == version_of("schema = 1\n")


def test_the_version_of_a_file_is_its_content() -> None:
    assert parse_rules("schema = 1\n").version == version_of("schema = 1\n")
    assert parse_rules("schema = 1\n").version != parse_rules("schema = 1 # same\n").version
    assert parse_rules("schema = 1\n", version="7").version == "7"


@given(st.text(max_size=200))
def test_whatever_the_text_there_are_rules_or_mistakes(text: str) -> None:
    try:
        parse_rules(text)
    except BadRulesError as err:
        assert err.mistakes
