"""The one error tree.

Every error says what, where, why and what to do; the API maps each class to a status.

StroemError
├── InvalidError         bad input: carries a list of violations
│   ├── WorkspaceError   a workspace that does not load: carries findings
│   └── TemplateError    a template that does not parse or render
├── NotFoundError
│   └── HiddenError      it may be there, but not for this caller: looks like its parent
├── ConflictError        the thing is not in the state that the request needs
│   ├── FencedError      another attempt, session or worker holds the step
│   │   └── ForeignStepError
│   ├── TooEarlyError    the attempt is not to begin yet
│   └── IdempotencyError the same key came with another body
├── TooLargeError
├── RateLimitedError     carries the seconds to wait
├── PermissionDeniedError
├── UnauthenticatedError
└── UnavailableError     a service we need did not answer; trying again may help
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with an input.

    `pointer` is a JSON pointer (RFC 6901) into it, "" for the whole.
    """

    pointer: str
    message: str


class StroemError(Exception):
    """Root of the tree. `code` is stable and for machines, the message is for people."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidError(StroemError):
    """The input is wrong; nothing was changed."""

    code = "invalid"

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class WorkspaceError(InvalidError):
    """The workspace does not load; the violations' pointers start with `file:line:column`."""

    code = "workspace-invalid"


class TemplateError(InvalidError):
    """The template does not parse, or its rendering failed or went over a limit."""

    code = "template-invalid"


class NotFoundError(StroemError):
    """There is no such thing, or the caller may not know of it."""

    code = "not-found"


class HiddenError(NotFoundError):
    """The caller may not know whether there is such a thing; audited as a denial."""


class ConflictError(StroemError):
    """The thing is not in the state that the request needs."""

    code = "conflict"


class FencedError(ConflictError):
    """Another attempt, session or worker holds the step: stop working on it."""

    code = "fenced"


class ForeignStepError(FencedError):
    """The step is of another worker's session; audited as a denial."""


class TooEarlyError(ConflictError):
    """The attempt waits for a time that has not come: come back later."""

    code = "too-early"


class IdempotencyError(ConflictError):
    """The idempotency key was used before, with another body."""

    code = "idempotency-mismatch"


class TooLargeError(StroemError):
    """The input is over a documented limit; the message names limit and size."""

    code = "too-large"


class RateLimitedError(StroemError):
    """Too soon; try again after `retry_after_s`."""

    code = "rate-limited"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnauthenticatedError(StroemError):
    """The credentials are missing or wrong."""

    code = "unauthenticated"


class PermissionDeniedError(StroemError):
    """The caller is known and may not do this."""

    code = "permission-denied"


class UnavailableError(StroemError):
    """A service that we need did not answer as it should; trying again may help."""

    code = "unavailable"
