"""Real stores, real baskets with all their dirt, real stock-outs.

Real are the 7,798 Starbucks stores of China, the 541,909 order lines of the UCI "Online Retail"
set, and the hours at which FreshRetailNet's stores were out of stock. Made up, from fixed seeds,
because nobody publishes them: where an order goes (a GeoNames town, drawn by population, give or
take some kilometres), how many pieces lie on a shelf, and which store sells what.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from brute import Brute
from fendan import (
    Datum,
    Engine,
    FendanError,
    InvalidInputError,
    Order,
    OrderConflictError,
    Policy,
    Status,
    Store,
    convert,
    distance_m,
)
from twin import Place

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def stores(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "starbucks_cn_stores_20250523.csv.gz", dtype={"store_id": str})


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> pd.DataFrame:
    return pd.read_parquet(
        shared_data / "uci_online_retail_lines.parquet",
        columns=["InvoiceNo", "StockCode", "Quantity", "InvoiceDate"],
    )


@pytest.fixture(scope="module")
def towns(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "geonames_cities500_CN.csv.gz")


def as_published(stores: pd.DataFrame) -> list[Store]:
    """With the GCJ-02 coordinates of the Chinese maps."""
    return [
        Store(id=name, lat=lat, lng=lng, datum=Datum.GCJ02)
        for name, lat, lng in zip(
            stores["store_id"], stores["lat_gcj02"], stores["lng_gcj02"], strict=True
        )
    ]


def wgs84_of(stores: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lat, lng = convert(
        stores["lat_gcj02"].to_numpy(), stores["lng_gcj02"].to_numpy(), Datum.GCJ02, Datum.WGS84
    )
    return lat, lng


def doors(towns: pd.DataFrame, count: int, seed: int) -> list[Place]:
    """Where orders go: towns drawn by population, and a few kilometres around. Made up."""
    rng = np.random.default_rng(seed)
    weights = towns["population"].to_numpy(dtype=float)
    drawn = rng.choice(len(towns), count, p=weights / weights.sum())
    lat = towns["latitude"].to_numpy()[drawn] + rng.normal(0, 0.03, count)
    lng = towns["longitude"].to_numpy()[drawn] + rng.normal(0, 0.03, count)
    return list(zip(lat.tolist(), lng.tolist(), strict=True))


# -- STORES --------------------------------------------------------------------------------------


def test_converted_stores_stand_within_metres_of_where_the_data_has_them(
    stores: pd.DataFrame,
) -> None:
    lat, lng = wgs84_of(stores)
    off_m = [
        distance_m(*ours, *theirs)
        for ours, theirs in zip(
            zip(lat, lng, strict=True),
            zip(stores["lat_wgs84"], stores["lng_wgs84"], strict=True),
            strict=True,
        )
    ]
    assert len(off_m) == 7798
    assert max(off_m) < 5.0  # theirs is a single-step inverse, good to about a metre


def test_an_order_at_each_stores_door_goes_to_that_store(stores: pd.DataFrame) -> None:
    """Or to the neighbour at the very same coordinates with the smaller id."""
    engine = Engine()
    engine.add_stores(as_published(stores))
    names = list(stores["store_id"])
    engine.set_stock(stores=names, skus=["coffee"] * len(names), quantities=[999] * len(names))
    lat, lng = wgs84_of(stores)
    same_place: dict[Place, str] = {}
    for name, place in sorted(zip(names, zip(lat, lng, strict=True), strict=True)):
        same_place.setdefault(place, name)
    told = engine.route_batch(
        Order(id=name, lat=a, lng=b, lines=[("coffee", 1)])
        for name, a, b in zip(names, stores["lat_gcj02"], stores["lng_gcj02"], strict=True)
    )
    assert any(decision.distance_m for decision in told)  # GCJ-02 read as WGS84 leads astray
    told = engine.route_batch(
        Order(id=f"door of {name}", lat=a, lng=b, lines=[("coffee", 1)], datum=Datum.GCJ02)
        for name, a, b in zip(names, stores["lat_gcj02"], stores["lng_gcj02"], strict=True)
    )
    for decision, place in zip(told, zip(lat, lng, strict=True), strict=True):
        assert (decision.store_id, decision.distance_m) == (same_place[place], 0.0)


def test_close_neighbours_are_told_apart(stores: pd.DataFrame) -> None:
    """67 stores have another within 50 m: from right between two, the nearer or smaller id wins."""
    lat, lng = wgs84_of(stores)
    names = list(stores["store_id"])
    engine = Engine()
    engine.add_stores(as_published(stores))
    engine.set_stock(stores=names, skus=["coffee"] * len(names), quantities=[999] * len(names))
    brute = Brute(names, lat, lng, np.full((1, len(names)), 999, dtype=np.int32))
    close = [
        (one, brute.places[other])
        for code, one in enumerate(brute.places)
        for other in np.flatnonzero(brute.rough_m(one) < 50)
        if other != code
    ]
    assert len({one for one, _ in close}) >= 60
    rng = np.random.default_rng(11)
    shares = [0.0, 0.25, 0.5, 1.0, *rng.normal(0.5, 0.01, 6)]
    spots = [
        (one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1]))
        for one, other in close
        for share in shares
    ]
    told = engine.route_batch(
        Order(id=f"{n}", lat=a, lng=b, lines=[("coffee", 1)]) for n, (a, b) in enumerate(spots)
    )
    for decision, spot in zip(told, spots, strict=True):
        winner = brute.route(spot, [(0, 1)])
        assert winner is not None
        assert (decision.store_id, decision.distance_m) == (names[winner[0]], winner[1])


def test_stores_that_open_one_after_the_other_are_the_same_chain(
    shared_data: Path, towns: pd.DataFrame
) -> None:
    """Two years of openings replayed on the first snapshot, against all of them at once."""
    first = pd.read_csv(
        shared_data / "starbucks_cn_stores_first_snapshot_20240605.csv.gz",
        dtype={"store_id": str},
    )
    events = pd.read_csv(
        shared_data / "starbucks_cn_store_events_2024-2025.csv.gz", dtype={"store_id": str}
    )
    # The engine cannot close or move a store yet: only openings are replayed, each store's first.
    opened = events[(events["event"] == "open") & ~events["store_id"].isin(first["store_id"])]
    opened = opened.drop_duplicates("store_id")
    assert len(opened) > 500
    places = doors(towns, 3000, seed=12)

    def decided(arrivals: list[list[Store]]) -> list[object]:
        engine = Engine()
        for arrival in arrivals:
            engine.add_stores(arrival)
            names = [store.id for store in arrival]
            engine.set_stock(
                stores=names, skus=["coffee"] * len(names), quantities=[1] * len(names)
            )
        return list(
            engine.route_batch(
                Order(id=f"{n}", lat=lat, lng=lng, lines=[("coffee", 1)])
                for n, (lat, lng) in enumerate(places)
            )
        )

    one_by_one = decided([as_published(first), *([store] for store in as_published(opened))])
    assert one_by_one == decided([as_published(pd.concat([opened, first]))])


# -- BASKETS -------------------------------------------------------------------------------------


def is_product(code: str) -> bool:
    """Postage, fees, gifts and samples have codes of letters, and no store stocks them."""
    return code[0].isdigit()


@pytest.fixture(scope="module")
def invoices(lines: pd.DataFrame) -> dict[str, list[tuple[str, int]]]:
    """Invoice -> its lines as found, dirt and all."""
    found: dict[str, list[tuple[str, int]]] = {}
    columns = (lines[name].tolist() for name in ("InvoiceNo", "StockCode", "Quantity"))
    for invoice, code, quantity in zip(*columns, strict=True):
        found.setdefault(invoice, []).append((code, quantity))
    assert sum(map(len, found.values())) == 541_909
    return found


@pytest.fixture(scope="module")
def products(lines: pd.DataFrame) -> list[str]:
    return sorted(code for code in lines["StockCode"].unique() if is_product(code))


def stocked(stores: pd.DataFrame, products: list[str]) -> tuple[Engine, Brute]:
    """Each store lists a third of the products, up to 500 pieces of each. Made up, seed 13."""
    rng = np.random.default_rng(13)
    shape = len(products), len(stores)
    net = rng.integers(1, 500, shape, dtype=np.int32)
    net[rng.random(shape, dtype=np.float32) > 0.33] = 0
    names = list(stores["store_id"])
    engine = Engine()
    engine.add_stores(as_published(stores))
    # All products at the first store come first, so that their codes follow their order.
    engine.set_stock(
        stores=names[:1] * len(products), skus=products, quantities=[0] * len(products)
    )
    skus, codes = np.nonzero(net)
    engine.set_stock(stores=codes, skus=skus, quantities=net[skus, codes])
    return engine, Brute(names, *wgs84_of(stores), net)


def first_dirty(basket: list[tuple[str, int]]) -> int | None:
    return next(
        (at for at, (code, count) in enumerate(basket) if count <= 0 or not is_product(code)), None
    )


def test_exactly_the_dirty_invoices_are_refused_each_by_its_first_dirty_line(
    stores: pd.DataFrame, products: list[str], invoices: dict[str, list[tuple[str, int]]]
) -> None:
    engine = Engine()
    engine.add_stores(as_published(stores.head(1)))
    engine.set_stock((stores["store_id"][0], product, 0) for product in products)
    refused = 0
    for invoice, basket in invoices.items():
        order = Order(id=invoice, lat=31.2, lng=121.5, lines=basket)
        dirty = first_dirty(basket)
        try:
            engine.route(order)
            assert dirty is None
        except FendanError as error:
            refused += 1
            assert dirty is not None
            code, quantity = basket[dirty]
            said = re.fullmatch(r"order\.lines\[(\d+)\]\.(sku|quantity)", error.field)
            assert said is not None
            assert int(said[1]) == dirty
            # Where both are bad, the SKU is named first.
            assert (said[2], error.code, error.value) == (
                ("quantity", "OUT_OF_RANGE", quantity)
                if is_product(code)
                else ("sku", "UNKNOWN_SKU", code)
            )
    assert refused == sum(first_dirty(basket) is not None for basket in invoices.values()) > 5_000
    assert repr(engine).endswith(f"{len(invoices) - refused} known orders)")


def test_a_day_with_a_dirty_invoice_is_refused_whole_by_its_row(
    stores: pd.DataFrame, products: list[str], lines: pd.DataFrame
) -> None:
    engine = Engine()
    engine.add_stores(as_published(stores.head(1)))
    engine.set_stock((stores["store_id"][0], product, 9) for product in products)
    untouched = repr(engine)
    days = 0
    for _, day in lines.groupby(lines["InvoiceDate"].dt.date):
        baskets = [
            (invoice, list(zip(rows["StockCode"], rows["Quantity"], strict=True)))
            for invoice, rows in day.groupby("InvoiceNo", sort=False)
        ]
        dirty = [row for row, (_, basket) in enumerate(baskets) if first_dirty(basket) is not None]
        if not dirty or days == 60:
            continue
        days += 1
        orders = [Order(id=i, lat=31.2, lng=121.5, lines=basket) for i, basket in baskets]
        with pytest.raises(InvalidInputError) as refused:
            engine.route_batch(orders)
        assert refused.value.row == dirty[0]
        assert refused.value.field.startswith(f"orders[{dirty[0]}].lines[")
    assert days == 60
    assert repr(engine) == untouched
    assert all(engine.available(stores["store_id"][0], product) == 9 for product in products)


def test_cleaned_baskets_are_routed_as_by_brute_force(
    stores: pd.DataFrame,
    products: list[str],
    invoices: dict[str, list[tuple[str, int]]],
    towns: pd.DataFrame,
) -> None:
    """The lines that are left, with SKUs repeated and 1,110 lines long, sent to made-up doors."""
    baskets = {
        invoice: [(code, count) for code, count in basket if count > 0 and is_product(code)]
        for invoice, basket in invoices.items()
    }
    baskets = {invoice: basket for invoice, basket in baskets.items() if basket}
    places = doors(towns, len(baskets), seed=14)
    engine, brute = stocked(stores, products)
    orders = [
        Order(id=invoice, lat=lat, lng=lng, lines=basket)
        for (invoice, basket), (lat, lng) in zip(baskets.items(), places, strict=True)
    ]
    told = engine.route_batch(orders)
    assigned = [decision for decision in told if decision.status is Status.ASSIGNED]
    assert len(assigned) > 5_000

    code_of = {product: code for code, product in enumerate(products)}
    for order, decision in zip(orders[:3000], told, strict=False):
        winner = brute.route(
            (order.lat, order.lng), [(code_of[sku], count) for sku, count in order.lines]
        )
        expected = (None, None) if winner is None else (brute.ids[winner[0]], winner[1])
        assert (decision.store_id, decision.distance_m) == expected

    # The whole year once more, as retries, gets the same answers; other content does not.
    assert engine.route_batch(orders[::-1]) == told[::-1]
    first = orders[0]
    with pytest.raises(OrderConflictError):
        engine.route(Order(id=first.id, lat=first.lat, lng=first.lng, lines=orders[1].lines))
    assert sum(engine.release(order.id) for order in orders) == len(assigned)


# -- STOCK-OUTS ----------------------------------------------------------------------------------


def test_in_the_evening_orders_travel_farther_than_in_the_morning(
    stores: pd.DataFrame, shared_data: Path
) -> None:
    """Real stock-outs of one day: 5 % of the pairs at 7:00, nearly half at 21:00.

    The masks' stores have no names: the n-th of them is taken for the n-th of the real stores,
    and everything that is not out of stock has one piece. Made up; the hours are real.
    """
    masks = pd.read_parquet(shared_data / "freshretailnet_stockout_20240328_0424.parquet")
    day = masks[masks["dt"] == "2024-04-10"].reset_index(drop=True)
    rank = day["store_id"].rank(method="dense").astype(int) - 1
    names = stores["store_id"].to_numpy()[: rank.max() + 1]
    chosen = stores[stores["store_id"].isin(names)]
    skus = ("product " + day["product_id"].astype(str)).to_numpy()
    lat, lng = wgs84_of(chosen)
    rng = np.random.default_rng(15)
    at, wanted = rng.integers(0, len(chosen), 5000), rng.integers(0, len(day), 5000)

    def travelled(hour: int) -> tuple[NDArray[np.float64], float]:
        out = (day["oos_mask"].to_numpy() >> hour & 1).astype(bool)
        engine = Engine(policy=Policy())
        engine.add_stores(as_published(chosen))
        engine.set_stock(stores=names[rank], skus=skus, quantities=np.where(out, 0, 5000))
        for row in np.flatnonzero(out)[:200]:
            assert engine.available(names[rank[row]], skus[row]) == 0
        routed = engine.route_arrays(
            lat=lat[at],
            lng=lng[at],
            offsets=np.arange(5001),
            skus=engine.sku_codes(skus[wanted]),
            quantities=np.ones(5000, dtype=np.int32),
        )
        return routed.distances_m, float(out.mean())

    (morning_m, out_at_7), (evening_m, out_at_21) = travelled(7), travelled(21)
    assert out_at_7 < 0.1
    assert out_at_21 > 0.3
    both = ~np.isnan(morning_m) & ~np.isnan(evening_m)
    assert both.sum() > 4000
    assert evening_m[both].mean() > 1.1 * morning_m[both].mean()
    assert np.isnan(evening_m).sum() >= np.isnan(morning_m).sum()
