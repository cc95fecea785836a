from enum import IntEnum

class Fault(IntEnum):
    WRONG_TYPE = 1
    MISSING = 2
    BAD_ID = 3
    OUT_OF_RANGE = 4
    RAGGED = 5
    UNKNOWN_STORE = 6
    UNKNOWN_SKU = 7
    UNKNOWN_ORDER = 8
    DUPLICATE_STORE = 9
    ORDER_CONFLICT = 10
    OVERFLOW = 11
    BAD_FILE = 12
    BAD_COLUMNS = 13
