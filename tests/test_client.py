"""The clients are the engine at the other end of a wire: same calls, same answers, same errors."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from clock import StoppedClock
from fake_service import FakeService, aborting, saying
from fendan import (
    Datum,
    Decision,
    Engine,
    FendanError,
    Order,
    OrderState,
    OrderStatus,
    Policy,
    RejectReason,
    Store,
)
from fendan.aio import Client as AioClient
from fendan.channel import Failure, Retries, Tls
from fendan.client import Client
from fendan.errors import (
    BusyError,
    Fault,
    FileFormatError,
    InvalidInputError,
    TimedOutError,
    UnavailableError,
    refuse,
)
from fendan.rules import OrderType
from fendan.v1.inventory_service_pb2 import (
    Availability,
    SetStockRequest,
    SetStockResponse,
    WatchAvailabilityRequest,
    WatchAvailabilityResponse,
)
from fendan.v1.network_service_pb2 import AddStoresResponse
from fendan.v1.order_service_pb2 import GetOrderResponse
from serving import a_chain, serving
from test_tls import Papers

# Waits as short as they can be: what is tested is what is done, not how long it takes.
AT_ONCE = Retries(first_wait_s=0.0, jitter=lambda: 0.0)


def tea(name: str, quantity: int = 1, lng: float = 121.4) -> Order:
    return Order(id=name, lat=31.2, lng=lng, lines=[("tea", quantity)])


# -- THE SAME AS THE ENGINE --------------------------------------------------------------------


class Blocking:
    """An asyncio client as seen from a thread that waits for each call."""

    def __init__(self, client: AioClient, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            async def run() -> Any:
                return await method(*arguments, **keywords)

            return self._runner.run(run())

        return call


def fresh_engine() -> Engine:
    """All begin, and stay, at one time: what is promised can be compared."""
    return Engine(clock=StoppedClock())


@contextmanager
def engine() -> Iterator[Engine]:
    yield fresh_engine()


@contextmanager
def client() -> Iterator[Client]:
    with serving(fresh_engine()) as served, Client(served.address) as client:
        yield client


@contextmanager
def aio_client() -> Iterator[Blocking]:
    with serving(fresh_engine()) as served, asyncio.Runner() as runner:
        client = Blocking(AioClient(served.address), runner)
        yield client
        client.close()


STORES = [
    Store(id="S1", lat=31.2, lng=121.4, region="puxi"),
    Store(id="S2", lat=31.2, lng=121.41, region="puxi"),
    Store(id="店3", lat=31.2, lng=121.42, datum=Datum.GCJ02),
]
ROWS = [(store, sku, 10) for store in ("S1", "S2", "店3") for sku in ("tea", "milk")]
NEW_STORE = Store(id="S9", lat=0, lng=0)
NO_STORE = Store(id="", lat=0, lng=0)

# What only makes sense beside the engine: files, codes, arrays, cursors, the journal.
IN_PROCESS_ONLY = {
    "add_exceptions",
    "apply_request",
    "availability",
    "changes",
    "check",
    "cursor",
    "deferred",
    "draw_areas",
    "durable_mark",
    "expire_orders",
    "held",
    "hidden_skus",
    "journal_stats",
    "knows",
    "keep_exceptions",
    "listed_skus",
    "load_stock",
    "load_stores",
    "place_of",
    "receive_supply",
    "region_of",
    "retry_due",
    "route_arrays",
    "route_plain",
    "route_request",
    "set_held",
    "set_lot_rows",
    "set_hidden_skus",
    "set_shares",
    "set_sku_profiles",
    "set_store_profiles",
    "set_supply",
    "share",
    "sku_codes",
    "sku_profile",
    "snapshot",
    "store_codes",
    "store_profile",
    "supply",
    "wait_durable",
    "wait_for_change",
    "wait_for_event",
}

Scenes: TypeAlias = dict[str, Callable[[Any], Any]]

# The life of a chain, with everything that can be said to an engine, right and wrong.
SCENES: Scenes = {
    "nothing yet": lambda face: (face.stores(), face.nearest(31.2, 121.4)),
    "route without stores": lambda face: face.route(tea("early")),
    "add stores": lambda face: face.add_stores(STORES),
    "add one twice": lambda face: face.add_stores([Store(id="S9", lat=0, lng=0), STORES[0]]),
    "add a bad id": lambda face: face.add_stores([NEW_STORE, NO_STORE]),
    "add off the earth": lambda face: face.add_stores([Store(id="S9", lat=91, lng=0)]),
    "add no place": lambda face: face.add_stores(
        [Store(id="S9", lat="north", lng=0)]  # type: ignore[arg-type]
    ),
    "add a str": lambda face: face.add_stores("S9"),
    "list": lambda face: face.stores(),
    "set stock": lambda face: face.set_stock(ROWS, versions={"S1": 5}),
    "set by columns": lambda face: face.set_stock(
        stores=["S1", "S2"], skus=["rice", "rice"], quantities=[3, 4], key="K1"
    ),
    "set again": lambda face: face.set_stock(
        stores=["S1", "S2"], skus=["rice", "rice"], quantities=[3, 4], key="K1"
    ),
    "set other things": lambda face: face.set_stock([("S1", "rice", 9)], key="K1"),
    "set with a bad key": lambda face: face.set_stock([("S1", "rice", 9)], key=""),
    "set stale": lambda face: face.set_stock(
        [("S1", "tea", 1), ("S2", "tea", 9)], versions={"S1": 4, "S2": 1}
    ),
    "set less than nothing": lambda face: face.set_stock([("S2", "tea", 9), ("S1", "tea", -1)]),
    "set in no store": lambda face: face.set_stock([("S1", "tea", 9), ("S8", "tea", 1)]),
    "set no sku": lambda face: face.set_stock([("S1", "", 9)]),
    "set a fraction": lambda face: face.set_stock([("S1", "tea", 9.5)]),
    "set ragged": lambda face: face.set_stock(stores=["S1"], skus=[], quantities=[1]),
    "set both ways": lambda face: face.set_stock(ROWS, stores=["S1"]),
    "set version 0": lambda face: face.set_stock(ROWS, versions={"S1": 0}),
    "set version of no store": lambda face: face.set_stock(ROWS, versions={"S8": 1}),
    "version": lambda face: (face.stock_version("S1"), face.stock_version("店3")),
    "version of no store": lambda face: face.stock_version("S8"),
    "adjust": lambda face: face.adjust_stock([("S1", "tea", -2), ("店3", "milk", 5)]),
    "adjust by columns": lambda face: face.adjust_stock(stores=["S1"], skus=["tea"], deltas=[2]),
    "adjust below zero": lambda face: face.adjust_stock([("S2", "tea", 1), ("S1", "tea", -99)]),
    "adjust no sku": lambda face: face.adjust_stock([("S2", "tea", 1), ("S1", "sand", 1)]),
    "stock": lambda face: face.stock("S1"),
    "stock of skus": lambda face: face.stock("S1", ["rice", "tea"]),
    "stock of none": lambda face: face.stock("S1", []),
    "stock of no sku": lambda face: face.stock("S1", ["tea", "sand"]),
    "stock of no store": lambda face: face.stock("S8"),
    "available": lambda face: face.available("S1", "tea"),
    "available of no sku": lambda face: face.available("S1", "sand"),
    "available in no store": lambda face: face.available("S8", "tea"),
    "nearest": lambda face: face.nearest(31.2, 121.405),
    "nearest with": lambda face: face.nearest(
        31.2, 121.405, lines=[("rice", 1)], limit=1, policy=Policy(radius_m=5e3), datum=Datum.BD09
    ),
    "nearest none": lambda face: face.nearest(31.2, 121.405, limit=0),
    "nearest less than none": lambda face: face.nearest(31.2, 121.405, limit=-1),
    "nearest off the earth": lambda face: face.nearest(31.2, 190.0),
    "nearest with sand": lambda face: face.nearest(31.2, 121.4, lines=[("tea", 1), ("sand", 1)]),
    "nearest with none": lambda face: face.nearest(31.2, 121.4, lines=[("tea", 0)]),
    "dry run": lambda face: face.route(tea("O1", 10), dry_run=True),
    "route": lambda face: face.route(tea("O1", 10)),
    "route again": lambda face: face.route(tea("O1", 10)),
    "route other things": lambda face: face.route(tea("O1", 9)),
    "route too much": lambda face: face.route(tea("O2", 11)),
    "route too far": lambda face: face.route(tea("O3"), policy=Policy(radius_m=1.0)),
    "route sand": lambda face: face.route(
        Order(id="O4", lat=31.2, lng=121.4, lines=[("tea", 1), ("sand", 1)])
    ),
    "route nothing": lambda face: face.route(Order(id="O4", lat=31.2, lng=121.4, lines=[])),
    "route none of it": lambda face: face.route(tea("O4", 0)),
    "route half": lambda face: face.route(tea("O4", 0.5)),  # type: ignore[arg-type]
    "route off the earth": lambda face: face.route(tea("O4", lng=181.0)),
    "route no order": lambda face: face.route("O4"),
    "route no id": lambda face: face.route(tea("")),
    "route a bad radius": lambda face: face.route(tea("O4"), policy=Policy(radius_m=-1.0)),
    "route no policy": lambda face: face.route(tea("O4"), policy="near"),
    "batch": lambda face: face.route_batch([tea(f"B{n}", n + 1) for n in range(6)]),
    "batch dry": lambda face: face.route_batch([tea("C1", 4), tea("C2", 9)], dry_run=True),
    "empty batch": lambda face: face.route_batch([]),
    "bad batch": lambda face: face.route_batch([tea("C1"), tea("C2"), tea("C3", -1)]),
    "batch of sand": lambda face: face.route_batch(
        [tea("C1"), Order(id="C2", lat=0, lng=0, lines=[("sand", 1)])]
    ),
    "batch no list": lambda face: face.route_batch(7),
    "less than is reserved": lambda face: face.set_stock([("S1", "tea", 3)]),
    "decision": lambda face: (face.decision("O1"), face.is_held("O1")),
    "no decision": lambda face: face.decision("O99"),
    "release": lambda face: (face.release("O1"), face.release("O1"), face.is_held("O1")),
    "release no order": lambda face: face.release("O99"),
    "release many": lambda face: face.release_batch(["B0", "O1", "B1"]),
    "release one that is none": lambda face: face.release_batch(["B2", "O99"]),
    "release a number": lambda face: face.release(7),
    "release numbers": lambda face: face.release_batch(["B2", 7]),
    "release a str": lambda face: face.release_batch("B2"),
    "release nothing": lambda face: face.release_batch([]),
    "decision on a number": lambda face: face.decision(7),
    "available in a number": lambda face: face.available(7, "tea"),
    "available of a number": lambda face: face.available("S1", 7),
    "version of a number": lambda face: face.stock_version(7),
    "stock of a str": lambda face: face.stock("S1", "tea"),
    "stock of numbers": lambda face: face.stock("S1", ["tea", 7]),
    "pause a str": lambda face: face.pause_stores("S1"),
    "pause a number": lambda face: face.pause_stores(["S1", 7]),
    "add no region": lambda face: face.add_stores(
        [Store(id="S9", lat=0, lng=0, region=7)]  # type: ignore[arg-type]
    ),
    "move one twice": lambda face: face.update_stores([STORES[0], STORES[0]]),
    "add no store": lambda face: face.add_stores([7]),
    "set too much": lambda face: face.set_stock([("S1", "tea", 2**31)]),
    "set short rows": lambda face: face.set_stock([("S1", "tea")]),
    "set versions that are none": lambda face: face.set_stock(ROWS, versions=7),
    "set a fraction of a version": lambda face: face.set_stock(ROWS, versions={"S1": 1.5}),
    "set nothing but a version": lambda face: face.set_stock([], versions={"店3": 4}),
    "version since": lambda face: face.stock_version("店3"),
    "pause": lambda face: (face.pause_stores(["S1", "S1"]), face.stores()),
    "route elsewhere": lambda face: face.route(tea("P1")),
    "pause no store": lambda face: face.pause_stores(["S1", "S8"]),
    "resume": lambda face: (face.resume_stores(["S1"]), face.stores()),
    "resume no store": lambda face: face.resume_stores(["S8"]),
    "move": lambda face: face.update_stores([Store(id="S1", lat=31.3, lng=121.4, region="new")]),
    "move no store": lambda face: face.update_stores([Store(id="S8", lat=31.3, lng=121.4)]),
    "moved": lambda face: face.stores(),
    "remove": lambda face: face.remove_stores(["S2"]),
    "remove again": lambda face: face.remove_stores(["S2"]),
    "the end": lambda face: (face.stores(), face.stock("S1"), face.stock("店3")),
}

# The same under a policy file: what orders say beside place and lines, and what they are promised.
POLICY = """
default_type = "NEXT_DAY"

