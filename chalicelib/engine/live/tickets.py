"""Tickets: what opens one connection, once, within 30 s.

One rule: of the secret only its digest is kept, so a ticket in a log or a table opens nothing.
Source: live logs, section 2.5.
"""

from __future__ import annotations

from hashlib import sha256

from chalicelib.domain.callers import Caller
from chalicelib.domain.errors import NotFoundError, UnauthenticatedError
from chalicelib.domain.live import TICKET_FOR, Identity, Ticket
from chalicelib.engine.engine import Engine

# Of 96 bits each.
_NONCES = 3


def issue(engine: Engine, caller: Caller) -> str:
    """Return a ticket for the caller: more than 256 bits that nobody guesses."""
    secret = "".join(engine.ids.nonce() for _ in range(_NONCES))
    ticket = Ticket(
        digest=_digest(secret),
        identity=Identity.of(caller),
        expires_at=engine.clock.now() + TICKET_FOR,
    )
    engine.connections.put_ticket(ticket)
    return secret


def redeem(engine: Engine, shown: str) -> Identity:
    """Return whose ticket it is, which is worth nothing from now on.

    Raises:
        UnauthenticatedError: there is no such ticket, it was used, or its time is over; or its
            owner was shut out since.
    """
    try:
        ticket = engine.connections.take_ticket(_digest(shown), engine.clock.now())
    except NotFoundError:
        raise UnauthenticatedError(
            "this ticket was used, or its 30 s are over: ask for another with POST /api/ws-ticket"
        ) from None
    engine.gate.caller_again(ticket.identity)
    return ticket.identity


def _digest(secret: str) -> str:
    return sha256(secret.encode(errors="replace")).hexdigest()
