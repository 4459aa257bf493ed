"""The page on which somebody lets a device in, as HTML that needs nothing else.

One rule: whatever came from people is escaped where it is put in. Source: security, S20.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs

from chalice.app import Response

from chalicelib.api.approvals_page import page
from chalicelib.domain.errors import InvalidError, StroemError

_MOST_FIELDS = 10
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Posted:
    """What somebody filled in."""

    user_code: str
    email: str
    password: str = field(repr=False)
    let_in: bool


def posted(content: bytes) -> Posted:
    """Return the form's fields; one that is missing is empty. Raises InvalidError: too many."""
    try:
        given = parse_qs(content.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidError(f"the form has more than {_MOST_FIELDS} fields") from None

    def value(name: str) -> str:
        return given.get(name, [""])[-1][:_LONGEST]

    is_let_in = value("decision") == "allow"
    return Posted(value("user_code"), value("email"), value("password"), is_let_in)


def form(
    user_code: str, email: str = "", fault: StroemError | None = None, status: int = 200
) -> Response:
    """Return the form, and what was wrong with it the last time."""
    wrong = f'<p class="fault">{escape(fault.message)}</p>' if fault else ""
    code, address = escape(user_code[:40]), escape(email[:320])
    body = (
        "<h1>Let a device in</h1>"
        "<p>Only if you have just run <code>stroem login</code> yourself, and it shows this very "
        f"code. It will be logged in as you.</p>{wrong}"
        '<form method="post" action="device">'
        f'<label>Code<input name="user_code" value="{code}" autocomplete="off" required></label>'
        f'<label>E-mail<input name="email" type="email" value="{address}" '
        'autocomplete="username" required></label>'
        '<label>Password<input name="password" type="password" '
        'autocomplete="current-password" required></label>'
        '<button name="decision" value="allow">Let it in</button> '
        '<button class="no" name="decision" value="deny">Refuse it</button></form>'
    )
    return page(status, "Let a device in", body)


def done(client: str, *, let_in: bool) -> Response:
    """Return the page that says what was done."""
    said = "is logged in now" if let_in else "was refused"
    body = f"<h1>{escape(client)} {said}</h1><p>You may close this page.</p>"
    return page(200, f"{client} {said}", body)
