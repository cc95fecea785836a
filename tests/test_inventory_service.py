"""Stock in, stock out, over gRPC: by version, once by key, and named as the caller named it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from fendan import Order
from fendan.details import error_of
from fendan.errors import Fault, FendanError
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import inventory_service_pb2 as messages
from fendan.v1.inventory_service_pb2_grpc import InventoryServiceStub
from serving import Served, connected, serving

pytestmark = pytest.mark.usefixtures("each_door")

APPLIED = messages.STOCK_OUTCOME_STATUS_APPLIED
STALE = messages.STOCK_OUTCOME_STATUS_STALE


@pytest.fixture
def served(each_door: None) -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def stub(served: Served) -> Iterator[InventoryServiceStub]:
    with connected(served) as channel:
        yield InventoryServiceStub(channel)


def snapshot(store_id: str, version: int = 0, **counts: int) -> messages.StockSnapshot:
    rows = [messages.StockCount(sku=sku, on_hand=count) for sku, count in counts.items()]
    return messages.StockSnapshot(store_id=store_id, version=version, counts=rows)


def adjustment(store_id: str, version: int = 0, **deltas: int) -> messages.StockAdjustment:
    rows = [messages.StockChange(sku=sku, delta=delta) for sku, delta in deltas.items()]
    return messages.StockAdjustment(store_id=store_id, version=version, changes=rows)


def setting(*snapshots: messages.StockSnapshot, key: str = "") -> messages.SetStockRequest:
    return messages.SetStockRequest(snapshots=snapshots, idempotency_key=key)


def adjusting(*adjustments: messages.StockAdjustment, key: str = "") -> messages.AdjustStockRequest:
    return messages.AdjustStockRequest(adjustments=adjustments, idempotency_key=key)


def outcomes(
    response: messages.SetStockResponse | messages.AdjustStockResponse,
) -> list[tuple[str, int, int]]:
    return [(out.store_id, out.status, out.version) for out in response.outcomes]


def refused(call: Callable[..., Any], request: Any, **options: Any) -> FendanError:
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=10, **options)
    return error_of(raised.value)


# -- SET ---------------------------------------------------------------------------------------


def test_snapshots_of_several_stores_are_applied_in_one_call(
    stub: InventoryServiceStub, served: Served
) -> None:
    answer = stub.SetStock(setting(snapshot("S2", tea=7), snapshot("S1", tea=3, coffee=4)))
    assert outcomes(answer) == [("S2", APPLIED, 0), ("S1", APPLIED, 0)]
    assert served.engine.available("S2", "tea") == 7
    assert served.engine.available("S1", "coffee") == 4
    assert served.engine.available("S1", "milk") == 10


def test_a_snapshot_older_than_the_last_is_left_out_and_the_others_are_not(
    stub: InventoryServiceStub, served: Served
) -> None:
    stub.SetStock(setting(snapshot("S1", version=8, tea=1)))
    answer = stub.SetStock(setting(snapshot("S1", version=7, tea=5), snapshot("S2", 7, tea=5)))
    assert outcomes(answer) == [("S1", STALE, 8), ("S2", APPLIED, 7)]
    assert served.engine.available("S1", "tea") == 1
    assert served.engine.available("S2", "tea") == 5


def test_a_snapshot_without_counts_still_sets_the_version(
    stub: InventoryServiceStub, served: Served
) -> None:
    assert outcomes(stub.SetStock(setting(snapshot("S1", version=3)))) == [("S1", APPLIED, 3)]
    assert served.engine.stock_version("S1") == 3


def test_an_unversioned_snapshot_tells_the_last_version(stub: InventoryServiceStub) -> None:
    stub.SetStock(setting(snapshot("S1", version=3, tea=1)))
    assert outcomes(stub.SetStock(setting(snapshot("S1", tea=2)))) == [("S1", APPLIED, 3)]


def test_less_on_hand_than_is_held_is_told_with_the_orders(
    stub: InventoryServiceStub, served: Served
) -> None:
    order = Order(id="O1", lat=31.2, lng=121.4, lines=[("tea", 4)])
    assert served.engine.route(order).store_id == "S1"
    (short,) = stub.SetStock(setting(snapshot("S1", tea=3))).shortfalls
    assert (short.store_id, short.sku, short.on_hand, short.reserved) == ("S1", "tea", 3, 4)
    assert list(short.order_ids) == ["O1"]


def test_the_same_key_gets_the_first_answer_and_changes_nothing(
    stub: InventoryServiceStub, served: Served
) -> None:
    request = setting(snapshot("S1", version=5, tea=2), key="night")
    first = stub.SetStock(request)
    stub.AdjustStock(adjusting(adjustment("S1", tea=1)))
    assert stub.SetStock(request) == first
    assert served.engine.available("S1", "tea") == 3


def test_the_same_key_with_other_content_is_refused(stub: InventoryServiceStub) -> None:
    stub.SetStock(setting(snapshot("S1", tea=2), key="night"))
    error = refused(stub.SetStock, setting(snapshot("S1", tea=3), key="night"))
    assert (error.fault, error.field) == (Fault.KEY_CONFLICT, "idempotency_key")
    assert error.value == "night"


@pytest.mark.parametrize(
    ("request_", "fault", "field"),
    [
        (
            setting(snapshot("S1", tea=1), snapshot("nowhere", tea=1)),
            Fault.UNKNOWN_STORE,
            "snapshots[1].store_id",
        ),
        (
            setting(snapshot("S1"), snapshot("nowhere")),
            Fault.UNKNOWN_STORE,
            "snapshots[1].store_id",
        ),
        (setting(snapshot("nowhere", 3)), Fault.UNKNOWN_STORE, "snapshots[0].store_id"),
        (setting(snapshot("", tea=1)), Fault.BAD_ID, "snapshots[0].store_id"),
        (
            setting(snapshot("S1", tea=1), snapshot("S1", milk=1)),
            Fault.DUPLICATE_STORE,
            "snapshots[1].store_id",
        ),
        (setting(snapshot("S1", version=-1)), Fault.OUT_OF_RANGE, "snapshots[0].version"),
        (
            setting(snapshot("S1", tea=1), snapshot("S2", tea=1, milk=-1)),
            Fault.OUT_OF_RANGE,
            "snapshots[1].counts[1].on_hand",
        ),
        (setting(snapshot("S1", **{"": 1})), Fault.BAD_ID, "snapshots[0].counts[0].sku"),
        (setting(snapshot("S1", tea=1), key="k" * 256), Fault.OUT_OF_RANGE, "idempotency_key"),
        (
            setting(messages.StockSnapshot(counts=[messages.StockCount(sku="s")] * 100_001)),
            Fault.TOO_MANY,
            "snapshots",
        ),
    ],
)
def test_a_bad_snapshot_is_named_and_nothing_of_the_request_is_done(
    stub: InventoryServiceStub,
    served: Served,
    request_: messages.SetStockRequest,
    fault: Fault,
    field: str,
) -> None:
    error = refused(stub.SetStock, request_)
    assert (error.fault, error.field) == (fault, field)
    assert served.engine.available("S1", "tea") == 10


def test_ten_thousand_counts_in_one_request(stub: InventoryServiceStub, served: Served) -> None:
    counts = {f"sku-{number}": number for number in range(10_000)}
    stub.SetStock(setting(snapshot("S1", version=1, **counts)))
    assert served.engine.available("S1", "sku-9999") == 9_999
    bad = setting(snapshot("S1", version=2, **counts | {"sku-9000": -1}))
    assert refused(stub.SetStock, bad).field == "snapshots[0].counts[9000].on_hand"


# -- ADJUST ------------------------------------------------------------------------------------


def test_movements_are_added_up(stub: InventoryServiceStub, served: Served) -> None:
    answer = stub.AdjustStock(adjusting(adjustment("S1", tea=5, milk=-4), adjustment("S2", tea=1)))
    assert outcomes(answer) == [("S1", APPLIED, 0), ("S2", APPLIED, 0)]
    assert served.engine.available("S1", "tea") == 15
    assert served.engine.available("S1", "milk") == 6


def test_a_movement_that_the_last_snapshot_has_counted_is_left_out(
    stub: InventoryServiceStub, served: Served
) -> None:
    stub.SetStock(setting(snapshot("S1", version=8, tea=1)))
    answer = stub.AdjustStock(adjusting(adjustment("S1", version=7, tea=5)))
    assert outcomes(answer) == [("S1", STALE, 8)]
    assert served.engine.available("S1", "tea") == 1


@pytest.mark.parametrize(
    ("adjustments", "fault", "field"),
    [
        ([adjustment("S1", coffee=1)], Fault.UNKNOWN_SKU, "adjustments[0].changes[0].sku"),
        (
            [adjustment("S1", tea=1), adjustment("S2", tea=1, milk=-11)],
            Fault.OUT_OF_RANGE,
            "adjustments[1].changes[1].delta",
        ),
        ([adjustment("nowhere", tea=1)], Fault.UNKNOWN_STORE, "adjustments[0].store_id"),
        ([adjustment("S1"), adjustment("S1")], Fault.DUPLICATE_STORE, "adjustments[1].store_id"),
    ],
)
def test_a_bad_movement_is_named_and_nothing_of_the_request_is_done(
    stub: InventoryServiceStub,
    served: Served,
    adjustments: list[messages.StockAdjustment],
    fault: Fault,
    field: str,
) -> None:
    error = refused(stub.AdjustStock, adjusting(*adjustments))
    assert (error.fault, error.field) == (fault, field)
    assert served.engine.available("S1", "tea") == 10


# -- GET ---------------------------------------------------------------------------------------


def pages(stub: InventoryServiceStub, **request: Any) -> list[messages.GetStockResponse]:
    found = [stub.GetStock(messages.GetStockRequest(**request))]
    while token := found[-1].next_page_token:
        found.append(stub.GetStock(messages.GetStockRequest(**request, page_token=token)))
    return found


def test_a_store_lists_what_it_has_in_the_order_of_the_catalogue(
    stub: InventoryServiceStub, served: Served
) -> None:
    served.engine.set_stock([("S1", "coffee", 2)], versions={"S1": 4})
    served.engine.route(Order(id="O1", lat=31.2, lng=121.4, lines=[("tea", 4)]))
    (page,) = pages(stub, store_id="S1")
    levels = [(level.sku, level.on_hand, level.reserved, level.sellable) for level in page.levels]
    assert levels == [("tea", 10, 4, 6), ("milk", 10, 0, 10), ("coffee", 2, 0, 2)]
    assert page.version == 4


@pytest.mark.parametrize("skus", [[], ["milk", "tea", "coffee", "milk", "cola"]])
def test_pages_together_are_the_whole(
    stub: InventoryServiceStub, served: Served, skus: list[str]
) -> None:
    served.engine.set_stock([("S1", "coffee", 1), ("S1", "cola", 1), ("S1", "water", 1)])
    found = pages(stub, store_id="S1", skus=skus, page_size=2)
    assert [len(page.levels) for page in found] == [2, 2, 1]
    told = [level.sku for page in found for level in page.levels]
    assert told == (skus or ["tea", "milk", "coffee", "cola", "water"])


def test_a_sku_that_is_new_between_two_pages_moves_no_other(
    stub: InventoryServiceStub, served: Served
) -> None:
    served.engine.set_stock([("S2", "early", 1), ("S1", "coffee", 1)])
    first = stub.GetStock(messages.GetStockRequest(store_id="S1", page_size=2))
    served.engine.set_stock([("S1", "early", 1)])
    token = first.next_page_token
    second = stub.GetStock(messages.GetStockRequest(store_id="S1", page_size=2, page_token=token))
    assert [level.sku for level in second.levels] == ["early", "coffee"]


@pytest.mark.parametrize(
    ("request_", "fault", "field"),
    [
        ({"store_id": "nowhere"}, Fault.UNKNOWN_STORE, "store_id"),
        ({"store_id": "S1", "skus": ["tea", "cola"]}, Fault.UNKNOWN_SKU, "skus[1]"),
        ({"store_id": "S1", "skus": ["tea"] * 10_001}, Fault.TOO_MANY, "skus"),
        ({"store_id": "S1", "page_size": -1}, Fault.OUT_OF_RANGE, "page_size"),
        ({"store_id": "S1", "page_size": 10_001}, Fault.OUT_OF_RANGE, "page_size"),
        ({"store_id": "S1", "page_token": "made up"}, Fault.OUT_OF_RANGE, "page_token"),
        ({"store_id": "S1", "page_token": "LTE6MA=="}, Fault.OUT_OF_RANGE, "page_token"),
    ],
)
def test_a_bad_question_is_refused_by_name(
    stub: InventoryServiceStub, request_: dict[str, Any], fault: Fault, field: str
) -> None:
    error = refused(stub.GetStock, messages.GetStockRequest(**request_))
    assert (error.fault, error.field) == (fault, field)


def test_a_page_token_of_another_question_is_refused(stub: InventoryServiceStub) -> None:
    first = stub.GetStock(messages.GetStockRequest(store_id="S1", page_size=1))
    other = messages.GetStockRequest(store_id="S2", page_size=1, page_token=first.next_page_token)
    assert refused(stub.GetStock, other).field == "page_token"


# -- SCOPES ------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Bearer tokens by name, of a file beside them."""
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    bound = {
        "S1": (Scope.STORE, "S1"),
        "S3": (Scope.STORE, "S3"),
        "puxi": (Scope.REGION, "puxi"),
        "hq": (Scope.HEADQUARTERS, ""),
    }
    plain = {
        name: new_token(path, name=name, scope=scope, of=of) for name, (scope, of) in bound.items()
    }
    return plain | {"path": str(path)}


