"""When a failed step is tried again."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.workflow import Backoff, Retry

MAX_DOUBLINGS = 6
MAX_JITTER = 0.25


def attempts_left(policy: Retry | None, attempt: int) -> bool:
    """Say whether attempt `attempt` (from 1) may be followed by another.

    `max_attempts` counts every attempt, the first included. Source: decision 6.
    """
    return policy is not None and attempt < policy.max_attempts


def next_delay(policy: Retry, attempt: int, jitter: float) -> timedelta:
    """Return how long to wait before attempt `attempt + 1`.

    `attempt` is the one that just failed, from 1. Exponential backoff doubles from `delay_s`, at
    most six times: 30 s, 60 s, 120 s … 1,920 s. `jitter`, from 0 to 1, is the caller's draw: where
    the policy asks for jitter it adds up to a quarter.
    Source: workflow language, section 1.8; decision 6.
    """
    delay_s = float(policy.delay_s)
    if policy.backoff is Backoff.EXPONENTIAL:
        delay_s *= 2 ** min(attempt - 1, MAX_DOUBLINGS)
    if policy.jitter:
        delay_s *= 1 + MAX_JITTER * jitter
    return timedelta(seconds=delay_s)
