"""What can be wrong with what the engine is given, as numbers that nogil code can return."""

cdef enum FaultCode:
    FAULT_NONE = 0
    FAULT_WRONG_TYPE = 1
    FAULT_MISSING = 2
    FAULT_BAD_ID = 3
    FAULT_OUT_OF_RANGE = 4
    FAULT_RAGGED = 5
    FAULT_UNKNOWN_STORE = 6
    FAULT_UNKNOWN_SKU = 7
    FAULT_UNKNOWN_ORDER = 8
    FAULT_DUPLICATE_STORE = 9
    FAULT_ORDER_CONFLICT = 10
    FAULT_OVERFLOW = 11
    FAULT_BAD_FILE = 12
    FAULT_BAD_COLUMNS = 13
