"""What of a job never changes, kept by each process for those who push what comes of it.

One rule: nothing that can change is read from here: not a status, not a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.job import Job
from chalicelib.domain.redactor import Redactor

MOST_KEPT = 1024


@dataclass(frozen=True, slots=True)
class KeptJob:
    """A job as it was once, and what hides its secrets."""

    job: Job
    redactor: Redactor
