"""The servers here are on this machine, which is what `fetch` refuses: tests that need one allow 127.0.0.1
alone, under names that only the test's resolver knows.
"""

import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from handbook.rag.addresses import Address, NotFetched, Refused, public
from handbook.rag.fetch import Page, fetch

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "fec0::1", "fe80::1%1"),
]
OPEN = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_of_the_internet(text: str) -> None:
    assert not public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OPEN)
def test_addresses_that_are(text: str) -> None:
    assert public(ipaddress.ip_address(text))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))  # type: ignore[attr-defined]
        port = self.server.server_address[1]
        kind, _, rest = self.path.strip("/").partition("/")
        if kind == "to":
            self.reply(302, b"", Location={"inner": f"http://inner.test:{port}/secret"}.get(rest, rest))
        elif kind == "loop":
            self.reply(301, b"", Location="/loop")
        elif kind == "large":
            self.reply(200, b"x" * 5000)
        elif kind == "bomb":
            self.reply(200, gzip.compress(bytes(10 << 20)), **{"Content-Encoding": "gzip"})
        elif kind == "gzip":
            self.reply(200, gzip.compress(b"words"), **{"Content-Encoding": "gzip"})
        elif kind == "short":
            self.reply(200, b"half", **{"Content-Length": "8"})
        elif kind == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.closing.wait(0.05):  # type: ignore[attr-defined]
                self.wfile.write(b"X: y\r\n")
                self.wfile.flush()
        elif kind == "page":
            self.reply(200, b"<p>words</p>", **{"Content-Type": "text/html; charset=utf-8"})
        else:
            self.reply(404, b"no")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, address: object) -> None:
        """A client that breaks off is what some tests want."""


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.asked, found.closing = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=found.serve_forever, args=(0.02,))
    thread.start()
    yield found
    found.closing.set()  # type: ignore[attr-defined]
    found.shutdown()
    thread.join()
    found.server_close()


Get = Callable[..., Page]
HERE = ipaddress.ip_address("127.0.0.1")
PLACES = {"site.test": ["127.0.0.1"], "inner.test": ["10.0.0.7"], "both.test": ["127.0.0.1", "192.168.0.1"]}


def resolve(host: str, port: int) -> list[str]:
    if host not in PLACES:
        raise socket.gaierror("unknown")
    return PLACES[host]


def allowed(address: Address) -> bool:
    return address == HERE or public(address)


@pytest.fixture
def get(server: Server) -> Get:
    def got(path: str, host: str = "site.test", **options: object) -> Page:
        url = path if "://" in path else f"http://{host}:{server.server_address[1]}{path}"
        return fetch(url, allowed=allowed, resolve=resolve, **options)  # type: ignore[arg-type]

    return got


def test_a_page(get: Get, server: Server) -> None:
    page = get("/page/a%20b?q=ü")
    assert (page.data, page.media) == (b"<p>words</p>", "text/html; charset=utf-8")
    port = server.server_address[1]
    assert server.asked == [(f"site.test:{port}", "/page/a%20b?q=%C3%BC")]  # type: ignore[attr-defined]


def test_a_redirect_is_followed(get: Get) -> None:
    page = get("/to//page/x")
    assert page.url.endswith("/page/x")
    assert page.asked.endswith("/to//page/x")
    assert page.data == b"<p>words</p>"


def test_a_redirect_to_a_private_address_is_refused_before_it_is_asked(get: Get, server: Server) -> None:
    with pytest.raises(Refused, match=r"inner\.test is 10\.0\.0\.7"):
        get("/to/inner")
    assert len(server.asked) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://site.test/x", "http://127.1.2.3/", "gopher://x/"]
)
def test_redirects_out_of_the_web_are_refused(get: Get, target: str) -> None:
    PLACES.setdefault("127.1.2.3", ["127.1.2.3"])
    with pytest.raises(Refused):
        get(f"/to/{target}")


def test_a_name_with_one_private_address_among_others_is_refused(get: Get) -> None:
    with pytest.raises(Refused, match=r"192\.168\.0\.1"):
        get("/page", host="both.test")


def test_a_name_is_resolved_once_so_it_can_not_change(server: Server) -> None:
    """DNS rebinding: the second answer would be private. The connection is made to the first, which was
    checked.
    """
    answers = iter([["127.0.0.1"], ["10.0.0.7"]])
    url = f"http://turning.test:{server.server_address[1]}/page"
    page = fetch(url, allowed=allowed, resolve=lambda host, port: next(answers))
    assert page.data == b"<p>words</p>"
    assert next(answers) == ["10.0.0.7"]


def test_this_machine_is_refused_by_default(server: Server) -> None:
    port = server.server_address[1]
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0"):
        with pytest.raises((Refused, NotFetched)):
            fetch(f"http://{host}:{port}/page")
    assert server.asked == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://user:secret@site.test/",
        "http://site.test:22/",
        "http://site.test:99999/",
        "http://[::1",
        "http://site.test/a b",
        "http://site.test/\r\nHost: x",
        "http://" + "a" * 70 + ".test/",
        "http://site.test/" + "a" * 3000,
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        fetch(url, resolve=resolve)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/no", "answered 404"), ("/loop", "redirects more than 5 times"), ("/short", "broke off")],
)
def test_pages_that_can_not_be_had(get: Get, path: str, said: str) -> None:
    with pytest.raises(NotFetched, match=said):
        get(path)


def test_a_large_page_is_cut_off_in_time(get: Get) -> None:
    assert len(get("/large", limit=5000).data) == 5000
    with pytest.raises(NotFetched, match="more than"):
        get("/large", limit=4999)


def test_what_is_packed_unasked_is_unpacked_within_the_limit(get: Get) -> None:
    assert get("/gzip").data == b"words"
    with pytest.raises(NotFetched, match="more than"):
        get("/bomb", limit=1 << 20)


def test_a_server_that_drips_is_given_up(get: Get) -> None:
    started = time.monotonic()
    with pytest.raises(NotFetched, match="too long"):
        get("/drip", seconds=0.5)
    assert time.monotonic() - started < 20


def test_an_unknown_name(get: Get) -> None:
    with pytest.raises(NotFetched, match="not known"):
        get("http://nowhere.test/")
