"""A version opened to answer from, with what was told of products since; and the champion of a store."""

from models.errors import NoChampionError
from service.live.products import LiveProducts
from service.settings import Settings
from service.versions.sane import check_values
from service.versions.served import ServedVersion
from storage.versions.signing import Signers
from storage.versions.store import Pointer, Store


def store_of(settings: Settings) -> Store:
    """The store, which opens what is signed by whom the shop trusts.

    Raises:
        UnusableSigningKeyError: a file of `trusted_signers` holds no key.
    """
    return Store(settings.store, signers=Signers.read(settings.trusted_signers))


def opened(store: Store, pointer: Pointer, live: LiveProducts) -> ServedVersion:
    """A version and its variant, as of now and from now on.

    Raises:
        NextbestError: it isn't there, or is damaged.
    """
    served = ServedVersion(store.open(pointer.version_id), pointer.variant)
    check_values(served)
    live.carry_to(served.shelf)
    return served


class StoreChampion:
    """Opens the champion of a store when it is asked for, and keeps the last one open.

    Attributes:
        live: what a shop told of products since the night; what is put there the champion has.
    """

    def __init__(self, store: Store) -> None:
        self._store, self.live = store, LiveProducts()
        self._served: ServedVersion | None = None

    def __call__(self) -> ServedVersion | None:
        """The champion; None if there is none yet.

        Raises:
            NextbestError: it is damaged.
        """
        champion = self._store.champion()
        if champion is None:
            return None
        now = champion.current
        served = self._served
        if served is None or (served.version_id, served.variant) != (now.version_id, now.variant):
            served = self._served = opened(self._store, now, self.live)
        return served

    def required(self) -> ServedVersion:
        """The champion.

        Raises:
            NextbestError: there is none yet, or it is damaged.
        """
        served = self()
        if served is None:
            raise NoChampionError(str(self._store.root))
        return served
