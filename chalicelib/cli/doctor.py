"""`stroem doctor`: what this machine and the server have, and what to do about what is missing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of
from chalicelib.settings import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]

_SLOW_S = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `advice` is what to do when it is not well."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def doctor(form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Check what steps need on this machine, and that the server answers."""
    checks = [*_local_checks(), *_server_checks(server, token)]
    if form is Form.JSON:
        output.data([asdict(check) for check in checks])
    else:
        rows = [("ok" if check.ok else "!!", check.name, check.found) for check in checks]
        output.table(("", "CHECK", "FOUND"), rows)
        for check in checks:
            if not check.ok:
                output.say(f"{check.name}: {check.advice}")
    if not all(check.ok for check in checks):
        raise typer.Exit(Exit.SERVER)


def _local_checks() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")
    yield Check("sh", shutil.which("sh") is not None, shutil.which("sh") or "none", "install one")
    for name, use in (("uv", "Python steps with dependencies"), ("node", "JavaScript steps")):
        # Only steps that need it miss it, so its absence is no fault.
        yield Check(name, ok=True, found=shutil.which(name) or f"none; needed for {use}")
    writable = os.access(os.environ.get("TMPDIR", "/tmp"), os.W_OK)  # noqa: S108 - asked, not used
    yield Check(
        "temporary folder",
        writable,
        "writable" if writable else "not writable",
        "make it writable or set TMPDIR",
    )


def _server_checks(server: str, token: str | None) -> Iterator[Check]:
    started = time.monotonic()
    try:
        client = client_of(server, token)
        health = client.get("/healthz")
        config = client.get("/api/config")
    except CommandError as error:
        yield Check("server", ok=False, found=server, advice=error.message)
        return
    took_s = time.monotonic() - started
    yield Check(
        "server",
        health["status"] == "ok",
        f"{server}: {health['status']}",
        "look at the server's own log",
    )
    yield Check(
        "latency",
        took_s < _SLOW_S,
        f"{took_s * 1000:.0f} ms for two requests",
        "the server is far away or busy",
    )
    same = config["version"] == VERSION
    yield Check(
        "version",
        same,
        f"here {VERSION}, there {config['version']}",
        "install the same version here as there",
    )
