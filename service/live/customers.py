"""What this worker knows of customers beyond the night: bounded, and looked up in every answer."""

import time
from collections.abc import Callable, Iterable

import structlog

from service.live.told import NOT_PERSONAL, Told, told_of
from storage.record.changes import Tombstone
from storage.record.consent import PRESETS, Consent
from storage.record.live import CustomerNow

CUT_OFF_S = 300.0
"""After this long without the record nobody's answer is personal: somebody may have been erased."""

MOST_HASHED = 10_000  # about 300 bytes each
log = structlog.get_logger()


def _no_hash(_: str) -> bytes:
    return b""


class LiveCustomers:
    """Customers with purchases since the night, or with a consent other than the shop's default; and who was
    erased, by keyed hash.

    Args:
        default: what is allowed by those who said nothing.
        most: customers with purchases that are held; beyond that the first of them get the night's list.
        clock: monotonic seconds.
    """

    def __init__(
        self, default: Consent = PRESETS["all"], *, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.default, self._most, self._clock = default, most, clock
        self._experiment_others: set[str] = set()
        self._told: dict[str, Told] = {}
        self._others: set[str] = set()  # whose consent isn't the default
        self._said: dict[str, int] = {}  # epochs of consents that were committed here and not read back yet
        self._upto = 0
        self._erased: dict[bytes, Tombstone] = {}
        self._hash_of: Callable[[str], bytes] = _no_hash
        self._hashed: dict[str, tuple[Tombstone | None, str]] = {}
        self._trusted_until_s = float("-inf")
        self._is_full = False

    def __len__(self) -> int:
        return len(self._told)

    def of(self, customer_id: str) -> Told | None:
        """What is new of a customer; None where the night's word holds, as it does for most."""
        if self._clock() > self._trusted_until_s:
            return NOT_PERSONAL
        if (customer_id in self._others) is self.default.personalise:
            return NOT_PERSONAL
        told = self._told.get(customer_id)
        if not self._erased:
            return told
        stone, _ = self._hashed.get(customer_id) or self._by_hash(customer_id)
        if stone is None:
            return told
        if told is None or told.epoch <= stone.epoch or told.erased != stone.number:
            return NOT_PERSONAL  # of before the erasure, or read before that was known
        return told

    def may_experiment(self, customer_id: str) -> bool:
        """Whether a customer whose answers may be personal may take part in experiments, too."""
        return (customer_id in self._experiment_others) is not self.default.experiment

    def showings_name(self, customer_id: str) -> str:
        """Under which name it is counted what a customer is shown: another one after an erasure, and nobody
        who reads it learns whose it is."""
        _, name = self._hashed.get(customer_id) or self._by_hash(customer_id)
        return name

    def _by_hash(self, customer_id: str) -> tuple[Tombstone | None, str]:
        """A customer's latest erasure, and the name of their showings; kept, since an answer asks several
        times, and two hashes take longer than all else here."""
        hashed = self._hashed  # this one: another takes its place once an erasure is known
        stone = self._stone_of(customer_id)
        epoch = None if stone is None else stone.epoch
        name = self._hash_of(f"shown\n{epoch}\n{customer_id}").hex()[:32]
        if len(hashed) >= MOST_HASHED:
            hashed.clear()
        found = hashed[customer_id] = stone, name
        return found

    def heard(self, upto: int = 0) -> None:
        """The record answered just now; whose epoch isn't above `upto` was taken as it says."""
        self._trusted_until_s, self._upto = self._clock() + CUT_OFF_S, upto

    def erase(self, stones: Iterable[Tombstone], hash_of: Callable[[str], bytes]) -> None:
        """Learn who was erased."""
        self._hash_of = hash_of
        for stone in stones:
            known = self._erased.get(stone.customer_hash)
            if known is None or known.epoch < stone.epoch:
                self._erased[stone.customer_hash] = stone
        self._hashed = {}  # last

    def was_erased(self, customer_id: str) -> bool:
        """Whether the customer was erased once, though a new life may have begun since."""
        return self._stone_of(customer_id) is not None

    def erased(self, customer_id: str) -> int:
        """Number of the customer's latest erasure, 0 for none: a version must know it to be believed."""
        stone = self._stone_of(customer_id)
        return 0 if stone is None else stone.number

    def latest_erasure(self) -> int:
        """Number of the latest erasure of anybody, 0 for none."""
        return max((stone.number for stone in self._erased.values()), default=0)

    def _stone_of(self, customer_id: str) -> Tombstone | None:
        return self._erased.get(self._hash_of(customer_id)) if self._erased else None

    def take(self, now: CustomerNow) -> None:
        """Put a customer's state in force; erasures that came before it must be known."""
        customer_id = now.customer_id
        if now.epoch < self._said.get(customer_id, 0):
            return  # it was read before that
        self._said.pop(customer_id, None)
        default = self.default
        is_personal = default.personalise if now.personalise is None else now.personalise
        _note(self._others, customer_id, allows=is_personal, default=default.personalise)
        joins = default.experiment if now.experiment is None else now.experiment
        _note(self._experiment_others, customer_id, allows=joins, default=default.experiment)
        erased = self.erased(customer_id)
        lives = now.epoch > 0 and is_personal
        told = told_of(now.epoch, now.trade, erased) if lives else None
        if told is None or not (told.lines or told.redeemed or (erased and now.personalise is not None)):
            self._told.pop(customer_id, None)
            return
        self._told[customer_id] = told
        self._keep_to_most()

    def said(self, customer_id: str, epoch: int, *, personalise: bool, experiment: bool) -> None:
        """Obey at once what a consent refuses that was just committed; what it allows is read afterwards."""
        if epoch <= self._upto:
            return  # it was said before, and taken
        self._said[customer_id] = max(epoch, self._said.get(customer_id, 0))
        if not personalise:
            _note(self._others, customer_id, allows=False, default=self.default.personalise)
            self._told.pop(customer_id, None)
        if not experiment:
            _note(self._experiment_others, customer_id, allows=False, default=self.default.experiment)

    def keep(self, customer_ids: set[str]) -> None:
        """Forget what is new of all others: the night knows it by now. A life after an erasure goes on."""
        for customer_id, told in list(self._told.items()):
            if customer_id in customer_ids:
                continue
            if told.erased:
                self._told[customer_id] = told_of(told.epoch, (), told.erased)
            else:
                self._told.pop(customer_id, None)

    def known(self) -> list[str]:
        """Customers of whom something is held beyond their consent."""
        return list(self._told)

    def _keep_to_most(self) -> None:
        while len(self._told) > self._most:
            if not self._is_full:
                self._is_full = True
                log.error(
                    "too many customers bought since the night, the first of them get the night's lists",
                    most=self._most,
                )
            self._told.pop(next(iter(self._told)), None)


def _note(others: set[str], customer_id: str, *, allows: bool, default: bool) -> None:
    """Keep a customer among the others, whose word isn't the shop's default."""
    if allows is default:
        others.discard(customer_id)
    else:
        others.add(customer_id)
