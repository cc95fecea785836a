"""Whether a store is open: by its own clock, on every day of the year, to the nanosecond."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fendan.hours import parse_hours
from fendan.opening import Moment, Opening
from fendan.times import NEVER_NS
from hours_twin import EPOCH, Told, ns, openings, told

Hours = Mapping[str, str] | None

SHANGHAI = "Asia/Shanghai"
# Clocks that change at night, at a minute past midnight, by half an hour, by a whole day, at
# midnight, by whole and half hours from UTC, and not at all.
ZONES = [
    SHANGHAI,
    "Europe/London",
    "America/St_Johns",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "UTC",
]
CHANGES = [  # of those clocks, roughly
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2006, 10, 29, 2, 31, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 3, 8, 5, tzinfo=UTC),
    datetime(2026, 11, 1, 5, tzinfo=UTC),
]

# -- WORDS -------------------------------------------------------------------------------------


def shop(hours: Hours, time_zone: str = SHANGHAI) -> Opening:
    return Opening([parse_hours(hours, time_zone)])


def local(text: str, time_zone: str = SHANGHAI, fold: int = 0) -> int:
    """The nanosecond at which a clock shows this."""
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone), fold=fold)
    return ns(wall.astimezone(UTC))


def told_of(moment: Moment, store: int = 0) -> Told:
    return Told(
        is_open=bool(moment.is_open[store]),
        opens_ns=int(moment.opens_ns[store]),
        closes_ns=int(moment.closes_ns[store]),
        today_last_close_ns=int(moment.today_last_close_ns[store]),
        local_hour=int(moment.local_hour[store]),
        local_day=int(moment.local_day[store]),
        utc_offset_s=int(moment.utc_offset_s[store]),
    )


# -- PATTERNS ----------------------------------------------------------------------------------

minutes = st.one_of(
    st.sampled_from([0, 1, 30, 60, 90, 119, 120, 121, 150, 1380, 1439]), st.integers(0, 1439)
)


@st.composite
def day_texts(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["closed", "24h", "day", "night", "two", "until midnight"]))
    if kind in ("closed", "24h"):
        return kind
    a, b, c, d = sorted(draw(st.lists(minutes, min_size=4, max_size=4)))
    assume(a < b < c < d)
    pairs = {
        "day": [(a, b)],
        "night": [(d, a)],
        "two": [(c, d), (a, b)],
        "until midnight": [(c, 1440)],
    }[kind]
    return ", ".join(
        f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}" for start, end in pairs
    )


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Hours, str, int]:
    """Hours with holidays around the instant at which they are asked."""
    centre = draw(st.sampled_from(CHANGES)) + timedelta(minutes=draw(st.integers(-4000, 4000)))
    if draw(st.booleans()):
        centre = EPOCH + timedelta(seconds=draw(st.integers(0, 4_000_000_000)))
    time_zone = draw(st.sampled_from(ZONES))
    if draw(st.integers(0, 19)) == 0:
        return None, time_zone, ns(centre)
    keys = st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    hours = {"daily": draw(day_texts()), **draw(st.dictionaries(keys, day_texts(), max_size=3))}
    for offset, text in draw(st.dictionaries(st.integers(-3, 3), day_texts(), max_size=3)).items():
        hours[(centre.date() + timedelta(days=offset)).isoformat()] = text
    now_ns = ns(centre) + draw(st.integers(0, 999_999_999))
    zone = ZoneInfo(time_zone)
    edges = [
        ns(edge)
        for both in openings(hours, zone, centre.date() - timedelta(days=3), 6)
        for edge in both
    ]
    if edges and draw(st.booleans()):
        now_ns = draw(st.sampled_from(edges)) + draw(st.sampled_from([-1, 0, 1]))
    return hours, time_zone, now_ns


@given(scenes())
def test_the_table_says_what_a_walk_from_minute_to_minute_says(
    scene: tuple[Hours, str, int],
) -> None:
    hours, time_zone, now_ns = scene
    assert told_of(shop(hours, time_zone).at(now_ns)) == told(hours, time_zone, now_ns)


@given(scenes(), st.lists(st.floats(0, 1), max_size=5))
def test_until_the_next_edge_nothing_changes(
    scene: tuple[Hours, str, int], parts: list[float]
) -> None:
    hours, time_zone, now_ns = scene
    opening = shop(hours, time_zone)
    moment = opening.at(now_ns)
    length_ns = moment.next_edge_ns - now_ns
    assert 0 < length_ns <= 3600 * 10**9
    for later_ns in [
        moment.next_edge_ns - 1,
        *(now_ns + int(part * (length_ns - 1)) for part in parts),
    ]:
        later = opening.at(later_ns)
        expected = told_of(moment)
        if expected.is_open:  # now
            expected = replace(expected, opens_ns=later_ns)
        assert told_of(later) == expected
        assert later.next_edge_ns == moment.next_edge_ns


@given(st.lists(scenes(), min_size=1, max_size=4), st.data())
def test_stores_do_not_see_each_others_hours(
    scenes: list[tuple[Hours, str, int]], data: st.DataObject
) -> None:
    """Nor does it matter at which times the table was asked before."""
    parsed = [parse_hours(hours, time_zone) for hours, time_zone, _ in scenes]
    stores = data.draw(st.lists(st.integers(0, len(scenes) - 1), max_size=4))
    opening = Opening([parsed[store] for store in stores])
    for _, _, now_ns in scenes:
        if data.draw(st.booleans()):  # the hours of all are said anew
            stores = data.draw(st.lists(st.integers(0, len(scenes) - 1), max_size=4))
            opening = Opening([parsed[store] for store in stores], before=opening)
        moment = opening.at(now_ns)
        alone = [told_of(Opening([parsed[store]]).at(now_ns)) for store in stores]
        assert [told_of(moment, store) for store in range(len(stores))] == alone


@given(scenes())
def test_on_a_clock_that_never_changes_a_store_is_open_when_the_clock_says_so(
    scene: tuple[Hours, str, int],
) -> None:
    """The twin's twin: today's openings, and what is left of last night's."""
    hours, _, now_ns = scene
    assume(hours is not None)
    assert hours is not None
    minute = now_ns // 60_000_000_000 + 345  # Kathmandu is 5:45 ahead
    day, minute = divmod(minute, 1440)
    is_open = False
    for days_ago in (0, 1):
        then = date(1970, 1, 1) + timedelta(days=day - days_ago)
        weekday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[then.weekday()]
        text = hours.get(then.isoformat(), hours.get(weekday, hours["daily"]))
        for part in text.replace("24h", "00:00-24:00").replace("closed", "00:00-00:00").split(","):
            start, end = (int(t.strip()[:2]) * 60 + int(t.strip()[3:]) for t in part.split("-"))
            end += 1440 * (end < start)
            is_open |= start <= minute + 1440 * days_ago < end
    assume(now_ns > 10**9 * 86400 * 365 * 17)  # since 1986
    assert shop(hours, "Asia/Kathmandu").at(now_ns).is_open[0] == is_open


