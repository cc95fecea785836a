from enum import IntEnum
from typing import final

class OrderState(IntEnum):
    ASSIGNED = 1
    UNASSIGNED = 2
    ACCEPTED = 3
    PICKED = 4
    SHIPPED = 5
    DELIVERED = 6
    REJECTED = 7
    CANCELLED = 8
    EXPIRED = 9
    RETURNED = 10
    @property
    def holds_stock(self) -> bool: ...

@final
class Records:
    def __init__(self, remembered: int) -> None: ...
    def __len__(self) -> int: ...
    @property
    def byte_count(self) -> int: ...