[types.INSTANT]
hours = "ANY"
steps = [{ name = "STORE", radius_m = 500 }]

[types.NEXT_DAY]
hours = "ANY"
merge_window = "1h"

[[override]]
channel = ["meituan"]
steps = [{ name = "STORE", radius_m = 900 }, "WIDER"]
"""


def said(name: str, quantity: int = 1, **more: Any) -> Order:
    return Order(id=name, lat=31.2, lng=121.4, lines=[("tea", quantity)], **more)


BREAKFAST = Order(id="breakfast", lat=31.2, lng=121.4, lines=[("rice", 2), ("oats", 1, 990)])

PROMISED: Scenes = {
    "stores": lambda face: face.add_stores(STORES),
    "stock": lambda face: face.set_stock(ROWS),
    "before there is a policy": lambda face: face.route(said("early", channel="meituan")),
    "policy": lambda face: face.activate_policy(face.draft_policy(POLICY)),
    "nothing said": lambda face: face.route(said("O1")),
    "instant": lambda face: face.route(said("O2", order_type=OrderType.INSTANT)),
    "the same again": lambda face: face.route(said("O2", order_type=OrderType.INSTANT)),
    "another type": lambda face: face.route(said("O2", order_type=OrderType.PICKUP)),
    "told before": lambda face: (face.decision("O1"), face.decision("O2"), face.decision("early")),
    "pickup": lambda face: face.route(
        said("O3", order_type=OrderType.PICKUP, pickup_store_id="S2", region="puxi")
    ),
    "pickup nowhere": lambda face: face.route(
        said("O4", order_type=OrderType.PICKUP, pickup_store_id="S8")
    ),
    "pickup of what is sent": lambda face: face.route(
        said("O4", order_type=OrderType.INSTANT, pickup_store_id="S2")
    ),
    "no group": lambda face: face.route(said("O4", order_type=OrderType.GROUP)),
    "no type": lambda face: face.route_batch([said("O4"), said("O5", order_type=7)]),
    "no text": lambda face: face.route_batch([said("O4"), said("O5", buyer_id=7)]),
    "long text": lambda face: face.route(said("O4", address_id="x" * 256)),
    "a group": lambda face: face.route_batch(
        [said(f"G{n}", n + 1, order_type=OrderType.GROUP, group_id="团") for n in range(3)]
    ),
    "a buyer": lambda face: face.route_batch(
        [said(f"M{n}", buyer_id="wang", address_id="home", channel="meituan") for n in range(2)]
    ),
    "here rice, there oats": lambda face: face.set_stock([("S1", "rice", 5), ("店3", "oats", 5)]),
    "a split": lambda face: face.route(BREAKFAST),
    "a split again": lambda face: (face.route(BREAKFAST), face.decision("breakfast")),
    "too much": lambda face: face.route(said("O6", 25)),
    "a dry run": lambda face: face.route(said("O7"), dry_run=True),
    "a policy of its own": lambda face: face.route(said("O8"), policy=Policy(radius_m=1.0)),
    "no policy any more": lambda face: (face.activate_policy(0), face.route(said("O9"))),
}

# The same for orders, from the shelf to the customer, and every other way.
LIFE: Scenes = {
    "stores": lambda face: face.add_stores(STORES),
    "stock": lambda face: face.set_stock(ROWS),
    "orders": lambda face: face.route_batch(
        [tea("to the customer", 2), tea("back on the shelf"), tea("back in pieces")]
        + [tea(f"rejected {n}") for n in range(5)]
        + [tea("cancelled"), tea("nobody has", 99), tea("waits", 2, lng=121.42)]
    ),
    "where": lambda face: [face.order(name) for name in ("to the customer", "nobody has")],
    "where is none": lambda face: face.order("O99"),
    "where is a number": lambda face: face.order(7),
    "ship first": lambda face: face.ship_order("to the customer"),
    "pick first": lambda face: face.pick_order("to the customer", store_id="S1"),
    "deliver what nobody has": lambda face: face.deliver_order("nobody has"),
    "return what is there": lambda face: face.return_order("waits", to_stock=True),
    "accept": lambda face: face.accept_order("to the customer"),
    "accept again": lambda face: face.accept_order("to the customer", store_id="S1"),
    "accept elsewhere": lambda face: face.accept_order("to the customer", store_id="S2"),
    "accept nowhere": lambda face: face.accept_order("to the customer", store_id="S8"),
    "accept in no name": lambda face: face.accept_order("to the customer", store_id=""),
    "accept in a number": lambda face: face.accept_order("to the customer", store_id=8),
    "accept none": lambda face: face.accept_order("O99"),
    "accept a number": lambda face: face.accept_order(7),
    "pick": lambda face: face.pick_order("to the customer", store_id="S1"),
    "counted": lambda face: face.stock("S1"),
    "ship": lambda face: face.ship_order("to the customer", store_id="S1"),
    "no longer counted": lambda face: face.stock("S1"),
    "accept what is shipped": lambda face: face.accept_order("to the customer"),
    "cancel what is shipped": lambda face: face.cancel_order("to the customer"),
    "reject what is shipped": lambda face: face.reject_order("to the customer", "S1"),
    "release what is shipped": lambda face: face.release("to the customer"),
    "deliver": lambda face: face.deliver_order("to the customer"),
    "deliver again": lambda face: face.deliver_order("to the customer"),
    "send two back": lambda face: [
        step(name)
        for name in ("back on the shelf", "back in pieces")
        for step in (face.accept_order, face.pick_order, face.ship_order)
    ],
    "return": lambda face: face.return_order("back on the shelf", to_stock=True),
    "return again": lambda face: face.return_order("back on the shelf", to_stock=True),
    "return otherwise": lambda face: face.return_order("back on the shelf", to_stock=False),
    "return in pieces": lambda face: face.return_order(
        "back in pieces", to_stock=False, store_id="S1"
    ),
    "return elsewhere": lambda face: face.return_order(
        "back in pieces", to_stock=False, store_id="S2"
    ),
    "return a word": lambda face: face.return_order("to the customer", to_stock="yes"),
    "deliver what is back": lambda face: face.deliver_order("back in pieces"),
    "what came back": lambda face: face.stock("S1"),
    "reject": lambda face: face.reject_order("rejected 0", "S1"),
    "reject again": lambda face: face.reject_order("rejected 0", "S1"),
    "reject for another": lambda face: face.reject_order("rejected 0", "店3"),
    "reject for nobody": lambda face: face.reject_order("rejected 0", "S8"),
    "reject in no name": lambda face: face.reject_order("rejected 0", ""),
    "reject for none": lambda face: face.reject_order("rejected 0", None),
    "reject none": lambda face: face.reject_order("O99", "S1"),
    "reject a number": lambda face: face.reject_order(7, "S1"),
    "reject what nobody has": lambda face: face.reject_order("nobody has", "S1"),
    "reject for no reason": lambda face: face.reject_order("rejected 1", "S1", reason="tired"),
    "reject for no known reason": lambda face: face.reject_order("rejected 1", "S1", reason=9),
    "miss what is not asked for": lambda face: face.reject_order(
        "rejected 1", "S1", reason=RejectReason.DAMAGED, missing_skus=["tea", "milk"]
    ),
    "miss a number": lambda face: face.reject_order(
        "rejected 1", "S1", reason=RejectReason.DAMAGED, missing_skus=["tea", 7]
    ),
    "miss a str": lambda face: face.reject_order(
        "rejected 1", "S1", reason=RejectReason.DAMAGED, missing_skus="tea"
    ),
    "too busy": lambda face: face.reject_order("rejected 1", "S1", reason=RejectReason.TOO_BUSY),
    "closed": lambda face: face.reject_order(
        "rejected 2", "S1", reason=RejectReason.CLOSED, missing_skus=[]
    ),
    "still sold": lambda face: face.stock("S1", ["tea"]),
    "not on the shelf": lambda face: face.reject_order(
        "rejected 3", "S1", reason=RejectReason.NOT_ON_SHELF
    ),
    "damaged": lambda face: face.reject_order(
        "rejected 3", "S2", reason=RejectReason.DAMAGED, missing_skus=["tea"]
    ),
    "no longer sold": lambda face: [face.stock(store_id) for store_id in ("S1", "S2")],
    "the last rejects": lambda face: face.reject_order("rejected 3", "店3"),
    "the last rejects again": lambda face: face.reject_order("rejected 3", "店3"),
    "accept what all rejected": lambda face: face.accept_order("rejected 3"),
    "told first": lambda face: face.decision("rejected 3"),
    "sent again": lambda face: face.route(tea("rejected 3")),
    "cancel what all rejected": lambda face: face.cancel_order("rejected 3"),
    "cancel": lambda face: face.cancel_order("cancelled"),
    "cancel again": lambda face: face.cancel_order("cancelled"),
    "accept what is cancelled": lambda face: face.accept_order("cancelled"),
    "cancel what nobody has": lambda face: face.cancel_order("nobody has"),
    "cancel a second shipment": lambda face: face.cancel_order("waits", shipment=2),
    "cancel shipment 0": lambda face: face.cancel_order("waits", shipment=0),
    "cancel a huge shipment": lambda face: face.cancel_order("waits", shipment=2**40),
    "cancel a word": lambda face: face.cancel_order("waits", shipment="all"),
    "cancel half a shipment": lambda face: face.cancel_order("waits", shipment=0.5),
    "cancel none": lambda face: face.cancel_order("O99"),
    "cancel a number": lambda face: face.cancel_order(7),
    "cancel the shipment": lambda face: face.cancel_order("waits", shipment=1),
    "held": lambda face: [face.is_held(name) for name in ("waits", "rejected 1")],
    "release the accepted": lambda face: (
        face.accept_order("rejected 1"),
        face.release("rejected 1"),
        face.order("rejected 1"),
    ),
    "close": lambda face: (face.remove_stores(["S2"]), face.order("rejected 2")),
    "the end": lambda face: [face.stock(store_id) for store_id in ("S1", "店3")],
}


def played(scenes: Scenes, face: Any) -> dict[str, object]:
    """What each scene gave, or what was wrong with it."""
    given: dict[str, object] = {}
    for name, scene in scenes.items():
        try:
            given[name] = scene(face)
        except FendanError as error:
            value = (error.field, error.row, error.value)
            # Where an order is, only the hint tells.
            hint = error.hint if error.grpc_status == "FAILED_PRECONDITION" else ""
            given[name] = (type(error), error.code, *value, hint)
    return given


@pytest.mark.parametrize("opened", [client, aio_client], ids=["Client", "aio.Client"])
@pytest.mark.parametrize("scenes", [SCENES, PROMISED, LIFE], ids=["a chain", "a policy", "orders"])
def test_a_client_says_what_the_engine_says(scenes: Scenes, opened: Callable[[], Any]) -> None:
    with engine() as here, opened() as there:
        expected, given = played(scenes, here), played(scenes, there)
    different = {name: (expected[name], given[name]) for name in scenes}
    assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}


def test_many_threads_share_a_client() -> None:
    with serving() as served, Client(served.address) as client:
        with ThreadPoolExecutor(8) as threads:
            decisions = list(threads.map(lambda n: client.route(tea(f"T{n}")), range(40)))
        assert sum(decision.store_id is not None for decision in decisions) == 30
        assert [served.engine.decision(f"T{n}") for n in range(40)] == decisions


@pytest.mark.parametrize("kind", [Client, AioClient], ids=["Client", "aio.Client"])
def test_a_client_has_the_methods_of_the_engine_and_their_arguments(kind: type) -> None:
    for name, method in inspect.getmembers(Engine, inspect.isfunction):
        if name.startswith("_") or name in IN_PROCESS_ONLY:
            continue
        there = inspect.signature(getattr(kind, name)).parameters
        for argument, parameter in inspect.signature(method).parameters.items():
            assert there[argument].kind == parameter.kind, (name, argument)
            assert there[argument].default == parameter.default, (name, argument)


# -- LIMITS ------------------------------------------------------------------------------------


def test_stock_that_does_not_fit_one_request_is_refused_and_not_set_in_parts() -> None:
    with FakeService() as service, Client(service.address) as client:
        with pytest.raises(InvalidInputError, match="several calls") as caught:
            client.set_stock(("S1", f"sku{n}", 1) for n in range(100_001))
        assert caught.value.code == "TOO_MANY"
        assert service.requests == []


def test_a_batch_of_too_many_orders_is_refused_by_the_service() -> None:
    with serving(limits__orders_per_request=10) as served, Client(served.address) as client:
        with pytest.raises(InvalidInputError) as caught:
            client.route_batch([tea(f"T{n}") for n in range(11)])
        assert (caught.value.code, caught.value.field) == ("TOO_MANY", "orders")


# -- TRYING AGAIN ------------------------------------------------------------------------------


def error_of(fault: Fault) -> FendanError:
    with pytest.raises(FendanError) as caught:
        refuse(fault, "server")
    return caught.value


BUSY = aborting(grpc.StatusCode.RESOURCE_EXHAUSTED, error_of(Fault.BUSY))
DRAINING = aborting(grpc.StatusCode.UNAVAILABLE, error_of(Fault.UNAVAILABLE))
BROKEN = aborting(grpc.StatusCode.UNAVAILABLE)


def test_a_busy_service_is_asked_again() -> None:
    with FakeService(a_chain()) as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers["Route"] = [BUSY, BUSY, BROKEN, service.route]
        assert client.route(tea("O1")).store_id == "S1"
        assert len(service.requests_to("Route")) == 4


def test_a_service_that_stays_busy_is_not_asked_for_ever() -> None:
    retries = Retries(most=2, first_wait_s=0.0, jitter=lambda: 0.0)
    with FakeService() as service, Client(service.address, retries=retries) as client:
        service.answers["Route"] = [BUSY]
        with pytest.raises(BusyError):
            client.route(tea("O1"))
        assert len(service.requests_to("Route")) == 3


def test_nobody_waits_longer_than_the_timeout_to_try_again() -> None:
    retries = Retries(first_wait_s=3600.0, longest_wait_s=3600.0, jitter=lambda: 1.0)
    with FakeService() as service, Client(service.address, retries=retries) as client:
        service.answers["Route"] = [BUSY]
        with pytest.raises(BusyError):
            client.route(tea("O1"), timeout_s=5.0)


def test_a_wait_is_what_the_service_asks_for_and_a_random_part_that_grows_up_to_a_limit() -> None:
    retries = Retries(first_wait_s=0.5, longest_wait_s=3.0, jitter=lambda: 0.5)
    asked = Failure(error_of(Fault.BUSY), after_s=10.0)
    assert [retries.wait_s(asked, tries) for tries in range(4)] == [10.25, 10.5, 11.0, 11.5]
    assert retries.wait_s(Failure(error_of(Fault.UNAVAILABLE)), 10_000) == 1.5


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.DEADLINE_EXCEEDED]
)
def test_what_would_fail_again_is_not_tried_again(code: grpc.StatusCode) -> None:
    with FakeService() as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers["Route"] = [aborting(code)]
        with pytest.raises(FendanError):
            client.route(tea("O1"))
        assert len(service.requests_to("Route")) == 1


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("AcceptOrder", lambda client: client.accept_order("O1")),
        ("PickOrder", lambda client: client.pick_order("O1")),
        ("ShipOrder", lambda client: client.ship_order("O1")),
        ("DeliverOrder", lambda client: client.deliver_order("O1")),
        ("ReturnOrder", lambda client: client.return_order("O1", to_stock=True)),
        ("RejectOrder", lambda client: client.reject_order("O1", "S1")),
        ("CancelOrder", lambda client: client.cancel_order("O1")),
        ("GetOrder", lambda client: client.order("O1")),
    ],
)
def test_a_step_whose_answer_was_lost_is_sent_again(
    method: str, step: Callable[[Client], OrderStatus]
) -> None:
    # The responses are alike: each has where the order is.
    there = GetOrderResponse(order={"order_id": "O1", "state": OrderState.ASSIGNED})
    with FakeService() as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers[method] = [BROKEN, BUSY, saying(there)]
        assert step(client).state is OrderState.ASSIGNED
        first, *others = service.requests_to(method)
        assert others == [first, first]


def test_stock_is_sent_again_under_one_key_and_the_next_stock_under_another() -> None:
    answer = SetStockResponse(outcomes=[{"store_id": "S1"}])
    with FakeService() as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers["SetStock"] = [BROKEN, saying(answer)]
        client.set_stock([("S1", "tea", 1)])
        client.set_stock([("S1", "tea", 1)])
        client.set_stock([("S1", "tea", 1)], key="mine")
        sent = [SetStockRequest.FromString(data) for data in service.requests_to("SetStock")]
    first, again, second, mine = [request.idempotency_key for request in sent]
    assert first == again
    assert len({first, second, mine}) == 3
    assert mine == "mine"


def test_stores_are_added_again_only_where_the_service_says_that_it_did_nothing() -> None:
    with FakeService() as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers["AddStores"] = [BUSY, DRAINING, saying(AddStoresResponse())]
        client.add_stores(STORES)
        assert len(service.requests_to("AddStores")) == 3
        service.requests.clear()
        service.answers["AddStores"] = [BROKEN]
        with pytest.raises(UnavailableError):
            client.add_stores(STORES)
        assert len(service.requests_to("AddStores")) == 1


def test_a_service_that_comes_back_is_found_again() -> None:
    chain = a_chain()
    with FakeService(chain) as first, Client(first.address) as client:
        client.route(tea("O1"))
        first.stop()
        with FakeService(chain, port=first.port):
            assert client.route(tea("O2")).store_id == "S1"


# -- TIMEOUTS ----------------------------------------------------------------------------------


def test_a_call_ends_at_its_deadline() -> None:
    with FakeService() as service, Client(service.address, timeout_s=60.0) as client:
        service.answers["Route"] = [service.never]
        with pytest.raises(TimedOutError) as caught:
            client.route(tea("O1"), timeout_s=0.1)
        assert caught.value.code == "TIMED_OUT"


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan"), float("inf"), "soon", True, None])
def test_a_timeout_must_be_one(timeout_s: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Client("127.0.0.1:1", timeout_s=timeout_s)
    assert caught.value.field == "timeout_s"


def test_nobody_there_is_unavailable() -> None:
    retries = Retries(most=0)
    with Client("127.0.0.1:1", retries=retries) as client, pytest.raises(UnavailableError):
        client.route(tea("O1"))


def test_a_closed_client_says_so() -> None:
    client = Client("127.0.0.1:1")
    client.close()
    client.close()
    with pytest.raises(UnavailableError, match="closed"):
        client.route(tea("O1"))


# -- WHO AND WHERE -----------------------------------------------------------------------------


def test_the_token_goes_along() -> None:
    with FakeService(a_chain()) as service, Client(service.address, token="s3cret") as client:
        client.route(tea("O1"))
        assert service.metadata[-1]["authorization"] == "Bearer s3cret"
        assert "s3cret" not in repr(client) + repr(client._address)


@pytest.mark.parametrize(
    "target",
    ["10.0.0.1:50051", "fendan.example:443", "dns:///10.0.0.1:1", "ipv4:127.0.0.1:1,10.0.0.1:1",
     "127.0.0.1.example:1", "localhost.example:1", "dns://10.0.0.1/localhost:1"],
)  # fmt: skip
def test_a_token_does_not_leave_this_machine_unencrypted_unless_told_to(target: str) -> None:
    with pytest.raises(InvalidInputError, match="TLS") as caught:
        Client(target, token="s3cret")
    assert caught.value.field == "tls"
    Client(target, token="s3cret", token_over_plaintext=True).close()
    Client(target, token="s3cret", tls=Tls()).close()


@pytest.mark.parametrize(
    "target", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x", "dns:///localhost:1"]
)
def test_a_token_may_go_to_this_machine(target: str) -> None:
    Client(target, token="s3cret").close()


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "é", 7])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Client("127.0.0.1:1", token=token)
    assert caught.value.field == "token"
    assert caught.value.value is None


@pytest.mark.parametrize("target", [None, 50051, ""])
def test_a_target_must_be_one(target: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Client(target)
    assert caught.value.field == "target"


def test_what_is_wrong_with_the_files_of_tls_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        Client("127.0.0.1:1", tls=Tls(ca=tmp_path / "no.pem"))
    assert caught.value.field == "tls.ca"
    with pytest.raises(InvalidInputError) as missing:
        Client("127.0.0.1:1", tls=Tls(certificate=tmp_path / "me.pem"))
    assert missing.value.field == "tls.key"


def test_both_sides_of_mutual_tls_know_each_other(tmp_path: Path) -> None:
    Papers(tmp_path)  # writes them
    settings: dict[str, Any] = {
        "tls__certificate": tmp_path / "server.pem",
        "tls__key": tmp_path / "server.key",
        "tls__client_ca": tmp_path / "ca.pem",
    }
    ca, me = tmp_path / "ca.pem", tmp_path / "client.pem"
    known = Tls(ca=ca, certificate=me, key=tmp_path / "client.key")
    with serving(**settings) as served:
        address = f"localhost:{served.server.port}"
        with Client(address, tls=known) as client:
            assert client.route(tea("O1")).store_id == "S1"
        assert asyncio.run(routed(AioClient(address, tls=known), tea("O1"))).store_id == "S1"
        for stranger in (Tls(ca=ca), Tls(ca=tmp_path / "stranger_ca.pem"), None):
            once = Client(address, tls=stranger, retries=Retries(most=0))
            with once, pytest.raises(UnavailableError):
                once.route(tea("O2"))


async def routed(client: AioClient, order: Order) -> Decision:
    async with client:
        return await client.route(order)


def test_without_grpcio_it_is_said_what_to_install() -> None:
    code = (
        "import sys, fendan.cli; assert 'grpc' not in sys.modules; sys.modules['grpc'] = None\n"
        "try: import fendan.{module}\nexcept ImportError as error: print(error)"
    )
    for module in ("client", "aio"):
        command = [sys.executable, "-c", code.format(module=module)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "pip install 'fendan[client]'" in said


# -- WATCHING ----------------------------------------------------------------------------------


def told(sellable: int, cursor: str) -> WatchAvailabilityResponse:
    changes = [Availability(store_id="S1", sku="tea", sellable=sellable)]
    return WatchAvailabilityResponse(changes=changes, cursor=cursor)


def test_a_watch_tells_the_state_and_then_what_changes() -> None:
    with serving() as served, Client(served.address) as client:
        watch = client.watch(channel="meituan", store_ids=["S1"], skus=["tea"])
        first = next(watch)
        assert [(pair.store_id, pair.sku, pair.sellable) for pair in first.changes] == [
            ("S1", "tea", 10)
        ]
        client.route(tea("O1", 3))
        while not (changes := next(watch)).changes:
            pass
        assert [pair.sellable for pair in changes.changes] == [7]


def test_a_broken_watch_goes_on_from_its_last_cursor() -> None:
    with FakeService() as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers["WatchAvailability"] = [
            service.telling(told(5, "c1"), told(4, "c2"), then=BROKEN),
            service.telling(then=BROKEN),
            service.telling(told(3, "c3")),
        ]
        watch = client.watch()
        seen = [next(watch) for _ in range(3)]
        requests = service.requests_to("WatchAvailability")
    assert [pair.sellable for message in seen for pair in message.changes] == [5, 4, 3]
    assert [message.reset for message in seen] == [False, False, False]
    cursors = [WatchAvailabilityRequest.FromString(data).cursor for data in requests]
    assert cursors == ["", "c2", "c2"]


def test_a_watch_that_broke_within_the_state_begins_anew_and_says_so() -> None:
    with FakeService() as service, Client(service.address, retries=AT_ONCE) as client:
        service.answers["WatchAvailability"] = [
            service.telling(told(5, ""), then=BROKEN),
            service.telling(told(4, ""), told(3, "c1")),
        ]
        watch = client.watch()
        assert [next(watch).reset for _ in range(3)] == [False, True, False]


def test_a_watch_for_what_is_not_there_fails() -> None:
    with serving() as served, Client(served.address) as client:
        with pytest.raises(InvalidInputError) as caught:
            next(client.watch(store_ids=["S1", "S8"]))
        assert (caught.value.code, caught.value.field) == ("UNKNOWN_STORE", "store_ids[1]")
