"""The one error table: what the engine found wrong, what Python raises, what gRPC answers.

Every error names the field, the row (counted from 0, in sequences and arrays; file readers say
which line) and the value. The prose may change; `code`, `field`, `row` and `value` will not.
"""

from pathlib import PurePath
from typing import NamedTuple, NoReturn

from fendan.engine.fault import Fault

__all__ = [
    "TABLE",
    "BreachError",
    "BusyError",
    "CorruptJournalError",
    "DiskError",
    "DuplicateStoreError",
    "Fault",
    "FendanError",
    "FileFormatError",
    "FolderInUseError",
    "InternalError",
    "InvalidInputError",
    "JournalError",
    "KeyConflictError",
    "MalformedMessageError",
    "NewerFormatError",
    "NoJournalError",
    "NotAllowedError",
    "OrderConflictError",
    "QuantityOverflowError",
    "ServiceError",
    "TimedOutError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownOrderError",
    "UnknownPolicyError",
    "UnknownSkuError",
    "UnknownStoreError",
    "WrongStateError",
    "WrongStoreError",
    "WrongTypeError",
    "in_words",
    "refuse",
]


class FendanError(Exception):
    """The base of every error this package raises on purpose; nothing has changed when it is."""

    def __init__(
        self,
        message: str,
        *,
        fault: Fault,
        field: str,
        row: int | None = None,
        value: object = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fault = fault
        self.field = field
        self.row = row
        self.value = value
        self.hint = hint

    @property
    def code(self) -> str:
        """The stable name of the fault, such as ``UNKNOWN_SKU``."""
        return self.fault.name

    @property
    def grpc_status(self) -> str:
        """The name of the gRPC status that this error is answered with."""
        return TABLE[self.fault].grpc_status

    def __str__(self) -> str:
        return self.message  # KeyError would show its repr

    def __reduce__(self) -> tuple[object, ...]:
        arguments = (self.message, self.fault, self.field, self.row, self.value, self.hint)
        return _rebuild, (type(self), *arguments)


def _rebuild(
    exception: type[FendanError],
    message: str,
    fault: Fault,
    field: str,
    row: int | None,
    value: object,
    hint: str,
) -> FendanError:
    """Unpickle an error, keyword-only arguments and all."""
    return exception(message, fault=fault, field=field, row=row, value=value, hint=hint)


class InvalidInputError(FendanError, ValueError):
    """A value that no engine could accept."""


class WrongTypeError(InvalidInputError, TypeError):
    """A value of the wrong type."""


class QuantityOverflowError(InvalidInputError, OverflowError):
    """A quantity, or a sum of quantities, beyond what the engine can count."""


class FileFormatError(InvalidInputError):
    """A file or table that cannot be read as what it is said to be."""


class UnknownStoreError(InvalidInputError, KeyError):
    """A store that was never added."""


class UnknownSkuError(InvalidInputError, KeyError):
    """A SKU for which no stock was ever set."""


class UnknownOrderError(InvalidInputError, KeyError):
    """An order id that was never routed."""


class UnknownPolicyError(InvalidInputError, KeyError):
    """A version of the policy that was never drafted, or is not kept any more."""


class DuplicateStoreError(InvalidInputError):
    """A store id given twice."""


class OrderConflictError(InvalidInputError):
    """An order id seen before, with other content."""


class KeyConflictError(InvalidInputError):
    """An idempotency key seen before, with other content."""


class MalformedMessageError(InvalidInputError):
    """Bytes that are no message of the kind they are said to be."""


class WrongStateError(FendanError):
    """A step that an order cannot take from where it is; the hint says where that is."""


class WrongStoreError(FendanError):
    """A step by a store that does not have the order (any more)."""


class JournalError(FendanError):
    """The journal has failed: nothing more is accepted until the engine is opened again.

    What was asked may have been done: retry with the same ids then.
    """


class NoJournalError(FendanError):
    """An engine that keeps everything in memory has no ledger, and nothing to take snapshots of."""


class BreachError(FendanError):
    """The engine has caught itself breaking a promise, such as counts that do not add up."""


class ServiceError(FendanError):
    """What a service answers that an engine in the same process never would."""


class BusyError(ServiceError):
    """The service has as much to do as it accepts; nothing was done; try again a little later."""


class UnavailableError(ServiceError, ConnectionError):
    """The service cannot be reached, or is about to stop; try again, maybe elsewhere."""


class TimedOutError(ServiceError, TimeoutError):
    """The deadline has passed. What was asked may have been done: retry with the same ids."""


class UnauthenticatedError(ServiceError):
    """No token, or one that the service does not know."""


class NotAllowedError(ServiceError, PermissionError):
    """The token's scope does not reach as far."""


class UnimplementedError(ServiceError, NotImplementedError):
    """The service has no such method."""


class InternalError(ServiceError):
    """The service failed in a way it should not have."""


class FolderInUseError(FendanError):
    """A folder that another process has claimed."""


class CorruptJournalError(FendanError):
    """Files of a journal that are not what was written. Nothing was changed: restore a copy."""


class NewerFormatError(FendanError):
    """Files of a journal that a newer version has written."""


class DiskError(FendanError, OSError):
    """A folder that cannot be made, read or written."""


class Entry(NamedTuple):
    """One row of the table."""

    exception: type[FendanError]
    grpc_status: str
    meaning: str


TABLE: dict[Fault, Entry] = {
    Fault.WRONG_TYPE: Entry(WrongTypeError, "INVALID_ARGUMENT", "wrong type"),
    Fault.MISSING: Entry(InvalidInputError, "INVALID_ARGUMENT", "missing"),
    Fault.BAD_ID: Entry(InvalidInputError, "INVALID_ARGUMENT", "not a usable id"),
    Fault.OUT_OF_RANGE: Entry(InvalidInputError, "INVALID_ARGUMENT", "out of range"),
    Fault.RAGGED: Entry(InvalidInputError, "INVALID_ARGUMENT", "lengths do not fit"),
    Fault.UNKNOWN_STORE: Entry(UnknownStoreError, "NOT_FOUND", "unknown store"),
    Fault.UNKNOWN_SKU: Entry(UnknownSkuError, "NOT_FOUND", "unknown SKU"),
    Fault.UNKNOWN_ORDER: Entry(UnknownOrderError, "NOT_FOUND", "unknown order"),
    Fault.DUPLICATE_STORE: Entry(DuplicateStoreError, "ALREADY_EXISTS", "store id given twice"),
    Fault.ORDER_CONFLICT: Entry(
        OrderConflictError, "ALREADY_EXISTS", "order id seen before with other content"
    ),
    Fault.OVERFLOW: Entry(QuantityOverflowError, "INVALID_ARGUMENT", "too large to count"),
    Fault.BAD_FILE: Entry(FileFormatError, "INVALID_ARGUMENT", "cannot be read"),
    Fault.BAD_COLUMNS: Entry(FileFormatError, "INVALID_ARGUMENT", "columns do not fit"),
    Fault.BAD_MESSAGE: Entry(MalformedMessageError, "INVALID_ARGUMENT", "not such a message"),
    Fault.KEY_CONFLICT: Entry(
        KeyConflictError, "ALREADY_EXISTS", "idempotency key seen before with other content"
    ),
    Fault.TOO_MANY: Entry(InvalidInputError, "INVALID_ARGUMENT", "too many"),
    Fault.BUSY: Entry(BusyError, "RESOURCE_EXHAUSTED", "as busy as it can be"),
    Fault.UNAUTHENTICATED: Entry(UnauthenticatedError, "UNAUTHENTICATED", "not a known token"),
    Fault.NOT_ALLOWED: Entry(NotAllowedError, "PERMISSION_DENIED", "beyond the token's scope"),
    Fault.UNAVAILABLE: Entry(UnavailableError, "UNAVAILABLE", "not available"),
    Fault.TIMED_OUT: Entry(TimedOutError, "DEADLINE_EXCEEDED", "too late"),
    Fault.UNIMPLEMENTED: Entry(UnimplementedError, "UNIMPLEMENTED", "no such method"),
    Fault.INTERNAL: Entry(InternalError, "INTERNAL", "failed inside"),
    Fault.JOURNAL: Entry(JournalError, "UNAVAILABLE", "the journal has failed"),
    Fault.NO_JOURNAL: Entry(NoJournalError, "FAILED_PRECONDITION", "there is no journal"),
    Fault.BREACH: Entry(BreachError, "DATA_LOSS", "the engine contradicts itself"),
    Fault.WRONG_STATE: Entry(WrongStateError, "FAILED_PRECONDITION", "not from this state"),
    Fault.WRONG_STORE: Entry(WrongStoreError, "FAILED_PRECONDITION", "not at this store"),
    Fault.BAD_AREA: Entry(InvalidInputError, "INVALID_ARGUMENT", "no usable area"),
    Fault.FOLDER_IN_USE: Entry(FolderInUseError, "UNAVAILABLE", "in use by another process"),
    Fault.CORRUPT: Entry(CorruptJournalError, "DATA_LOSS", "damaged"),
    Fault.NEWER_FORMAT: Entry(
        NewerFormatError, "FAILED_PRECONDITION", "written by a newer version"
    ),
    Fault.DISK: Entry(DiskError, "UNAVAILABLE", "cannot be used"),
    Fault.UNKNOWN_POLICY: Entry(UnknownPolicyError, "NOT_FOUND", "unknown policy version"),
}

# Where no value is at fault, none is shown.
WITHOUT_VALUE = frozenset({Fault.MISSING, Fault.JOURNAL, Fault.NO_JOURNAL})

# A value that someone pasted a whole file into must not fill the log.
LONGEST_VALUE_SHOWN = 120


def refuse(
    fault: Fault,
    field: str,
    value: object = None,
    *,
    row: int | None = None,
    hint: str = "",
    where: str = "",
) -> NoReturn:
    """Raise the error of `fault`: ``orders[3].lat (row 3): out of range: 91.0; must be …``.

    `where` stands before the field, for a file and its line.
    """
    entry = TABLE[fault]
    text = in_words(str(value) if isinstance(value, PurePath) else value)
    if len(text) > LONGEST_VALUE_SHOWN:  # of a path, the end says most
        is_path = isinstance(value, PurePath)
        most = LONGEST_VALUE_SHOWN
        text = "…" + text[-most:] if is_path else text[:most] + "…"
    place = f"{where}: {field}" if where else field
    if row is not None and not where:
        place = f"{place} (row {row})"
    message = f"{place}: {entry.meaning}"
    if value is not None or fault not in WITHOUT_VALUE:
        message += f": {text}"
    if hint:
        message += f"; {hint}"
    raise entry.exception(message, fault=fault, field=field, row=row, value=value, hint=hint)


def in_words(value: object) -> str:
    """A value as Python writes it; by its type what has too many digits, or nests too deeply."""
    try:
        return repr(value)
    except Exception:  # what is wrong is told all the same, whatever a caller's own type does
        return f"<{type(value).__name__}, which cannot be shown>"
