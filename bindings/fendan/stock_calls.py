"""What a client says to the service about stock: as `fendan.calls`, for InventoryService.

A table of rows goes out grouped by store, since each store's part has its own version; errors come
back with the row of the table.
"""

import re
import secrets
from collections.abc import Iterable, Mapping

from fendan.calls import INVENTORY, PAGE_SIZE, as_column, as_only, check_known, renamed
from fendan.channel import Call, Exchange
from fendan.columns import Column, int32s, rows, strings, three
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError, refuse
from fendan.messages import stock_level_of, stock_update_of
from fendan.model import StockLevel, StockUpdate
from fendan.updates import usable_version
from fendan.v1 import inventory_service_pb2 as inventory

# What the service takes in one request.
MOST_ROWS = 100_000

Rows = Iterable[tuple[str, str, int]]


def set_stock(
    rows: Rows | None,
    stores: Column,
    skus: Column,
    quantities: Column,
    versions: Mapping[str, int] | None,
    key: str | None,
) -> Exchange[StockUpdate]:
    """Absolute counts."""
    table = _Table("quantities", rows, stores, skus, quantities, versions, key)
    snapshots = [
        inventory.StockSnapshot(
            store_id=store_id,
            version=version,
            counts=[inventory.StockCount(sku=sku, on_hand=count) for sku, count in pairs],
        )
        for store_id, version, pairs in table.parts()
    ]
    request = inventory.SetStockRequest(snapshots=snapshots, idempotency_key=table.key)
    try:
        answer: inventory.SetStockResponse = yield Call.of(
            f"{INVENTORY}/SetStock", request, inventory.SetStockResponse
        )
    except FendanError as error:
        raise table.named(error) from None
    return stock_update_of(snapshots, answer)


def adjust_stock(
    rows: Rows | None,
    stores: Column,
    skus: Column,
    deltas: Column,
    versions: Mapping[str, int] | None,
    key: str | None,
) -> Exchange[StockUpdate]:
    """Movements."""
    table = _Table("deltas", rows, stores, skus, deltas, versions, key)
    adjustments = [
        inventory.StockAdjustment(
            store_id=store_id,
            version=version,
            changes=[inventory.StockChange(sku=sku, delta=delta) for sku, delta in pairs],
        )
        for store_id, version, pairs in table.parts()
    ]
    request = inventory.AdjustStockRequest(adjustments=adjustments, idempotency_key=table.key)
    try:
        answer: inventory.AdjustStockResponse = yield Call.of(
            f"{INVENTORY}/AdjustStock", request, inventory.AdjustStockResponse
        )
    except FendanError as error:
        raise table.named(error) from None
    return stock_update_of(adjustments, answer)


def _usable_key(key: str | None) -> str:
    """The caller's idempotency key, or one of our own, with which every call may be repeated."""
    if key is None:
        return secrets.token_hex(16)
    if not is_usable_id(key):
        refuse(Fault.BAD_ID, "key", key, hint=ID_HINT)
    return key


