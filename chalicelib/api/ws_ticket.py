"""The route that gives tickets for live updates. Source: live logs, section 2.5."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, answered
from chalicelib.api.shapes import Shape
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.live import TICKET_FOR
from chalicelib.engine.live import tickets
from chalicelib.settings import edge_settings

bp = Blueprint(__name__)


class TicketShape(Shape):
    """What opens one connection to `url`, as `?ticket=`, within `expires_in` seconds."""

    ticket: str
    expires_in: int
    url: str


@bp.route("/ws-ticket", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Get a ticket that opens one connection for live updates, once, within 30 s",
        answer=TicketShape,
        errors=(404,),
        personal=True,
        audited=False,
    ),
)
def make_ws_ticket(call: Call) -> TicketShape:
    url = edge_settings().websocket_url
    if url is None:
        raise NotFoundError(
            "live updates are not set up here (STROEM_WEBSOCKET_URL is not set): ask again from "
            "time to time instead"
        )
    secret = tickets.issue(call.engine, call.caller)
    return TicketShape(ticket=secret, expires_in=int(TICKET_FOR.total_seconds()), url=url)
