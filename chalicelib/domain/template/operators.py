"""Comparing and calculating. Owns what the operators accept and how large a number may get.

The one rule: numbers only, save for `==`, `!=` and `in`; whole numbers stay within 64 bits.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TypeAlias

from chalicelib.domain.template.limits import Meter
from chalicelib.domain.template.values import (
    FaultError,
    Value,
    a_kind,
    contains,
    is_number,
    same,
)

LOWEST = -(2**63)
HIGHEST = 2**64 - 1

Operator: TypeAlias = Callable[[Meter, Value, Value], Value]


def _numbers(left: Value, right: Value, symbol: str) -> None:
    for side in (left, right):
        if not is_number(side):
            raise FaultError(f"`{symbol}` wants numbers, not {a_kind(side)}")


def bounded(value: float) -> float:
    """Return the number.

    Raises:
        FaultError: it does not fit in 64 bits, or is not finite.
    """
    if type(value) is int and not LOWEST <= value <= HIGHEST:
        raise FaultError("the result is too large for a whole number of 64 bits")
    if not math.isfinite(value):
        raise FaultError("the result is not a finite number")
    return value


def _calculating(symbol: str, function: Callable[[float, float], float]) -> Operator:
    def calculate(_: Meter, left: Value, right: Value) -> Value:
        _numbers(left, right, symbol)
        return bounded(function(bounded(left), bounded(right)))

    return calculate


def _ordering(symbol: str, function: Callable[[float, float], bool]) -> Operator:
    def order(_: Meter, left: Value, right: Value) -> Value:
        _numbers(left, right, symbol)
        return function(left, right)

    return order


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise FaultError("division by zero")
    if type(left) is int and type(right) is int and left % right == 0:
        return left // right
    return left / right


def _remainder(left: float, right: float) -> float:
    """The sign is the dividend's, as in the language that we follow; Python's is the divisor's."""
    if right == 0:
        raise FaultError("division by zero")
    if type(left) is int and type(right) is int:
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return math.fmod(left, right)


def _weighed(meter: Meter, *values: Value) -> None:
    for value in values:
        if type(value) is list or type(value) is dict:
            meter.weigh(value)


def _equal(meter: Meter, left: Value, right: Value) -> Value:
    _weighed(meter, left, right)
    return same(left, right)


def _unequal(meter: Meter, left: Value, right: Value) -> Value:
    """A number is neither equal nor unequal to what is no number: Tera answers false to both."""
    _weighed(meter, left, right)
    if is_number(left) != is_number(right):
        return False
    return not same(left, right)


def _in(meter: Meter, left: Value, right: Value) -> Value:
    if type(right) is not dict:
        meter.weigh(right)
    return contains(right, left, "the right side")


def _not_in(meter: Meter, left: Value, right: Value) -> Value:
    return not _in(meter, left, right)


OPERATORS: dict[str, Operator] = {
    "==": _equal,
    "!=": _unequal,
    "in": _in,
    "not in": _not_in,
    "<": _ordering("<", operator.lt),
    "<=": _ordering("<=", operator.le),
    ">": _ordering(">", operator.gt),
    ">=": _ordering(">=", operator.ge),
    "+": _calculating("+", operator.add),
    "-": _calculating("-", operator.sub),
    "*": _calculating("*", operator.mul),
    "/": _calculating("/", _divide),
    "%": _calculating("%", _remainder),
}
