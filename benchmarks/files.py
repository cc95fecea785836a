"""A named workload as files, to serve and to load: `python benchmarks/files.py NAME FOLDER`.

    fendan serve --stores FOLDER/stores.parquet --stock FOLDER/stock.parquet --data FOLDER/data
    fendan load --orders FOLDER/orders.parquet

So a server in a process of its own, or on a machine of its own, has what the benchmarks have in
theirs. `--smaller N`: so many times fewer stores, SKUs and orders.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from named import NAMED, Named, made
from workload import Orders, dictionary_columns, joined, sku_names, store_ids


def write(size: Named, folder: Path) -> None:
    """Write stores.parquet, stock.parquet and orders.parquet: all batches, one after another."""
    workload, batches = made(size)
    stores = {"store_id": store_ids(workload), "lat": workload.store_lat, "lng": workload.store_lng}
    columns = dictionary_columns(workload)
    stock = {"store_id": columns["stores"], "sku": columns["skus"]}
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(stores), folder / "stores.parquet")
    parquet.write_table(
        pa.table({**stock, "quantity": columns["quantities"]}), folder / "stock.parquet"
    )
    parquet.write_table(_lines(joined(batches), sku_names(workload)), folder / "orders.parquet")


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


def main(arguments: Sequence[str] | None = None) -> None:
    """What the command line asks for; `arguments` as on it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMED)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--smaller", type=int, default=1, metavar="N")
    chosen = parser.parse_args(arguments)
    size, folder = NAMED[chosen.name].smaller(chosen.smaller), chosen.folder
    write(size, folder)
    radius = "" if size.radius_m is None else f" --radius-m {size.radius_m:g}"
    files = f"--stores {folder}/stores.parquet --stock {folder}/stock.parquet"
    print(f"fendan serve {files} --data {folder}/data{radius}")
    print(f"fendan load --orders {folder}/orders.parquet")


if __name__ == "__main__":
    main()
