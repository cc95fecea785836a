"""What a chain sets up is said over the wire as it is said to the engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fendan import Engine, NotAllowedError, Order, Store
from fendan.client import Client
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, StoreKind
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from serving import a_chain, serving
from test_client import Scenes, aio_client, client, played

SQUARE = '{"type":"Polygon","coordinates":[[[121,31],[122,31],[122,32],[121,32],[121,31]]]}'
STORES = [Store(id="S1", lat=31.2, lng=121.4), Store(id="店2", lat=31.2, lng=121.41)]
SHOP = StoreProfile(
    kind=StoreKind.RDC,
    hours={"daily": "09:00-22:00", "2026-10-01": "closed"},
    order_types=frozenset({OrderType.INSTANT, OrderType.PICKUP}),
    abilities=frozenset({"cold_chain"}),
    most_open_orders=3,
    window_s=90.5,
    areas=("浦东",),
)

SCENES: Scenes = {
    "stores": lambda face: face.add_stores(STORES),
    "stock": lambda face: face.set_stock([("S1", "tea", 9), ("店2", "tea", 5)]),
    "no areas": lambda face: face.areas(),
    "areas": lambda face: (face.set_areas({"浦东": SQUARE, "b": SQUARE}), face.areas()),
    "no area": lambda face: face.set_areas({"b": None, "c": '{"type":"Point"}'}),
    "area gone": lambda face: (face.set_areas({"b": None}), list(face.areas())),
    "plain store": lambda face: face.store_profile("S1"),
    "store": lambda face: (face.set_store_profiles({"S1": SHOP}), face.store_profile("S1")),
    "store of none": lambda face: face.store_profile("S9"),
    "store of a number": lambda face: face.store_profile(7),
    "set store of none": lambda face: face.set_store_profiles({"S1": SHOP, "S9": SHOP}),
    "set no hours": lambda face: face.set_store_profiles(
        {"S1": StoreProfile(hours={"daily": "9 to 5"})}
    ),
    "set no profile": lambda face: face.set_store_profiles({"S1": "a shop"}),
    "set no profiles": lambda face: face.set_store_profiles("S1"),
    "area in use": lambda face: face.set_areas({"浦东": None}),
    "plain sku": lambda face: face.sku_profile("tea"),
    "sku": lambda face: (
        face.set_sku_profiles({"ice": SkuProfile(product_class="frozen", presale=True)}),
        face.sku_profile("ice"),
    ),
    "sku of none": lambda face: face.sku_profile("sand"),
    "bundle": lambda face: (
        face.set_sku_profiles({"kit": SkuProfile(parts={"tea": 2, "ice": 1})}),
        face.sku_profile("kit"),
    ),
    "bundle of a bundle": lambda face: face.set_sku_profiles(
        {"kits": SkuProfile(parts={"kit": 2})}
    ),
    "shares": lambda face: (
        face.set_shares("meituan", {"S1": 0.5, "店2": 0}),
        face.share("S1", "meituan"),
        face.share("店2", "meituan"),
        face.share("店2", "jd"),
    ),
    "too large a share": lambda face: face.set_shares("jd", {"S1": 1.5}),
    "share of no store": lambda face: face.set_shares("jd", {"S9": 0.5}),
    "share of no channel": lambda face: face.share("S1", ""),
    "hidden": lambda face: (face.set_hidden_skus("jd", ["tea", "ice"]), face.hidden_skus("jd")),
    "hide sand": lambda face: face.set_hidden_skus("jd", ["tea", "sand"]),
    "shown again": lambda face: (face.set_hidden_skus("jd", []), face.hidden_skus("jd")),
    "held": lambda face: (
        face.set_held(["S1", "店2"], ["tea", "rice"], safety=[2, 1], display=[0, 1]),
        face.held("S1", "tea"),
        face.held("店2", "rice"),
    ),
    "locked": lambda face: (face.set_held(["S1"], ["tea"], locked=[4]), face.held("S1", "tea")),
    "hold nothing": lambda face: face.set_held(["S1"], ["tea"]),
    "hold less": lambda face: face.set_held(["S1", "S1"], ["tea", "tea"], safety=[1, -1]),
    "hold nowhere": lambda face: face.set_held(["S1", "S9"], ["tea", "tea"], safety=[1, 1]),
    "hold ragged": lambda face: face.set_held(["S1"], ["tea"], safety=[1, 1]),
    "held of sand": lambda face: face.held("S1", "sand"),
    "lots": lambda face: (
        face.set_lots("S1", "cheese", {"2030-12-02": 3, "2030-12-01": 2}),
        face.lots("S1", "cheese"),
        face.lots("店2", "cheese"),
        face.set_lots("S1", "cheese", {}),
    ),
    "lots on no day": lambda face: face.set_lots("S1", "cheese", {"2030-13-01": 1}),
    "fewer than no lots": lambda face: face.set_lots("S1", "cheese", {"2030-12-01": -1}),
    "lots of nothing": lambda face: face.set_lots("S1", "", {}),
    "lots nowhere": lambda face: face.set_lots("S9", "cheese", {}),
    "lots of sand": lambda face: face.lots("S1", "sand"),
    "supply": lambda face: (face.set_supply("S1", "ice", "2030-12-01", 20), face.supply()),
    "supply of some": lambda face: [
        face.supply(*which) for which in (("ice", "S1"), ("tea",), (None, "店2"))
    ],
    "supply of sand": lambda face: face.set_supply("S1", "sand", "2030-12-01", 20),
    "supply on no day": lambda face: face.set_supply("S1", "ice", "2030-13-01", 20),
    "less than no supply": lambda face: face.set_supply("S1", "ice", "2030-12-01", -1),
    "received": lambda face: face.receive_supply("S1", "ice", "2030-12-01"),
    "received again": lambda face: face.receive_supply("S1", "ice", "2030-12-01"),
    "received nowhere": lambda face: face.receive_supply("S9", "ice", "2030-12-01"),
    "the end": lambda face: (face.stock("S1"), face.supply(), face.store_profile("店2")),
}  # fmt: skip


@pytest.mark.parametrize("opened", [client, aio_client], ids=["Client", "aio.Client"])
def test_a_client_sets_up_what_the_engine_sets_up(opened: Callable[[], Any]) -> None:
    expected = played(SCENES, Engine())
    with opened() as there:
        given = played(SCENES, there)
    different = {name: (expected[name], given[name]) for name in SCENES}
    assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}


def test_more_sold_than_is_to_arrive_is_told() -> None:
    with serving(Engine()) as served, Client(served.address) as client:
        client.add_stores(STORES)
        client.set_stock([("S1", "ice", 0)])
        client.set_sku_profiles({"ice": SkuProfile(presale=True)})
        assert client.set_supply("S1", "ice", "2030-12-01", 5) == []
        client.activate_policy(client.draft_policy(""))
        order = Order(
            id="O1", lat=31.2, lng=121.4, lines=[("ice", 4)], order_type=OrderType.PRESALE
        )
        (shipment,) = client.route(order).shipments
        assert (shipment.supply_date, shipment.lines) == ("2030-12-01", (("ice", 4),))
        (short,) = client.set_supply("S1", "ice", "2030-12-01", 3)
        assert (short.sku, short.on_hand, short.reserved) == ("ice", 3, 4)


def test_headquarters_say_what_holds_for_all_and_a_store_what_is_its_own(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    store = new_token(tokens, name="store", scope=Scope.STORE, of="S1")
    region = new_token(tokens, name="region", scope=Scope.REGION, of="puxi")
    with serving(a_chain(), tokens=tokens) as served:
        with Client(served.address, token=store) as client:
            client.set_held(["S1"], ["tea"], safety=[1])
            assert client.held("S1", "tea").safety == 1
            assert client.supply(store_id="S1") == []
            for change in (
                lambda: client.set_held(["S1", "S2"], ["tea", "tea"], safety=[1, 1]),
                lambda: client.held("S2", "tea"),
                client.supply,
                lambda: client.set_supply("S2", "tea", "2030-12-01", 1),
                lambda: client.set_store_profiles({"S1": SHOP}),
                lambda: client.set_sku_profiles({"tea": SkuProfile()}),
            ):
                with pytest.raises(NotAllowedError):
                    change()
        with Client(served.address, token=region) as client, pytest.raises(NotAllowedError):
            client.set_hidden_skus("jd", ["tea"])
        assert served.engine.held("S2", "tea").safety == 0
