"""Keys and tokens of a shop, good and bad, for tests of who may ask what."""

import os
import time
from datetime import UTC, datetime, timedelta

import jwt

from service.access.new_keys import Labels, new_api_key, new_token_key
from service.access.routes import Scope
from service.access.tokens import mint, private_key
from storage.keyring import Algorithm, ApiKey, Keyring, KeyState, TokenKey
from tests.data.tiny_service import ISSUED

HOUR = timedelta(hours=1)


class Credentials:
    """A keyring with keys in every state, and what callers would send."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._api_keys: list[ApiKey] = []
        self._token_keys: list[TokenKey] = []
        self._signing: dict[str, str] = {}
        self.shop = self.api_key(Scope.RECOMMEND, Scope.BROWSE, Scope.EVENTS, Scope.PRODUCTS, Scope.CUSTOMERS)
        self.operator = self.api_key(Scope.OPERATE)
        self.ed25519 = self.token_key("EdDSA")
        self.hs256 = self.token_key("HS256")

    @property
    def keyring(self) -> Keyring:
        return Keyring(api_keys=tuple(self._api_keys), token_keys=tuple(self._token_keys))

    def api_key(self, *scopes: Scope, state: KeyState = "active", ends_in: timedelta | None = None) -> str:
        """Make one; its text."""
        key, text = new_api_key(self._labels(state, ends_in), frozenset(scopes), os.urandom)
        self._api_keys.append(key)
        return text

    def token_key(
        self, algorithm: Algorithm, *, state: KeyState = "active", ends_in: timedelta | None = None
    ) -> TokenKey:
        """Make one."""
        key, signing = new_token_key(self._labels(state, ends_in), algorithm, os.urandom)
        self._token_keys.append(key)
        self._signing[key.key_id] = signing
        return key

    def signing(self, key: TokenKey) -> str:
        """What tokens of this key are signed with: PEM, or a secret."""
        return self._signing[key.key_id]

    def token(
        self, customer_id: str, key: TokenKey | None = None, begins_in_s: int = -5, life_s: int = 600
    ) -> str:
        """A token for a customer."""
        key = key or self.ed25519
        signing = self.signing(key)
        begins_s = int(time.time()) + begins_in_s
        return mint(
            *(customer_id, key.key_id, key.algorithm),
            private_key(signing.encode()) if key.algorithm == "EdDSA" else signing,
            ISSUED,
            begins_s=begins_s,
            expires_s=begins_s + life_s,
        )

    def signed(self, claims: dict[str, object], key: TokenKey | None = None, **headers: object) -> str:
        """A token with any claims, signed well."""
        key = key or self.ed25519
        return jwt.encode(claims, self.signing(key), key.algorithm, {"kid": key.key_id, **headers})

    def _labels(self, state: KeyState, ends_in: timedelta | None) -> Labels:
        return Labels("test", state, self._now, self._now + ends_in if ends_in else None)


def bearer(credential: str) -> dict[str, str]:
    """The header that carries a key or token."""
    return {"Authorization": f"Bearer {credential}"}
