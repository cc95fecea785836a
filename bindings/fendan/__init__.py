"""Fendan (分单): every online order to the nearest store that can fill it, exactly and fast."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fendan.api import Engine
from fendan.engine.geo import Datum, convert, distance_m
from fendan.engine.life import RejectReason
from fendan.engine.outcome import Decision
from fendan.engine.records import OrderState
from fendan.engine.router import Reason, Status
from fendan.errors import (
    BreachError,
    BusyError,
    CorruptJournalError,
    DiskError,
    DuplicateStoreError,
    FendanError,
    FileFormatError,
    FolderInUseError,
    InternalError,
    InvalidInputError,
    JournalError,
    KeyConflictError,
    MalformedMessageError,
    NewerFormatError,
    NoJournalError,
    NotAllowedError,
    OrderConflictError,
    QuantityOverflowError,
    ServiceError,
    TimedOutError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownOrderError,
    UnknownPolicyError,
    UnknownSkuError,
    UnknownStoreError,
    WrongStateError,
    WrongStoreError,
    WrongTypeError,
)
from fendan.exception_entry import ExceptionEntry, ExceptionKind
from fendan.exception_face import RetryTurn
from fendan.exception_figures import DayFigures, ExceptionCount
from fendan.exception_queue import ExceptionFilter, ExceptionPage, ExceptionStats
from fendan.exclusions import Exclusion
from fendan.explanation import Candidate, Change, Excluded, Explanation, TriedStep
from fendan.intake.intake import Intake
from fendan.intake.items import Item, read_items
from fendan.intake.payload import RawPayload
from fendan.intake.plan import IntakePlan, read_intake_plan
from fendan.intake.result import IntakeOutcome, IntakeResult
from fendan.journal import Durability
from fendan.loaders import read_orders, read_stock, read_stores
from fendan.model import (
    Availability,
    AvailabilityChanges,
    EventKind,
    EventPage,
    Held,
    LedgerEvent,
    Line,
    Lot,
    Movement,
    Nearby,
    Order,
    OrderStatus,
    Policy,
    PolicyState,
    PolicyVersion,
    Routed,
    Shipment,
    ShipmentStatus,
    Shortfall,
    StaleStock,
    StockLevel,
    StockUpdate,
    Store,
    StoreStatus,
    Supply,
)
from fendan.profile_files import read_sku_profiles, read_store_profiles
from fendan.profiles import SkuProfile, StoreProfile
from fendan.retry import RetryPolicy
from fendan.rules import OrderType, StepName, StoreKind

if TYPE_CHECKING:
    from fendan import aio as aio
    from fendan.client import Client as Client

__version__ = version("fendan")

__all__ = [
    "Availability",
    "AvailabilityChanges",
    "BreachError",
    "BusyError",
    "Candidate",
    "Change",
    "Client",
    "CorruptJournalError",
    "Datum",
    "DayFigures",
    "Decision",
    "DiskError",
    "DuplicateStoreError",
    "Durability",
    "Engine",
    "EventKind",
    "EventPage",
    "ExceptionCount",
    "ExceptionEntry",
    "ExceptionFilter",
    "ExceptionKind",
    "ExceptionPage",
    "ExceptionStats",
    "Excluded",
    "Exclusion",
    "Explanation",
    "FendanError",
    "FileFormatError",
    "FolderInUseError",
    "Held",
    "Intake",
    "IntakeOutcome",
    "IntakePlan",
    "IntakeResult",
    "InternalError",
    "InvalidInputError",
    "Item",
    "JournalError",
    "KeyConflictError",
    "LedgerEvent",
    "Line",
    "Lot",
    "MalformedMessageError",
    "Movement",
    "Nearby",
    "NewerFormatError",
    "NoJournalError",
    "NotAllowedError",
    "Order",
    "OrderConflictError",
    "OrderState",
    "OrderStatus",
    "OrderType",
    "Policy",
    "PolicyState",
    "PolicyVersion",
    "QuantityOverflowError",
    "RawPayload",
    "Reason",
    "RejectReason",
    "RetryPolicy",
    "RetryTurn",
    "Routed",
    "ServiceError",
    "Shipment",
    "ShipmentStatus",
    "Shortfall",
    "SkuProfile",
    "StaleStock",
    "Status",
    "StepName",
    "StockLevel",
    "StockUpdate",
    "Store",
    "StoreKind",
    "StoreProfile",
    "StoreStatus",
    "Supply",
    "TimedOutError",
    "TriedStep",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownOrderError",
    "UnknownPolicyError",
    "UnknownSkuError",
    "UnknownStoreError",
    "WrongStateError",
    "WrongStoreError",
    "WrongTypeError",
    "__version__",
    "aio",
    "convert",
    "distance_m",
    "read_intake_plan",
    "read_items",
    "read_orders",
    "read_sku_profiles",
    "read_stock",
    "read_store_profiles",
    "read_stores",
]


def __getattr__(name: str) -> Any:
    """The clients, which need gRPC, when they are first asked for."""
    if name == "aio":
        return import_module("fendan.aio")
    if name == "Client":
        return import_module("fendan.client").Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
