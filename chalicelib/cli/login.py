"""`stroem login`, `logout`, `whoami`, `passwd`: who this user is on a server."""

from __future__ import annotations

import getpass
import socket
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import output
from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.output import Form
from chalicelib.cli.remote import DEFAULT_URL, Server, Token, client_of

if TYPE_CHECKING:
    from chalicelib.cli.client import Client
    from chalicelib.cli.credentials import Credential

Email = Annotated[
    str | None,
    typer.Option("--email", "-e", help="Log in with this address and a password, asked for."),
]
PasswordFrom = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin; needs --email.")
]
Key = Annotated[
    str | None,
    typer.Option("--token", envvar="STROEM_TOKEN", help="Keep this API key; - reads it."),
]
Everywhere = Annotated[
    bool, typer.Option("--everywhere", help="End all sessions of yours, on all machines.")
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the data.")]

_PENDING, _SLOW_DOWN = "authorization_pending", "slow_down"
_SLOWER_S = 5


def login(
    email: Email = None,
    password_stdin: PasswordFrom = False,
    server: Server = DEFAULT_URL,
    token: Key = None,
) -> None:
    """Log in: in a browser on any device, or with a password, or with an API key."""
    from chalicelib.cli.credentials import Credential, save  # noqa: PLC0415 - see `client_of`

    if password_stdin and email is None:
        raise CommandError(Exit.USAGE, "--password-stdin needs --email")
    bare = client_of(server, "")
    if token is not None:
        kept = Credential(_read_secret() if token == "-" else token)  # noqa: S105 - a dash
    elif email is not None:
        password = _read_secret() if password_stdin else getpass.getpass("Password: ")
        kept = bare.log_in("/api/auth/login", {"email": email, "password": password})
    else:
        kept = _by_device(bare)
    me = client_of(server, kept.token).get("/api/auth/me")
    save(server, kept)
    output.say(f"Logged in to {server} as {me['email']}.")


def logout(everywhere: Everywhere = False, server: Server = DEFAULT_URL) -> None:
    """End the session on a server, and forget it here."""
    from chalicelib.cli.credentials import load, save  # noqa: PLC0415 - see `client_of`

    kept = load(server)
    if kept is None:
        output.say(f"Nobody is logged in to {server} here.")
        return
    if everywhere:
        client_of(server, None).post("/api/auth/logout-everywhere")
    elif kept.refresh_token is not None:
        body = {"refresh_token": kept.refresh_token}
        client_of(server, "").post("/api/auth/logout", body)
    save(server, None)
    output.say(f"Logged out of {server}.")


def whoami(form: Output = Form.TABLE, server: Server = DEFAULT_URL, token: Token = None) -> None:
    """Show who you are on a server, and what you may do there."""
    me = client_of(server, token).get("/api/auth/me")
    if form is Form.JSON:
        output.data(me)
        return
    shown = {key: me[key] for key in ("email", "name", "user_id")}
    shown["administrator"] = "yes" if me["is_admin"] else "no"
    for key in ("groups", "roles", "permissions"):
        shown[key] = ", ".join(me[key])
    output.fields(shown)


def passwd(
    server: Server = DEFAULT_URL,
    reset: Annotated[
        str | None, typer.Option("--reset", help="A reset token in place of the old password.")
    ] = None,
) -> None:
    """Choose another password; all your sessions end, and one begins here."""
    from chalicelib.cli.credentials import save  # noqa: PLC0415 - see `client_of`

    if reset is not None:
        body = {"token": reset, "new_password": _new_password()}
        client_of(server, "").post("/api/auth/reset", body)
        output.say("The password is changed. Log in with it: stroem login --email …")
        return
    old = getpass.getpass("Old password: ")
    body = {"old_password": old, "new_password": _new_password()}
    client = client_of(server, None)
    save(server, client.log_in("/api/auth/password", body, is_known=True))
    output.say("The password is changed. All your other sessions have ended; API keys go on.")


def _by_device(client: Client) -> Credential:
    begun = client.post("/api/auth/device", {"client": f"stroem on {socket.gethostname()}"})
    output.say(f"Open {begun['verification_uri_complete']}")
    output.say(f"and let this device in, if the code there is  {begun['user_code']}")
    interval_s = float(begun["interval"])
    deadline = time.monotonic() + float(begun["expires_in"])
    while time.monotonic() < deadline:
        time.sleep(interval_s)
        found = client.ask("/api/auth/device/token", {"device_code": begun["device_code"]})
        if not isinstance(found, dict):
            return found
        # As RFC 8628 asks: whoever asked too early asks more slowly from then on.
        interval_s += _wait_longer(found)
    raise CommandError(Exit.TIMED_OUT, "nobody let this device in: run `stroem login` again")


def _wait_longer(refusal: dict[str, Any]) -> float:
    """Return by how much longer to wait between questions. Raises CommandError: not at all."""
    error = refusal.get("error")
    if error not in (_PENDING, _SLOW_DOWN):
        text = str(refusal.get("error_description") or error)
        raise CommandError(Exit.PERMISSION, f"not logged in: {text}")
    return _SLOWER_S if error == _SLOW_DOWN else 0


def _new_password() -> str:
    new = getpass.getpass("New password (12 to 128 characters): ")
    if getpass.getpass("Again: ") != new:
        raise CommandError(Exit.USAGE, "the two are not the same: nothing was changed")
    return new


def _read_secret() -> str:
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise CommandError(Exit.USAGE, "stdin is empty")
    return text
