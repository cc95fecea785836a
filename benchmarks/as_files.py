"""A named workload as files: `python benchmarks/as_files.py metro FOLDER`.

stores.parquet, stock.parquet and orders.parquet, as `fendan serve --stores --stock`, `fendan route`
and `fendan load --orders` read them: so that a service meets what the engine alone was measured on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from named import NAMED, Named, made
from workload import Orders, Workload, joined, sku_names, store_ids


def write(size: Named, folder: Path) -> None:
    """Make the workload and write its three files."""
    workload, batches = made(size)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"stores": stores(workload), "stock": stock(workload)}
    tables["orders"] = orders(joined(batches), workload)
    for name, table in tables.items():
        parquet.write_table(table, folder / f"{name}.parquet")


def stores(workload: Workload) -> pa.Table:
    """A row a store."""
    ids = store_ids(workload)
    return pa.table({"store_id": ids, "lat": workload.store_lat, "lng": workload.store_lng})


def stock(workload: Workload) -> pa.Table:
    """A row a (store, SKU) pair."""
    codes, skus, quantities = workload.stock_rows
    return pa.table(
        {
            "store_id": pa.DictionaryArray.from_arrays(codes, store_ids(workload)),
            "sku": pa.DictionaryArray.from_arrays(skus, sku_names(workload)),
            "quantity": quantities,
        }
    )


def orders(given: Orders, workload: Workload) -> pa.Table:
    """A row a line; orders have their numbers for ids."""
    number = np.repeat(np.arange(len(given)), given.lines)
    return pa.table(
        {
            "order_id": [f"O{row}" for row in number.tolist()],
            "lat": given.lat[number],
            "lng": given.lng[number],
            "sku": pa.DictionaryArray.from_arrays(given.skus, sku_names(workload)),
            "quantity": given.quantities,
        }
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """What the command line asks for; `arguments` as on it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(NAMED))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--smaller", type=int, default=1, help="so many times, for a first look")
    chosen = parser.parse_args(arguments)
    write(NAMED[chosen.name].smaller(chosen.smaller), chosen.folder)


if __name__ == "__main__":
    main()
