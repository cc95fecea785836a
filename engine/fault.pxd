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
    FAULT_BAD_MESSAGE = 14
    FAULT_KEY_CONFLICT = 15
    FAULT_TOO_MANY = 16
    # What only a service finds.
    FAULT_BUSY = 17
    FAULT_UNAUTHENTICATED = 18
    FAULT_NOT_ALLOWED = 19
    FAULT_UNAVAILABLE = 20
    FAULT_TIMED_OUT = 21
    FAULT_UNIMPLEMENTED = 22
    FAULT_INTERNAL = 23
    # What an engine with a journal finds.
    FAULT_JOURNAL = 24
    FAULT_NO_JOURNAL = 25
    FAULT_BREACH = 26
    # What an order's life does not allow.
    FAULT_WRONG_STATE = 27
    FAULT_WRONG_STORE = 28
    # What only service areas find.
    FAULT_BAD_AREA = 34
    # What only the journal's folder finds.
    FAULT_FOLDER_IN_USE = 29
    FAULT_CORRUPT = 30
    FAULT_NEWER_FORMAT = 31
    FAULT_DISK = 32
    # What only policies lack.
    FAULT_UNKNOWN_POLICY = 33
