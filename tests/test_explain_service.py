"""A service says why as the engine does, beside the lane in which orders are routed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from clock import StoppedClock
from fendan import Client, Engine, NotAllowedError, Order, Store, UnknownOrderError
from fendan.exclusions import Exclusion
from fendan.explain_messages import explanation_message, explanation_of
from fendan.explanation import Candidate, Change, Excluded, Explanation, Part, TriedStep
from fendan.rules import OrderType, StepName
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import routing_service_pb2 as messages
from keeping import a_kept_chain, an_order
from serving import a_chain, serving
from test_client import Scenes, aio_client, client, played

ORDER = Order(id="A", lat=31.2, lng=121.4, lines=[("tea", 1)])
STORES = [Store(id=f"S{east}", lat=31.2, lng=121.4 + east / 100) for east in range(3)]

SCENES: Scenes = {
    "stores": lambda face: face.add_stores(STORES),
    "stock": lambda face: face.set_stock((one.id, "tea", 5) for one in STORES),
    "an order": lambda face: face.explain(ORDER),
    "one excluded store": lambda face: face.explain(replace(ORDER, lines=[("tea", 9)]), limit=1),
    "none of them": lambda face: face.explain(replace(ORDER, lines=[("tea", 9)]), limit=0),
    "a type and a channel": lambda face: face.explain(
        replace(ORDER, order_type=OrderType.INSTANT, channel="meituan")
    ),
    "no known order": lambda face: face.explain("nobody's"),
    "no name": lambda face: face.explain(""),
    "routed": lambda face: face.route(ORDER),
    "explained by its record": lambda face: face.explain("A"),
    "too many": lambda face: face.explain("A", limit=1_001),
    "fewer than none": lambda face: face.explain(ORDER, limit=-1),
    "half a one": lambda face: face.explain(ORDER, limit=1.5),
    "an unknown SKU": lambda face: face.explain(replace(ORDER, lines=[("gold", 1)])),
    "nowhere": lambda face: face.explain(replace(ORDER, lat=91.0)),
    "nothing": lambda face: face.explain(replace(ORDER, lines=[])),
}


@pytest.mark.parametrize("opened", [client, aio_client], ids=["Client", "aio.Client"])
def test_a_client_is_told_what_the_engine_tells(opened: Callable[[], Any]) -> None:
    expected = played(SCENES, Engine())
    with opened() as there:
        given = played(SCENES, there)
    different = {name: (expected[name], given[name]) for name in SCENES}
    assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}


def test_an_explanation_survives_with_all_there_is_in_it() -> None:
    decision = a_chain().route(ORDER, dry_run=True)
    store = Candidate(store_id="S1", distance_m=1.5, values={"LOAD": 0.5, "SCORE": -2.0})
    told = Explanation(
        order_id="A",
        decision=decision,
        policy_version=7,
        order_type=OrderType.PICKUP,
        step=StepName.WIDER,
        steps=(
            TriedStep(name=StepName.WIDER, radius_m=float("inf"), eligible=5, in_radius=4, able=3),
        ),
        winner=store,
        runners_up=(store,),
        excluded=tuple(
            Excluded(store_id="S2", distance_m=1.0, step=StepName.STORE, code=code, text="because")
            for code in Exclusion
        ),
        change=Change(
            store_id="S2",
            distance_m=1.0,
            step=StepName.STORE,
            needed=("1 more", "2 fewer"),
            loses_to="S1",
            loses_by="LOAD: 0.5 against 0.9",
        ),
        parts=(
            Part(number=1, store_id="S1", code=Exclusion.STOCK, text="no more"),
            Part(number=2, store_id="", code=None, text=""),
        ),
        recorded=("parts",),
        complete=False,
        partial=True,
        note="all of it",
    )
    assert explanation_of(explanation_message(told)) == told


def test_a_past_decision_is_told_by_a_service_with_a_journal(tmp_path: Path) -> None:
    with a_kept_chain(tmp_path) as engine:
        before = engine.explain(an_order("A"))
        with serving(engine) as served, Client(served.address) as client:
            decided = client.route(an_order("A"))
            client.set_stock([("S1", "tea", 5), ("S1", "milk", 0)])
            told = client.explain("A", timeout_s=60.0)
            assert told == replace(before, decision=decided)


def test_a_request_for_both_or_for_nothing_is_refused() -> None:
    with serving() as served, grpc.insecure_channel(served.address) as channel:
        ask = channel.unary_unary("/fendan.v1.RoutingService/Explain")
        for request in (
            messages.ExplainRequest(),
            messages.ExplainRequest(order={"id": "A"}, order_id="A"),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                ask(request.SerializeToString())
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "either an order or an order_id" in refused.value.details()


# -- WHO HAS A STORE OR A REGION ---------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Three stores of two regions; the order "A" is split over S1 of Puxi and S3 of Pudong."""
    with a_kept_chain(tmp_path / "journal") as kept:
        kept.activate_policy(kept.draft_policy(""))
        kept.set_stock([("S1", "milk", 0), ("S2", "tea", 0), ("S3", "tea", 0), ("S2", "milk", 0)])
        assert [one.store_id for one in kept.route(split_order()).shipments] == ["S1", "S3"]
        yield kept


