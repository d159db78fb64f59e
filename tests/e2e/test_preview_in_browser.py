"""The preview page in a real browser, against a real operator's listener with keys."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.versions.store import Store
from tests.data.browser import CHROMIUM, Browser, browser
from tests.data.running_service import free_port, running_service
from tests.data.tiny_version import TinyOffer, TinyShop, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look with")

EVIL = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">"
SHOP = TinyShop(
    titles={"milk": EVIL, "bread": 'Bread "Rustic"', "plum": "Plums"},
    images={
        "milk": "javascript:alert(1)",
        "bread": "https://127.0.0.1:1/bread.png",
        "plum": "http://x/y.png",
    },
    probability={("anna", "milk"): 0.5, ("anna", "bread"): 0.25},
    offers=(
        TinyOffer("<b>butter</b>", ["butter"], {"anna": (0.2, 0.1)}),
        TinyOffer("APPLE", ["apple"], {"anna": (0.2, 0.1)}, ends=datetime(2099, 1, 1, tzinfo=UTC)),
    ),
)
RULES = """schema = 1
[[rules]]
id = "no-milk"
kind = "block"
products = ["milk"]

[[rules]]
id = "hero"
kind = "pin"
products = ["plum"]
position = 2

[[rules]]
id = "nothing"
kind = "block"
products = ["mlik"]

[[rules]]
id = "tried"
kind = "block"
products = ["bread"]
only_for = ["bold"]
"""
TEXTS = "[...document.querySelectorAll({!r})].map((one) => one.innerText)"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of an operator's listener, and a key for it."""
    root, port = tmp_path_factory.mktemp("preview"), free_port()
    publish(Store(root / "store"), SHOP)
    made = [sys.executable, "-c", "from service.cli import main; main()", "keys", "create"]
    made += ["--store", str(root / "store"), "--name", "merchandiser", "--scope", "operate"]
    text = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
    with running_service(root / "store", root / "log", operator_port=str(port), record_timeout_ms="5000"):
        yield f"http://127.0.0.1:{port}", text


@pytest.fixture
def page(tmp_path: Path, key: tuple[str, str]) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as found:
        found.open(f"{key[0]}/preview")
        found.fill(key=key[1], n="4")
        yield found


def ask(page: Browser, button: str = "show", **fields: str) -> None:
    page.fill(**fields)
    page.run(f"document.getElementById({button!r}).click()")
    page.until(lambda: not page.run("document.getElementById('show').disabled"))


def texts(page: Browser, selector: str) -> list[str]:
    found: list[str] = page.run(TEXTS.format(selector))
    return found


def test_a_merchandiser_sees_the_list_and_what_rules_would_change(page: Browser) -> None:
    ask(page, customer="anna")
    assert texts(page, "h2") == ["Rules in force (none)"]
    assert texts(page, "h3") == [EVIL, 'Bread "Rustic"', "butter", "apple"]
    first = texts(page, "ol li")[0]
    assert "probability 50 %" in first
    assert "Bought" in first
    assert "Offer <b>butter</b>: 0.1 off" in texts(page, "ol li")[2]
    ask(page, rules=RULES)
    assert texts(page, "h2") == ["Rules in force (none)", "These rules"]
    assert texts(page, "section:first-child .mark") == ["leaves"]
    assert texts(page, "section:last-child .mark") == ["↑ from 2", "comes"]
    assert "Plums" in texts(page, "section:last-child h3")[1]
    assert texts(page, "#status")[0].endswith("variant blend; comes: 1, leaves: 1, moves: 1.")
    assert texts(page, "#notes li") == [
        *("rule nothing: no such product: mlik", "rule nothing: touches nothing in this list"),
        "rule tried: not in this list: only for variants with rules = bold",
    ]
    ask(page, customer="", language="it", rules="")
    assert "Nothing personal" in texts(page, "section p")[0]
    assert page.run("document.querySelector('ol').lang") == "it"
    assert page.run("document.title") == "nextbest: preview"  # what a catalogue says is text
    assert page.run("[...document.images].map((one) => one.src)") == ["https://127.0.0.1:1/bread.png"]
    assert [one for one in page.complaints if "bread.png" not in one] == []


def test_an_offer_ends_on_its_last_day_and_blanks_around_an_id_are_nothing(page: Browser) -> None:
    page.send("Emulation.setTimezoneOverride", timezoneId="UTC")
    ask(page, customer=" anna ")
    assert texts(page, "h3")[3] == "apple"
    assert "Offer APPLE: 0.1 off, until Dec 31, 2098, 11:59" in texts(page, "ol li")[3]


def test_what_is_wrong_can_be_read(page: Browser) -> None:
    ask(page, rules="schema = 1\n[[rules]]\nid = 'a'\nkind = 'block'\ncolour = 1\n")
    (told,) = texts(page, "#problem")
    assert "The rules can't be used" in told
    assert "line 2, rule a, rules.1.colour: there is no such key" in told
    ask(page, rules="schema = 1\n[[rules\n")
    assert "line 2" in texts(page, "#problem li")[0]
    ask(page, rules="", placement="No Such")
    assert "placement: must be 1 to 32 of a-z" in texts(page, "#problem")[0]
    ask(page, placement="", key="nbk_made_up")
    assert "This needs a key or a token" in texts(page, "#problem")[0]
    assert texts(page, "ol li") == []
    ask(page, key="ключ")
    assert "can't be reached, or the key" in texts(page, "#problem")[0]


def test_the_key_is_kept_nowhere_and_the_rules_in_force_can_be_fetched(
    page: Browser, key: tuple[str, str]
) -> None:
    ask(page, button="fetch")
    assert page.run("document.getElementById('rules').value") == "schema = 1\n"
    ask(page)
    assert page.run("location.href") == f"{key[0]}/preview"
    assert page.run("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.open("about:blank")
    page.open(f"{key[0]}/preview")
    assert page.run("document.getElementById('key').value") == ""


def test_it_works_by_keyboard_and_on_a_narrow_screen(page: Browser) -> None:
    page.run("document.getElementById('key').focus()")
    page.press("Tab")
    assert page.run("document.activeElement.id") == "customer"
    page.press("Enter")
    page.until(lambda: len(texts(page, "ol li")) == 4)
    page.resize(320)
    assert page.run("document.documentElement.scrollWidth") == 320
    unlabelled = (
        "[...document.querySelectorAll('input, select, textarea')].filter((one) => !one.labels.length)"
    )
    assert page.run(f"{unlabelled}.length") == 0


def test_small_figures_are_told_too(page: Browser) -> None:
    figures = "probability: 4.53e-5, expected_value: -1.14e-5, price: 1, rank: 1"
    told = page.run(f'card({{title: "x", {figures}, reason: {{text: ""}}}}, [""]).textContent')
    assert told.endswith("probability 0.00453 % · expected value -0.0000114")
