"""The table of prices, and sums over it."""

from pathlib import Path

import pytest

from chalicelib.domain.prices import NOTHING, PRICES, TAKEN, Meter, Use, puts, writes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cost.md"


def test_every_meter_has_a_price_and_a_source():
    assert list(PRICES) == list(Meter)
    assert all(price.source.startswith("https://aws.amazon.com/") for price in PRICES.values())


@pytest.mark.parametrize("meter", Meter)
def test_the_page_has_the_price_of(meter):
    price = PRICES[meter]
    row = f"| {price.service} | {price.unit} | `{meter}` | {price.usd_per_million:g} |"
    assert row in PAGE.read_text()


def test_the_page_has_the_date_of_the_prices():
    assert f"**{TAKEN}**" in PAGE.read_text()


def test_uses_add_up_by_meter():
    both = writes(2) + puts(1) + writes(1)
    assert both.units == {Meter.WRITES: 3, Meter.PUTS: 1}
    assert (both * 2).of(Meter.WRITES) == 6
    assert (NOTHING + both) == both


def test_a_million_of_a_meter_costs_its_price():
    assert writes(1_000_000).usd == pytest.approx(0.625)
    assert Use({Meter.COMPUTE: 1_000_000}).usd == pytest.approx(16.6667)
    assert NOTHING.usd == 0
