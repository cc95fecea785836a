"""The Explain method: why an order has its store.

Orders as they would be now are explained in a turn of the engine, past ones from the journal. Both
are worked out beside the lane, in one thread: who asks why waits for others who do, and for nobody
else's sake. Those who have a store or a region may ask about orders that are there.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.explain import MOST_EXCLUDED, USUAL_EXCLUDED, checked_limit
from fendan.explain_messages import explanation_message, order_of
from fendan.model import Order
from fendan.server.access import Caller, caller
from fendan.server.methods import Context, at_most
from fendan.server.own import check_order, explanation_for
from fendan.v1 import routing_service_pb2 as messages

__all__ = ["Explaining"]

MOST_LINES = 10_000  # as many as an order may have


class Explaining:
    """Answers Explain with one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fendan-explain")

    def close(self) -> None:
        """End the thread; by then nobody asks."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def explain(
        self, request: messages.ExplainRequest, context: Context
    ) -> messages.ExplainResponse:
        """Why an order would go, or went, where it does."""
        limit = request.limit if request.HasField("limit") else USUAL_EXCLUDED
        who, wanted = caller(), _wanted(request)
        if who.scope.is_bound and isinstance(wanted, Order):
            hint = f"a token of a {who.scope.value} may ask about known orders, by their order_id"
            refuse(Fault.NOT_ALLOWED, "order", wanted.id, hint=hint)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread,
            partial(_explained, self._engine, who, wanted, limit, request.attempt or 1),
        )


def _wanted(request: messages.ExplainRequest) -> Order | str:
    """An order or an id, whichever was sent."""
    if request.HasField("order") == request.HasField("order_id"):
        refuse(Fault.MISSING, "order", hint="send either an order or an order_id")
    if request.HasField("order_id"):
        return request.order_id
    at_most(MOST_LINES, "order.lines", len(request.order.lines))
    return order_of(request.order, "order")


def _explained(
    engine: Engine, who: Caller, wanted: Order | str, limit: int, attempt: int
) -> messages.ExplainResponse:
    if isinstance(wanted, str):
        check_order(engine, who, "order_id", wanted)
    checked_limit(limit)
    # Of all that were excluded some may be the caller's, however many are nearer.
    most = MOST_EXCLUDED if who.scope.is_bound else limit
    told = engine.explain(wanted, limit=most, attempt=attempt)
    seen = explanation_for(engine, who, told, limit)
    return messages.ExplainResponse(explanation=explanation_message(seen))
