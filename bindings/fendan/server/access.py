"""Who may call what: one table of every method, and the interceptor that holds each call to it.

A method that is not in the table is refused to everyone, so a new one is closed until someone has
decided whom it is for. Which stores a caller may touch depends on the message; the services ask
`caller().check_store(...)` for that.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

import grpc

from fendan.errors import Fault, FendanError, refuse
from fendan.server.callers import LOCAL, Caller, Scope
from fendan.server.status import abort
from fendan.server.tokens import Tokens

__all__ = [
    "METHODS",
    "AccessInterceptor",
    "Caller",
    "Scope",
    "caller",
    "caller_of",
    "check_method",
]

_HEADQUARTERS = frozenset({Scope.HEADQUARTERS})
_REGIONS = _HEADQUARTERS | {Scope.REGION}
_STORES = _REGIONS | {Scope.STORE}
_LEDGER = _STORES | {Scope.SETTLEMENT}
_DESK = _HEADQUARTERS | {Scope.EXCEPTIONS}
_ORDERS_IN = _HEADQUARTERS | {Scope.INGEST}

METHODS: dict[str, frozenset[Scope]] = {
    "/fendan.v1.RoutingService/Route": _ORDERS_IN,
    "/fendan.v1.RoutingService/BatchRoute": _ORDERS_IN,
    "/fendan.v1.RoutingService/StreamRoute": _ORDERS_IN,
    "/fendan.v1.RoutingService/Nearest": _ORDERS_IN | _REGIONS,
    # Stores and regions may ask about orders that are theirs, and are told of their own alone.
    "/fendan.v1.RoutingService/Explain": _STORES | _ORDERS_IN | {Scope.SETTLEMENT},
    "/fendan.v1.InventoryService/SetStock": _STORES,
    "/fendan.v1.InventoryService/AdjustStock": _STORES,
    "/fendan.v1.InventoryService/GetStock": _STORES,
    "/fendan.v1.InventoryService/WatchAvailability": _STORES | _ORDERS_IN,
    "/fendan.v1.NetworkService/AddStores": _HEADQUARTERS,
    "/fendan.v1.NetworkService/UpdateStores": _REGIONS,
    "/fendan.v1.NetworkService/PauseStores": _STORES,
    "/fendan.v1.NetworkService/ResumeStores": _STORES,
    "/fendan.v1.NetworkService/RemoveStores": _HEADQUARTERS,
    "/fendan.v1.NetworkService/ListStores": _REGIONS,
    # A platform asks and cancels, a store does the rest; goods come back by way of either.
    "/fendan.v1.OrderService/GetOrder": _STORES | _ORDERS_IN | {Scope.SETTLEMENT},
    "/fendan.v1.OrderService/GetDecision": _STORES | _ORDERS_IN | {Scope.SETTLEMENT},
    "/fendan.v1.OrderService/AcceptOrder": _STORES,
    "/fendan.v1.OrderService/PickOrder": _STORES,
    "/fendan.v1.OrderService/ShipOrder": _STORES,
    "/fendan.v1.OrderService/DeliverOrder": _STORES,
    "/fendan.v1.OrderService/ReturnOrder": _STORES | _ORDERS_IN,
    "/fendan.v1.OrderService/RejectOrder": _STORES,
    "/fendan.v1.OrderService/CancelOrder": _STORES | _ORDERS_IN,
    "/fendan.v1.OrderService/ReleaseOrders": _STORES | _ORDERS_IN,
    "/fendan.v1.LedgerService/ReadEvents": _LEDGER,
    "/fendan.v1.LedgerService/Tail": _LEDGER,
    "/fendan.v1.PolicyService/CheckPolicy": _REGIONS,
    "/fendan.v1.PolicyService/DraftPolicy": _HEADQUARTERS,
    "/fendan.v1.PolicyService/ActivatePolicy": _HEADQUARTERS,
    "/fendan.v1.PolicyService/GetPolicy": _REGIONS,
    "/fendan.v1.PolicyService/ListPolicies": _REGIONS,
    # What holds for the whole chain is headquarters' to say; who has a store, says how it works.
    "/fendan.v1.SetupService/SetStoreProfiles": _REGIONS,
    "/fendan.v1.SetupService/GetStoreProfile": _STORES,
    "/fendan.v1.SetupService/SetSkuProfiles": _HEADQUARTERS,
    "/fendan.v1.SetupService/GetSkuProfile": _STORES,
    "/fendan.v1.SetupService/SetAreas": _HEADQUARTERS,
    "/fendan.v1.SetupService/ListAreas": _REGIONS,
    "/fendan.v1.SetupService/SetShares": _REGIONS,
    "/fendan.v1.SetupService/GetShare": _STORES,
    "/fendan.v1.SetupService/SetHiddenSkus": _HEADQUARTERS,
    "/fendan.v1.SetupService/ListHiddenSkus": _STORES,
    "/fendan.v1.SetupService/SetHeld": _STORES,
    "/fendan.v1.SetupService/GetHeld": _STORES,
    "/fendan.v1.SetupService/SetLots": _STORES,
    "/fendan.v1.SetupService/ListLots": _STORES,
    "/fendan.v1.SetupService/SetSupply": _STORES,
    "/fendan.v1.SetupService/ReceiveSupply": _STORES,
    "/fendan.v1.SetupService/ListSupply": _STORES,
    "/fendan.v1.IntakeService/Submit": _ORDERS_IN,
    # Whoever looks after exceptions gives orders to any store.
    "/fendan.v1.ExceptionService/ListExceptions": _DESK,
    "/fendan.v1.ExceptionService/ExportExceptions": _DESK,
    "/fendan.v1.ExceptionService/GetException": _DESK,
    "/fendan.v1.ExceptionService/RetryExceptions": _DESK,
    "/fendan.v1.ExceptionService/AssignException": _DESK,
    "/fendan.v1.ExceptionService/ApproveException": _DESK,
    "/fendan.v1.ExceptionService/CancelException": _DESK,
    "/fendan.v1.ExceptionService/GetExceptionStats": _DESK,
    "/fendan.v1.ExceptionService/GetExceptionFigures": _DESK,
}

# Load balancers and orchestrators ask for health, and have no tokens; it tells nothing else.
OPEN_TO_ALL = frozenset({"grpc.health.v1.Health"})

# Tools ask how to call us. That is no secret of a store or region, but none of strangers' business.
OPEN_TO_TOKENS = frozenset(
    {"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
)

_caller: ContextVar[Caller] = ContextVar("fendan_caller")


def caller() -> Caller:
    """Who made the call that is being answered.

    Ask in the call's own coroutine: other threads have another context. Raises
    UnauthenticatedError outside of calls that passed the interceptor.
    """
    found = _caller.get(None)
    if found is None:
        refuse(Fault.UNAUTHENTICATED, "authorization", hint="nobody has checked this call")
    return found


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call through to its handler, as it is, or refuses it before its message is read.

    Without tokens every caller is headquarters: that is for loopback (see `config`). grpc.aio runs
    interceptors and handler of one call in one context, so a context variable tells the handler who
    is calling, whichever kind of call it is.
    """

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Find out who calls, and whether they may."""
        method = handler_call_details.method
        service = method.strip("/").partition("/")[0]
        if service in OPEN_TO_ALL:
            return await continuation(handler_call_details)
        try:
            # Known also where the call is refused: for the log.
            _caller.set(who := caller_of(self._tokens, _authorization(handler_call_details)))
            handler = await continuation(handler_call_details)
            # gRPC itself says so where there is no such method.
            if handler is not None and service not in OPEN_TO_TOKENS:
                check_method(who, method)
        except FendanError as error:
            return _refusing(error)
        return handler


def caller_of(tokens: Tokens | None, sent: Sequence[str]) -> Caller:
    """Who sends such headers `authorization`. Raises UnauthenticatedError."""
    if tokens is None:
        return LOCAL
    hint = "send one header `authorization: Bearer TOKEN`"
    if not sent:
        refuse(Fault.UNAUTHENTICATED, "authorization", "(none)", hint=hint)
    words = sent[0].split(" ")
    if len(sent) != 1 or len(words) != 2 or words[0].lower() != "bearer":
        refuse(Fault.UNAUTHENTICATED, "authorization", "(malformed)", hint=hint)
    found = tokens.find(words[1])
    if found is None:
        hint = "it was revoked, or never was one of this server's"
        refuse(Fault.UNAUTHENTICATED, "authorization", "(hidden)", hint=hint)
    return found


def check_method(who: Caller, method: str) -> None:
    """Raise NotAllowedError where the caller may not call the method."""
    if who.scope not in METHODS.get(method, frozenset()):
        hint = f"the token {who.name!r} has the scope {who.scope.value}"
        refuse(Fault.NOT_ALLOWED, "method", method, hint=hint)


def _authorization(call: grpc.HandlerCallDetails) -> list[str]:
    metadata = call.invocation_metadata or ()
    return [str(value) for key, value in metadata if key == "authorization"]


def _refusing(error: FendanError) -> "grpc.RpcMethodHandler[Any, Any]":
    """A handler for every kind of call: a stream's begins before the first message has come."""

    async def refuse_call(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse_call)
