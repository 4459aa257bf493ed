"""What a job may cost: counted in fixed scenarios, against the model and the committed budget.

Source: protocol, "Cost budget".
"""

import tomllib
from pathlib import Path

import pytest

from chalicelib.domain.prices import Meter
from tests.contract.cost_bench import a_bench
from tests.contract.cost_scenarios import SCENARIOS, WORKSPACE

BUDGET = Path(__file__).with_name("cost_budget.toml")


@pytest.fixture(scope="module")
def budget():
    return tomllib.loads(BUDGET.read_text())


@pytest.fixture
def bench(moto, monkeypatch):
    monkeypatch.delenv("STROEM_WORKER_TOKEN", raising=False)
    return a_bench(moto, WORKSPACE)


def spelled(units):
    """Return the figures as the budget file has them; Lambda's time is assumed, not counted."""
    return {
        meter.value: units[meter] for meter in Meter if units.get(meter) and _is_counted(meter)
    }


def _is_counted(meter):
    return meter is not Meter.COMPUTE


def differences(name, counted, allowed, section="scenario"):
    """Return a line for each figure that is not what the budget says."""
    for meter in Meter:
        found, most = counted.get(meter.value, 0), allowed.get(meter.value, 0)
        if found > most:
            yield (
                f"{name}: {meter.value} grew from {most} to {found}. Find what is new; "
                f"if it has to be, write {meter.value} = {found} under "
                f'[{section}."{name}"] in {BUDGET.name} and say why in the commit.'
            )
        elif found < most:
            yield (
                f"{name}: {meter.value} fell from {most} to {found}: write the smaller figure "
                f"into {BUDGET.name}, so that it cannot grow back unseen."
            )


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_job_costs_what_the_budget_and_the_model_say(bench, budget, name):
    scenario = SCENARIOS[name]
    counted = spelled(bench.run(scenario))
    assert list(differences(name, counted, budget["scenario"].get(name, {}))) == []
    assert spelled((bench.predicted(scenario.mode) + scenario.untold).units) == counted


def test_the_budget_has_no_scenario_that_is_not_run(budget):
    assert list(budget["scenario"]) == list(SCENARIOS)


def per_step(budget, meter, many, one="one step"):
    """Return what each further step of a chain of ten adds."""
    scenarios = budget["scenario"]
    return (scenarios[many].get(meter, 0) - scenarios[one].get(meter, 0)) / 9


def per_instance(budget, meter, loop, total):
    """Return what each instance adds to a job of one step."""
    scenarios = budget["scenario"]
    return (scenarios[loop][meter] - scenarios["one step with a condition"][meter]) / total


def test_the_budget_keeps_the_protocols_limits(budget):
    limits, chain = budget["limits"], "a chain of 10"
    one, fan = budget["scenario"]["one step"], budget["scenario"]["a fan-out of 10 with a join"]
    behind = ("a chain of 10 behind the API", "one step behind the API")
    loop, limited = ("a loop of 20", 20), ("a loop of 100, 10 at a time", 100)
    reads, writes = "dynamodb_read_units", "dynamodb_write_units"
    figures = {
        "write_units_per_step": per_step(budget, writes, chain),
        "write_units_per_instance": per_instance(budget, writes, *loop),
        "write_units_per_limited_instance": per_instance(budget, writes, *limited),
        "write_units_per_job": one[writes] - per_step(budget, writes, chain),
        "read_units_per_step": fan[reads] / 12,
        "read_units_per_chained_step": per_step(budget, reads, chain),
        "read_units_per_instance": per_instance(budget, reads, *loop),
        "read_units_per_limited_instance": per_instance(budget, reads, *limited),
        "sqs_requests_per_step": fan["sqs_requests"] / 12,
        "sqs_requests_per_chained_step": per_step(budget, "sqs_requests", chain),
        "s3_puts_per_step": per_step(budget, "s3_puts", "10 steps with logs"),
        "s3_puts_per_job": one["s3_puts"],
        "lambda_invocations_per_step": per_step(budget, "lambda_invocations", chain),
        "lambda_invocations_per_http_step": per_step(budget, "lambda_invocations", *behind),
        "lambda_invocations_per_job": one["lambda_invocations"],
    }
    assert list(figures) == list(limits)
    assert {name: figure for name, figure in figures.items() if figure > limits[name]} == {}


def test_a_figure_that_grew_is_told_with_the_way_out():
    grown = {"sqs_requests": 4}
    (line,) = differences("one step", grown, {"sqs_requests": 3})
    assert "sqs_requests grew from 3 to 4" in line
    assert '[scenario."one step"]' in line
