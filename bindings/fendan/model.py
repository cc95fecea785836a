"""What goes in and what comes out, as plain immutable values.

Nothing is checked here: the engine checks at its door, once, and names what it refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.engine.events import EventKind
from fendan.engine.geo import Datum
from fendan.engine.records import OrderState
from fendan.engine.router import Reason, Status
from fendan.engine.shipments import Shipment
from fendan.rules import OrderType, StepName

__all__ = [
    "Availability",
    "AvailabilityChanges",
    "EventKind",
    "EventPage",
    "Held",
    "LedgerEvent",
    "Line",
    "Movement",
    "Nearby",
    "Order",
    "OrderStatus",
    "Policy",
    "PolicyState",
    "PolicyVersion",
    "Routed",
    "Shipment",
    "ShipmentStatus",
    "Shortfall",
    "StaleStock",
    "StockLevel",
    "StockUpdate",
    "Store",
    "StoreStatus",
    "Supply",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Any place that fulfils orders: a shop, a regional or a central warehouse.

    `lat` and `lng` are degrees, -90 to 90 and -180 to 180, in the engine's datum unless `datum`
    names another, which is then converted. `region` (at most 255 bytes of UTF-8, or "") says whose
    staff may act for it.
    """

    id: str
    lat: float
    lng: float
    region: str = ""
    datum: Datum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """A store as it stands: where, in the engine's datum, and whether it takes no orders now."""

    store: Store
    paused: bool


