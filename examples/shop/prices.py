"""Prices of a small shop: what the sample pipelines check, test and package."""


def with_tax(net: float, rate: float = 0.25) -> float:
    """Return the price a customer pays, to the cent."""
    return round(net * (1 + rate), 2)


def discount(total: float, code: str) -> float:
    """Return the total after a voucher; unknown codes change nothing."""
    share = {"SPRING10": 0.10, "STAFF30": 0.30}.get(code, 0.0)
    return round(total * (1 - share), 2)
