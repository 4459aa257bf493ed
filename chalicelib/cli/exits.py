"""Exit codes of every verb, and the one way to end with one.

Source: command line and API conventions.
"""

from __future__ import annotations

from enum import IntEnum

from chalicelib.domain.errors import NotFoundError, StroemError, UnavailableError
from chalicelib.domain.lifecycle import JobStatus


class Exit(IntEnum):
    """What a shell script can tell a verb's outcome by."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    PERMISSION = 4
    CANCELLED = 5
    TIMED_OUT = 6
    CONFLICT = 7
    SERVER = 8
    INTERNAL = 70
    INTERRUPTED = 130


class CommandError(Exception):
    """A verb cannot go on. The message is for people, on stderr; `code` is for scripts."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def exit_of(status: str) -> Exit:
    """Return the exit code that stands for how a job ended."""
    if status in (JobStatus.COMPLETED, JobStatus.SKIPPED):
        return Exit.OK
    return Exit.CANCELLED if status == JobStatus.CANCELLED else Exit.JOB_FAILED


def exit_of_error(error: CommandError | StroemError) -> Exit:
    """Return the exit code that stands for an error."""
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, NotFoundError):
        return Exit.NOT_FOUND
    return Exit.INTERNAL if isinstance(error, UnavailableError) else Exit.USAGE


def exit_of_http(status: int) -> Exit:
    """Return the exit code that stands for an answer that is not a success."""
    return _OF_HTTP.get(status, Exit.SERVER if status >= _SERVER_ERROR else Exit.USAGE)


_SERVER_ERROR = 500
_OF_HTTP = {
    401: Exit.PERMISSION,
    403: Exit.PERMISSION,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    429: Exit.SERVER,
}
