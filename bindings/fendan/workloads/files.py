"""A named workload as files, which a server serves and `fendan load` or `fendan route` reads.

So a server in a process of its own, or on a machine of its own, has what the benchmarks have in
theirs, with the same decisions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from fendan.workloads.named import SEED, Named, made
from fendan.workloads.workload import Orders, Workload, joined, sku_names, store_ids

__all__ = ["ORDERS", "STOCK", "STORES", "write"]

STORES, STOCK, ORDERS = "stores.parquet", "stock.parquet", "orders.parquet"
# In a part of the file of stock; bounds the memory for writing it, whatever the workload.
ROWS_AT_ONCE = 4_000_000


def write(size: Named, folder: Path, seed: int = SEED) -> None:
    """Write stores, stock and orders: all batches, one after another. Raises OSError."""
    workload, batches = made(size, seed)
    folder.mkdir(parents=True, exist_ok=True)
    places = {"lat": workload.store_lat, "lng": workload.store_lng}
    stores = pa.table({"store_id": store_ids(workload), **places})
    parquet.write_table(stores, folder / STORES)
    _write_stock(workload, folder / STOCK)
    parquet.write_table(_lines(joined(batches), sku_names(workload)), folder / ORDERS)


def _write_stock(workload: Workload, path: Path) -> None:
    """A row for each pair, some stores at a time."""
    ids, skus = pa.array(store_ids(workload)), pa.array(sku_names(workload))
    width = workload.carried.shape[1]
    at_once = max(1, ROWS_AT_ONCE // width)
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema({"store_id": text, "sku": text, "quantity": pa.int32()}.items())
    with parquet.ParquetWriter(path, schema) as file:
        for first in range(0, workload.store_count, at_once):
            some = slice(first, min(first + at_once, workload.store_count))
            stores = np.repeat(np.arange(some.start, some.stop, dtype=np.int32), width)
            columns = [
                pa.DictionaryArray.from_arrays(stores, ids),
                pa.DictionaryArray.from_arrays(workload.carried[some].ravel(), skus),
                pa.array(workload.on_hand[some].ravel()),
            ]
            file.write_table(pa.table(columns, schema=schema))


def _lines(orders: Orders, skus: Sequence[str]) -> pa.Table:
    """A row for each line, as `fendan route` reads orders."""
    order = np.repeat(np.arange(len(orders), dtype=np.int32), orders.lines)
    ids = [f"O{number:07d}" for number in range(len(orders))]
    return pa.table(
        {
            "order_id": pa.DictionaryArray.from_arrays(order, ids),
            "lat": orders.lat[order],
            "lng": orders.lng[order],
            "sku": pa.DictionaryArray.from_arrays(orders.skus, list(skus)),
            "quantity": orders.quantities,
        }
    )