# -- DAYS OF A SHOP ----------------------------------------------------------------------------


def test_a_shop_opens_on_the_nanosecond_and_closes_on_it() -> None:
    opening = shop({"daily": "09:00-22:00"})
    opens_ns, closes_ns = local("2026-07-01 09:00"), local("2026-07-01 22:00")
    asked = [opens_ns - 1, opens_ns, closes_ns - 1, closes_ns]
    assert [bool(opening.at(now).is_open[0]) for now in asked] == [False, True, True, False]
    assert opening.at(opens_ns - 1).opens_ns[0] == opens_ns
    assert opening.at(opens_ns - 1).next_edge_ns == opens_ns
    assert opening.at(opens_ns + 1).opens_ns[0] == opens_ns + 1
    assert opening.at(opens_ns + 1).closes_ns[0] == closes_ns


def test_the_night_before_a_holiday_goes_on_into_it_and_its_own_night_does_not_begin() -> None:
    opening = shop({"daily": "22:00-02:00", "2026-10-01": "closed"})
    moment = opening.at(local("2026-10-01 01:00"))
    assert moment.is_open[0]
    assert moment.closes_ns[0] == local("2026-10-01 02:00")
    assert moment.today_last_close_ns[0] == local("2026-10-01 02:00")
    moment = opening.at(local("2026-10-01 02:00"))
    assert not moment.is_open[0]
    assert moment.opens_ns[0] == local("2026-10-02 22:00")
    assert moment.today_last_close_ns[0] == 0


def test_a_weekday_comes_before_daily_and_a_date_before_the_weekday() -> None:
    hours = {"daily": "09:00-10:00", "thu": "11:00-12:00", "2026-10-01": "13:00-14:00"}
    opening = shop(hours)
    opens = [
        int(opening.at(local(f"2026-{day}")).opens_ns[0]) for day in ("10-01", "10-02", "10-08")
    ]
    assert opens == [
        local("2026-10-01 13:00"),
        local("2026-10-02 09:00"),
        local("2026-10-08 11:00"),
    ]


