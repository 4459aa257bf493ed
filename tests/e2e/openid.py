"""A real OpenID provider as a process, and the two ways in which people log in at it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

from infra.dev import node
from tests.e2e.running_stack import free_port

FOLDER = Path(__file__).parent / "oidc"
CLIENT, CLIENT_SECRET = "stroem", "the secret of this client"
MOST_HOPS = 20


@dataclass
class OpenidProvider:
    """`oidc-provider` of npm on a port of its own; who may log in there stands in provider.mjs."""

    site: str
    provider_id: str
    claims_in_userinfo: bool = False
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def issuer(self):
        return f"http://localhost:{self.port}"

    @property
    def configured(self):
        """What an operator writes into STROEM_OIDC."""
        return {
            "display_name": f"Real {self.provider_id}",
            "issuer_url": self.issuer,
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "default_groups": ["staff"],
        }

    def start(self):
        client = {
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [f"{self.site}/api/auth/oidc/{self.provider_id}/callback"],
        }
        self.process = subprocess.Popen(
            [*node.node(), "provider.mjs", str(self.port), json.dumps([client])],
            cwd=FOLDER,
            env=os.environ | {"CLAIMS_IN_USERINFO": "1" if self.claims_in_userinfo else ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def rotate(self):
        """Put another signing key in force."""
        request = urllib.request.Request(f"{self.issuer}/rotate", method="POST")  # noqa: S310 - loopback
        with _opener(CookieJar()).open(request, timeout=60) as answer:
            assert answer.status == 204


def with_a_browser(start, login, *more):
    """Let somebody log in with Chromium; return what was seen: `browser.mjs` prints it."""
    return in_a_browser("browser.mjs", start, login, *more)


def in_a_browser(journey, *given):
    """Run a journey with Chromium; return what it prints. One at a time: it unpacks itself."""
    scratch = FOLDER / "node_modules" / ".browser"
    scratch.mkdir(exist_ok=True)
    with (scratch / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [*node.node(), journey, *given],
            cwd=FOLDER,
            env=os.environ | {"TMPDIR": str(scratch)},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Person:
    """Somebody without a browser, who follows redirects and fills in forms all the same."""

    def __init__(self):
        self.jar = CookieJar()
        self.visited = []

    def cookies(self):
        return {cookie.name: cookie.value for cookie in self.jar}

    def log_in(self, start, login):
        """Go there and log in; return the address of the page on which it ends."""
        url, fields = start, None
        for _ in range(MOST_HOPS):
            self.visited.append(url)
            if urlsplit(url).path == "/login/callback":
                return url
            status, headers, body = self.ask(url, fields)
            if status in (302, 303):
                url, fields = urljoin(url, headers["Location"]), None
                continue
            assert status == 200, (status, body)
            form = Form(body)
            url, fields = urljoin(url, form.action), form.filled_in(login)
        raise AssertionError(self.visited)

    def ask(self, url, fields=None):
        """Return status, headers and text of one answer; no redirect is followed."""
        body = urlencode(fields).encode() if fields is not None else None
        request = urllib.request.Request(url, data=body)  # noqa: S310 - loopback
        try:
            with _opener(self.jar).open(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()


class Form(HTMLParser):
    """The form of a page: where it goes, and its fields."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = "", {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        if tag == "form":
            self.action = said["action"]
        elif tag == "input" and "name" in said:
            self.fields[said["name"]] = said.get("value") or ""

    def filled_in(self, login):
        mine = {"login": login, "password": "whatever"}
        return {name: mine.get(name, value) for name, value in self.fields.items()}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def _opener(jar):
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar), _NoRedirects
    )
