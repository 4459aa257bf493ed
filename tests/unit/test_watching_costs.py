"""What watching costs, as the page says it and as the model does."""

import pytest

from chalicelib.domain.cost_watching import (
    HOURS,
    LINES,
    MILLION,
    UNWATCHED_FLUSH_S,
    UNWATCHED_JOB,
    WATCHED_FLUSH_S,
    Log,
    lines_told,
)
from chalicelib.domain.prices import Meter
from tests.unit.test_prices import PAGE

BOTH = (
    Meter.MESSAGES,
    Meter.REQUESTS,
    Meter.INVOCATIONS,
    Meter.COMPUTE,
    Meter.READS,
    Meter.WRITES,
)
RATED = [(rate, what) for rate in LINES for what in LINES[rate]]
OF_HOURS = (Meter.CONNECTED, *BOTH)
OF_LINES = (*BOTH, Meter.PUTS, Meter.GETS)


def row(what, use, meters):
    """Return a row of the page; what has no column must be nothing."""
    assert set(use.units) <= set(meters)
    cells = (spelled(use.of(meter)) for meter in meters)
    return f"| {what} | {' | '.join(cells)} | {use.usd:.2g} |"


def spelled(units):
    return f"{units:.3g}" if units < 100 else f"{units:,.0f}"


def section(title):
    """Return the lines of a section of the page, up to the next title."""
    _, found, rest = PAGE.read_text().partition(f"# {title}\n")
    assert found, f"the page has no section {title!r}"
    return rest.partition("\n#")[0].splitlines()


@pytest.mark.parametrize("what", HOURS)
def test_the_page_has_what_an_hour_costs(what):
    assert row(what, HOURS[what], OF_HOURS) in section("An hour")


@pytest.mark.parametrize(("rate", "what"), RATED)
def test_the_page_has_what_a_million_lines_cost(rate, what):
    assert row(what, LINES[rate][what], OF_LINES) in section(f"A million lines, {rate:,} a second")


def test_the_page_has_no_row_that_the_model_has_not():
    rows = [line for title in titles() for line in section(title) if line.startswith("|")]
    # A table begins with two lines of its own.
    assert len(rows) == len(HOURS) + sum(map(len, LINES.values())) + 2 * len(titles())


def titles():
    return ["An hour", *(f"A million lines, {rate:,} a second" for rate in LINES)]


def test_the_page_has_what_a_million_jobs_cost_that_nobody_watches():
    assert f"${(UNWATCHED_JOB * MILLION).usd:.2f}" in PAGE.read_text()


def test_the_other_page_has_no_figures_of_its_own():
    text = (PAGE.parents[1] / "explanation" / "live-logs.md").read_text()
    assert "$" not in text
    assert "../reference/cost.md#watching" in text


def test_a_chunk_is_what_came_in_its_time_unless_it_is_full():
    assert Log(10).chunk_lines(WATCHED_FLUSH_S) == 10
    assert Log(1_000).chunk_lines(UNWATCHED_FLUSH_S) == 3_495
    assert Log(100_000).chunk_lines(WATCHED_FLUSH_S) == 3_495


def test_only_who_fetches_a_chunk_pays_for_the_object():
    small, large = lines_told(3), lines_told(3, is_large=True)
    assert (small.of(Meter.GETS), large.of(Meter.GETS)) == (0, 3)
    assert small.of(Meter.INVOCATIONS) == large.of(Meter.INVOCATIONS) == 1