def split_order() -> Order:
    return replace(an_order("A"), lines=[("tea", 1), ("milk", 1)])


@contextmanager
def asking(engine: Engine, tmp_path: Path, scope: Scope, of: str) -> Iterator[Client]:
    """A client with a token for a store, or for a region."""
    file = tmp_path / "tokens.toml"
    token = new_token(file, name="someone", scope=scope, of=of)
    with serving(engine, tokens=file) as served, Client(served.address, token=token) as client:
        yield client


def test_a_store_is_told_of_its_own_part_of_an_order_and_not_of_its_neighbours(
    engine: Engine, tmp_path: Path
) -> None:
    with asking(engine, tmp_path, Scope.STORE, "S3") as client:
        told = client.explain("A")
    assert (told.partial, told.complete, told.steps, told.winner) == (True, True, (), None)
    assert told.decision.store_id is None
    assert [(one.number, one.store_id) for one in told.decision.shipments] == [(2, "S3")]
    assert [(one.number, one.store_id) for one in told.parts] == [(2, "S3")]
    assert [(one.store_id, one.code) for one in told.excluded] == [("S3", Exclusion.STOCK)]
    assert told.change is None
    assert not {"S1", "S2"} & set(str(told).replace("'", " ").split())


def test_a_region_is_told_of_all_its_stores(engine: Engine, tmp_path: Path) -> None:
    with asking(engine, tmp_path, Scope.REGION, "puxi") as client:
        told = client.explain("A")
        assert [one.store_id for one in client.explain("A", limit=1).excluded] == ["S1"]
    assert [one.store_id for one in told.decision.shipments] == ["S1"]
    assert [one.store_id for one in told.excluded] == ["S1", "S2"]
    assert told.change is not None
    assert told.change.store_id == "S1"
    assert "S3" not in str(told)


def test_the_decision_itself_is_told_as_far_as_its_explanation_is(
    engine: Engine, tmp_path: Path
) -> None:
    with asking(engine, tmp_path, Scope.STORE, "S3") as client:
        told = client.decision("A")
        assert told == client.explain("A").decision
    assert (told.store_id, [one.store_id for one in told.shipments]) == (None, ["S3"])


def test_who_won_before_is_not_told_to_the_next(engine: Engine, tmp_path: Path) -> None:
    """S1 has rejected the order, and S2 has it now; both stood before the same counts."""
    engine.set_stock([("S2", "tea", 5)])
    engine.route(an_order("B"))
    engine.reject_order("B", "S1")
    with asking(engine, tmp_path, Scope.STORE, "S2") as client:
        first, second = client.explain("B"), client.explain("B", attempt=2)
    assert (first.winner, first.decision.store_id) == (None, None)
    assert [one.store_id for one in first.runners_up] == ["S2"]
    assert second.winner is not None
    assert second.winner.store_id == "S2"
    assert (second.excluded, second.change) == ((), None)
    assert "S1" not in str(first) + str(second)


def test_nobody_is_told_of_an_order_that_is_elsewhere_or_is_still_to_come(
    engine: Engine, tmp_path: Path
) -> None:
    with asking(engine, tmp_path, Scope.STORE, "S2") as client:
        with pytest.raises(NotAllowedError) as refused:
            client.explain("A")
        assert (refused.value.field, "S1" in str(refused.value)) == ("order_id", False)
        with pytest.raises(NotAllowedError) as refused:
            client.explain(split_order())
        assert refused.value.field == "order"
        with pytest.raises(UnknownOrderError):
            client.explain("nobody's")


def test_headquarters_are_told_everything(engine: Engine, tmp_path: Path) -> None:
    with asking(engine, tmp_path, Scope.HEADQUARTERS, "") as client:
        assert client.explain("A") == engine.explain("A")


def test_the_clock_of_a_service_is_that_of_its_engine() -> None:
    engine = Engine(clock=StoppedClock())
    engine.add_stores(STORES)
    engine.set_stock((one.id, "tea", 5) for one in STORES)
    engine.activate_policy(engine.draft_policy(""))
    with serving(engine) as served, Client(served.address) as client:
        assert client.explain(ORDER) == engine.explain(ORDER)