def test_a_lunch_break_closes_a_shop_and_openings_that_meet_do_not() -> None:
    broken = shop({"daily": "13:00-18:00,09:00-12:00"}).at(local("2026-07-01 10:00"))
    assert broken.closes_ns[0] == local("2026-07-01 12:00")
    assert broken.today_last_close_ns[0] == local("2026-07-01 18:00")
    whole = shop({"daily": "09:00-12:00,12:00-18:00"}).at(local("2026-07-01 10:00"))
    assert whole.closes_ns[0] == local("2026-07-01 18:00")


@pytest.mark.parametrize(
    "hours",
    [None, {"daily": "24h"}, {"daily": "00:00-24:00"}, {"daily": "00:00-12:00,12:00-00:00"}],
)
def test_a_shop_that_is_always_open_never_closes(hours: Hours) -> None:
    moment = shop(hours).at(local("2026-07-01 00:00"))
    assert moment.is_open[0]
    assert moment.closes_ns[0] == moment.today_last_close_ns[0] == NEVER_NS


def test_a_long_night_goes_on_over_a_short_morning_of_the_next_day() -> None:
    opening = shop({"daily": "closed", "wed": "20:00-10:00", "thu": "00:00-01:00"})
    assert opening.at(local("2026-07-01 21:00")).closes_ns[0] == local("2026-07-02 10:00")


def test_whole_days_end_when_a_closed_day_begins() -> None:
    moment = shop({"daily": "24h", "2026-10-01": "closed"}).at(local("2026-07-01 12:00"))
    assert moment.closes_ns[0] == local("2026-10-01 00:00")


def test_what_does_not_happen_within_400_days_never_does() -> None:
    opens_ns = local("2027-10-01 09:00")
    opening = shop({"daily": "closed", "2027-10-01": "09:00-10:00"})
    day_ns = 86_400 * 10**9
    told_ns = [int(opening.at(opens_ns - 400 * day_ns + late).opens_ns[0]) for late in (-1, 0)]
    assert told_ns == [NEVER_NS, opens_ns]
    assert opening.at(opens_ns - 400 * day_ns).closes_ns[0] == NEVER_NS
    moment = shop({"daily": "closed"}).at(opens_ns)
    assert moment.opens_ns[0] == moment.closes_ns[0] == NEVER_NS


def test_a_store_without_hours_is_always_open_by_the_clock_of_china() -> None:
    moment = Opening([None, None]).at(local("2026-07-01 17:30"))
    assert moment.is_open.tolist() == [True, True]
    assert moment.local_hour.tolist() == [17, 17]


def test_a_chain_without_stores_has_no_edges() -> None:
    moment = Opening([]).at(0)
    assert len(moment.is_open) == len(moment.local_day) == 0
    assert moment.next_edge_ns == NEVER_NS


# -- CLOCKS THAT CHANGE ------------------------------------------------------------------------

LONDON = "Europe/London"


def test_in_the_hour_that_comes_twice_a_shop_opens_at_its_first_and_closes_at_its_second() -> None:
    """On 2026-10-25 London's clocks go from 01:59 back to 01:00."""
    opening = shop({"daily": "01:30-01:45"}, LONDON)
    opens_ns, closes_ns = local("2026-10-25 01:30", LONDON), local("2026-10-25 01:45", LONDON, 1)
    assert closes_ns - opens_ns == 75 * 60 * 10**9
    moment = opening.at(local("2026-10-25 00:00", LONDON))
    assert (moment.opens_ns[0], moment.closes_ns[0]) == (opens_ns, closes_ns)


def test_around_the_hour_that_comes_twice_a_shop_keeps_to_its_clock() -> None:
    """It shows 01:00 twice, and nothing before that again; 02:00 it shows once, an hour late."""
    late = shop({"daily": "18:00-01:00"}, LONDON).at(local("2026-10-25 00:30", LONDON))
    assert late.closes_ns[0] == local("2026-10-25 01:00", LONDON, 0)
    early = shop({"daily": "02:00-09:00"}, LONDON).at(local("2026-10-25 00:30", LONDON))
    assert early.opens_ns[0] == local("2026-10-25 00:30", LONDON) + 150 * 60 * 10**9


def test_in_the_hour_that_is_left_out_a_shop_opens_and_closes_at_the_jump() -> None:
    """On 2026-03-29 London's clocks go from 00:59 to 02:00."""
    midnight_ns, jump_ns = local("2026-03-29 00:00", LONDON), local("2026-03-29 02:00", LONDON)
    assert jump_ns - midnight_ns == 3600 * 10**9
    assert shop({"daily": "01:30-09:00"}, LONDON).at(midnight_ns).opens_ns[0] == jump_ns
    assert shop({"daily": "00:30-01:30"}, LONDON).at(midnight_ns).closes_ns[0] == jump_ns
    left_out = shop({"daily": "01:15-01:45"}, LONDON).at(midnight_ns)
    assert left_out.opens_ns[0] == local("2026-03-30 01:15", LONDON)


