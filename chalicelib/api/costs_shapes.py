"""Costs as JSON. Dollars are numbers with all their digits: a step costs millionths."""

from __future__ import annotations

from datetime import date

from chalicelib.api.bodies import Query
from chalicelib.api.shapes import Shape
from chalicelib.domain.cost_facts import Mode
from chalicelib.domain.costs import CostLine
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.prices import PRICES, REGION, TAKEN, Meter, Use
from chalicelib.engine import queries_costs
from chalicelib.engine.access import Rights

_DIGITS = 12
_MILLION = 1_000_000


class CostQuery(Query):
    """How the job's workers reached the engine: no record of a job says it."""

    mode: Mode = Mode.DIRECT


class PriceList(Shape):
    """Which prices were taken."""

    region: str
    taken: date
    currency: str = "USD"


class CostUnits(Shape):
    """Units of one meter, and what they cost."""

    service: str
    meter: Meter
    unit: str
    units: float
    usd: float


class CostKind(Shape):
    """One kind of work: how often it was done, and what that used in all."""

    kind: str
    what: str
    count: int
    units: dict[Meter, float]
    usd: float


class ChildCost(Shape):
    """A sub-job, with its own sub-jobs."""

    job_id: str
    workspace: str
    task_name: str
    step: str
    usd: float


class JobCost(Shape):
    """What a job has cost so far.

    `usd` is the job alone, `usd_whole` with its sub-jobs, of which only some are counted where
    `is_whole` is false.
    """

    job_id: str
    status: JobStatus
    mode: Mode
    prices: PriceList
    kinds: list[CostKind]
    meters: list[CostUnits]
    children: list[ChildCost]
    usd: float
    usd_whole: float
    usd_per_million_jobs: float
    is_whole: bool


def cost_of(cost: queries_costs.JobCost, rights: Rights) -> JobCost:
    """Return the cost as JSON; of hidden sub-jobs only the sum tells."""
    whole = cost.whole.usd
    return JobCost(
        job_id=cost.job.job_id,
        status=cost.job.status,
        mode=cost.mode,
        prices=PriceList(region=REGION, taken=TAKEN),
        kinds=[_kind(line) for line in cost.lines],
        meters=[_units(meter, cost.own) for meter in Meter if cost.own.of(meter)],
        children=[_child(child) for child in cost.children if rights.sees_job(child.job)],
        usd=round(cost.own.usd, _DIGITS),
        usd_whole=round(whole, _DIGITS),
        usd_per_million_jobs=round(whole * _MILLION, 2),
        is_whole=cost.is_whole,
    )


def _kind(line: CostLine) -> CostKind:
    used = {meter: _rounded(line.use.of(meter)) for meter in Meter if line.use.of(meter)}
    return CostKind(
        kind=line.kind,
        what=line.what,
        count=line.count,
        units=used,
        usd=round(line.use.usd, _DIGITS),
    )


def _units(meter: Meter, use: Use) -> CostUnits:
    price = PRICES[meter]
    return CostUnits(
        service=price.service,
        meter=meter,
        unit=price.unit,
        units=_rounded(use.of(meter)),
        usd=round(Use({meter: use.of(meter)}).usd, _DIGITS),
    )


def _child(child: queries_costs.ChildCost) -> ChildCost:
    return ChildCost(
        job_id=child.job.job_id,
        workspace=child.job.workspace,
        task_name=child.job.task,
        step=child.step,
        usd=round(child.use.usd, _DIGITS),
    )


def _rounded(units: float) -> float:
    return round(units, 6)
