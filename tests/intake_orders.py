"""Orders as platforms send them, for tests: plain values, and the columns that adapters make."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fendan.intake.received import NOT_SAID, Received
from fendan.rules import OrderType


@dataclass(frozen=True, kw_only=True)
class SentLine:
    """One line; money in fen."""

    sku: str = "tea"
    barcode: str = ""
    unit: str = ""
    quantity: int = 1
    unit_price: int = NOT_SAID
    line_total: int = NOT_SAID


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One order, of a buyer in Shanghai who says little."""

    id: str = "o-1"
    channel: str = "meituan"
    order_type: OrderType = OrderType.INSTANT
    lat: float = 31.23
    lng: float = 121.47
    placed_ns: int = NOT_SAID
    promised_from_ns: int = NOT_SAID
    promised_until_ns: int = NOT_SAID
    presale_ship_ns: int = NOT_SAID
    pickup_store_id: str = ""
    group_id: str = ""
    buyer_id: str = ""
    address_id: str = ""
    item_total: int = NOT_SAID
    order_total: int = NOT_SAID
    other_charges: int = NOT_SAID
    discount: int = NOT_SAID
    lines: Sequence[SentLine] = field(default_factory=lambda: [SentLine()])


NO_PLACE = {"lat": math.nan, "lng": math.nan}


def received_of(orders: Sequence[Sent]) -> Received:
    """As columns."""
    lines = [line for order in orders for line in order.lines]
    starts = np.cumsum([0, *(len(order.lines) for order in orders)])

    def numbers(name: str) -> np.ndarray:
        return np.array([getattr(order, name) for order in orders], dtype=np.int64)

    def of_lines(name: str) -> np.ndarray:
        return np.array([getattr(line, name) for line in lines], dtype=np.int64)

    count = len(orders)
    return Received(
        order_ids=[order.id for order in orders],
        platforms=[order.channel for order in orders],
        channels=[order.channel for order in orders],
        order_type=np.array([order.order_type for order in orders], dtype=np.int8),
        lat=np.array([order.lat for order in orders], dtype=np.float64),
        lng=np.array([order.lng for order in orders], dtype=np.float64),
        placed_ns=numbers("placed_ns"),
        promised_from_ns=numbers("promised_from_ns"),
        promised_until_ns=numbers("promised_until_ns"),
        presale_ship_ns=numbers("presale_ship_ns"),
        pickup_store_ids=[order.pickup_store_id for order in orders],
        group_ids=[order.group_id for order in orders],
        regions=[""] * count,
        buyer_ids=[order.buyer_id for order in orders],
        address_ids=[order.address_id for order in orders],
        member_tier=np.zeros(count, dtype=np.int8),
        item_total=numbers("item_total"),
        order_total=numbers("order_total"),
        other_charges=numbers("other_charges"),
        discount=numbers("discount"),
        payload=np.arange(count, dtype=np.int64),
        line_start=starts.astype(np.int64),
        skus=[line.sku for line in lines],
        barcodes=[line.barcode for line in lines],
        units=[line.unit for line in lines],
        quantity=of_lines("quantity"),
        unit_price=of_lines("unit_price"),
        line_total=of_lines("line_total"),
    )
