from enum import IntEnum

class RejectReason(IntEnum):
    OTHER = 1
    NOT_ON_SHELF = 2
    DAMAGED = 3
    TOO_BUSY = 4
    CLOSED = 5
    @property
    def corrects_stock(self) -> bool: ...
