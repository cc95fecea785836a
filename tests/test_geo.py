"""Metres on the sphere, and the three datums of Chinese maps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan import Datum, Engine, InvalidInputError, Order, Policy, Store, convert, distance_m
from strategies import antipode, places
from twin import EARTH_RADIUS_M, Place

SHANGHAI = (31.2304, 121.4737)
in_china = st.tuples(st.floats(18.0, 53.0), st.floats(75.0, 134.0))
datums = st.sampled_from(Datum)


def by_atan2_m(a: Place, b: Place) -> float:
    """The same distance by another formula (Vincenty's, on a sphere), good at every range."""
    lat_a, lng_a, lat_b, lng_b = map(math.radians, (*a, *b))
    apart = lng_b - lng_a
    across = math.hypot(
        math.cos(lat_b) * math.sin(apart),
        math.cos(lat_a) * math.sin(lat_b) - math.sin(lat_a) * math.cos(lat_b) * math.cos(apart),
    )
    along = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(apart)
    return EARTH_RADIUS_M * math.atan2(across, along)


# -- DISTANCE ------------------------------------------------------------------------------------


@given(places, places)
def test_the_distance_agrees_with_another_formula(a: Place, b: Place) -> None:
    # Next to an antipode asin runs flat and gives the last metre away.
    assert distance_m(*a, *b) == pytest.approx(by_atan2_m(a, b), rel=1e-6, abs=1e-6)


@given(places, places)
def test_it_is_as_far_there_as_back(a: Place, b: Place) -> None:
    assert distance_m(*a, *b) == distance_m(*b, *a)


@given(places)
def test_a_place_is_no_distance_from_itself(a: Place) -> None:
    assert distance_m(*a, *a) == 0.0


@given(places)
def test_nothing_is_farther_than_half_way_round(a: Place) -> None:
    half_way_m = math.pi * EARTH_RADIUS_M
    assert distance_m(*a, *antipode(a)) == pytest.approx(half_way_m, rel=1e-7)
    assert distance_m(*a, *antipode(a)) <= half_way_m


def test_a_degree_of_the_equator_is_111_kilometres() -> None:
    assert distance_m(0, 0, 0, 1) == pytest.approx(math.pi * EARTH_RADIUS_M / 180, rel=1e-12)


def test_the_date_line_is_no_border() -> None:
    assert distance_m(0, 180, 0, -180) < 1e-6
    assert distance_m(10, 179.9, 10, -179.9) == pytest.approx(distance_m(10, 0, 10, 0.2), rel=1e-9)


# -- DATUMS --------------------------------------------------------------------------------------


@given(in_china, datums, datums)
def test_a_place_comes_back_from_another_datum(place: Place, source: Datum, target: Datum) -> None:
    there = convert(*place, source, target)
    assert convert(*there, target, source) == pytest.approx(place, abs=1e-8)


@given(in_china)
def test_gcj02_lies_hundreds_of_metres_off_in_china(place: Place) -> None:
    """673 m at most, and nowhere less than 38, on a grid of quarter degrees."""
    shifted = convert(*place, Datum.WGS84, Datum.GCJ02)
    assert 20 < distance_m(*place, *shifted) < 1000


@given(places)
def test_gcj02_is_wgs84_outside_china(place: Place) -> None:
    lat, lng = place
    if not (0.8 <= lat <= 55.9 and 72.0 <= lng <= 137.9):
        assert convert(*place, Datum.WGS84, Datum.GCJ02) == place
        assert convert(*place, Datum.GCJ02, Datum.WGS84) == place


def test_a_published_pair_of_wgs84_and_gcj02_is_met() -> None:
    """From the tests of `eviltransform`: a place in Shanghai."""
    there = convert(31.1774276, 121.5272106, Datum.WGS84, Datum.GCJ02)
    assert there == pytest.approx((31.17530398364597, 121.531541859215), abs=1e-8)


@given(st.lists(in_china, max_size=5), datums, datums)
def test_arrays_are_converted_as_single_places_are(
    spots: list[Place], source: Datum, target: Datum
) -> None:
    lat, lng = np.array([s[0] for s in spots]), np.array([s[1] for s in spots])
    before = lat.copy(), lng.copy()
    there = convert(lat, lng, source, target)
    singly = [convert(*spot, source, target) for spot in spots]
    assert list(zip(*map(list, there), strict=True)) == singly
    assert np.array_equal(before, (lat, lng))


def test_an_unknown_datum_is_refused() -> None:
    with pytest.raises(ValueError, match="WGS72"):
        convert(31.0, 121.0, "WGS72", Datum.WGS84)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="differ in shape"):
        convert([31.0], [121.0, 122.0], Datum.GCJ02, Datum.WGS84)


# -- IN THE ENGINE -------------------------------------------------------------------------------


@pytest.mark.parametrize("datum", Datum)
def test_stores_and_orders_of_any_datum_meet_in_the_engines(datum: Datum) -> None:
    engine = Engine(datum=datum, policy=Policy(radius_m=0.01))
    spots = {d: convert(*SHANGHAI, Datum.WGS84, d) for d in Datum}
    for d, (lat, lng) in spots.items():
        engine.add_stores([Store(id=d.name, lat=lat, lng=lng, datum=d)])
    assert engine.datum is datum
    assert len(engine.nearest(*spots[datum])) == 3
    for d, (lat, lng) in spots.items():
        assert len(engine.nearest(lat, lng, datum=d)) == 3


def test_a_gcj02_order_goes_to_the_store_that_is_really_nearest() -> None:
    """Read as WGS84, the same numbers would lead some 500 m astray, to the wrong shop."""
    engine = Engine()
    door = SHANGHAI
    on_the_map = convert(*door, Datum.WGS84, Datum.GCJ02)
    engine.add_stores(
        [
            Store(id="next door", lat=door[0], lng=door[1]),
            Store(id="astray", lat=on_the_map[0], lng=on_the_map[1]),
        ]
    )
    engine.set_stock([("next door", "tea", 5), ("astray", "tea", 5)])
    lat, lng = on_the_map
    as_gcj02 = Order(id="1", lat=lat, lng=lng, lines=[("tea", 1)], datum=Datum.GCJ02)
    as_wgs84 = Order(id="2", lat=lat, lng=lng, lines=[("tea", 1)])
    assert engine.route(as_gcj02).store_id == "next door"
    assert engine.route(as_gcj02).distance_m == pytest.approx(0, abs=0.01)
    assert engine.route(as_wgs84).store_id == "astray"


def test_a_datum_that_is_none_is_refused_where_it_stands() -> None:
    engine = Engine()
    with pytest.raises(InvalidInputError) as refused:
        engine.add_stores([Store(id="s", lat=0, lng=0, datum="GCJ-02")])  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == ("WRONG_TYPE", "stores[0].datum")
    with pytest.raises(InvalidInputError) as refused:
        Engine(datum="WGS84")  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == ("WRONG_TYPE", "datum")
