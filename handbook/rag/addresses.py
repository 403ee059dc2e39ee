"""Which addresses may be connected to when a person names a URL: those of the public internet, and no other.

A URL may name a private address, resolve to one, resolve to another one at the second asking (DNS rebinding),
or redirect to one; behind each is what this machine can reach and the author of the URL can't: the handbook
itself, a router, a cloud's metadata (OWASP, "Server-Side Request Forgery Prevention Cheat Sheet"; special
addresses: the IANA registries of RFC 6890).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence

from handbook.errors import NotFetched as NotFetched
from handbook.errors import Refused as Refused

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SHARED = ipaddress.ip_network("100.64.0.0/10")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]


def public(address: Address) -> bool:
    """Whether an address is one of the public internet, also where it is an IPv4 address within an IPv6
    one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
        if address.is_site_local or address.scope_id is not None or int(address) >> 32 == 0:
            return False
    elif address in _SHARED:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError where it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked(
    host: str, port: int, allowed: Callable[[Address], bool] = public, resolve: Resolve = resolve
) -> list[str]:
    """The host's addresses, asked for once, all of which are allowed. Raises Refused, and NotFetched where
    there are none.
    """
    try:
        found = list(resolve(host, port))
    except (OSError, UnicodeError) as error:
        raise NotFetched(
            f"{host} is not known.", "Look at the URL, and whether there is a network."
        ) from error
    for text in found:
        try:
            fine = allowed(ipaddress.ip_address(text))
        except ValueError:
            fine = False
        if not fine:
            raise Refused(
                f"{host} is {text}, an address of this machine or of a private network.",
                "Save the page from your browser, and ingest the file.",
            )
    if not found:
        raise NotFetched(f"{host} has no address.")
    return found
