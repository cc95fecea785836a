"""Sequences, numpy arrays, pandas and pyarrow columns as the arrays the core reads.

Each function names the column and the row of the first value it cannot take. Arrays come back as
copies: the core reads them without the GIL, and another thread must not change them meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.names import Names
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, refuse

__all__ = [
    "Column",
    "floats",
    "int32s",
    "int64s",
    "known_codes",
    "known_ids",
    "new_codes",
    "rows",
    "rows_as_columns",
    "strings",
    "texts",
    "three",
]

# A list, a numpy array, a pandas Series or Categorical, a pyarrow Array or ChunkedArray.
Column = Any


def floats(field: str, column: Column) -> NDArray[np.float64]:
    """A column of numbers as float64."""
    array = _numbers(field, column, "iuf", Real, "must be a number")
    return np.array(array, dtype=np.float64)


def int32s(field: str, column: Column) -> NDArray[np.int32]:
    """A column of whole numbers as int32."""
    return _integers(field, column, np.int32)


def int64s(field: str, column: Column) -> NDArray[np.int64]:
    """A column of whole numbers as int64."""
    return _integers(field, column, np.int64)


def known_codes(
    field: str, column: Column, code_of: Mapping[str, int] | Names, fault: Fault
) -> NDArray[np.int32]:
    """A column of ids, or of codes, as codes; an id that is not in `code_of` is refused."""
    codes, _ = _codes(field, column, code_of, fault)
    return codes


def known_ids(
    field: str, values: Iterable[Any], code_of: Mapping[str, int] | Names, fault: Fault
) -> NDArray[np.int32]:
    """Ids, and ids only, as codes; an id that is not in `code_of` is refused."""
    names = rows(field, values)
    codes = np.empty(len(names), dtype=np.int32)
    for row, name in enumerate(names):
        code = code_of.get(name) if isinstance(name, str) else None
        if code is None and not is_usable_id(name):
            refuse(Fault.BAD_ID, field, name, row=row, hint=ID_HINT)
        if code is None:
            refuse(fault, field, name, row=row)
        codes[row] = code
    return codes


def new_codes(
    field: str, column: Column, code_of: Mapping[str, int] | Names
) -> tuple[NDArray[np.int32], list[str]]:
    """As `known_codes`, but ids that are not known take the next codes, and are returned too."""
    return _codes(field, column, code_of, None)


def strings(field: str, column: Column) -> list[str]:
    """A column of ids as a list of str."""
    if is_arrow_like(column):
        column = _arrow(column).to_pylist()
    _check_sized(field, column)
    names = column.tolist() if isinstance(column, np.ndarray) else list(column)
    for row, name in enumerate(names):
        if not is_usable_id(name):
            refuse(Fault.BAD_ID, field, name, row=row, hint=ID_HINT)
    return names


def texts(field: str, column: Column) -> tuple[NDArray[np.int32], list[str]]:
    """A column of texts, which may be "": which of the distinct ones each row has, and these."""
    if is_arrow_like(column):
        array = _whole(field, _arrow(column))
        array = array if hasattr(array, "dictionary") else array.dictionary_encode()
        indices = array.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        distinct = array.dictionary.to_pylist()
    else:
        _check_sized(field, column)
        numbers: dict[Any, int] = {}
        try:
            found = [numbers.setdefault(text, len(numbers)) for text in column]
        except TypeError:  # not hashable
            refuse(Fault.WRONG_TYPE, field, column, hint="must be a column of str")
        indices, distinct = np.array(found, dtype=np.int32), list(numbers)
    for index, text in enumerate(distinct):
        if text != "" and not is_usable_id(text):
            if (indices == index).any():
                row = int(np.argmax(indices == index))
                refuse(Fault.BAD_ID, field, text, row=row, hint=ID_HINT)
            distinct[index] = ""  # a category that no row uses
    return indices, [str(text) for text in distinct]


def is_arrow_like(column: Column) -> bool:
    """Whether pyarrow knows how to read it: its own arrays, and pandas' columns."""
    return type(column).__module__.partition(".")[0] in ("pyarrow", "pandas")


def _check_sized(field: str, column: Column) -> None:
    if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
        refuse(Fault.WRONG_TYPE, field, column, hint="must be a sequence or an array")


# -- NUMBERS -----------------------------------------------------------------------------------


def _numbers(field: str, column: Column, kinds: str, number: type[Any], hint: str) -> NDArray[Any]:
    """One dimension of numbers of the numpy kinds asked for; `number` is their Python kind."""
    _check_sized(field, column)
    if is_arrow_like(column):
        column = _whole(field, _arrow(column)).to_numpy(zero_copy_only=False)
    array: NDArray[Any] = np.asarray(column)
    if array.ndim != 1:
        refuse(Fault.RAGGED, field, array.shape, hint="must have one dimension")
    if array.dtype.kind in kinds or not len(array):
        return array
    for row, value in enumerate(column):
        if value is None:
            refuse(Fault.MISSING, field, value, row=row, hint=hint)
        if not isinstance(value, number):
            refuse(Fault.WRONG_TYPE, field, value, row=row, hint=hint)
        if not -(2.0**63) <= value < 2.0**63:
            refuse(Fault.OVERFLOW, field, value, row=row, hint=hint)
    return np.array(list(column), dtype=np.float64 if number is Real else np.int64)


