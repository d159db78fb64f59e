"""Where a call came from: the peer, or what trusted proxies say of it; and whether it was for loopback."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

type Networks = tuple[IPv4Network | IPv6Network, ...]
HOPS = 10  # of X-Forwarded-For that are looked at
LONGEST = HOPS * 48  # characters of them


def address_of(environ: "WSGIEnvironment", proxies: Networks) -> str:
    """The address that calls are counted for; of IPv6 the /64 network, since one customer has all of it.

    `X-Forwarded-For` is read from its end, as far as trusted proxies wrote it. What isn't an address ends it.
    """
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")[-LONGEST:] if proxies else ""
    return _read(environ.get("REMOTE_ADDR", ""), forwarded, proxies)


@lru_cache(4096)
def is_loopback(host: str) -> bool:
    """Whether a `Host` header, with its port or without, names loopback, wherever it is resolved."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _parse(name)
    return address is not None and address.is_loopback


@lru_cache(4096)
def _read(peer: str, forwarded: str, proxies: Networks) -> str:
    address = _parse(peer)
    if address is None:
        return "unknown"
    for hop in reversed(forwarded.split(",")[-HOPS:]):
        if not any(address in network for network in proxies):
            break
        before = _parse(hop.strip())
        if before is None:
            break
        address = before
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address
