"""An order goes in as it came, and comes to a store or into the queue, with a word why."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fendan import (
    Engine,
    IntakeOutcome,
    IntakeResult,
    InvalidInputError,
    RawPayload,
    Store,
    WrongTypeError,
)
from fendan.intake.intake import Intake
from fendan.intake.plan import IntakePlan, read_intake_plan
from test_adapters import FILES, NOON_NS, places_in, sample

ASSIGNED, WAITING, HELD, REJECTED, BROKEN = IntakeOutcome
MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS


class Noon:
    """A minute past noon in Shanghai, when all samples are fresh, until somebody moves the hand."""

    def __init__(self) -> None:
        self.time_ns = NOON_NS + MINUTE_NS

    def now_ns(self) -> int:
        return self.time_ns


class Counter:
    """Three stores in Shanghai that have 10 each of tea and milk, and where orders come in."""

    def __init__(self, plan: IntakePlan | None = None) -> None:
        self.clock = Noon()
        self.engine = Engine(clock=self.clock)
        self.engine.add_stores(
            Store(id=f"S{number}", lat=31.19 + number / 100, lng=121.39 + number / 100)
            for number in (1, 2, 3)
        )
        self.engine.set_stock(
            (f"S{number}", sku, 10) for number in (1, 2, 3) for sku in ("tea", "milk")
        )
        self.engine.set_stock([("S1", "cake", 0)])
        self.engine.keep_exceptions()
        self.intake = Intake(self.engine, plan)

    def take(self, *orders: Any) -> list[IntakeResult]:
        """Orders of the own shop, or raw bytes of it."""
        return self.intake.take(
            RawPayload(
                platform="OWN_SHOP",
                data=one if isinstance(one, bytes) else json.dumps(one).encode(),
            )
            for one in orders
        )

    def reserved(self, sku: str) -> int:
        return sum(
            one.reserved for number in (1, 2, 3) for one in self.engine.stock(f"S{number}", [sku])
        )

    def queue(self) -> dict[str, tuple[str, str]]:
        """What stands in the queue: kind and reason by id."""
        return {one.id: (one.kind.name, one.reason) for one in self.engine.exceptions().entries}


def order(order_id: str = "O", **changes: Any) -> dict[str, Any]:
    made = {
        **{"order_id": order_id, "lat": 31.2, "lng": 121.4, "placed_at": "2026-11-22 12:00:00"},
        "lines": [{"sku": "tea", "quantity": 1, "unit_price": 1550}],
    }
    return made | changes


def lines(sku: str, quantity: Any = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} | more]


# -- THE WAY -------------------------------------------------------------------------------------


def test_the_orders_of_eight_platforms_all_find_a_store() -> None:
    counter = Counter()
    payloads = [RawPayload(platform=name, data=sample(name)) for name in FILES]
    results = counter.intake.take(payloads)
    assert [one.outcome for one in results] == [ASSIGNED] * 9
    assert [one.payload for one in results] == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert counter.engine.order_count == 9
    assert {one.order_id: one.store_id for one in results}["P-20261122-009"] == "S1"
    assert counter.queue() == {}


def test_sent_again_an_order_has_its_first_answer_and_moves_no_stock_even_days_later() -> None:
    counter = Counter()
    payloads = [RawPayload(platform=name, data=sample(name)) for name in FILES]
    first = counter.intake.take(payloads)
    reserved = counter.reserved("tea")
    counter.clock.time_ns += 9 * DAY_NS  # by now a rule would call it stale
    assert counter.intake.take(payloads) == first
    assert counter.reserved("tea") == reserved
    assert counter.queue() == {}


def test_an_order_that_a_rule_holds_waits_for_a_person_with_all_that_came() -> None:
    counter = Counter()
    free = order(lines=lines("tea", unit_price=0), member_tier=3, order_type="INSTANT")
    (result,) = counter.take(free)
    assert result == IntakeResult(
        payload=0,
        order_id="O",
        outcome=HELD,
        codes=("PRICE_ZERO",),
        exception_id="O",
    )
    entry = counter.engine.exception("O")
    assert (entry.kind.name, entry.reason, entry.priority) == ("HELD", "PRICE_ZERO", 5)
    assert entry.channel == "own"
    assert json.loads(entry.raw) == free
    assert entry.order is not None
    assert entry.order.lines == [("tea", 1, 0)]
    assert counter.reserved("tea") == 0


def test_an_order_that_a_person_approves_goes_to_a_store() -> None:
    counter = Counter()
    counter.take(order(lines=lines("tea", unit_price=0)))
    assert counter.engine.approve_exception("O").store_id == "S1"
    assert counter.queue() == {}
    assert counter.take(order(lines=lines("tea", unit_price=0)))[0].outcome is ASSIGNED


def test_the_worst_finding_decides_and_all_are_told_the_worst_first() -> None:
    counter = Counter()
    bad = [*lines("tea", unit_price=0), *lines("plutonium"), *lines("uranium")]
    (result,) = counter.take(order(lines=bad))
    assert result.outcome is REJECTED
    assert result.codes == ("UNKNOWN_SKU", "PRICE_ZERO")
    assert counter.queue() == {"O": ("REJECTED", "UNKNOWN_SKU")}


def test_an_order_that_was_rejected_may_come_again_mended() -> None:
    counter = Counter()
    assert counter.take(order(lines=lines("tae")))[0].outcome is REJECTED
    (result,) = counter.take(order())
    assert (result.outcome, result.store_id) == (ASSIGNED, "S1")
    assert counter.queue() == {}


def test_an_order_that_comes_again_mended_is_one_order_of_the_day_it_came_first() -> None:
    counter = Counter()
    counter.take(order("A", lines=lines("tae")), order("B", lines=lines("tae")), order("C"))
    counter.clock.time_ns += 24 * 60 * MINUTE_NS
    today = {"placed_at": "2026-11-23 12:00:00"}
    counter.take(order("A", **today), order("B", lines=lines("cake"), **today))
    counter.engine.set_stock([("S2", "cake", 1)])
    counter.engine.retry_due()
    first, second = (counter.engine.exception_figures(f"2026-11-{day}") for day in (22, 23))
    assert (first.taken, first.at_once, first.by_hand, first.by_retry) == (3, 1, 1, 1)
    assert [(one.reason, one.count) for one in first.exceptions] == [("UNKNOWN_SKU", 2)]
    assert (second.taken, second.at_once, second.exceptions) == (0, 0, ())


def test_an_order_that_the_engine_refuses_is_routed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    counter.take(order("A"))
    asked: list[str] = []
    route_batch = counter.engine.route_batch

    def listening(orders: list[Any], **said: Any) -> Any:
        asked.extend(one.id for one in orders)
        return route_batch(orders, **said)

    monkeypatch.setattr(counter.engine, "route_batch", listening)
    (told,) = counter.take(order("A", lines=lines("milk")))
    assert asked == ["A"]
    assert told.hint.startswith("id: order id seen before with other content")
    results = counter.take(order("A", lines=lines("milk")), order("B"), order("A"))
    assert [one.outcome for one in results] == [REJECTED, ASSIGNED, ASSIGNED]


def test_an_order_that_no_store_can_fill_waits_with_the_engines_reason() -> None:
    counter = Counter()
    (result,) = counter.take(order(lines=lines("cake")))
    assert (result.outcome, result.codes) == (WAITING, ("NO_STOCK",))
    assert result.exception_id == "O"
    assert counter.queue() == {"O": ("WAITING", "NO_STOCK")}
    counter.engine.set_stock([("S2", "cake", 1)])
    counter.engine.retry_due()
    assert counter.queue() == {}
    assert counter.take(order(lines=lines("cake")))[0].order_id == "O"


def test_what_cannot_be_read_is_kept_as_it_came_and_never_takes_another_orders_place() -> None:
    counter = Counter()
    counter.take(order(lines=lines("cake")))
    torn = json.dumps(order(lines=lines("cake", 0.5))).encode()
    (result,) = counter.take(torn)
    assert (result.outcome, result.codes, result.order_id) == (BROKEN, ("FIELD_TYPE",), "O")
    assert result.hint.startswith("quantity: a field that is not of the kind it must be")
    assert result.exception_id.startswith("O~")
    entry = counter.engine.exception(result.exception_id)
    assert (entry.kind.name, entry.raw) == ("BROKEN", torn.decode())
    assert counter.take(torn) == [result]
    assert sorted(kind for kind, _ in counter.queue().values()) == ["BROKEN", "WAITING"]


def test_another_order_under_a_known_id_is_rejected_and_the_first_one_stays() -> None:
    counter = Counter()
    first, conflict, last = counter.take(order(), order(lines=lines("milk")), order("P"))
    assert (first.outcome, conflict.outcome, last.outcome) == (ASSIGNED, REJECTED, ASSIGNED)
    assert conflict.codes == ("ORDER_CONFLICT",)
    assert conflict.exception_id.startswith("O~")
    assert counter.engine.decision("O").store_id == first.store_id
    assert (counter.reserved("tea"), counter.reserved("milk")) == (2, 0)


def test_a_bad_order_beside_a_good_one_of_its_id_is_not_forgotten() -> None:
    for good, bad in ((0, 1), (1, 0)):
        counter = Counter()
        both = [order(), order(lines=[])]
        results = counter.take(both[good], both[bad])
        assert [one.outcome for one in results] == [(ASSIGNED, REJECTED)[n] for n in (good, bad)]
        assert list(counter.queue().values()) == [("REJECTED", "EMPTY_ORDER")]


def test_of_an_order_that_is_held_again_the_newest_stands_in_the_queue_with_its_first_age() -> None:
    counter = Counter()
    counter.take(order(lines=lines("tea", unit_price=0)))
    since_ns = counter.engine.exception("O").since_ns
    counter.clock.time_ns += MINUTE_NS
    counter.take(order(lines=lines("milk", unit_price=0)))
    entry = counter.engine.exception("O")
    assert (entry.since_ns, "milk" in entry.raw) == (since_ns, True)
    assert counter.engine.approve_exception("O").store_id == "S1"
    assert (counter.reserved("tea"), counter.reserved("milk")) == (0, 1)


def test_a_warning_lets_an_order_pass_and_is_told() -> None:
    counter = Counter()
    (result,) = counter.take(order(lines=lines("tea", 2, unit_price=100, line_total=300)))
    assert (result.outcome, result.warnings) == (ASSIGNED, ("LINE_TOTAL_OFF",))


def test_whoever_fetches_an_order_need_not_say_where_they_are() -> None:
    counter = Counter()
    fetched = order(lat=None, lng=None, order_type="PICKUP", pickup_store_id="S2")
    (result,) = counter.take(fetched)
    assert (result.outcome, result.store_id, result.distance_m) == (ASSIGNED, "S2", 0.0)


def test_what_the_customer_pays_for_a_line_goes_with_the_order() -> None:
    counter = Counter()
    said = [
        *lines("tea", 2, unit_price=1550),
        *lines("milk", 2, unit_price=500, line_total=999),
        *lines("milk", unit_price=0),
        *lines("cake"),
    ]
    counter.take(order(lines=said))
    entry = counter.engine.exception("O")
    assert entry.order is not None
    assert entry.order.lines == [("tea", 2, 3100), ("milk", 2, 999), ("milk", 1, 0), ("cake", 1, 0)]


def test_what_is_no_payload_at_all_is_a_mistake_of_the_caller() -> None:
    counter = Counter()
    with pytest.raises(WrongTypeError):
        counter.intake.take([b"{}"])  # type: ignore[list-item]
    with pytest.raises(WrongTypeError):
        counter.intake.take("{}")  # type: ignore[arg-type]
    for time_ns in (-5, 2**63, "noon"):
        with pytest.raises(InvalidInputError) as refused:
            counter.intake.take([RawPayload(platform="POS", data=b"{", received_ns=time_ns)])  # type: ignore[arg-type]
        assert refused.value.field == "payloads[0].received_ns"


def test_the_last_piece_goes_to_the_higher_tier_of_a_call_whoever_came_first() -> None:
    counter = Counter()
    counter.engine.set_stock([("S1", "cake", 1)])
    plain, gold = order("plain", lines=lines("cake")), order("gold", lines=lines("cake"))
    results = counter.take(plain, gold | {"member_tier": 5})
    assert [(one.order_id, one.outcome) for one in results] == [
        ("plain", WAITING),
        ("gold", ASSIGNED),
    ]


def test_new_orders_among_known_ones_are_judged_by_what_is_theirs() -> None:
    counter = Counter()
    counter.take(order("A", lines=lines("tea") * 2), order("C"))
    free = lines("milk", unit_price=0)
    results = counter.take(
        order("A", lines=lines("tea") * 2), order("B", lines=free), order("C"), order("D")
    )
    assert [one.codes for one in results] == [(), ("PRICE_ZERO",), (), ()]
    entry = counter.engine.exception("B")
    assert entry.order is not None
    assert entry.order.lines == [("milk", 1, 0)]


@pytest.mark.parametrize("received_ns", [None, 0, NOON_NS + 2 * MINUTE_NS, 2**63 - 1])
def test_an_exception_is_as_old_as_its_payload_and_never_from_the_future(
    received_ns: int | None,
) -> None:
    counter = Counter()
    torn = RawPayload(platform="POS", data=b"{", received_ns=received_ns)
    early = RawPayload(platform="POS", data=b"[", received_ns=NOON_NS)
    ages = {
        one.exception_id: counter.engine.exception(one.exception_id).since_ns
        for one in counter.intake.take([torn, early])
    }
    assert list(ages.values()) == [counter.clock.time_ns, NOON_NS]


# -- NOTHING IS LOST -----------------------------------------------------------------------------

SKUS = st.sampled_from(["tea", "milk", "cake", "tae", ""])
QUANTITIES = st.sampled_from([1, 1, 1, 2, 40, 0, -1, 1.5, None, "3"])
ORDERS = st.builds(
    order,
    st.sampled_from(["A", "B", "C", "D", ""]),
    lat=st.sampled_from([31.2, 31.2, 31.21, 0, None, 91]),
    lng=st.sampled_from([121.4, 121.4, 121.4, 0]),
    lines=st.lists(
        st.fixed_dictionaries({"sku": SKUS, "quantity": QUANTITIES}), min_size=0, max_size=3
    ),
    buyer_id=st.sampled_from(["", "b1"]),
)
PAYLOADS = st.one_of(
    ORDERS.map(json.dumps).map(str.encode),
    st.lists(ORDERS, max_size=3).map(json.dumps).map(str.encode),
    st.binary(max_size=20),
)


@settings(max_examples=25)
@given(st.lists(st.lists(PAYLOADS, max_size=4), max_size=4))
def test_every_order_of_every_payload_is_at_a_store_or_in_the_queue(
    calls: Sequence[Sequence[bytes]],
) -> None:
    counter = Counter()
    for call in calls:
        results = counter.take(*call)
        queue = counter.queue()
        assert {one.payload for one in results} == set(range(len(call)))
        for result in results:
            if result.outcome is ASSIGNED:
                assert counter.engine.order(result.order_id).store_id == result.store_id
                assert result.order_id not in queue
            else:
                assert result.codes != ()
                assert result.exception_id in queue
    assert counter.reserved("tea") <= 30


STRANGE = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    st.sampled_from(["1e400", "-1e400", 2**62, -(2**62), 10**12, "1e-300", [], {}, [[]], "0"]),
)


@settings(max_examples=40)
@given(st.sampled_from([name for name in FILES if name != "MEITUAN"]), st.data(), STRANGE)
def test_an_order_with_anything_at_all_in_one_field_has_a_result_and_stays_to_be_read(
    platform: str, data: st.DataObject, value: Any
) -> None:
    counter = Counter()
    tree = json.loads(sample(platform).decode("gbk" if platform == "POS" else "utf-8"))
    container, key = data.draw(st.sampled_from(places_in(tree)))
    container[key] = value
    raw = RawPayload(platform=platform, data=json.dumps(tree).encode())
    results = counter.intake.take([raw])
    assert {one.payload for one in results} == {0}
    stuck = {one.exception_id for one in results if one.outcome is not ASSIGNED}
    assert set(counter.queue()) == stuck
    again = counter.intake.take([raw])  # what is known is not judged again, nor warned of
    assert [replace(one, warnings=()) for one in again] == [
        replace(one, warnings=()) for one in results
    ]


@settings(max_examples=25)
@given(st.lists(PAYLOADS, max_size=8))
def test_a_call_of_many_is_as_one_call_after_the_other(payloads: Sequence[bytes]) -> None:
    """But for rules that compare orders, which are off here."""
    together, apart = Counter(), Counter()
    told = together.take(*payloads)
    one_by_one = [result for payload in payloads for result in apart.take(payload)]
    ids = [one.order_id for one in told]
    unique = [number for number, name in enumerate(ids) if ids.count(name) == 1]
    assert [(told[n].outcome, told[n].codes, told[n].store_id) for n in unique] == [
        (one_by_one[n].outcome, one_by_one[n].codes, one_by_one[n].store_id) for n in unique
    ]


# -- CONFIG --------------------------------------------------------------------------------------

FILE = """
[intake]
items = "items.csv"
channels = ["own", "corner"]
[intake.rules.PRICE_ZERO]
enabled = false

