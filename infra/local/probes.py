"""Questions to running things: does it answer, is it one of ours, does it still hold the tables.

One rule: a question never waits long and never leaves the machine by a proxy.
"""

import json
import urllib.error
import urllib.request

from infra.local import parts


def opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows no proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Say whether a GET of `url` succeeds within 5 seconds."""
    try:
        with opener().open(url, timeout=5):
            return True
    except OSError:
        return False


def has_table(endpoint: str, name: str) -> bool:
    """Say whether the service has the table. Needs no signature, so no AWS library either."""
    request = urllib.request.Request(  # noqa: S310 - our own endpoint
        endpoint,
        data=json.dumps({"TableName": name}).encode(),
        headers={
            "X-Amz-Target": "DynamoDB_20120810.DescribeTable",
            "Content-Type": "application/x-amz-json-1.0",
        },
    )
    try:
        with opener().open(request, timeout=5):
            return True
    except urllib.error.HTTPError:
        return False


def is_stack(pid: int) -> bool:
    """Say whether a process is one that brought a stack up, and not another with its number."""
    return parts.is_alive(pid) and "infra.local.up" in parts.command_line(pid)


def is_part(pid: int) -> bool:
    """Say whether a process is a part of some stack."""
    return parts.is_alive(pid) and parts.LEASH in parts.command_line(pid)