@pytest.fixture
def guarded(tokens: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Calls a method as the holder of a token."""
    with (
        serving(tokens=Path(tokens["path"])) as served,
        connected(served) as channel,
    ):
        stub = InventoryServiceStub(channel)

        def call(who: str, method: str, request: Any) -> Any:
            bearer = ("authorization", f"Bearer {tokens[who]}")
            return getattr(stub, method)(request, metadata=[bearer], timeout=10)

        yield call


@pytest.mark.parametrize(
    ("who", "method", "request_", "field"),
    [
        ("S1", "SetStock", setting(snapshot("S1"), snapshot("S2", tea=1)), "snapshots[1].store_id"),
        ("puxi", "SetStock", setting(snapshot("S2"), snapshot("S3")), "snapshots[1].store_id"),
        ("puxi", "AdjustStock", adjusting(adjustment("S3", tea=1)), "adjustments[0].store_id"),
        ("S1", "GetStock", messages.GetStockRequest(store_id="S2"), "store_id"),
        ("puxi", "GetStock", messages.GetStockRequest(store_id="S3"), "store_id"),
    ],
)
def test_a_token_reaches_no_further_than_its_stores(
    guarded: Callable[..., Any], who: str, method: str, request_: Any, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        guarded(who, method, request_)
    error = error_of(raised.value)
    assert (error.fault, error.field) == (Fault.NOT_ALLOWED, field)


def test_a_token_reaches_its_own_stores(guarded: Callable[..., Any]) -> None:
    assert guarded("S1", "SetStock", setting(snapshot("S1", tea=4))).outcomes
    assert guarded("puxi", "AdjustStock", adjusting(adjustment("S1", tea=1))).outcomes
    levels = guarded("puxi", "GetStock", messages.GetStockRequest(store_id="S1")).levels
    assert (levels[0].sku, levels[0].on_hand) == ("tea", 5)


def test_two_callers_may_choose_the_same_key(guarded: Callable[..., Any]) -> None:
    assert guarded("S1", "SetStock", setting(snapshot("S1", tea=4), key="1")).outcomes
    assert guarded("S3", "SetStock", setting(snapshot("S3", tea=5), key="1")).outcomes
