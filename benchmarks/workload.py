"""What benchmarks do with a workload: an engine that has its stores and stock, and has it again.

The stores, stock and orders themselves are made in the package, by `fendan.workloads`.
"""

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import fendan
from fendan.core import Clock
from fendan.workloads.named import Named
from fendan.workloads.workload import Orders, Workload, sku_names, store_ids

# Of more pairs, some SKUs are loaded after others. A shelf is made whole either way, so that the
# engine is the same, and took less memory on its way there.
PAIRS_AT_ONCE = 80_000_000
# Ours and the engine's; those for sorting what is loaded at a time; and of each SKU, listed or not.
KEPT_BYTES_A_PAIR, LOADING_BYTES_A_PAIR, BITMAP_BYTES_A_LEAF = 20, 28, 32
NOON_NS = 1_767_585_600 * 10**9  # 2026-01-05, noon in China


class Noon:
    """A clock that stands: what an order costs must not depend on the hour."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return NOON_NS


def bare_engine(workload: Workload, clock: Clock | None = None) -> fendan.Engine:
    """An engine with the stores and no stock."""
    engine = fendan.Engine(clock=clock)
    add_stores(engine, workload)
    return engine


def add_stores(engine: fendan.Engine, workload: Workload) -> None:
    """Open the stores."""
    places = zip(
        store_ids(workload), workload.store_lat.tolist(), workload.store_lng.tolist(), strict=True
    )
    engine.add_stores([fendan.Store(id=name, lat=lat, lng=lng) for name, lat, lng in places])


def add_catalogue(
    engine: fendan.Engine, workload: Workload, first: int = 0, last: int | None = None
) -> None:
    """Give SKUs, or all, their codes, by rows that say the first store has none of them."""
    names = sku_names(workload)[first:last]
    nothing = np.zeros(len(names), dtype=np.int32)
    engine.set_stock(stores=nothing, skus=names, quantities=nothing)


def engine_for(workload: Workload, clock: Clock | None = None) -> fendan.Engine:
    """An engine with the stores and the stock, whose codes are those of the workload."""
    engine = fendan.Engine(clock=clock)
    fill(engine, workload)
    return engine


def fill(engine: fendan.Engine, workload: Workload) -> None:
    """Give a new engine the stores and the stock, with the codes of the workload."""
    add_stores(engine, workload)
    stores, skus, quantities = workload.stock_rows
    parts = -(-len(skus) // PAIRS_AT_ONCE)
    edges = [workload.sku_count * part // parts for part in range(parts + 1)]
    for first, last in pairwise(edges):
        add_catalogue(engine, workload, first, last)
        some = slice(None) if parts == 1 else (skus >= first) & (skus < last)
        engine.set_stock(stores=stores[some], skus=skus[some], quantities=quantities[some])


def needs_bytes(size: Named) -> int:
    """About how much memory it takes to make a workload and to load it."""
    at_once = min(1.0, PAIRS_AT_ONCE / size.pairs)
    bitmaps = BITMAP_BYTES_A_LEAF * size.skus * (size.stores // 64 + 1)
    pairs = size.pairs * (KEPT_BYTES_A_PAIR + at_once * LOADING_BYTES_A_PAIR)
    # A SKU's bitmaps are there twice while they are made anew.
    return int(bitmaps * (1 + at_once) + pairs)


def dictionary_columns(workload: Workload) -> dict[str, pa.Array]:
    """The stock as the columns of `set_stock`, with ids as they come out of a Parquet file."""
    stores, skus, quantities = workload.stock_rows
    return {
        "stores": pa.DictionaryArray.from_arrays(stores, store_ids(workload)),
        "skus": pa.DictionaryArray.from_arrays(skus, sku_names(workload)),
        "quantities": pa.array(quantities),
    }


def decision_hash(store_codes: NDArray[np.int32], distances_m: NDArray[np.float64]) -> str:
    """A short name for what was decided: the stores, and the distances in whole metres."""
    metres = np.where(np.isnan(distances_m), -1.0, distances_m).round()
    columns = (np.asarray(store_codes, dtype="<i4"), metres.astype("<i4"))
    return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()[:12]


class Restock:
    """Puts back what array batches took, so that every repetition meets the same stock.

    Orders without ids cannot be released, so what stays reserved is counted here, and the on-hand
    set that much higher. An engine has one Restock, which hears of every such batch.
    """

    def __init__(self, engine: fendan.Engine, workload: Workload) -> None:
        self.engine = engine
        self.workload = workload
        self.reserved = np.zeros(workload.on_hand.size, dtype=np.int32)

    def put_back(self, store_codes: NDArray[np.int32], orders: Orders) -> None:
        """Undo a batch that was routed to these stores."""
        stores = np.repeat(store_codes, orders.lines)
        assigned = stores >= 0
        stores, skus = stores[assigned], orders.skus[assigned]
        rows = self.workload.row_of(stores, skus)
        np.add.at(self.reserved, rows, orders.quantities[assigned])
        on_hand = self.workload.on_hand.ravel()[rows] + self.reserved[rows]
        self.engine.set_stock(stores=stores, skus=skus, quantities=on_hand)
