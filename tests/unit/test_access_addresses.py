"""Addresses: X-Forwarded-For counts only as far as trusted proxies wrote it."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.addresses import address_of, is_loopback

PROXIES = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/24"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not a proxy of ours: it may say what it likes
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # the customer wrote the first one
        ("127.0.0.1", "1.2.3.4,198.51.100.1,10.0.0.9", "198.51.100.1"),  # two proxies
        ("127.0.0.1", "10.0.0.8", "10.0.0.8"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "1.2.3.4, nonsense, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", ",".join(["198.51.100.1"] + ["10.0.0.9"] * 50), "10.0.0.9"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", None, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("", None, "unknown"),
    ],
)
def test_a_call_counts_for_the_last_address_that_no_trusted_proxy_has(
    peer: str, forwarded: str | None, expected: str
) -> None:
    environ = {"REMOTE_ADDR": peer} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
    assert address_of(environ, PROXIES) == expected


def test_without_proxies_nothing_but_the_peer_counts() -> None:
    assert address_of({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}, ()) == "127.0.0.1"


@given(st.text(max_size=200))
def test_whatever_stands_in_the_header_it_makes_no_error(forwarded: str) -> None:
    assert address_of({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}, PROXIES)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:80",
        "localhost.",
        "shop.localhost",
        "127.8.9.1:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]",
    ],
)
def test_a_host_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "shop.example",
        "localhost.example:80",
        "notlocalhost",
        "127.0.0.1.example",
        "10.0.0.1",
        "[::]",
    ],
)
def test_a_host_that_others_may_be_too(host: str) -> None:
    assert not is_loopback(host)
