"""Cron: what each field means, and when it runs in zones whose clocks change."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.schedule.cron import Cron, next_runs, zone_of

# expression, zone, after (UTC), the next runs (UTC)
TABLE = [
    # fields
    ("*/15 * * * *", "UTC", "2026-11-21T10:07:00", "2026-11-21T10:15:00 2026-11-21T10:30:00"),
    ("30 */10 * * * *", "UTC", "2026-11-21T10:00:30", "2026-11-21T10:10:30 2026-11-21T10:20:30"),
    ("* * * * * *", "UTC", "2026-12-31T23:59:59", "2027-01-01T00:00:00 2027-01-01T00:00:01"),
    ("5,1,3 0 * * *", "UTC", "2026-11-21T00:00:00", "2026-11-21T00:01:00 2026-11-21T00:03:00"),
    ("0 9-17/4 * * *", "UTC", "2026-11-21T10:00:00", "2026-11-21T13:00:00 2026-11-21T17:00:00"),
    ("50/4 0 * * *", "UTC", "2026-11-21T00:50:00", "2026-11-21T00:54:00 2026-11-21T00:58:00"),
    ("0 0 * JAN,jul *", "UTC", "2026-01-31T00:00:00", "2026-07-01T00:00:00 2026-07-02T00:00:00"),
    ("0 0 * * mon-FRI", "UTC", "2026-11-20T00:00:00", "2026-11-23T00:00:00 2026-11-24T00:00:00"),
    ("0 0 * * 7", "UTC", "2026-11-21T00:00:00", "2026-11-22T00:00:00 2026-11-29T00:00:00"),
    ("0 0 * * 0", "UTC", "2026-11-21T00:00:00", "2026-11-22T00:00:00 2026-11-29T00:00:00"),
    ("0 0 * * FRI-SUN", "UTC", "2026-11-21T00:00:00", "2026-11-22T00:00:00 2026-11-27T00:00:00"),
    ("@hourly", "UTC", "2026-11-21T10:00:00", "2026-11-21T11:00:00 2026-11-21T12:00:00"),
    ("@Daily", "UTC", "2026-11-21T10:00:00", "2026-11-22T00:00:00 2026-11-23T00:00:00"),
    ("@weekly", "UTC", "2026-11-21T10:00:00", "2026-11-22T00:00:00 2026-11-29T00:00:00"),
    ("@monthly", "UTC", "2026-11-21T10:00:00", "2026-12-01T00:00:00 2027-01-01T00:00:00"),
    ("@yearly", "UTC", "2026-11-21T10:00:00", "2027-01-01T00:00:00 2028-01-01T00:00:00"),
    # both day fields: either will do; `?` and `*` mean any
    ("0 0 13 * FRI", "UTC", "2026-11-10T00:00:00", "2026-11-13T00:00:00 2026-11-20T00:00:00"),
    ("0 0 12 * ?", "UTC", "2026-11-10T00:00:00", "2026-11-12T00:00:00 2026-12-12T00:00:00"),
    ("0 0 ? * MON", "UTC", "2026-11-10T00:00:00", "2026-11-16T00:00:00 2026-11-23T00:00:00"),
    # month ends and leap days
    ("0 0 31 * *", "UTC", "2026-03-31T00:00:00", "2026-05-31T00:00:00 2026-07-31T00:00:00"),
    ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00", "2028-02-29T00:00:00 2032-02-29T00:00:00"),
    ("0 0 29 2 *", "UTC", "2096-02-29T00:00:00", "2104-02-29T00:00:00 2108-02-29T00:00:00"),
    ("0 0 L * *", "UTC", "2028-01-31T00:00:00", "2028-02-29T00:00:00 2028-03-31T00:00:00"),
    ("0 0 L-2 * *", "UTC", "2026-01-31T00:00:00", "2026-02-26T00:00:00 2026-03-29T00:00:00"),
    ("0 0 L-28 2 *", "UTC", "2026-01-31T00:00:00", "2028-02-01T00:00:00 2032-02-01T00:00:00"),
    ("0 0 1,L * *", "UTC", "2026-11-21T00:00:00", "2026-11-30T00:00:00 2026-12-01T00:00:00"),
    # W: the nearest weekday, never in another month
    ("0 0 15W * *", "UTC", "2026-11-01T00:00:00", "2026-11-16T00:00:00 2026-12-15T00:00:00"),
    ("0 0 15W 8 *", "UTC", "2026-01-01T00:00:00", "2026-08-14T00:00:00 2027-08-16T00:00:00"),
    ("0 0 1W 8 *", "UTC", "2026-01-01T00:00:00", "2026-08-03T00:00:00 2027-08-02T00:00:00"),
    ("0 0 31W 5 *", "UTC", "2026-01-01T00:00:00", "2026-05-29T00:00:00 2027-05-31T00:00:00"),
    ("0 0 31W * *", "UTC", "2026-03-31T00:00:00", "2026-05-29T00:00:00 2026-07-31T00:00:00"),
    ("0 0 LW * *", "UTC", "2026-01-31T00:00:00", "2026-02-27T00:00:00 2026-03-31T00:00:00"),
    # the nth and the last weekday of the month
    ("0 0 * * MON#1", "UTC", "2026-11-21T00:00:00", "2026-12-07T00:00:00 2027-01-04T00:00:00"),
    ("0 0 * * 1#5", "UTC", "2026-11-21T00:00:00", "2026-11-30T00:00:00 2027-03-29T00:00:00"),
    ("0 0 * * 5L", "UTC", "2026-11-21T00:00:00", "2026-11-27T00:00:00 2026-12-25T00:00:00"),
    ("0 0 * * FRI#L", "UTC", "2026-11-21T00:00:00", "2026-11-27T00:00:00 2026-12-25T00:00:00"),
    ("0 0 * 2 MON#5", "UTC", "2044-03-01T00:00:00", "2072-02-29T00:00:00 2112-02-29T00:00:00"),
    # spring: what does not exist runs when the gap ends, once
    ("30 2 * * *", "Europe/Copenhagen", "2026-03-28T12:00:00",
     "2026-03-29T01:00:00 2026-03-30T00:30:00"),
    ("*/20 2 * * *", "Europe/Copenhagen", "2026-03-29T00:00:00",
     "2026-03-29T01:00:00 2026-03-30T00:00:00"),
    ("0 * * * *", "Europe/Copenhagen", "2026-03-29T00:00:00",
     "2026-03-29T01:00:00 2026-03-29T02:00:00"),
    ("0 2 * * *", "America/New_York", "2026-03-08T00:00:00",
     "2026-03-08T07:00:00 2026-03-09T06:00:00"),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00",
     "2026-10-03T15:30:00 2026-10-04T15:15:00"),
    ("30 0 * * *", "America/Havana", "2026-03-07T12:00:00",
     "2026-03-08T05:00:00 2026-03-09T04:30:00"),
    ("0 12 30 12 *", "Pacific/Apia", "2011-12-29T12:00:00",
     "2011-12-30T10:00:00 2012-12-29T22:00:00"),
    # autumn: what comes twice runs the first time
    ("30 2 * * *", "Europe/Copenhagen", "2026-10-24T12:00:00",
     "2026-10-25T00:30:00 2026-10-26T01:30:00"),
    ("*/30 1 * * *", "America/New_York", "2026-11-01T04:00:00",
     "2026-11-01T05:00:00 2026-11-01T05:30:00 2026-11-02T06:00:00"),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00",
     "2026-04-04T14:45:00 2026-04-05T15:15:00"),
    ("30 1 * * *", "Europe/London", "2026-10-25T00:45:00", "2026-10-26T01:30:00"),
    # zones with odd offsets, and without any change
    ("0 9 * * *", "Asia/Kathmandu", "2026-11-21T00:00:00", "2026-11-21T03:15:00"),
    ("0 9 * * *", "Asia/Ho_Chi_Minh", "2026-11-21T00:00:00", "2026-11-21T02:00:00"),
    ("0 0 1 1 *", "Pacific/Kiritimati", "2026-11-21T00:00:00", "2026-12-31T10:00:00"),
]  # fmt: skip


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("text", "zone", "after", "expected"), TABLE)
def test_it_runs_next(text, zone, after, expected):
    runs = [utc(one) for one in expected.split()]
    assert list(next_runs(Cron.parse(text), zone, utc(after), len(runs))) == runs


def test_a_day_that_never_comes_gives_none():
    assert Cron.parse("0 0 30 2 *").next_after(utc("2026-01-01T00:00:00"), "UTC") is None
    assert Cron.parse("0 0 31W 4,6 *").next_after(utc("2026-01-01T00:00:00"), "UTC") is None
    assert next_runs(Cron.parse("0 0 31 2 *"), "UTC", utc("2026-01-01T00:00:00"), 3) == ()


def test_fractions_of_a_second_and_the_zone_of_the_instant_do_not_matter():
    cron = Cron.parse("0 12 * * *")
    nearly = utc("2026-11-21T11:59:59") + timedelta(microseconds=999_999)
    assert cron.next_after(nearly, "UTC") == utc("2026-11-21T12:00:00")
    elsewhere = nearly.astimezone(timezone(timedelta(hours=9)))
    assert cron.next_after(elsewhere, "UTC") == utc("2026-11-21T12:00:00")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("60 * * * *", "the minute field `60`: 60 is not from 0 to 59"),
        ("60 * * * * *", "the second field"),
        ("* 24 * * *", "the hour field `24`: 24 is not from 0 to 23"),
        ("* * 0 * *", "the day-of-month field `0`: 0 is not from 1 to 31"),
        ("* * 32 * *", "day-of-month"),
        ("* * * 13 *", "the month field `13`"),
        ("* * * * 8", "the day-of-week field `8`: 8 is not from 0 to 7"),
        ("* * * JANUARY *", "`JANUARY` is neither a number or JAN, FEB"),
        ("* * * * MOON", "the day-of-week field `MOON`"),
        ("5-1 * * * *", "the range runs backwards; write 5-59,0-1"),
        ("*/0 * * * *", "whole number from 1"),
        ("*/60 * * * *", "the step 60 is larger than the field"),
        ("*/x * * * *", "whole number from 1"),
        ("1,,2 * * * *", "an empty entry"),
        ("- * * * *", "neither a number"),
        ("-5 * * * *", "neither a number"),
        ("1-2-3 * * * *", "neither a number"),
        ("?/5 * * * *", "neither a number"),
        ("? * * * *", "the minute field `?`"),
        ("L * * * *", "the minute field `L`"),
        ("* * L-0 * *", "after `L-` comes a number from 1 to 30"),
        ("* * L-31 * *", "after `L-`"),
        ("* * W * *", "the day-of-month field `W`"),
        ("* * 1-5W * *", "the day-of-month field `1-5W`"),
        ("* * * * L", "`L` needs a weekday"),
        ("* * * * MON#6", "after `#` comes a number from 1 to 5"),
        ("* * * * MON#0", "after `#`"),
        ("* * * * #2", "the day-of-week field `#2`"),
        ("* * * * 1-2#2", "the day-of-week field `1-2#2`"),
        ("٣ * * * *", "neither a number"),
        ("@never", "none of @yearly"),
        ("1," * 600 + "1 * * * *", "longer than 1000 characters"),
    ],
)  # fmt: skip
def test_a_bad_expression_is_refused_with_field_and_reason(text, why):
    with pytest.raises(InvalidError) as caught:
        Cron.parse(text)
    assert caught.value.message.startswith("cron: ")
    assert why in caught.value.message


@pytest.mark.parametrize(
    "name", ["", "Mars", "../../etc/passwd", "/etc/localtime", "UTC\x00", "Europe"]
)
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(InvalidError, match="is not a time zone"):
        zone_of(name)
