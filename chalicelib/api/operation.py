"""What the route table knows of each route. The one rule: a route says who may use it.

That is one of four: everybody (`public`), workers (`by_worker`), whoever is logged in, about what
is his own or known to all (`personal`), or who has what it `needs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from chalicelib.api.bodies import MAX_BODY_BYTES
from chalicelib.domain.callers import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the route table knows of a route; the OpenAPI document is made of these.

    `refusal` is what a 400 may hold besides a problem document, where a standard says what.
    `errors` are the statuses beside 400 and 503, which every route may answer with. `media` is the
    type of an answer that is no JSON, `form` that of a body that is none. `needs` is a permission
    without which the route refuses its caller; `public` routes ask nobody who they are. What
    a route changes that is not `audited` leaves no record; its denials do.
    """

    summary: str
    answer: type[BaseModel] | None
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    refusal: type[BaseModel] | None = None
    by_worker: bool = False
    public: bool = False
    personal: bool = False
    audited: bool = True
    needs: Permission | None = None
    media: str = "application/gzip"
    form: str | None = None
    max_body_bytes: int = MAX_BODY_BYTES
