from enum import IntEnum
from typing import final

from fendan.engine.orders import Orders
from fendan.engine.records import OrderState
from fendan.engine.router import Reason

class RejectReason(IntEnum):
    OTHER = 1
    NOT_ON_SHELF = 2
    DAMAGED = 3
    TOO_BUSY = 4
    CLOSED = 5
    @property
    def corrects_stock(self) -> bool: ...

_Standing = tuple[OrderState, str | None, float | None, Reason, int, int | None]

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
    @property
    def radius_m(self) -> float: ...
    @property
    def timeout_ns(self) -> int: ...
    @property
    def cool_down_ns(self) -> int: ...
    @property
    def most_attempts(self) -> int: ...
    def due_ns(self, now_ns: int) -> int: ...
    def advance(
        self, order_id: str, state: OrderState, store_id: str | None, now_ns: int
    ) -> _Standing: ...
    def give_back(
        self, order_id: str, to_stock: bool, store_id: str | None, now_ns: int
    ) -> _Standing: ...
    def reject(
        self,
        order_id: str,
        store_id: str,
        reason: RejectReason,
        missing_skus: list[str],
        now_ns: int,
    ) -> _Standing: ...
    def cancel(self, order_id: str, now_ns: int) -> _Standing: ...
    def release(self, order_id: str, now_ns: int) -> bool: ...
    def release_many(self, order_ids: list[str], now_ns: int) -> list[bool]: ...
    def expire(self, now_ns: int) -> list[str]: ...
    def status(self, order_id: str) -> _Standing: ...
