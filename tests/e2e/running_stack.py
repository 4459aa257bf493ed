"""A whole local stack as a user starts it: `./dev up` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from websockets.sync.client import connect

from infra.local.parts import free_port

ROOT = Path(__file__).resolve().parents[2]
STROEM = ROOT / ".venv" / "bin" / "stroem"
# All these are for machines that do other things beside: nothing that is proven hangs on them.
READY_S = 240.0
STOP_S = 90.0
ANSWER_S = 60.0


def eventually(condition, within_s=60.0):
    """Return the condition's value once it is true; it is asked every 50 ms."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)
    return value


@dataclass
class RunningStack:
    """`./dev up`, started and stopped as a user does it."""

    data: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen | None = None
    has_login: bool = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self):
        return self.data.with_suffix(".said").read_text()

    @property
    def status(self):
        return json.loads((self.data / "stack.json").read_text())

    @property
    def deployed(self):
        return json.loads((self.data / "deployed.json").read_text())

    def start(self):
        who = [] if self.has_login else ["--open"]
        arguments = ["--port", str(self.port), "--data", str(self.data), *who, *self.options]
        with self.data.with_suffix(".said").open("w") as said:
            self.process = subprocess.Popen(
                [str(ROOT / "dev"), "up", *arguments], stdout=said, stderr=said
            )
        eventually(lambda: self.process.poll() is not None or "\nReady in" in self.said, READY_S)
        return self

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def part(self, name):
        return self.status["parts"][name]

    def get(self, path, **headers):
        """Return (status, body as text) of a GET through the front door."""
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 - loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(self, path, body=None, **headers):
        """Return what a POST of JSON through the front door answers, decoded.

        Raises:
            urllib.error.HTTPError: the answer is no success.
        """
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.url + path,
            data=json.dumps(body or {}).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_S) as answer:
            return json.load(answer)

    def ws(self, target, **more):
        """Return a context in which a WebSocket connection to a path of the front door is open."""
        patience = {"open_timeout": ANSWER_S, "ping_timeout": ANSWER_S}
        url = f"ws://127.0.0.1:{self.port}{target}"
        return connect(url, proxy=None, **(patience | more))

    def live(self, **more):
        """Return a context in which a connection of messages is open, by a ticket of its own."""
        return self.ws(f"/ws?ticket={self.post('/api/ws-ticket')['ticket']}", **more)

    def stroem(self, *arguments, timeout=300, given=None):
        """Run the command line against this stack."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS", "STROEM"))}
        return subprocess.run(
            [str(STROEM), *arguments],
            env=environment | {"STROEM_URL": self.url},
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
