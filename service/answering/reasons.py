"""Why a product is shown, as JSON: a code, a sentence true whenever it is read, and the figures behind it.

Written by hand where a customer's own figures stand in it: that text can't be kept, and an encoder would
cost half of an answer. So sentences are kept without their date, and written around it. Whatever a shop
wrote goes through the encoder.
"""

import json
from datetime import datetime, timedelta
from functools import lru_cache
from gettext import NullTranslations
from json.encoder import encode_basestring_ascii as quoted

from service.answering.languages import ENGLISH, words_of
from service.versions.served import EPOCH

SLOT = "\x00"  # where the date goes, or a title

type Around = tuple[str, str]
"""What stands before the date, or another word, and after it, as JSON has it."""


class Reasons:
    """Reasons in one language. Days are days since 1970-01-01."""

    def __init__(self, language: str = ENGLISH) -> None:
        self._words = words_of(language)
        self._months = _months(self._words)
        self._date = self._words.gettext("%(day)d %(month)s %(year)d")
        before = self._words.gettext("Bought before, on %(date)s")
        self._before = _around(before % {"date": SLOT})
        self._because = _around(self._words.gettext("Because you bought %(title)s") % {"title": SLOT})
        self._every = lru_cache(4096)(self._write_every)
        self._often = lru_cache(4096)(self._write_often)
        self._typical = lru_cache(4096)(self._write_typical)
        self._day = lru_cache(4096)(self._write_day)
        self.chosen_by_shop = lru_cache(1024)(self._write_chosen_by_shop)

    def due_again(self, times: int, interval_days: float, last_day: int, due_day: int) -> str:
        """Bought before, and due again where that is known: `bought_before` tells nothing of when.

        Args:
            times: distinct orders.
            interval_days: mean days between them, NaN for a single one.
            last_day: of the last one.
            due_day: on which it is to be expected again; 0 where that isn't known. For a single order it is
                the interval at which others buy such products.
        """
        iso, long = self._day(last_day)
        interval = "null"
        if interval_days >= 0:  # not NaN
            days = round(interval_days)  # what is less than half a day is no interval
            before, after = self._every(days) if days else self._often(times)
            interval = f"{interval_days:.1f}"
        elif due_day > last_day:
            before, after = self._typical(due_day - last_day)
            interval = f'null, "typical_interval_days": {due_day - last_day}'
        else:
            before, after = self._before
        code = "due_again" if due_day else "bought_before"
        return (
            f'{{"code": "{code}", "text": "{before}{long}{after}"{_due_on(due_day)}, "evidence": '
            f'{{"times": {times}, "interval_days": {interval}, "last_purchased_on": "{iso}"}}}}'
        )

    def because_you_bought(self, product_id: str, title: str) -> str:
        """Goes with another product that the customer bought; `bought_on` ends it."""
        before, after = self._because
        return (
            f'{{"code": "because_you_bought", "text": "{before}{quoted(title)[1:-1]}{after}", "evidence": '
            f'{{"product_id": {quoted(product_id)}, "last_purchased_on": '
        )

    def bought_on(self, last_day: int) -> str:
        """The end of `because_you_bought`: the day of the last purchase."""
        return f'"{self._day(last_day)[0]}"}}}}'

    def similar(self, product_id: str, title: str, code: str = "similar") -> str:
        """Bought by the customers of another product; `bought_with` where that lies in the cart."""
        text = self._words.gettext("Bought by customers who bought %(title)s") % {"title": title}
        return json.dumps({"code": code, "text": text, "evidence": {"product_id": product_id}})

    def alike(self, product_id: str, title: str) -> str:
        """Like another product by title, category or brand."""
        text = self._words.gettext("Similar to %(title)s") % {"title": title}
        return json.dumps({"code": "alike", "text": text, "evidence": {"product_id": product_id}})

    def bought_before(self, product_id: str, title: str, times: int, last_day: int) -> str:
        """Of an offer: the customer bought one of its products, in so many orders, on this day last."""
        sentence = self._words.ngettext(
            "You bought %(title)s once, last on %(date)s",
            "You bought %(title)s %(times)d times, last on %(date)s",
            times,
        )
        text = sentence % {"title": title, "times": times, "date": self._date_of(last_day)}
        evidence = {"product_id": product_id, "times": times, "last_purchased_on": _iso(last_day)}
        return json.dumps({"code": "bought_before", "text": text, "evidence": evidence})

    def others_redeem(self) -> str:
        """Of an offer: customers like this one redeem such offers."""
        text = self._words.gettext("Customers who buy like you use such offers")
        return json.dumps({"code": "others_redeem", "text": text, "evidence": {}})

    def for_everybody(self) -> str:
        """Of an offer to a stranger, or of a shop where nobody redeemed anything yet."""
        text = self._words.gettext("An offer for everybody")
        return json.dumps({"code": "for_everybody", "text": text, "evidence": {}})

    def popular(self, recent_buyers: int, buyers: int, recent_days: int, last_day: int) -> str:
        """Bought by many, of late or else ever.

        Args:
            recent_buyers: distinct customers within the last `recent_days` of the history.
            buyers: distinct customers in the whole history.
            recent_days: length of that window.
            last_day: of the history.
        """
        number, days = (recent_buyers, recent_days) if recent_buyers else (buyers, None)
        evidence = {"customers": number, "days": days, "until": _iso(last_day)}
        text = self._bought_by(number, days, last_day)
        return json.dumps({"code": "popular", "text": text, "evidence": evidence})

    def popular_in(self, category: str, recent_buyers: int, recent_days: int, last_day: int) -> str:
        """Among the most bought of its category of late; figures as in `popular`."""
        # Translators: the window is the message "in the %(days)d days to %(date)s".
        sentence = self._words.ngettext(
            "Popular in %(category)s: bought by %(number)d customer %(window)s",
            "Popular in %(category)s: bought by %(number)d customers %(window)s",
            recent_buyers,
        )
        window = self._window(recent_days, last_day)
        text = sentence % {"category": category, "number": recent_buyers, "window": window}
        evidence = {"category": category, "customers": recent_buyers, "days": recent_days}
        evidence["until"] = _iso(last_day)
        return json.dumps({"code": "popular_in", "text": text, "evidence": evidence})

    def new_in(self, buyers: int, first_day: int, recent_days: int, last_day: int) -> str:
        """New in the shop.

        Args:
            buyers: distinct customers; 0: nobody bought it up to the last day of the history.
            first_day: on which it was first bought.
            recent_days: how many up to the last one count as new.
            last_day: of the history.
        """
        if buyers:
            sentence, day = self._words.gettext("New: first bought on %(date)s"), first_day
        else:
            sentence, day = self._words.gettext("Nobody had bought it by %(date)s"), last_day
        evidence = {
            "customers": buyers,
            "days": recent_days if buyers else None,
            "first_bought_on": _iso(first_day) if buyers else None,
            "until": _iso(last_day),
        }
        text = sentence % {"date": self._date_of(day)}
        return json.dumps({"code": "new_in", "text": text, "evidence": evidence})

    def on_offer(self, offer_id: str, ends_at: datetime | None, last_day: int | None) -> str:
        """Comes with an offer.

        Args:
            ends_at: of the offer, None where that isn't known.
            last_day: on which it is on, where it ends.
        """
        if last_day is None:
            text = self._words.gettext("On offer")
        else:
            text = self._words.gettext("On offer until %(date)s") % {"date": self._date_of(last_day)}
        evidence = {"offer_id": offer_id, "ends_at": ends_at.isoformat() if ends_at else None}
        return json.dumps({"code": "on_offer", "text": text, "evidence": evidence})

    def _bought_by(self, number: int, days: int | None, last_day: int) -> str:
        if days is None:
            sentence = self._words.ngettext(
                "Bought by %(number)d customer", "Bought by %(number)d customers", number
            )
            return sentence % {"number": number}
        # Translators: the window is the message "in the %(days)d days to %(date)s".
        sentence = self._words.ngettext(
            "Bought by %(number)d customer %(window)s", "Bought by %(number)d customers %(window)s", number
        )
        return sentence % {"number": number, "window": self._window(days, last_day)}

    def _window(self, days: int, last_day: int) -> str:
        window = self._words.ngettext("in the day to %(date)s", "in the %(days)d days to %(date)s", days)
        return window % {"days": days, "date": self._date_of(last_day)}

    def _write_chosen_by_shop(self, rule_id: str) -> str:
        """Pinned to its place by a rule."""
        text = self._words.gettext("Chosen by the shop")
        return json.dumps({"code": "chosen_by_shop", "text": text, "evidence": {"rule": rule_id}})

    def _write_every(self, days: int) -> Around:
        """Of a product bought in several orders: how often."""
        sentence = self._words.ngettext(
            "Bought about every day, last on %(date)s",
            "Bought about every %(days)d days, last on %(date)s",
            days,
        )
        return _around(sentence % {"days": days, "date": SLOT})

    def _write_often(self, times: int) -> Around:
        """The same of one bought again within hours."""
        sentence = self._words.ngettext(
            "Bought in %(times)d order, last on %(date)s",
            "Bought in %(times)d orders, last on %(date)s",
            times,
        )
        return _around(sentence % {"times": times, "date": SLOT})

    def _write_typical(self, days: int) -> Around:
        """Of a product bought once: after how many days others buy such products again."""
        sentence = self._words.ngettext(
            "Bought on %(date)s; such products are bought again after about a day",
            "Bought on %(date)s; such products are bought again after about %(days)d days",
            days,
        )
        return _around(sentence % {"days": days, "date": SLOT})

    def _write_day(self, day: int) -> tuple[str, str]:
        """A day as figures have it, and as sentences do."""
        return _iso(day), quoted(self._date_of(day))[1:-1]

    def _date_of(self, day: int) -> str:
        when = EPOCH + timedelta(days=day)
        return self._date % {"day": when.day, "month": self._months[when.month - 1], "year": when.year}


@lru_cache
def reasons_in(language: str) -> Reasons:
    """Reasons in a language, the same for all who ask: what they keep depends on no version."""
    return Reasons(language)


def _around(sentence: str) -> Around:
    before, _, after = sentence.partition(SLOT)
    return quoted(before)[1:-1], quoted(after)[1:-1]


@lru_cache(4096)
def _due_on(day: int) -> str:
    return f', "due_on": "{_iso(day)}"' if day else ""


def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()


def _months(words: NullTranslations) -> tuple[str, ...]:
    """Their names, in the form that dates have."""
    return (
        words.gettext("January"),
        words.gettext("February"),
        words.gettext("March"),
        words.gettext("April"),
        words.gettext("May"),
        words.gettext("June"),
        words.gettext("July"),
        words.gettext("August"),
        words.gettext("September"),
        words.gettext("October"),
        words.gettext("November"),
        words.gettext("December"),
    )
