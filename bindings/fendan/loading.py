"""Engines from files of stores and stock; what is wrong is named by file, line and column."""

from pathlib import Path

from fendan import loaders
from fendan.api import Engine
from fendan.loaders import StockColumns
from fendan.model import Policy

__all__ = ["engine_of_files", "set_stock"]


def engine_of_files(stores: Path, stock: Path, policy: Policy | None = None) -> Engine:
    """An engine in memory with the stores of one file, and their stock of the other.

    Raises a FendanError that names the first thing wrong.
    """
    engine = Engine(policy=policy)
    engine.add_stores(loaders.read_stores(stores))
    set_stock(engine, loaders.read_stock(stock), stores.name)
    return engine


def set_stock(engine: Engine, stock: StockColumns, stores_name: str) -> None:
    """Set stock that was read; `stores_name`: of the file that should have its stores."""
    fields = {"stores": "store_id", "skus": "sku", "quantities": "quantity"}
    with loaders.naming_places(stock.source, fields, hint=f"it is not in {stores_name}"):
        engine.set_stock(stores=stock.stores, skus=stock.skus, quantities=stock.quantities)
