"""Tokens: the good ones are taken, and no forged one is, however it was made."""

import base64
import hashlib
import hmac
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from hypothesis import example, given
from hypothesis import strategies as st

from service.access.new_keys import Labels, imported_token_key
from service.access.tokens import (
    LIFE_MAX_S,
    BadKeyError,
    CheckingKey,
    Claims,
    TokenError,
    checking_key,
    private_key,
    public_key,
    verify,
)
from storage.keyring import TokenKey
from tests.data.credentials import Credentials
from tests.data.tiny_service import ISSUED

SHOP = Credentials()
ED, HS = SHOP.ed25519, SHOP.hs256
KEYS = {key.key_id: checking_key(key) for key in (ED, HS)}
NOW = int(time.time())
GOOD = {"iss": "shop", "aud": "nextbest", "sub": "anna", "nbf": NOW - 10, "exp": NOW + 600}
TOKENS = {key.algorithm: SHOP.signed(GOOD, key) for key in (ED, HS)}


def taken(token: str, keys: dict[str, CheckingKey] = KEYS, now_s: float = NOW) -> Claims:
    return verify(token, keys, ISSUED, now_s)


def refused(token: str, now_s: float = NOW) -> None:
    with pytest.raises(TokenError):
        taken(token, now_s=now_s)


