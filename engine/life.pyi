from typing import final

from fendan.engine.book import Rules
from fendan.engine.orders import Orders
from fendan.engine.records import OrderState
from fendan.engine.rejection import RejectReason as RejectReason
from fendan.engine.router import Reason

_Lines = tuple[tuple[str, int], ...]
_Shipment = tuple[int, OrderState, str | None, float | None, Reason, int, int | None, _Lines]
_Standing = tuple[
    OrderState, str | None, float | None, Reason, int, int | None, tuple[_Shipment, ...]
]

@final
class Life:
    def __init__(
        self,
        orders: Orders,
        radius_m: float,
        timeout_ns: int | None,
        most_attempts: int,
        cool_down_ns: int,
    ) -> None: ...
    @property
    def orders(self) -> Orders: ...
    def due_ns(self, now_ns: int) -> int: ...
    def advance(
        self,
        order_id: str,
        state: OrderState,
        store_id: str | None,
        now_ns: int,
        shipment: int | None = None,
    ) -> _Standing: ...
    def give_back(
        self,
        order_id: str,
        to_stock: bool,
        store_id: str | None,
        now_ns: int,
        shipment: int | None = None,
    ) -> _Standing: ...
    def reject(
        self,
        order_id: str,
        store_id: str,
        reason: RejectReason,
        missing_skus: list[str],
        now_ns: int,
        shipment: int | None = None,
        rules: Rules | None = None,
    ) -> _Standing: ...
    def cancel(self, order_id: str, now_ns: int, shipment: int | None = None) -> _Standing: ...
    def release(self, order_id: str, now_ns: int) -> bool: ...
    def release_many(self, order_ids: list[str], now_ns: int) -> list[bool]: ...
    def expire(self, now_ns: int) -> list[str]: ...
    def status(self, order_id: str) -> _Standing: ...