# SKU and quantity, and what the customer pays for the whole line.
Line = tuple[str, int] | tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A basket and where it goes.

    `lines` are (SKU, quantity) or (SKU, quantity, amount): pieces from 1, and what the customer
    pays for the whole line in minor units such as fen, 0 (not said) to 1,000,000,000,000. Lines of
    one SKU are added up. `lat`, `lng` and `datum` are as in `Store`. The `id` is the idempotency
    key: the same id with the same content returns the first decision.

    The rest matters where a policy file is in force; texts are at most 255 bytes. `channel`: where
    the order came from. `region`: of the place, "" where the areas are to say it.
    `pickup_store_id`: where the customer will fetch it; "" with PICKUP: the nearest. `group_id`:
    orders of one group are filled by one store. `buyer_id` and `address_id` say whose orders may be
    merged. `priority`: 0 to 9; higher ones come first where orders wait, and in a batch that is
    allocated by it.
    """

    id: str
    lat: float
    lng: float
    lines: Sequence[Line]
    datum: Datum | None = None
    order_type: OrderType = OrderType.UNSPECIFIED
    channel: str = ""
    region: str = ""
    pickup_store_id: str = ""
    group_id: str = ""
    buyer_id: str = ""
    address_id: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How orders are routed, and how long a store may take, or try, to fill them.

    `radius_m`: a store farther than this from the order (great circle, metres) is not considered;
    exactly at the radius it is. None means no limit.

    The others hold for all orders of an engine; a call's own policy only has another radius.
    `reservation_timeout_s`: an order that its store has not accepted so long (seconds, more than 0,
    at most a year) is expired by `Engine.expire_orders`. None means never. `most_attempts`: to how
    many stores an order is given at most, 1 to 100, each after the one before has rejected it.
    `cool_down_s`: how long a store that has rejected an order does not get it again (seconds, 0 to
    a year); the last one that did never gets it back at once.
    """

    radius_m: float | None = None
    reservation_timeout_s: float | None = None
    most_attempts: int = 3
    cool_down_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentStatus:
    """Where one shipment of a split order is now; the rest as in `Shipment` and `OrderStatus`."""

    number: int
    state: OrderState
    store_id: str | None
    distance_m: float | None
    reason: Reason
    attempts: int
    reserved_until_ns: int | None
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus:
    """Where an order is now; `Decision` is what it was told first.

    `store_id` and `distance_m` (great circle, metres) are of the store that has it, or had it last;
    None where there is none: `reason` says why then, and is Reason.NONE otherwise. `attempts`: how
    many stores it was assigned to. `reserved_until_ns`: from then on (nanoseconds since 1970, UTC)
    the order expires unless its store accepts it; None where nothing runs out.

    `shipments`: of an order that was split; () of any other. The order's state is then the first of
    ASSIGNED, ACCEPTED, PICKED, SHIPPED, DELIVERED, RETURNED, REJECTED, EXPIRED and CANCELLED that
    one of them is in; store, distance and reason are those of the first shipment in that state,
    `attempts` the sum of all, `reserved_until_ns` the earliest.
    """

    order_id: str
    state: OrderState
    store_id: str | None
    distance_m: float | None
    reason: Reason
    attempts: int
    reserved_until_ns: int | None
    shipments: tuple[ShipmentStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """A store that has a basket, and how far it is (great circle, metres)."""

    store_id: str
    distance_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A snapshot set `on_hand` below what is `reserved`: some of `order_ids` need another store.

    The orders are those known by id for which this store holds this SKU, oldest first.
    """

    store_id: str
    sku: str
    on_hand: int
    reserved: int
    order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleStock:
    """A store's part of a stock update that was not applied: a newer version was, before."""

    store_id: str
    version: int
    last_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockUpdate:
    """What became of a stock update: everything was applied but the `stale` stores' parts."""

    shortfalls: tuple[Shortfall, ...] = ()
    stale: tuple[StaleStock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLevel:
    """The counts of one pair; `sellable` is what may be sold of it now, never negative.

    That is what is on hand, less what is reserved, less what is held back; nothing while the pair
    is off the shelf for want of pieces (`SkuProfile.off_below`).
    """

    store_id: str
    sku: str
    on_hand: int
    reserved: int
    sellable: int


class Held(NamedTuple):
    """How many pieces a store keeps: against miscounts, for others, and to be seen."""

    safety: int
    locked: int
    display: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What is to arrive at a store on a day, "2026-12-01", and how much of it is sold already."""

    store_id: str
    sku: str
    date: str
    quantity: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Pieces that may be sold until the end of a day, "2026-12-01", and how many are reserved.

    Which order gets which is not settled before it is shipped: reserved are as many pieces, each
    late enough, as orders hold. In a shortfall more of the last lot is reserved than there is.
    """

    date: str
    on_hand: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How many of a SKU a store can sell now; none while it is paused."""

    store_id: str
    sku: str
    sellable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityChanges:
    """Pairs that changed, each with its latest count, and where to go on.

    `reset`: the cursor was too old, or another engine's; begin anew with `availability`. An empty
    `cursor` stands within a full state, which goes on with the next piece.
    """

    changes: list[Availability]
    cursor: str
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What one event did to the counts of one SKU in the event's store.

    `quantity`: pieces, of an order's line 1 or more; of counts that were set, how many more there
    are than before, or, below zero, fewer. `amount`: money for them, in minor units such as fen, 0
    where the order carried none.
    """

    sku: str
    quantity: int
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One decision, movement or change of the network, as the ledger keeps it.

    `sequence` counts every event of the engine, from 1, those included that only its recovery
    needs and that nobody is shown: so numbers are missing here and there. `time_ns`: since 1970,
    UTC; it never goes back. `region` is that of the store now; where a store was added or updated,
    the one it was given. `reason` is the name of a Reason or RejectReason, else "". `attempts`: how
    many stores the order was assigned to by then. `distance_m`: from the order to the store, where
    it was assigned. `movements`: empty where no counts changed.

    `shipment`: which one of the order it is about, from 1; 0: all of it. The rest stands in events
    of decisions under a policy: its version, the step that was used, when the customer was promised
    to have it (ns, as `time_ns`), the merge group, and of the order its type and channel.
    """

    sequence: int
    time_ns: int
    kind: EventKind
    order_id: str | None = None
    store_id: str | None = None
    region: str = ""
    reason: str = ""
    attempts: int = 0
    distance_m: float | None = None
    movements: tuple[Movement, ...] = ()
    shipment: int = 0
    policy_version: int = 0
    step: StepName = StepName.NONE
    promised_ns: int | None = None
    merge_group: int = 0
    order_type: OrderType = OrderType.UNSPECIFIED
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some events, in order. Go on from `next_sequence`; `last_sequence` is the newest of all.

    A page may be short, or empty, before the end is reached: where `next_sequence` is not beyond
    `last_sequence`, there is more to read.
    """

    events: tuple[LedgerEvent, ...]
    next_sequence: int
    last_sequence: int


class PolicyState(IntEnum):
    """What has become of a version of the policy file."""

    DRAFT = 1
    """It never was in force."""
    ACTIVE = 2
    """Orders are routed under it."""
    RETIRED = 3
    """It was in force before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of the policy file, without its text. Times are nanoseconds since 1970, UTC.

    `activated_ns`: when it was last put into force; None: never.
    """

    version: int
    state: PolicyState
    drafted_ns: int
    activated_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routed:
    """The decisions of a batch of arrays, in its order, as arrays of equal length.

    `store_codes` int32[n], -1 where there is none; `distances_m` float64[n], NaN where there is no
    store; `statuses` and `reasons` uint8[n], values of Status and Reason.
    """

    store_codes: NDArray[np.int32]
    distances_m: NDArray[np.float64]
    statuses: NDArray[np.uint8]
    reasons: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.store_codes)

    def __repr__(self) -> str:
        assigned = int(np.count_nonzero(self.statuses == Status.ASSIGNED))
        return f"Routed({len(self)} orders, {assigned} assigned)"
