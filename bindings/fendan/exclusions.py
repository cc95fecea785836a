"""Why a store may not have an order: the codes, in the order in which the reasons are looked at."""

from enum import IntEnum

__all__ = ["Exclusion"]


class Exclusion(IntEnum):
    """The first reason that excludes a store; the names are stable."""

    PAUSED = 1
    KIND = 2
    ORDER_TYPE = 3
    REGION = 4
    CLOSED = 5
    CUT_OFF = 6
    ABILITY = 7
    OPEN_ORDERS = 8
    WINDOW = 9
    RADIUS = 10
    AREA = 11
    REJECTED_BEFORE = 12
    NOT_LISTED = 13
    CHANNEL = 14
    OFF_SHELF = 15
    STOCK = 16
    LOTS = 17
    PROMISE = 18

    def __str__(self) -> str:
        return self.name