[mapping.CORNER]
like = "OWN_SHOP"
channel = "corner"
[mapping.CORNER.line]
sku = "code"
"""


def test_a_file_sets_rules_goods_and_mappings(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("sku,list_price\ntea,1550\n", encoding="utf-8")
    (tmp_path / "intake.toml").write_text(FILE, encoding="utf-8")
    counter = Counter(read_intake_plan(tmp_path / "intake.toml"))
    (free,) = counter.take(order(lines=lines("milk", unit_price=0)))
    assert free.outcome is ASSIGNED
    (dear,) = counter.take(order("P", lines=lines("tea", unit_price=9900)))
    assert (dear.outcome, dear.codes) == (HELD, ("PRICE_OFF_LIST",))
    data = json.dumps(order("Q", lines=[{"code": "tea", "quantity": 1}])).encode()
    (corner,) = counter.intake.take([RawPayload(platform="CORNER", data=data)])
    assert corner.outcome is ASSIGNED
    (other,) = counter.take(order("R", channel="pigeons"))
    assert (other.outcome, other.codes) == (REJECTED, ("UNKNOWN_CHANNEL",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[intakes]", "intake.toml: intakes"),
        ("[intake.rules.PRICE]", "intake.toml: intake.rules.PRICE"),
        ("[mapping.OWN_SHOP]\nmoney = 'dollar'", "intake.toml: mapping.OWN_SHOP.money"),
        ("[intake]\nitems = 'none.csv'", "none.csv"),
        ("[intake", "intake.toml"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "intake.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        read_intake_plan(tmp_path / "intake.toml")
