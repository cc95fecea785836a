"""SetStock and AdjustStock: counts and movements in, what came of them out."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

from fendan.api import Engine
from fendan.engine import wire
from fendan.errors import KeyConflictError, refuse
from fendan.messages import shortfall_message, stock_outcome_message
from fendan.model import StockUpdate
from fendan.server.callers import Caller
from fendan.server.methods import Answer, at_most_bytes
from fendan.server.metrics import Metrics
from fendan.v1 import inventory_service_pb2 as messages

__all__ = ["StockUpdates"]

SERVICE = "/fendan.v1.InventoryService"

# As the proto says. A request of so many rows keeps the engine busy for some tens of milliseconds,
# in which no order is routed.
MOST_ROWS = 100_000

_Response: TypeAlias = type[messages.SetStockResponse] | type[messages.AdjustStockResponse]


class StockUpdates:
    """Takes stock in; tokens of a store or region, for the stores they reach."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    def answers(self) -> dict[str, Answer]:
        """What each method answers, by its full name."""
        set_stock = partial(self._apply, wire.StockKind.SET, messages.SetStockResponse)
        adjust = partial(self._apply, wire.StockKind.ADJUST, messages.AdjustStockResponse)
        return {f"{SERVICE}/SetStock": set_stock, f"{SERVICE}/AdjustStock": adjust}

    def _apply(self, kind: wire.StockKind, response: _Response, who: Caller, data: bytes) -> bytes:
        request = wire.StockRequest.read(data, kind, MOST_ROWS)
        store_ids = request.store_ids
        if who.scope.is_bound:
            for part, store_id in enumerate(store_ids):
                field = f"{kind.parts}[{part}].store_id"
                who.check_store(store_id, self._engine.region_of, field)
        key = _key_of(who, request.key)
        try:
            update = self._engine.apply_request(request, key=key)
        except KeyConflictError as error:
            refuse(error.fault, "idempotency_key", request.key, hint=error.hint)
        self._metrics.shortfalls(len(update.shortfalls))
        sent = dict(zip(store_ids, request.versions.tolist(), strict=True))
        versions = {
            store_id: version or self._engine.stock_version(store_id)
            for store_id, version in sent.items()
        }
        return response(**_fields(update, versions)).SerializeToString()


def _fields(update: StockUpdate, versions: Mapping[str, int]) -> dict[str, Any]:
    """The fields of the response. `versions`: by store, in the request's order."""
    stale = {part.store_id: part.last_version for part in update.stale}
    return {
        "outcomes": [
            stock_outcome_message(store_id, stale.get(store_id, version), store_id in stale)
            for store_id, version in versions.items()
        ],
        "shortfalls": [shortfall_message(shortfall) for shortfall in update.shortfalls],
    }


def _key_of(who: Caller, key: str) -> str | None:
    """The engine's key for a caller's: no two callers share one, however they name theirs."""
    if not key:
        return None
    at_most_bytes("idempotency_key", key)
    return hashlib.sha256(f"{who.scope.value}\0{who.name}\0{key}".encode()).hexdigest()
