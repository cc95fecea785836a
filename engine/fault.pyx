"""The fault codes, seen from Python. `fendan.errors` says what each one is raised as."""
from enum import IntEnum


class Fault(IntEnum):
    """What is wrong with an input; the names are stable and stand in every error's `code`."""

    WRONG_TYPE = FAULT_WRONG_TYPE
    MISSING = FAULT_MISSING
    BAD_ID = FAULT_BAD_ID
    OUT_OF_RANGE = FAULT_OUT_OF_RANGE
    RAGGED = FAULT_RAGGED
    UNKNOWN_STORE = FAULT_UNKNOWN_STORE
    UNKNOWN_SKU = FAULT_UNKNOWN_SKU
    UNKNOWN_ORDER = FAULT_UNKNOWN_ORDER
    DUPLICATE_STORE = FAULT_DUPLICATE_STORE
    ORDER_CONFLICT = FAULT_ORDER_CONFLICT
    OVERFLOW = FAULT_OVERFLOW
    BAD_FILE = FAULT_BAD_FILE
    BAD_COLUMNS = FAULT_BAD_COLUMNS