def _integers(field: str, column: Column, dtype: type[Any]) -> NDArray[Any]:
    array = _numbers(field, column, "iu", Integral, "must be a whole number")
    if np.can_cast(array.dtype, dtype):  # then all of them fit
        return np.array(array, dtype=dtype)
    limits = np.iinfo(dtype)
    if len(array) and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
        row = int(np.argmax((array < limits.min) | (array > limits.max)))
        hint = f"must be at most {limits.max}"
        refuse(Fault.OVERFLOW, field, int(array[row]), row=row, hint=hint)
    return np.array(array, dtype=dtype)


# -- CODES -------------------------------------------------------------------------------------


def _codes(
    field: str, column: Column, code_of: Mapping[str, int] | Names, unknown: Fault | None
) -> tuple[NDArray[np.int32], list[str]]:
    """Codes of a column. `unknown`: how an unknown id is refused; None: it becomes a new one."""
    _check_sized(field, column)
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        return int32s(field, column), []
    if is_arrow_like(column):
        return _dictionary_codes(field, column, code_of, unknown)
    names: Sequence[Any] = column.tolist() if isinstance(column, np.ndarray) else column
    if len(names) and isinstance(names[0], Integral):
        return int32s(field, names), []
    fresh: dict[str, int] = {}
    codes = np.empty(len(names), dtype=np.int32)
    for row, name in enumerate(names):
        try:
            code = code_of.get(name)
        except TypeError:  # not hashable
            code = None
        if code is None:
            code = _new_code(field, name, row, len(code_of), fresh, unknown)
        codes[row] = code
    return codes, list(fresh)


def _new_code(
    field: str, name: Any, row: int, known: int, fresh: dict[str, int], unknown: Fault | None
) -> int:
    if not is_usable_id(name):
        refuse(Fault.BAD_ID, field, name, row=row, hint=ID_HINT)
    if unknown is not None:
        refuse(unknown, field, name, row=row)
    return fresh.setdefault(str(name), known + len(fresh))


def _dictionary_codes(
    field: str, column: Column, code_of: Mapping[str, int] | Names, unknown: Fault | None
) -> tuple[NDArray[np.int32], list[str]]:
    """Look up each distinct id once, then translate the column's indices."""
    import pyarrow as pa

    array = _whole(field, _arrow(column))
    if pa.types.is_integer(array.type):
        return int32s(field, array), []
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    indices = array.indices.to_numpy(zero_copy_only=False)
    names = array.dictionary.to_pylist()
    # A category that no row uses is not a SKU.
    used = np.flatnonzero(np.bincount(indices, minlength=len(names)))
    unfit = [i for i in used if not is_usable_id(names[i]) or (unknown and names[i] not in code_of)]
    fresh: dict[str, int] = {}
    if unfit:
        row = int(np.argmax(np.isin(indices, unfit)))
        _new_code(field, names[indices[row]], row, len(code_of), fresh, unknown)
    code_at = np.zeros(max(1, len(names)), dtype=np.int32)
    for index in used:
        name = names[index]
        code = code_of.get(name)
        code_at[index] = fresh.setdefault(name, len(code_of) + len(fresh)) if code is None else code
    return np.ascontiguousarray(code_at[indices]), list(fresh)


def _whole(field: str, array: Any) -> Any:
    """A pyarrow Array that must have no nulls."""
    if array.null_count:
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
        refuse(Fault.MISSING, field, None, row=row)
    return array


def _arrow(column: Column) -> Any:
    """As one pyarrow Array."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.Array):
        return column
    array = pa.array(column, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


# -- ROWS --------------------------------------------------------------------------------------


def rows(field: str, values: Iterable[Any]) -> list[Any]:
    """Whatever can be iterated, as a list; a str is not taken for its characters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        refuse(Fault.WRONG_TYPE, field, values, hint="must be a list, or something like one")
    return list(values)


def rows_as_columns(field: str, values: Iterable[Any], width: int) -> list[list[Any]]:
    """Rows of `width` values as columns."""
    table = rows(field, values)
    for row, line in enumerate(table):
        if isinstance(line, str) or not isinstance(line, Sequence) or len(line) != width:
            refuse(Fault.WRONG_TYPE, field, line, row=row, hint=f"must have {width} values")
    return [list(column) for column in zip(*table, strict=True)] or [[] for _ in range(width)]


def three(
    name: str, rows: Iterable[Any] | None, stores: Column, skus: Column, numbers: Column
) -> tuple[Column, Column, Column]:
    """Rows of (store, SKU, number), or the same as columns, as columns. `name`: of the numbers."""
    if rows is None:
        return stores, skus, numbers
    if not all(column is None for column in (stores, skus, numbers)):
        hint = f"give rows, or stores, skus and {name}, not both"
        refuse(Fault.RAGGED, "rows", "and columns", hint=hint)
    stores, skus, numbers = rows_as_columns("rows", rows, 3)
    return stores, skus, numbers