def test_a_day_that_is_left_out_has_no_openings() -> None:
    """Samoa went from the 29th of December 2011 straight to the 31st."""
    apia = "Pacific/Apia"
    moment = shop({"daily": "09:00-22:00"}, apia).at(local("2011-12-29 22:00", apia))
    assert moment.opens_ns[0] == local("2011-12-31 09:00", apia)
    moment = shop({"daily": "24h", "2011-12-30": "closed"}, apia).at(
        local("2011-12-29 22:00", apia)
    )
    assert moment.closes_ns[0] == NEVER_NS


def test_a_date_that_comes_back_ends_at_its_second_midnight() -> None:
    """At 00:01 of 2006-10-29 the clocks of St. John's went back to 23:01 of the day before."""
    st_johns = "America/St_Johns"
    opening = shop({"daily": "closed", "2006-10-29": "00:00-01:00"}, st_johns)
    moment = opening.at(local("2006-10-28 22:00", st_johns))
    assert moment.opens_ns[0] == local("2006-10-29 00:00", st_johns)
    assert moment.closes_ns[0] == local("2006-10-29 01:00", st_johns)
    first_ns, second_ns = (local("2006-10-28 23:30", st_johns, fold) for fold in (0, 1))
    first, again = opening.at(first_ns), opening.at(second_ns)
    assert (first.local_hour[0], first.is_open[0]) == (23, False)
    assert (again.local_hour[0], again.is_open[0]) == (23, True)
    assert first.local_day[0] == again.local_day[0]
    assert first.today_last_close_ns[0] == again.today_last_close_ns[0] == moment.closes_ns[0]


def test_a_clock_that_changes_within_an_hour_is_an_edge() -> None:
    st_johns = "America/St_Johns"
    midnight_ns = local("2006-10-29 00:00", st_johns, 0)
    opening = shop(None, st_johns)
    jump_ns = opening.at(midnight_ns).next_edge_ns
    assert jump_ns == midnight_ns + 60 * 10**9
    assert [int(opening.at(now).local_hour[0]) for now in (jump_ns - 1, jump_ns)] == [0, 23]
    assert [int(opening.at(now).utc_offset_s[0]) for now in (jump_ns - 1, jump_ns)] == [
        -9000,
        -12600,
    ]


# -- REAL HOURS --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_hours(shared_data: Path) -> list[dict[str, str]]:
    """Of the stores that have any; those that open and close at midnight are open all day."""
    stores = pd.read_csv(shared_data / "starbucks_cn_stores_20250523.csv.gz", dtype=str)
    said = stores[["open_time_20240603", "close_time_20240603"]].dropna()
    return [
        {"daily": "24h" if opens == closes else f"{opens[:5]}-{closes[:5]}"}
        for opens, closes in said.itertuples(index=False)
    ]


@pytest.mark.real_data
def test_7_101_real_stores_are_open_when_the_twin_says_so(real_hours: list[dict[str, str]]) -> None:
    assert len(real_hours) == 7101
    opening = Opening([parse_hours(hours, SHANGHAI) for hours in real_hours])
    for wall in ("2024-06-03 00:30", "2024-06-03 22:15"):
        now_ns = local(wall)
        moment = opening.at(now_ns)
        texts = {hours["daily"] for hours in real_hours}
        known = {text: told({"daily": text}, SHANGHAI, now_ns) for text in texts}
        for store, hours in enumerate(real_hours):
            assert told_of(moment, store) == known[hours["daily"]], hours


@pytest.mark.real_data
def test_real_stores_open_and_close_through_a_day(real_hours: list[dict[str, str]]) -> None:
    """From edge to edge nothing changes, and at noon nearly all are open."""
    opening = Opening([parse_hours(hours, SHANGHAI) for hours in real_hours])
    now_ns, end_ns = local("2024-06-03 00:00"), local("2024-06-04 00:00")
    open_at: dict[int, int] = {}
    while now_ns < end_ns:
        moment = opening.at(now_ns)
        before = opening.at(moment.next_edge_ns - 1)
        assert np.array_equal(moment.is_open, before.is_open)
        open_at[now_ns] = int(moment.is_open.sum())
        now_ns = moment.next_edge_ns
    assert max(open_at.values()) > 7000
    assert min(open_at.values()) < 100
    assert 24 < len(open_at) < 100
