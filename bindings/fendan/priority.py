"""Who comes first: priorities of orders, and orders as they are kept to wait.

A priority is 0 to 9. `priority_of` makes one of a member's tier and the order's type; a chain that
ranks otherwise says its own.
"""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.asking import HIGHEST_PRIORITY, TEXTS, check_priority
from fendan.engine.batch import Batch
from fendan.engine.network import is_usable_id
from fendan.errors import Fault, refuse
from fendan.model import Order
from fendan.rules import OrderType

__all__ = [
    "BY_TYPE",
    "IN_ORDER",
    "PRIORITY",
    "check_priorities",
    "checked_allocation",
    "priorities_of",
    "priority_of",
    "said_by",
    "said_in_columns",
    "turns_of",
    "waiting_order",
]

IN_ORDER, PRIORITY = "order", "priority"

BY_TYPE: Mapping[OrderType, int] = {OrderType.INSTANT: 2, OrderType.SAME_DAY: 1}
"""What an order's type adds to its priority: the sooner it was promised the more."""


def priority_of(member_tier: int, order_type: OrderType) -> int:
    """The usual priority of a member's order: the tier, 0 to 9, and what the type adds."""
    return min(HIGHEST_PRIORITY, max(0, member_tier) + BY_TYPE.get(order_type, 0))


def checked_allocation(allocate: str) -> bool:
    """Whether orders are allocated by priority. Raises InvalidInputError."""
    if allocate not in (IN_ORDER, PRIORITY):
        hint = f'must be "{IN_ORDER}" or "{PRIORITY}"'
        refuse(Fault.OUT_OF_RANGE, "allocate", allocate, hint=hint)
    return allocate == PRIORITY


def priorities_of(orders: Sequence[Order], style: str) -> NDArray[np.int32]:
    """int32[n]: the priorities of orders. Raises InvalidInputError naming the order."""
    said = [getattr(order, "priority", 0) for order in orders]
    for row, priority in enumerate(said):
        if priority != 0:
            check_priority(priority, style, row)
    return np.array(said, dtype=np.int32)


def check_priorities(priorities: NDArray[np.int32] | None, style: str) -> None:
    """Refuse the first that is none."""
    if priorities is not None:
        bad = np.flatnonzero((priorities < 0) | (priorities > HIGHEST_PRIORITY))
        if len(bad):
            check_priority(int(priorities[bad[0]]), style, int(bad[0]))


def turns_of(priorities: NDArray[np.int32]) -> NDArray[np.int64]:
    """int64[n]: the rows in the order of their priorities, equal ones as they stand."""
    return np.argsort(-priorities, kind="stable").astype(np.int64)


# -- ORDERS THAT WAIT --------------------------------------------------------------------------

_SINGLE = {"order_types": "order_type", **{f"{name}s": name for name in TEXTS}}
_TYPES: Mapping[Any, OrderType] = {kind.value: kind for kind in OrderType}


def waiting_order(batch: Batch, row: int, skus: Sequence[str], said: Mapping[str, Any]) -> Order:
    """One order of a batch as it is kept: plain values, in the engine's datum.

    `said`: what it says beside place and lines, by the names of `Order`; where no policy is in
    force nobody has looked at it yet.
    """
    lat, lng = batch.place(row)
    lines = batch.lines_as_arrays
    own = slice(*lines["offsets"][row : row + 2].tolist())
    columns = [
        [skus[code] for code in lines["skus"][own].tolist()],
        lines["quantities"][own].tolist(),
    ]
    if "amounts" in lines:
        columns.append(lines["amounts"][own].tolist())
    kind = said.get("order_type")
    priority = said.get("priority", 0)
    words: dict[str, Any] = {name: _plain(said.get(name, "")) for name in TEXTS}
    return Order(
        id=batch.id_of(row),
        lat=lat,
        lng=lng,
        lines=tuple(zip(*columns, strict=True)),
        order_type=_TYPES.get(kind if isinstance(kind, Real) else 0, OrderType.UNSPECIFIED),
        priority=priority if priority in range(HIGHEST_PRIORITY + 1) else 0,
        **words,
    )


def said_by(order: Order) -> dict[str, Any]:
    """What an order says beside its place and its lines."""
    return {name: getattr(order, name, None) for name in ("order_type", "priority", *TEXTS)}


def said_in_columns(columns: Mapping[str, Any], count: int) -> Callable[[int], dict[str, Any]]:
    """What the order of a row of columns says, by the names of `Order`.

    A column that does not have a value for each of the `count` orders says nothing.
    """

    given: dict[str, NDArray[np.object_]] | None = None  # read only if anybody has to wait

    def said_at(row: int) -> dict[str, Any]:
        nonlocal given
        if given is None:
            said = {
                _SINGLE[name]: np.asarray(column, dtype=object)
                for name, column in columns.items()
                if column is not None
            }
            given = {name: values for name, values in said.items() if values.shape == (count,)}
        return {name: values[row] for name, values in given.items()}

    return said_at


def _plain(text: object) -> str:
    return text if is_usable_id(text) and isinstance(text, str) else ""
