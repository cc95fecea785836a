from typing import final

from fendan.engine.meter import Meter
from fendan.engine.orders import Orders
from fendan.engine.request import Kind

@final
class Express:
    def __init__(self, orders: Orders) -> None: ...
    @property
    def orders(self) -> Orders: ...
    def route(
        self,
        data: bytes,
        kind: Kind,
        most_orders: int,
        radius_m: float,
        due_ns: int,
        now_ns: int,
        meter: Meter,
    ) -> bytes | None: ...
