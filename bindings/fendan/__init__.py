"""Fendan (分单): every online order to the nearest store that can fill it, exactly and fast."""

from importlib.metadata import version

from fendan.api import Engine
from fendan.engine.geo import Datum, convert, distance_m
from fendan.engine.orders import Decision
from fendan.engine.router import Reason, Status
from fendan.errors import (
    DuplicateStoreError,
    FendanError,
    FileFormatError,
    InvalidInputError,
    OrderConflictError,
    QuantityOverflowError,
    UnknownOrderError,
    UnknownSkuError,
    UnknownStoreError,
    WrongTypeError,
)
from fendan.loaders import read_orders, read_stock, read_stores
from fendan.model import Nearby, Order, Policy, Routed, Shortfall, Store

__version__ = version("fendan")

__all__ = [
    "Datum",
    "Decision",
    "DuplicateStoreError",
    "Engine",
    "FendanError",
    "FileFormatError",
    "InvalidInputError",
    "Nearby",
    "Order",
    "OrderConflictError",
    "Policy",
    "QuantityOverflowError",
    "Reason",
    "Routed",
    "Shortfall",
    "Status",
    "Store",
    "UnknownOrderError",
    "UnknownSkuError",
    "UnknownStoreError",
    "WrongTypeError",
    "__version__",
    "convert",
    "distance_m",
    "read_orders",
    "read_stock",
    "read_stores",
]
