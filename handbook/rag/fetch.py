"""A page that a person asked for, and nothing else: no address of this machine or its network, however it is
named.

Each hop's name is resolved once, every address that it has must be public (`addresses`), and the connection
is made to an address that was looked at, while the certificate is checked against the name. Of the
environment no proxy is used, and no cookie, name or password is sent.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from handbook.rag.addresses import Address, NotFetched, Refused, Resolve, checked, public, resolve
from handbook.rag.formats.faults import size

__all__ = ["NotFetched", "Page", "Refused", "fetch"]

BYTES = 64 << 20  # of a page
SECONDS = 30.0  # for a page, all its redirects included
CONNECT = 10.0  # for a connection
HOPS = 5  # redirects
LONGEST = 2048  # characters of a URL
AGENT = "handbook-ingest/1 (a person asked for this page)"
ACCEPT = "text/html, application/xhtml+xml, application/pdf, text/markdown, text/plain, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Page:
    """What came. url: where it was found at last. media: the type that its server declared, with its
    charset.
    """

    url: str
    data: bytes
    media: str = ""
    asked: str = ""
    hops: tuple[str, ...] = ()


def fetch(
    url: str,
    limit: int = BYTES,
    seconds: float = SECONDS,
    allowed: Callable[[Address], bool] = public,
    resolve: Resolve = resolve,
    context: ssl.SSLContext | None = None,
) -> Page:
    """Get a page.

    Args:
        url: http or https.
        limit: bytes that are read.
        seconds: for everything, redirects included.
        allowed: which addresses may be connected to; every address of a name has to be one.
        resolve: (host, port) -> its addresses; asked once a hop.
        context: of TLS; the system's certificates where not given.
    Raises Refused and NotFetched, with what can be done.
    """
    ends = time.monotonic() + seconds
    asked, hops = url, []
    for _ in range(HOPS + 1):
        scheme, host, port, path = _parts(url)
        addresses = checked(host, port, allowed, resolve)
        status, headers, data = _get(scheme, host, port, path, addresses, limit, ends, context)
        if status in (301, 302, 303, 307, 308) and (target := headers.get("location")):
            hops.append(url)
            url = urljoin(url, target.strip())
            if scheme == "https" and urlsplit(url).scheme == "http":
                raise Refused(
                    f"{host} redirects from https to http.", "Ask for the http address, if you trust it."
                )
            continue
        if status != 200:
            raise NotFetched(
                f"{host} answered {status} {http.client.responses.get(status, '')}".strip() + "."
            )
        return Page(url, data, headers.get("content-type", ""), asked, tuple(hops))
    raise NotFetched(f"{urlsplit(asked).hostname} redirects more than {HOPS} times.")


def _parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host as DNS asks for it, port, and path with query. Raises Refused for what is not of the
    web.
    """
    if len(url) > LONGEST or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise Refused(f"A URL of at most {LONGEST} characters without spaces was expected.", "Copy it again.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Refused(f"{url} is no URL: {error}.", "Copy it again.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise Refused(
            f"{url[:100]} is no address of the web.", "Give one that begins with https:// or http://."
        )
    if parts.username is not None or parts.password is not None:
        raise Refused(
            "The URL holds a name or a password.", "Save the page from your browser, and ingest the file."
        )
    port = port or (443 if parts.scheme == "https" else 80)
    if port < 1024 and port not in (80, 443):
        raise Refused(f"Port {port} is of no web server.")
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise Refused(f"{host} is no host's name.", "Copy the URL again.") from error
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return parts.scheme, host, port, _quoted(path)


def _quoted(path: str) -> str:
    return quote(path, safe="/%?&=+:@!$'()*,;~[]-._")


def _get(
    scheme: str,
    host: str,
    port: int,
    path: str,
    addresses: Sequence[str],
    limit: int,
    ends: float,
    context: ssl.SSLContext | None,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in small letters, body of a page; of a redirect no body is read."""
    connection = http.client.HTTPConnection(host, port)
    watch = _Watch(_connected(host, port, addresses, ends), ends)
    try:
        if scheme == "https":
            secure = (context or ssl.create_default_context()).wrap_socket(
                watch.socket, server_hostname=host, do_handshake_on_connect=False
            )
            watch.socket = secure
            secure.do_handshake()
        connection.sock = watch.socket
        name = f"[{host}]" if ":" in host else host
        shown = name if port == (443 if scheme == "https" else 80) else f"{name}:{port}"
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for key, value in (
            ("Host", shown),
            ("User-Agent", AGENT),
            ("Accept", ACCEPT),
            ("Connection", "close"),
        ):
            connection.putheader(key, value)
        connection.endheaders()
        response = connection.getresponse()
        headers = {key.lower(): value for key, value in response.getheaders()}
        body = _body(response, headers, limit, host) if response.status == 200 else b""
        if watch.ended:
            raise TimeoutError
        return response.status, headers, body
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        if watch.ended or isinstance(error, TimeoutError):
            raise NotFetched(f"{host} took too long.", "Try again later.") from error
        if isinstance(error, ssl.SSLCertVerificationError):
            raise NotFetched(
                f"{host} has no certificate that can be trusted: {error.verify_message.rstrip('.')}."
            ) from error
        raise NotFetched(
            f"{host} broke off: {type(error).__name__}: {str(error)[:200]}.", "Try again."
        ) from error
    finally:
        watch.end()
        connection.close()


class _Watch:
    """One clock for a whole exchange, handshake and headers too: a server that sends a byte now and then,
    each in time, is cut off all the same.
    """

    def __init__(self, raw: socket.socket, ends: float) -> None:
        self.socket = raw
        self._ends = ends
        self._timer = threading.Timer(max(0.0, ends - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    @property
    def ended(self) -> bool:
        return time.monotonic() > self._ends

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)  # of the connection below TLS

    def end(self) -> None:
        self._timer.cancel()
        self.socket.close()


def _connected(host: str, port: int, addresses: Sequence[str], ends: float) -> socket.socket:
    """A connection to the first of the addresses that takes one; no name is asked for again."""
    last: OSError | None = None
    for address in addresses[:8]:
        left = ends - time.monotonic()
        if left <= 0:
            break
        try:
            found = socket.create_connection((address, port), timeout=min(CONNECT, left))
        except OSError as error:
            last = error
        else:
            found.settimeout(max(0.1, left))
            return found
    raise NotFetched(f"{host} does not answer.", "Try again later.") from last


def _body(response: http.client.HTTPResponse, headers: Mapping[str, str], limit: int, host: str) -> bytes:
    """The body within the limit, unpacked where the server packed it unasked."""
    data = response.read(limit + 1)
    if len(data) <= limit and response.length:
        raise http.client.IncompleteRead(b"", response.length)
    if (packed := headers.get("content-encoding", "identity").lower()) in ("gzip", "x-gzip", "deflate"):
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either form, by its head
        data = unpack.decompress(data, limit + 1)
        if len(data) <= limit and not unpack.eof:
            raise http.client.IncompleteRead(b"")
    elif packed != "identity":
        raise NotFetched(
            f"{host} packs its pages as {packed[:40]}, unasked.", "Save the page, and ingest the file."
        )
    if len(data) > limit:
        raise NotFetched(
            f"The page has more than the {size(limit)} that are read.", "Save it, and ingest the file."
        )
    return data
