"""What AWS charges for: the one table of list prices, and sums of what was used.

The one rule: no price stands anywhere else; whoever changes one changes `TAKEN` with it.
Data that leaves S3 or the region is not in it: nothing here knows how much of it there is.
Source: the pricing pages of each service, on-demand, region us-east-1, without the free tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

REGION = "us-east-1"
TAKEN = date(2025, 12, 2)
_MILLION = 1_000_000


class Meter(StrEnum):
    """A figure that AWS bills by."""

    WRITES = "dynamodb_write_units"
    READS = "dynamodb_read_units"
    QUEUE = "sqs_requests"
    PUTS = "s3_puts"
    GETS = "s3_gets"
    INVOCATIONS = "lambda_invocations"
    COMPUTE = "lambda_gb_s"
    REQUESTS = "api_requests"
    MESSAGES = "websocket_messages"
    CONNECTED = "websocket_connection_minutes"


@dataclass(frozen=True, slots=True)
class Price:
    """What a million of a meter's units cost. A strong read of 4 KB is one read unit."""

    service: str
    unit: str
    usd_per_million: float
    source: str


_AWS = "https://aws.amazon.com/"
PRICES: Mapping[Meter, Price] = MappingProxyType(
    {
        Meter.WRITES: Price("DynamoDB", "write unit (1 KB)", 0.625, f"{_AWS}dynamodb/pricing/"),
        Meter.READS: Price("DynamoDB", "read unit (4 KB)", 0.125, f"{_AWS}dynamodb/pricing/"),
        Meter.QUEUE: Price("SQS", "request, standard queue", 0.40, f"{_AWS}sqs/pricing/"),
        Meter.PUTS: Price("S3", "PUT request", 5.0, f"{_AWS}s3/pricing/"),
        Meter.GETS: Price("S3", "GET request", 0.40, f"{_AWS}s3/pricing/"),
        Meter.INVOCATIONS: Price("Lambda", "invocation", 0.20, f"{_AWS}lambda/pricing/"),
        Meter.COMPUTE: Price("Lambda", "GB-second, x86", 16.6667, f"{_AWS}lambda/pricing/"),
        Meter.REQUESTS: Price("API Gateway", "REST request", 3.50, f"{_AWS}api-gateway/pricing/"),
        Meter.MESSAGES: Price(
            "API Gateway", "WebSocket message", 1.00, f"{_AWS}api-gateway/pricing/"
        ),
        Meter.CONNECTED: Price(
            "API Gateway", "WebSocket connection minute", 0.25, f"{_AWS}api-gateway/pricing/"
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Use:
    """How many units of each meter something used; a meter that is not named is at 0."""

    units: Mapping[Meter, float]

    def __add__(self, other: Use) -> Use:
        named = [meter for meter in Meter if meter in self.units or meter in other.units]
        return Use({meter: self.of(meter) + other.of(meter) for meter in named})

    def __mul__(self, times: float) -> Use:
        return Use({meter: units * times for meter, units in self.units.items()})

    def of(self, meter: Meter) -> float:
        """Return the units of one meter."""
        return self.units.get(meter, 0)

    @property
    def usd(self) -> float:
        """Return the dollars at list prices."""
        return sum(
            units * PRICES[meter].usd_per_million / _MILLION for meter, units in self.units.items()
        )


NOTHING = Use({})


def writes(units: float) -> Use:
    """Return so many DynamoDB write units."""
    return Use({Meter.WRITES: units})


def reads(units: float) -> Use:
    """Return so many DynamoDB read units."""
    return Use({Meter.READS: units})


def queue(requests: float) -> Use:
    """Return so many SQS requests."""
    return Use({Meter.QUEUE: requests})


def puts(requests: float) -> Use:
    """Return so many S3 PUTs."""
    return Use({Meter.PUTS: requests})


def gets(requests: float) -> Use:
    """Return so many S3 GETs."""
    return Use({Meter.GETS: requests})
