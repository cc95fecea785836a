"""Hours that cannot be are refused, by their path and with the reason."""

from typing import Any

import pytest

from fendan import FendanError, InvalidInputError
from fendan.hours import always_open, parse_hours


def refused(hours: Any, time_zone: Any = "Asia/Shanghai") -> FendanError:
    with pytest.raises(InvalidInputError) as caught:
        parse_hours(hours, time_zone, "stores.S1")
    return caught.value


def test_hours_are_minutes_from_the_midnight_of_the_day_they_begin_on() -> None:
    hours = parse_hours(
        {
            "daily": "09:00-22:00",
            "fri": " 22:00 - 02:00, 10:00-14:00 ",
            "sat": "24h",
            "sun": "closed",
            "2026-10-02": "18:00-24:00",
            "1970-01-02": "20:00-00:00",
        },
        "Europe/London",
    )
    assert hours.time_zone == "Europe/London"
    assert hours.week == (
        *[((540, 1320),)] * 4,
        ((600, 840), (1320, 1560)),
        ((0, 1440),),
        (),
    )
    assert hours.dates == ((1, ((1200, 1440),)), (20728, ((1080, 1440),)))


def test_equal_hours_are_equal_whatever_the_order_they_are_said_in() -> None:
    one = {"mon": "09:00-10:00,11:00-12:00", "daily": "24h", "2026-01-01": "closed"}
    other = {"2026-01-01": "closed", "daily": "00:00-24:00", "mon": "11:00-12:00, 09:00-10:00"}
    assert parse_hours(one, "UTC") == parse_hours(other, "UTC")
    assert hash(parse_hours(one, "UTC")) == hash(parse_hours(other, "UTC"))


def test_no_hours_are_always_open() -> None:
    assert parse_hours(None, "UTC") == parse_hours({"daily": "24h"}, "UTC") == always_open("UTC")


LIKE = "must be like 09:00-22:00, 22:00-02:00, 09:00-12:00,13:00-18:00, closed or 24h"
TEXTS = [
    ("25:00-26:00", "OUT_OF_RANGE", "25:00 is no time of day: they go from 00:00 to 24:00"),
    ("24:01-02:00", "OUT_OF_RANGE", "24:01 is no time of day: they go from 00:00 to 24:00"),
    ("09:00-09:60", "OUT_OF_RANGE", "09:60 is no time of day: they go from 00:00 to 24:00"),
    ("09:00-09:00", "OUT_OF_RANGE", "09:00-09:00 ends when it begins: use 24h or closed"),
    ("24:00-24:00", "OUT_OF_RANGE", "24:00-24:00 ends when it begins: use 24h or closed"),
    ("24:00-02:00", "OUT_OF_RANGE", "24:00 is the end of a day: what begins then is 00:00 of"),
    ("12:00-18:00,09:00-13:00", "OUT_OF_RANGE", "09:00-13:00 and 12:00-18:00 overlap"),
    ("22:00-02:00,23:00-24:00", "OUT_OF_RANGE", "22:00-02:00 and 23:00-24:00 overlap"),
    ("09:00-10:00,09:00-10:00", "OUT_OF_RANGE", "09:00-10:00 and 09:00-10:00 overlap"),
    ("9:0-12:00", "WRONG_TYPE", LIKE),
    ("9:00-12:00", "WRONG_TYPE", LIKE),
    ("09:00", "WRONG_TYPE", LIKE),
    ("09:00–12:00", "WRONG_TYPE", LIKE),
    ("٠٩:٠٠-١٢:٠٠", "WRONG_TYPE", LIKE),
    ("-09:00-12:00", "WRONG_TYPE", LIKE),
    ("09:00-12:00,", "WRONG_TYPE", LIKE),
    ("09:00-12:00,closed", "WRONG_TYPE", LIKE),
    ("open", "WRONG_TYPE", LIKE),
    ("", "WRONG_TYPE", LIKE),
    (None, "WRONG_TYPE", LIKE),
    (24, "WRONG_TYPE", LIKE),
    (",".join(f"0{hour}:00-0{hour}:30" for hour in range(5)), "TOO_MANY", "at most 4 openings"),
]


