"""The engine's face for messages of plain orders, which the core answers from bytes to bytes."""

import math

from fendan.engine.express import Express
from fendan.engine.meter import Meter
from fendan.engine.request import Kind
from fendan.exception_face import ExceptionFace
from fendan.model import Policy

__all__ = ["PlainFace"]


class PlainFace(ExceptionFace):
    """Routes what asks for nothing special, where nothing special is in force."""

    _policy: Policy
    _express: Express | None = None

    def route_plain(self, data: bytes, kind: Kind, most_orders: int, meter: Meter) -> bytes | None:
        """The answer to a message of new and simple orders; None: `route_request` is to be asked.

        Then nothing has changed, whatever the reason: `engine/express` says what is plain, and no
        more than `most_orders` are. The answer is the same either way, and what it took is counted
        by `meter`.
        """
        if self._book is not None:  # which may change, but then it is too late for this one
            return None
        with self._command() as command:
            if not self._is_plain():
                return None
            most_m, now_ns = self._policy.radius_m, command.now_ns
            radius_m, due_ns = math.inf if most_m is None else most_m, self._life.due_ns(now_ns)
            express = self._way_of_plain()
            return express.route(data, kind, most_orders, radius_m, due_ns, now_ns, meter)

    # -- INSIDE --------------------------------------------------------------------------------

    def _is_plain(self) -> bool:
        """Whether stores are chosen by distance, and nobody wants to know who gets none."""
        if self._book is not None or self._bundles is not None or self._queue is not None:
            return False
        return not self._known_supplies().of

    def _way_of_plain(self) -> Express:
        """The express over the orders that there are now."""
        express = self._express
        if express is None or express.orders is not self._orders:
            express = self._express = Express(self._orders)
        return express
