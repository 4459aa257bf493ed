"""What the faults of AWS's tables and buckets mean to people, and what to do about them."""

from __future__ import annotations

from chalicelib.domain.errors import UnavailableError

_AGAIN = "try again in a moment; if it stays so, look at the network and at AWS's health page"
_MISSING = "deploy the stack, or set the name that its outputs say"
_DENIED = "give the role that this runs as the rights of the stack's policy"
_CREDENTIALS = "renew the AWS credentials that this runs with"
_SLOWER = "it takes fewer requests than it gets; try again in a moment"

_ADVICE = {
    "ResourceNotFoundException": _MISSING,
    "NoSuchBucket": _MISSING,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
    "NoCredentialsError": _CREDENTIALS,
    "ThrottlingException": _SLOWER,
    "ProvisionedThroughputExceededException": _SLOWER,
    "RequestLimitExceeded": _SLOWER,
    "SlowDown": _SLOWER,
}


def unavailable(place: str, error: Exception) -> UnavailableError:
    """Return the error that says what did not answer, why, and what to do."""
    code = code_of(error) or type(error).__name__
    return UnavailableError(
        f"{place} did not answer as it should ({code}: {error}): {_ADVICE.get(code, _AGAIN)}"
    )


def code_of(error: Exception) -> str:
    """Return the code of the service's answer; "" when there was none."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
