"""500 crons for the oracle, the same at every run: every piece of the syntax, then mixtures."""

from __future__ import annotations

import random

COUNT = 500
DENSE = 40
ZONES = (
    "UTC", "Europe/Copenhagen", "Europe/London", "Europe/Dublin", "Africa/Casablanca",
    "Africa/Cairo", "America/New_York", "America/Havana", "America/Santiago", "America/Sao_Paulo",
    "America/St_Johns", "Asia/Kathmandu", "Asia/Tehran", "Asia/Gaza", "Asia/Ho_Chi_Minh",
    "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia", "Pacific/Chatham",
    "Pacific/Kiritimati",
)  # fmt: skip
# Where clocks change, whatever else.
_NIGHT = (
    "0 0",
    "30 0",
    "0 1",
    "30 1",
    "59 1",
    "0 2",
    "15 2",
    "30 2",
    "45 2",
    "0 3",
    "1 3",
    "59 23",
)
_DAYS = (
    "* * *", "? * *", "* * ?", "1 * *", "31 * *", "29 2 *", "30 1-11/2 *", "L * *", "L-1 * *",
    "L-29 * *", "LW * *", "1W * *", "15W * *", "31W * *", "1,15,L * *", "10-20/5 * *", "*/7 * *",
    "20/4 * *", "* JAN *", "* mar,OCT *", "* 3-11/4 *", "* */5 *", "* * MON", "* * 0", "* * 7",
    "* * FRI-SUN", "* * 1-5", "* * 5-7", "* * */2", "* * 1/3", "* * SUN,WED", "* * MON#1",
    "* * 5#5", "* * SUN#2", "* * FRIL", "* * 0L", "* * 7#3", "* * TUE#L", "13 * FRI",
    "L * MON", "1 * 1-5", "1,15 6 SAT", "15W 4 6", "LW 12 SUN#1",
)  # fmt: skip
_THICK = (
    "* * * * * *", "*/5 * * * * *", "30 * * * * *", "* * * * *", "*/2 * * * *", "*/15 * * * *",
    "0 * * * *", "7/13 * * * *", "0,30 */2 * * *", "*/10 1-3 * * *", "* 2 * * *", "*/7 2,3 * * 0",
    "15,45 0-4 L * *", "59 59 * * * *", "0 0/5 * * MON-FRI", "* * 25-31 3,10 SUN",
)  # fmt: skip


def dense_crons():
    """Return those that run often: they are looked at around clock changes and on some days."""
    draw = random.Random(40)  # noqa: S311 - repeatable, not secret
    found = list(_THICK)
    while len(found) < DENSE:
        step, low = draw.randint(1, 30), draw.randint(0, 20)
        found.append(f"{draw.choice(('*', '0', '*/20'))} */{step} {low}-23 {draw.choice(_DAYS)}")
    return found


def thin_crons():
    """Return those that run at most a few times a day: they are looked at whole."""
    draw = random.Random(460)  # noqa: S311 - the same
    found = [f"{draw.choice(_NIGHT)} {days}" for days in _DAYS]
    found += [f"{night} * * *" for night in _NIGHT]
    while len(found) < COUNT - DENSE:
        clock = draw.choice((_some_clock, _some_clock, _night))(draw)
        text = f"{clock} {draw.choice(_DAYS)}"
        found.append(text if draw.random() < 0.8 else f"{draw.randint(0, 59)} {text}")
    return found


def _night(draw):
    return draw.choice(_NIGHT)


def _some_clock(draw):
    minute = draw.choice((str(draw.randint(0, 59)), f"{draw.randint(30, 59)}/29"))
    low = draw.randint(0, 21)
    hour = draw.choice((str(low), f"{low},{low + 2}", f"{low}-{low + 2}/2", f"{low}/12"))
    return f"{minute} {hour}"
