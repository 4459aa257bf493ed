"""Where `/ws` and Strøm's path of live logs lead: to the WebSocket API, which has one path only.

One rule: it maps as `infra/cdn/live.js` does in AWS; one table of cases tests both.
"""

import re

WS = "/ws"
_JOB = re.compile(r"/api/jobs/([0-9A-Za-z-]{1,64})/logs/stream")
_LOOKS = re.compile(r"/api/jobs/[^/]*/logs/stream")
_TICKET = ("ticket",)
_STREAM = ("token", "skip_backfill")


def is_live(target: str) -> bool:
    """Say whether a request's target, query or not, is one for the WebSocket API."""
    path = target.partition("?")[0]
    return path == WS or _LOOKS.fullmatch(path) is not None


def query_of(target: str) -> str | None:
    """Return the query that the WebSocket API gets in place of `target`; None: no such path.

    What it does not know is left out, and of a name that comes twice the first counts.
    """
    path, _, query = target.partition("?")
    job = _JOB.fullmatch(path)
    if job is None and path != WS:
        return None
    given: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        given.setdefault(name, value)
    wanted = _STREAM if job else _TICKET
    kept = [f"{name}={given[name]}" for name in wanted if name in given]
    return "&".join([*kept, f"job={job[1]}"] if job else kept)


def shown(target: str) -> str:
    """Return what may be printed of a target: tickets and tokens stand in the query."""
    path = target.partition("?")[0]
    if not path.startswith("/"):
        # Another form than that of our paths, which nobody knows the secrets of.
        return "…"
    return path if path.startswith(WS) or "/logs/stream" in path else target