@pytest.mark.parametrize("key", ["mon", "daily", "2026-10-01"])
@pytest.mark.parametrize(("text", "code", "why"), TEXTS)
def test_a_day_that_cannot_be_is_refused(key: str, text: Any, code: str, why: str) -> None:
    error = refused({"daily": "24h", key: text})
    assert (error.code, error.field, error.value) == (code, f"stores.S1.hours.{key}", text)
    assert error.hint.startswith(why)
    assert str(error).startswith(f"stores.S1.hours.{key}: ")


KEYS = [
    ("montag", "must be mon to sun, daily, or a date such as 2026-10-01; did you mean mon?"),
    ("Mon", "must be mon to sun, daily, or a date such as 2026-10-01; did you mean mon?"),
    ("every day", "must be mon to sun, daily, or a date such as 2026-10-01"),
    ("2026-1-1", "must be mon to sun, daily, or a date such as 2026-10-01"),
    ("20261001", "must be mon to sun, daily, or a date such as 2026-10-01"),
    ("2026-02-29", "there is no such day"),
    ("2026-13-01", "there is no such day"),
    ("0000-01-01", "there is no such day"),
    (1, "must be mon to sun, daily, or a date such as 2026-10-01"),
]


@pytest.mark.parametrize(("key", "why"), KEYS)
def test_a_day_that_there_is_not_is_refused(key: Any, why: str) -> None:
    error = refused({"daily": "24h", key: "closed"})
    assert (error.code, error.field) == ("OUT_OF_RANGE", f"stores.S1.hours.{key}")
    assert (error.value, error.hint) == (key, why)


def test_the_last_of_february_is_a_day_in_some_years() -> None:
    assert parse_hours({"daily": "24h", "2028-02-29": "closed"}, "UTC").dates == ((21243, ()),)


@pytest.mark.parametrize(
    ("hours", "missing"),
    [
        ({}, "mon"),
        ({"2026-10-01": "closed"}, "mon"),
        (dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat"), "24h"), "sun"),
    ],
)
def test_a_day_of_which_nothing_is_said_is_refused(hours: dict[str, str], missing: str) -> None:
    error = refused(hours)
    assert (error.code, error.field) == ("MISSING", f"stores.S1.hours.{missing}")
    assert error.hint.startswith("say every weekday, if only closed, or daily")


@pytest.mark.parametrize("hours", ["09:00-22:00", ["09:00-22:00"], 24])
def test_hours_that_are_no_table_are_refused(hours: Any) -> None:
    error = refused(hours)
    assert (error.code, error.field) == ("WRONG_TYPE", "stores.S1.hours")


def test_more_holidays_than_anyone_has_are_refused() -> None:
    dates = {f"{year}-01-{day:02}": "closed" for year in range(2000, 2040) for day in range(1, 29)}
    error = refused({"daily": "24h", **dates})
    assert (error.code, error.field, error.value) == ("TOO_MANY", "stores.S1.hours", 1120)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Asia/Shangai", "there is no such time zone; did you mean Asia/Shanghai?"),
        ("Europe", "there is no such time zone"),
        ("", "there is no such time zone"),
        ("../etc/passwd", "there is no such time zone"),
        ("/etc/localtime", "there is no such time zone"),
        ("\0", "there is no such time zone"),
        ("上海", "there is no such time zone"),
        ("a" * 5000, "there is no such time zone"),
    ],
)
def test_a_time_zone_that_there_is_not_is_refused(name: str, why: str) -> None:
    error = refused(None, name)
    assert (error.code, error.field) == ("OUT_OF_RANGE", "stores.S1.time_zone")
    assert error.hint.startswith(why)


def test_a_time_zone_that_is_no_text_is_refused() -> None:
    error = refused(None, 8)
    assert (error.code, error.field) == ("WRONG_TYPE", "stores.S1.time_zone")
    assert error.hint == "must be a name such as Asia/Shanghai"


def test_without_a_field_the_path_begins_with_the_profiles_own() -> None:
    with pytest.raises(InvalidInputError, match=r"^hours\.mon: out of range: '25:00-26:00'; "):
        parse_hours({"daily": "24h", "mon": "25:00-26:00"}, "UTC")