def b64(content: bytes | dict[str, Any] | str) -> str:
    text = json.dumps(content) if isinstance(content, dict) else content
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: dict[str, Any] | str, claims: dict[str, Any] | str, secret: bytes) -> str:
    """A token signed with HMAC-SHA-256, with any text for header and claims."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def hs_by_hand(header: dict[str, Any] | str | None = None, claims: dict[str, Any] | str | None = None) -> str:
    """A token that knows the real HS256 secret."""
    usual = {"alg": "HS256", "kid": HS.key_id, "typ": "JWT"}
    return by_hand(header or usual, claims or GOOD, HS.check.encode())


@pytest.mark.parametrize("key", [ED, HS], ids=["EdDSA", "HS256"])
def test_a_good_token_is_taken_by_either_algorithm(key: TokenKey) -> None:
    assert taken(SHOP.signed(GOOD, key)) == Claims("anna", NOW + 600, key.key_id)


def test_a_token_made_by_hand_after_the_standard_is_taken() -> None:
    assert taken(hs_by_hand()).customer_id == "anna"
    assert taken(hs_by_hand({"alg": "HS256", "kid": HS.key_id})).customer_id == "anna"  # typ may be left out


ED_PUBLIC_PEM = ED.check.encode()
ED_PUBLIC_RAW = load_pem_public_key(ED_PUBLIC_PEM).public_bytes(Encoding.Raw, PublicFormat.Raw)
HEAD = {"alg": "EdDSA", "kid": ED.key_id, "typ": "JWT"}

FORGED_HEADERS: dict[str, str] = {
    "no signature, alg none": f"{b64({**HEAD, 'alg': 'none'})}.{b64(GOOD)}.",
    "no signature, alg None": f"{b64({**HEAD, 'alg': 'None'})}.{b64(GOOD)}.",
    "no signature, the right alg": f"{b64(HEAD)}.{b64(GOOD)}.",
    "no alg": by_hand({"kid": HS.key_id}, GOOD, HS.check.encode()),
    "alg null": by_hand({"alg": None, "kid": HS.key_id}, GOOD, HS.check.encode()),
    "the public key in PEM as HS256's secret": by_hand({**HEAD, "alg": "HS256"}, GOOD, ED_PUBLIC_PEM),
    "the public key's PEM without its end as the secret": by_hand(
        {**HEAD, "alg": "HS256"}, GOOD, ED_PUBLIC_PEM.strip()
    ),
    "the public key's bytes as the secret": by_hand({**HEAD, "alg": "HS256"}, GOOD, ED_PUBLIC_RAW),
    "the public key as the secret, alg as it should be": by_hand(HEAD, GOOD, ED_PUBLIC_PEM),
    "the other key's id": SHOP.signed(GOOD, ED, kid=HS.key_id),
    "another alg for a key of HS256": hs_by_hand({"alg": "HS512", "kid": HS.key_id}),
    "an empty secret": by_hand({"alg": "HS256", "kid": HS.key_id}, GOOD, b""),
    "no kid": by_hand({"alg": "HS256"}, GOOD, HS.check.encode()),
    "an unknown kid": hs_by_hand({"alg": "HS256", "kid": "00000000"}),
    "kid a path": by_hand({"alg": "HS256", "kid": "../../../dev/null"}, GOOD, b""),
    "kid an absolute path": by_hand({"alg": "HS256", "kid": "/dev/null"}, GOOD, b""),
    "kid SQL": by_hand({"alg": "HS256", "kid": "x' UNION SELECT 'secret'--"}, GOOD, b"secret"),
    "kid a URL": by_hand({"alg": "HS256", "kid": "https://evil.example/key"}, GOOD, b""),
    "kid with a zero": hs_by_hand({"alg": "HS256", "kid": f"{HS.key_id}\0"}),
    "kid a list": hs_by_hand({"alg": "HS256", "kid": [HS.key_id]}),
    "kid an object": hs_by_hand({"alg": "HS256", "kid": {HS.key_id: 1}}),
    "kid a number": hs_by_hand({"alg": "HS256", "kid": 7}),
    "a key of its own": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "jwk": {"kty": "oct", "k": "AAAA"}}),
    "a key by URL": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "jku": "https://evil.example/keys"}),
    "a certificate of its own": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "x5c": ["AAAA"]}),
    "critical headers": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "crit": ["exp"]}),
    "a payload that isn't encoded": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "b64": False}),
    "compressed": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "zip": "DEF"}),
    "another typ": hs_by_hand({"alg": "HS256", "kid": HS.key_id, "typ": "at+jwt"}),
    "alg twice": hs_by_hand(f'{{"alg": "none", "alg": "HS256", "kid": "{HS.key_id}"}}'),
    "kid twice": hs_by_hand(f'{{"alg": "HS256", "kid": "x", "kid": "{HS.key_id}"}}'),
    "a header that is a list": hs_by_hand("[]"),
    "a header that is no JSON": hs_by_hand("{"),
    "a header that is no UTF-8": f"{b64(bytes([255, 254]))}.{b64(GOOD)}.{b64(b'x' * 32)}",
    "a header that nests too deep": hs_by_hand("[" * 2000),
}


@pytest.mark.parametrize("forged", FORGED_HEADERS.values(), ids=FORGED_HEADERS.keys())
def test_a_forged_header_is_refused(forged: str) -> None:
    refused(forged)


def without(name: str) -> dict[str, Any]:
    return {claim: value for claim, value in GOOD.items() if claim != name}


BAD_CLAIMS: dict[str, dict[str, Any] | str] = {
    **{f"no {name}": without(name) for name in GOOD},
    **{f"{name} null": {**GOOD, name: None} for name in GOOD},
    **{f"{name} a list": {**GOOD, name: []} for name in GOOD},
    **{f"{name} an object": {**GOOD, name: {}} for name in GOOD},
    "another issuer": {**GOOD, "iss": "shop2"},
    "issuers in a list": {**GOOD, "iss": ["shop"]},
    "another audience": {**GOOD, "aud": "other"},
    "other audiences": {**GOOD, "aud": ["other", "nextbest2"]},
    "an empty sub": {**GOOD, "sub": ""},
    "a sub that is a number": {**GOOD, "sub": 42},
    "a sub that is too long": {**GOOD, "sub": "x" * 257},
    "a sub of too many bytes": {**GOOD, "sub": "ü" * 129},
    "expired now": {**GOOD, "exp": NOW},
    "expired": {**GOOD, "nbf": NOW - 700, "exp": NOW - 1},
    "expired in 1970": {**GOOD, "nbf": 0, "exp": 1},
    "not yet": {**GOOD, "nbf": NOW + 1},
    "in an hour": {**GOOD, "nbf": NOW + 3600, "exp": NOW + 4000},
    "a second too long": {**GOOD, "exp": GOOD["nbf"] + LIFE_MAX_S + 1},
    "a year long": {**GOOD, "exp": NOW + 365 * 86_400},
    "exp before nbf": {**GOOD, "nbf": NOW + 10, "exp": NOW + 5},
    "exp a text": {**GOOD, "exp": str(NOW + 600)},
    "exp a fraction": {**GOOD, "exp": NOW + 600.5},
    "exp true": {**GOOD, "exp": True},
    "exp infinite": json.dumps({**GOOD, "exp": float("inf")}),
    "exp no number": json.dumps({**GOOD, "exp": float("nan")}),
    "exp 1e400": json.dumps(GOOD).replace(str(NOW + 600), "1e400"),
    "exp of five thousand digits": json.dumps(GOOD).replace(str(NOW + 600), "9" * 2500),
    "nbf far below": {**GOOD, "nbf": -(10**30)},
    "sub twice": json.dumps(GOOD)[:-1] + ', "sub": "bert"}',
    "exp twice": json.dumps(GOOD)[:-1] + f', "exp": {NOW + 601}}}',
    "claims that are a list": "[]",
    "claims that are a text": '"anna"',
    "claims that are no JSON": "anna",
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_bad_claims_are_refused_although_the_signature_is_good(claims: dict[str, Any] | str) -> None:
    refused(hs_by_hand(claims=claims))


def test_a_token_of_exactly_fifteen_minutes_is_taken_from_its_first_to_its_last_second() -> None:
    token = SHOP.signed({**GOOD, "nbf": NOW, "exp": NOW + LIFE_MAX_S})
    assert taken(token, now_s=NOW)
    assert taken(token, now_s=NOW + LIFE_MAX_S - 0.001)
    refused(token, now_s=NOW - 0.001)
    refused(token, now_s=NOW + LIFE_MAX_S)


def test_more_claims_and_an_audience_in_a_list_are_taken() -> None:
    token = SHOP.signed({**GOOD, "aud": ["nextbest"], "jti": "1", "iat": NOW, "shop": {"a": 1}})
    assert taken(token).customer_id == "anna"


@pytest.mark.parametrize(
    "broken",
    ["", ".", "..", "...", "a.b.c", "a.b.c.d", "ä.ö.ü", "x" * 5000, f"{'.' * 5000}", "null.null.null"],
)
def test_what_has_not_the_form_of_a_token_is_refused(broken: str) -> None:
    refused(broken)


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    refused(SHOP.signed({**GOOD, "more": "x" * 4000}))
    refused("A" * 10_000_000)


@pytest.mark.parametrize("algorithm", TOKENS)
def test_whatever_is_cut_off_a_token_it_is_refused(algorithm: str) -> None:
    token = TOKENS[algorithm]
    for length in range(len(token)):
        refused(token[:length])


@pytest.mark.parametrize("algorithm", TOKENS)
def test_whatever_character_is_changed_the_token_is_refused(algorithm: str) -> None:
    """Every flip of one bit: also those at the end of a part, which base64 alone would not notice."""
    token = TOKENS[algorithm]
    for place in range(len(token)):
        for bit in range(7):
            changed = chr(ord(token[place]) ^ 1 << bit)
            refused(token[:place] + changed + token[place + 1 :])


def test_padding_blanks_and_other_spellings_of_base64_are_refused() -> None:
    for token in TOKENS.values():
        header, claims, signature = token.split(".")
        for other in (
            f"{token}=",
            f"{token}==",
            f"{header}=.{claims}.{signature}",
            f" {token}",
            f"{token} ",
            f"{token}\n",
            f"{header}.{claims}.{signature[:10]}\n{signature[10:]}",
            f"{header}.{claims}.{signature}!",
            f"{header}. {claims}.{signature}",
        ):
            refused(other)


def test_parts_of_two_good_tokens_make_no_good_one() -> None:
    other = SHOP.signed({**GOOD, "sub": "bert"})
    parts, others = TOKENS["EdDSA"].split("."), other.split(".")
    refused(".".join([parts[0], others[1], parts[2]]))
    refused(".".join([parts[0], parts[1], others[2]]))


def test_a_key_that_is_not_known_any_more_takes_nothing() -> None:
    with pytest.raises(TokenError):
        taken(TOKENS["EdDSA"], keys={HS.key_id: KEYS[HS.key_id]})


@given(st.text(max_size=300))
def test_no_text_is_a_token(text: str) -> None:
    refused(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64"]), json_values),
    st.dictionaries(st.sampled_from([*GOOD, "iat"]), json_values),
    st.sampled_from([b"", ED_PUBLIC_PEM, ED_PUBLIC_RAW, b"secret"]),
)
def test_without_the_secret_nothing_is_taken_and_nothing_breaks(
    header: dict[str, Any], claims: dict[str, Any], secret: bytes
) -> None:
    refused(by_hand({"alg": "HS256", "kid": HS.key_id, **header}, {**GOOD, **claims}, secret))
    refused(by_hand({**HEAD, **header}, {**GOOD, **claims}, secret))


@given(
    st.dictionaries(st.sampled_from([*GOOD, "iat", "jti"]), json_values, min_size=1),
    st.dictionaries(st.sampled_from(["typ", "crit", "cty"]), json_values),
)
@example({"iat": float("inf")}, {})
@example({"iat": "soon"}, {})
@example({"jti": 7}, {})
def test_odd_claims_with_a_good_signature_are_taken_or_refused_and_nothing_breaks(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """A shop's back end may have bugs: what it signs must not make an error of ours."""
    token = hs_by_hand({"alg": "HS256", "kid": HS.key_id, **header}, {**GOOD, **claims})
    try:
        found = taken(token)
    except TokenError:
        return
    assert found.customer_id == {**GOOD, **claims}["sub"]
    assert NOW < found.expires_s <= NOW + LIFE_MAX_S


def test_only_an_ed25519_key_in_pem_can_be_imported() -> None:
    labels = Labels("shop", "active", datetime.now(UTC), None, key_id="2026-11")
    key = imported_token_key(labels, ED_PUBLIC_PEM, os.urandom)
    assert (key.key_id, key.algorithm) == ("2026-11", "EdDSA")
    assert taken(SHOP.signed(GOOD, ED, kid="2026-11"), keys={"2026-11": checking_key(key)})
    others = [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ed448.Ed448PrivateKey.generate(),
    ]
    for other in others:
        pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(BadKeyError, match="Ed25519"):
            public_key(pem)
        secret = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(BadKeyError, match="Ed25519"):
            private_key(secret)
    for text in (b"", b"key", SHOP.signing(ED).encode()):
        with pytest.raises(BadKeyError, match="PEM"):
            public_key(text)
    with pytest.raises(BadKeyError, match="PEM"):
        private_key(ED_PUBLIC_PEM)


def test_a_short_secret_is_no_key() -> None:
    with pytest.raises(BadKeyError, match="32 bytes"):
        checking_key(HS.model_copy(update={"check": "x" * 31}))
