"""What one rendering may cost. Owns the bounds of the template language and the meter.

The one rule: work is counted, not timed, so that the same template with the same values always
ends alike.
Source: security S9.
"""

from __future__ import annotations

from chalicelib.domain.template.values import FaultError, Missing, Value

MAX_SOURCE_BYTES = 256 * 1024
MAX_OUTPUT_BYTES = 256 * 1024
MAX_TEXT = 256 * 1024
"""Characters of any one string that a template makes."""
MAX_LIST = 10_000
"""Items of any one array that a template makes."""
MAX_DEPTH = 64
"""Levels of nesting of any value, also of those handed in."""
MAX_NODES = 1_000_000
"""Values inside any one top-level name of the context."""
MAX_TOKENS = 10_000
MAX_LOOP_NESTING = 10
MAX_BLOCK_NESTING = 30
MAX_EXPRESSION_NESTING = 40
MAX_WORK = 100_000
"""Units: a look-up, filter, operator or turn of a loop is about one each; 200 ms at the worst."""

CHARS_PER_UNIT = 100
NODES_PER_UNIT = 4
_CHECK_EVERY = 1024


class Meter:
    """Counts the work of one rendering down to nothing."""

    __slots__ = ("left",)

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left

    def charge(self, units: int) -> None:
        """Take `units` from what is left.

        Raises:
            FaultError: the rendering has used up its work.
        """
        self.left -= units
        if self.left < 0:
            raise FaultError(
                f"the template does too much work (over {MAX_WORK} operations); "
                "loop over less, or do this part in a script"
            )

    def text(self, size: int) -> None:
        """Charge for handling a string of `size` characters that the template makes.

        Raises:
            FaultError: it would be over the limit; call this before making it.
        """
        if size > MAX_TEXT:
            raise FaultError(f"a string would grow over {MAX_TEXT} characters")
        self.charge(1 + size // CHARS_PER_UNIT)

    def array(self, size: int) -> None:
        """Charge for making an array of `size` items.

        Raises:
            FaultError: it would be over the limit.
        """
        if size > MAX_LIST:
            raise FaultError(f"an array would grow over {MAX_LIST} items")
        self.charge(1 + size // NODES_PER_UNIT)

    def weigh(self, value: Value) -> None:
        """Charge for walking through all of a value, before something does.

        Raises:
            FaultError: too much to walk, or nested too deep.
        """
        stack: list[tuple[Value, int]] = [(value, 0)]
        nodes = 0
        while stack:
            here, depth = stack.pop()
            nodes += 1
            if type(here) is str:
                nodes += len(here) * NODES_PER_UNIT // CHARS_PER_UNIT
            elif type(here) is list or type(here) is dict:
                if depth >= MAX_DEPTH:
                    raise FaultError(f"a value is nested more than {MAX_DEPTH} levels deep")
                inside = here.values() if isinstance(here, dict) else here
                stack.extend((each, depth + 1) for each in inside)
            if nodes >= _CHECK_EVERY:
                self.charge(nodes // NODES_PER_UNIT)
                nodes = 0
        self.charge(1 + nodes // NODES_PER_UNIT)


def defined(value: Value) -> Value:
    """Return the value.

    Raises:
        FaultError: it is not defined; the sentence names what there is instead.
    """
    if type(value) is Missing:
        raise FaultError(value.why())
    return value
