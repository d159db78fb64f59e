"""Reasons in other languages: which one a caller gets, plural forms, dates, and nothing untranslated."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain, pairwise

import pytest
from babel import Locale
from babel.dates import format_date
from babel.messages.catalog import Catalog
from hypothesis import given
from hypothesis import strategies as st

from scripts.languages import as_mo, as_po, brought_up, po_of
from service.answering.languages import ENGLISH, LANGUAGES, language_of, words_of
from service.answering.reasons import Reasons, reasons_in
from service.versions.served import EPOCH

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
DAY = (date(2017, 12, 8) - EPOCH).days
NOT_A_NUMBER = float("nan")
COUNTS = {("number", "d"), ("times", "d"), ("days", "d")}
SLOTS = re.compile(r"%\((\w+)\)([sd])")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("pl", "pl"),
        ("PL-pl", "pl"),
        ("it-CH, it;q=0.9", "it"),
        ("de-DE,de;q=0.9,ro;q=0.8,en;q=0.7", "ro"),
        ("de, fr;q=0.5", "en"),
        ("en-GB,en;q=0.9,pl;q=0.8", "en"),
        ("it;q=0.5, pl;q=0.8", "pl"),
        ("it, pl", "it"),
        ("pl;q=0", "en"),
        ("pl;q=0, ro;q=0.001", "ro"),
        ("*", "en"),
        ("*;q=0.2, it;q=0.1", "en"),
        ("it ; q=1.000", "it"),
        ("it;q=high, pl;q=0.1", "pl"),
        ("it;q=1.5, pl;q=2", "en"),
        ("ita, polish", "en"),
        (",;,;;q=", "en"),
        (", ".join(["de"] * 40) + ", it", "en"),  # so many nobody wants
        ("it, " + ", ".join(["de;q=0.5"] * 40), "it"),
    ],
)
def test_the_language_with_the_highest_weight_of_those_there_are(accepted: str | None, language: str) -> None:
    assert language_of(accepted) == language


@given(st.text(max_size=300))
def test_whatever_a_header_says_there_is_a_language(accepted: str) -> None:
    assert language_of(accepted) in LANGUAGES


def often(reasons: Reasons, days: int) -> str:
    return said(reasons.due_again(3, float(days), DAY, 0))


def orders(reasons: Reasons, times: int) -> str:
    return said(reasons.due_again(times, 0.1, DAY, 0))


def after(reasons: Reasons, days: int) -> str:
    return said(reasons.due_again(1, NOT_A_NUMBER, DAY, DAY + days))


def buyers(reasons: Reasons, number: int) -> str:
    return said(reasons.popular(0, number, 28, DAY))


def window(reasons: Reasons, days: int) -> str:
    return said(reasons.popular(5, 5, days, DAY))


def popular_in(reasons: Reasons, number: int) -> str:
    return said(reasons.popular_in("Mleko", number, 28, DAY))


def new(reasons: Reasons, number: int) -> str:
    return said(reasons.new_in(number, DAY, 28, DAY))


def on_offer(reasons: Reasons, day: int) -> str:
    return said(reasons.on_offer("7", datetime(2017, 12, 9, tzinfo=UTC), day))


def times(reasons: Reasons, number: int) -> str:
    return said(reasons.bought_before("1", "Mug", number, DAY))


def said(reason: str) -> str:
    text = json.loads(reason)["text"]
    assert isinstance(text, str)
    return text


IT_WHEN = "in data 8 dicembre 2017"
IT_WINDOW = "in 28 giorni (ultimo giorno: 8 dicembre 2017)"
PL_WINDOW = "w ciągu 28 dni do 8 grudnia 2017"
RO_WINDOW = "în 28 de zile, până pe 8 decembrie 2017"


@pytest.mark.parametrize(
    ("language", "tell", "number", "text"),
    [
        ("it", often, 1, f"Acquistato circa ogni giorno, l'ultima volta {IT_WHEN}"),
        ("it", often, 6, f"Acquistato circa ogni 6 giorni, l'ultima volta {IT_WHEN}"),
        ("it", orders, 2, f"Acquistato in 2 ordini, l'ultimo {IT_WHEN}"),
        ("it", buyers, 1, "Acquistato da 1 cliente"),
        ("it", buyers, 412, "Acquistato da 412 clienti"),
        ("it", buyers, 1_000_000, "Acquistato da 1000000 di clienti"),
        ("it", window, 28, f"Acquistato da 5 clienti {IT_WINDOW}"),
        ("it", popular_in, 2, f"Popolare nella categoria Mleko: acquistato da 2 clienti {IT_WINDOW}"),
        ("it", new, 0, f"Nessuno lo ha ancora acquistato, {IT_WHEN}"),
        ("it", new, 3, f"Novità: acquistato per la prima volta {IT_WHEN}"),
        ("it", on_offer, DAY, "In offerta (ultimo giorno: 8 dicembre 2017)"),
        ("pl", popular_in, 1, f"Popularne w kategorii Mleko: kupione przez 1 klienta {PL_WINDOW}"),
        ("pl", popular_in, 2, f"Popularne w kategorii Mleko: kupione przez 2 klientów {PL_WINDOW}"),
        ("pl", new, 0, "Do 8 grudnia 2017 nikt tego nie kupił"),
        ("pl", new, 3, "Nowość: pierwszy raz kupione 8 grudnia 2017"),
        ("pl", on_offer, DAY, "W promocji do 8 grudnia 2017"),
        ("ro", popular_in, 20, f"Popular în categoria Mleko: cumpărat de 20 de clienți {RO_WINDOW}"),
        ("ro", new, 0, "Nu l-a cumpărat nimeni până pe 8 decembrie 2017"),
        ("ro", new, 3, "Noutate: cumpărat prima dată pe 8 decembrie 2017"),
        ("ro", on_offer, DAY, "La ofertă până pe 8 decembrie 2017"),
        ("it", times, 1, f"Hai acquistato Mug una volta, {IT_WHEN}"),
        ("it", times, 3, f"Hai acquistato Mug 3 volte, l'ultima {IT_WHEN}"),
        ("pl", often, 1, "Kupowane mniej więcej codziennie, ostatnio 8 grudnia 2017"),
        ("pl", often, 2, "Kupowane mniej więcej co 2 dni, ostatnio 8 grudnia 2017"),
        ("pl", often, 5, "Kupowane mniej więcej co 5 dni, ostatnio 8 grudnia 2017"),
        ("pl", buyers, 1, "Kupione przez 1 klienta"),
        ("pl", buyers, 3, "Kupione przez 3 klientów"),
        ("pl", buyers, 12, "Kupione przez 12 klientów"),
        ("pl", buyers, 22, "Kupione przez 22 klientów"),
        ("pl", orders, 4, "Kupione w 4 zamówieniach, ostatnio 8 grudnia 2017"),
        ("pl", window, 1, "Kupione przez 5 klientów w ciągu jednego dnia do 8 grudnia 2017"),
        ("pl", window, 28, f"Kupione przez 5 klientów {PL_WINDOW}"),
        ("ro", often, 1, "Cumpărat cam în fiecare zi, ultima dată pe 8 decembrie 2017"),
        ("ro", often, 19, "Cumpărat cam o dată la 19 zile, ultima dată pe 8 decembrie 2017"),
        ("ro", often, 20, "Cumpărat cam o dată la 20 de zile, ultima dată pe 8 decembrie 2017"),
        ("ro", buyers, 1, "Cumpărat de 1 client"),
        ("ro", buyers, 2, "Cumpărat de 2 clienți"),
        ("ro", buyers, 100, "Cumpărat de 100 de clienți"),
        ("ro", buyers, 101, "Cumpărat de 101 clienți"),
        ("ro", buyers, 120, "Cumpărat de 120 de clienți"),
        ("ro", window, 28, f"Cumpărat de 5 clienți {RO_WINDOW}"),
        ("ro", times, 20, "Ați cumpărat Mug de 20 de ori, ultima dată pe 8 decembrie 2017"),
    ],
)
def test_numbers_have_the_form_that_the_language_asks_for(
    language: str, tell: Callable[[Reasons, int], str], number: int, text: str
) -> None:
    assert tell(reasons_in(language), number) == text


@pytest.mark.parametrize("language", OTHERS)
def test_the_plural_forms_are_those_of_cldr(language: str) -> None:
    rule = Locale(language).plural_form
    forms = {(rule(n), form_of(language, n)) for n in [*range(250), 1000, 1_000_000]}
    assert len(forms) == len({cldr for cldr, _ in forms})  # one of ours for each of theirs
    assert sorted({form for _, form in forms}) == [0, 1, 2]
    by_number = {n: form_of(language, n) for n in range(250)}
    changes = sum(a != b for a, b in pairwise(by_number.values()))
    assert changes == sum(rule(a) != rule(b) for a, b in pairwise(by_number))


def form_of(language: str, number: int) -> int:
    return words_of(language).plural(number)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("language", LANGUAGES)
def test_dates_are_written_as_the_language_writes_them(language: str) -> None:
    locale = "en_GB" if language == ENGLISH else language
    for day in range(17_000, 17_366):
        when = EPOCH + timedelta(days=day)
        expected = format_date(when, "long", locale)
        assert said(reasons_in(language).due_again(1, NOT_A_NUMBER, day, 0)).endswith(f" {expected}")


@cache
def catalogue(language: str) -> Catalog:
    return brought_up(po_of(language), language)


@pytest.mark.parametrize("language", OTHERS)
def test_no_message_is_untranslated_and_each_form_has_its_own_slots(language: str) -> None:
    messages = [message for message in catalogue(language) if message.id]
    assert len(messages) > 25
    for message in messages:
        is_plural = isinstance(message.id, tuple)
        forms = message.string if is_plural else (message.string,)
        assert len(forms) == (catalogue(language).num_plurals if is_plural else 1)
        wanted = set(SLOTS.findall(message.id[-1] if is_plural else message.id))
        for place, form in enumerate(forms):
            assert form, message.id
            found = set(SLOTS.findall(form))
            is_one = is_plural and place == 0  # "a day" needs no number
            assert (found | COUNTS == wanted | COUNTS) if is_one else (found == wanted), form
        assert not message.fuzzy


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalogues_are_what_make_languages_makes_of_the_code(language: str) -> None:
    path = po_of(language)
    assert path.read_bytes() == as_po(catalogue(language)), "run make languages"
    assert path.with_suffix(".mo").read_bytes() == as_mo(catalogue(language)), "run make languages"


@pytest.mark.parametrize("language", LANGUAGES)
@given(title=st.text(max_size=20), number=st.integers(0, 2_000), day=st.integers(0, 40_000))
def test_a_reason_is_json_with_the_same_figures_in_every_language(
    language: str, title: str, number: int, day: int
) -> None:
    theirs, english = reasons_in(language), reasons_in(ENGLISH)

    def all_of(reasons: Reasons) -> list[str]:
        return [
            reasons.due_again(number, number / 3, day, day + number),
            reasons.due_again(1, NOT_A_NUMBER, day, day + number),
            reasons.because_you_bought("7", title) + reasons.bought_on(day),
            reasons.similar("7", title),
            reasons.bought_before("7", title, number, day),
            reasons.others_redeem(),
            reasons.for_everybody(),
            reasons.chosen_by_shop("r"),
            reasons.popular(number, 3, 28, day),
            reasons.popular_in(title, number, 28, day),
            reasons.new_in(number, day, 28, day),
            reasons.new_in(0, 0, 28, day),
            reasons.on_offer("7", None, None),
            reasons.on_offer("7", datetime(2017, 12, 9, tzinfo=UTC), day),
        ]

    for mine, other in zip(all_of(theirs), all_of(english), strict=True):
        one, two = json.loads(mine), json.loads(other)
        text, english_text = one.pop("text"), two.pop("text")
        assert one == two
        assert "%" not in text.replace(title, "")
        assert (text == english_text) == (language == ENGLISH)
    assert title in said(theirs.similar("7", title))


def test_every_sentence_of_the_code_is_in_the_catalogues() -> None:
    found = [
        chain.from_iterable(m.id if isinstance(m.id, tuple) else (m.id,) for m in catalogue(language))
        for language in OTHERS
    ]
    first, *others = map(set, found)
    assert all(other == first for other in others)
