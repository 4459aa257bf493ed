"""Requests to providers, over a real socket: limits, no redirects, and only to safe places."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chalicelib.auth.web import MAX_ANSWER_BYTES, UrllibWeb
from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.oidc import is_safe_url


class Site(BaseHTTPRequestHandler):
    """`/bytes/N` has N bytes, `/moved` leads on, `/cut` ends too early, `/form` gives back."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/bytes/1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = int(rest or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(size + (5 if kind == "cut" else 0)))
        self.end_headers()
        self.wfile.write(b"x" * size)
        self.close_connection = kind == "cut"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.seen = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_answer_comes_whole(site):
    answer = UrllibWeb().get(f"{site.url}/bytes/{MAX_ANSWER_BYTES}", {"Authorization": "Bearer x"})
    assert (answer.status, len(answer.body)) == (200, MAX_ANSWER_BYTES)
    headers = site.seen[0][1]
    assert headers["Authorization"] == "Bearer x"
    assert headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("size", [MAX_ANSWER_BYTES + 1, 5 * MAX_ANSWER_BYTES])
def test_an_answer_that_is_too_long_is_none(site, size):
    with pytest.raises(UnavailableError, match="more than 64 KB"):
        UrllibWeb().get(f"{site.url}/bytes/{size}", {})


def test_a_form_is_sent_as_one(site):
    answer = UrllibWeb().post(f"{site.url}/form", {"code": "a b&c", "é": "ü"}, {})
    assert answer.body == b"code=a+b%26c&%C3%A9=%C3%BC"
    assert site.seen[0][1]["Content-Type"] == "application/x-www-form-urlencoded"


def test_no_redirect_is_followed(site):
    assert UrllibWeb().get(f"{site.url}/moved", {}).status == 302
    assert [path for path, _ in site.seen] == ["/moved"]


def test_an_answer_that_is_cut_short_is_none(site):
    with pytest.raises(UnavailableError, match="did not answer"):
        UrllibWeb().get(f"{site.url}/cut/10", {})


def test_a_site_that_is_not_there_is_told(site):
    url = site.url
    site.shutdown()
    site.server_close()
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+ did not answer"):
        UrllibWeb().get(f"{url}/", {})


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/",
        "http://169.254.169.254/latest",
        "ftp://id.example/",
        "file:///etc/passwd",
        "https://user@id.example/",
        "https://id.example/\r\nX: y",
        "https:///x",
        "https://[::1/",
        "//id.example/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "https://id.example:port/",
        "",
    ],
)
def test_what_is_no_safe_address_is_not_asked(url):
    with pytest.raises(UnavailableError, match="is not asked"):
        UrllibWeb().get(url, {})


@pytest.mark.parametrize(
    ("url", "here", "elsewhere"),
    [
        ("https://id.example", True, True),
        ("http://127.0.0.1:8080", True, False),
        ("http://localhost", True, False),
        ("http://[::1]:80/", True, False),
        ("https://127.0.0.1", True, False),
    ],
)
def test_this_machine_is_reached_only_from_this_machine(url, here, elsewhere):
    assert is_safe_url(url) == here
    assert is_safe_url(url, loopback=False) == elsewhere