class _Table:
    """Rows of (store, SKU, number), as the caller gave them and grouped by store."""

    def __init__(
        self,
        numbers_name: str,
        rows: Rows | None,
        stores: Column,
        skus: Column,
        numbers: Column,
        versions: Mapping[str, int] | None,
        key: str | None,
    ) -> None:
        stores, skus, numbers = three(numbers_name, rows, stores, skus, numbers)
        self._numbers_name = numbers_name
        self._numbers = int32s(numbers_name, numbers).tolist()
        self._stores = strings("stores", stores)
        self._skus = strings("skus", skus)
        lengths = (len(self._stores), len(self._skus), len(self._numbers))
        if not lengths[0] == lengths[1] == lengths[2]:
            field = "stores, skus, quantities"  # as the engine says, of adjustments too
            refuse(Fault.RAGGED, field, lengths, hint="the three must be equally long")
        if len(self._numbers) > MOST_ROWS:
            hint = f"at most {MOST_ROWS} rows a call; several calls are not applied all or none"
            refuse(Fault.TOO_MANY, "rows", len(self._numbers), hint=hint)
        self._versions = _usable_versions(versions)
        self.key = _usable_key(key)
        # Stores that have a version and no rows stand behind, with nothing to apply.
        self._rows_of: dict[str, list[int]] = {}
        for row, store_id in enumerate(self._stores):
            self._rows_of.setdefault(store_id, []).append(row)
        for store_id in self._versions:
            self._rows_of.setdefault(store_id, [])

    def parts(self) -> Iterable[tuple[str, int, list[tuple[str, int]]]]:
        """Each store with its version, 0 for none, and its pairs of SKU and number."""
        for store_id, places in self._rows_of.items():
            pairs = [(self._skus[row], self._numbers[row]) for row in places]
            yield store_id, self._versions.get(store_id, 0), pairs

    def named(self, error: FendanError) -> FendanError:
        """An error of the request as one of the table: of snapshots[1].counts[0].sku the row."""
        path = re.fullmatch(r"\w+\[(\d+)\](?:\.\w+\[(\d+)\])?\.(\w+)", error.field)
        if error.field == "idempotency_key":
            error = renamed(error, "key")
            error.value = self.key  # the service knows it by another name
            return error
        if path is None:
            return error
        part, pair, name = path.groups()
        store_id, rows = list(self._rows_of.items())[int(part)]
        if name == "version":
            return renamed(error, f"versions[{store_id!r}]")
        if not rows:
            return renamed(error, "versions")
        column = {"store_id": "stores", "sku": "skus"}.get(name, self._numbers_name)
        return renamed(error, column, rows[int(pair or 0)])


def _usable_versions(versions: Mapping[str, int] | None) -> dict[str, int]:
    """Versions that can be sent; whether they are new the service knows."""
    if versions is None:
        return {}
    if not isinstance(versions, Mapping):
        refuse(Fault.WRONG_TYPE, "versions", versions, hint="must map store ids to versions")
    usable: dict[str, int] = {}
    for store_id, version in versions.items():
        check_known(Fault.UNKNOWN_STORE, "versions", store_id)
        usable[store_id] = usable_version(store_id, version)
    return usable


# -- LOOKING -----------------------------------------------------------------------------------


def stock(store_id: str, skus: Iterable[str] | None) -> Exchange[list[StockLevel]]:
    """What a store has, page by page."""
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    wanted = None if skus is None else strings("skus", rows("skus", skus))
    if wanted is not None and not wanted:
        yield from _levels(inventory.GetStockRequest(store_id=store_id, page_size=1))
        return []
    found: list[StockLevel] = []
    token, first = "", 0
    while True:
        asked = [] if wanted is None else wanted[first : first + PAGE_SIZE]
        request = inventory.GetStockRequest(
            store_id=store_id, skus=asked, page_size=PAGE_SIZE, page_token=token
        )
        try:
            page = yield from _levels(request)
        except FendanError as error:
            raise _shifted(as_column(error), first) from None
        found += [stock_level_of(level, store_id) for level in page.levels]
        token = page.next_page_token
        if not token:
            first += PAGE_SIZE
            if wanted is None or first >= len(wanted):
                return found


def _shifted(error: FendanError, by: int) -> FendanError:
    return error if error.row is None else renamed(error, error.field, error.row + by)


def stock_version(store_id: str) -> Exchange[int]:
    """The last version that was applied to a store."""
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    page = yield from _levels(inventory.GetStockRequest(store_id=store_id, page_size=1))
    return page.version


def available(store_id: str, sku: str) -> Exchange[int]:
    """What a store can still sell of one SKU."""
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_known(Fault.UNKNOWN_SKU, "sku", sku)
    try:
        page = yield from _levels(inventory.GetStockRequest(store_id=store_id, skus=[sku]))
    except FendanError as error:
        raise as_only(error, "skus", "sku") from None
    return page.levels[0].sellable


def _levels(request: inventory.GetStockRequest) -> Exchange[inventory.GetStockResponse]:
    page: inventory.GetStockResponse = yield Call.of(
        f"{INVENTORY}/GetStock", request, inventory.GetStockResponse
    )
    return page
