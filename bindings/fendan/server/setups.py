"""SetupService: what a chain sets up beside places and counts."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.hours import path
from fendan.model import Shortfall
from fendan.profile_text import profile_text, sku_profile_of, store_profile_of
from fendan.server.access import caller
from fendan.server.lane import Lane
from fendan.server.methods import Commanding, Context, at_most
from fendan.v1 import setup_service_pb2 as messages
from fendan.v1 import setup_service_pb2_grpc

__all__ = ["SetupService"]

MOST_ENTRIES = 10_000
MOST_SKUS = 100_000
MOST_ROWS = 1_000_000

Answer = TypeVar("Answer", messages.SetLotsResponse, messages.SetSupplyResponse)


class SetupService(Commanding, setup_service_pb2_grpc.SetupServiceServicer):
    """Sets up one engine. Callers bound to stores reach theirs alone."""

    def __init__(self, engine: Engine, lane: Lane) -> None:
        super().__init__(lane)
        self._engine = engine

    # -- PROFILES AND AREAS --------------------------------------------------------------------

    async def SetStoreProfiles(  # noqa: N802
        self, request: messages.SetStoreProfilesRequest, context: Context
    ) -> messages.SetStoreProfilesResponse:
        """Say how stores work."""
        at_most(MOST_ENTRIES, "profiles", len(request.profiles))
        reached = self._reach((path("profiles", name), name) for name in request.profiles)

        def work() -> None:
            reached()
            self._engine.set_store_profiles(
                {
                    name: store_profile_of(text, path("profiles", name))
                    for name, text in sorted(request.profiles.items())
                }
            )

        await self._do(request, context, work)
        return messages.SetStoreProfilesResponse()

    async def GetStoreProfile(  # noqa: N802
        self, request: messages.GetStoreProfileRequest, context: Context
    ) -> messages.GetStoreProfileResponse:
        """How one store works."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> str:
            reached()
            return profile_text(self._engine.store_profile(request.store_id))

        text = await self._do(request, context, work)
        return messages.GetStoreProfileResponse(profile=text)

    async def SetSkuProfiles(  # noqa: N802
        self, request: messages.SetSkuProfilesRequest, context: Context
    ) -> messages.SetSkuProfilesResponse:
        """Say how SKUs are sold."""
        at_most(MOST_ENTRIES, "profiles", len(request.profiles))

        def work() -> None:
            self._engine.set_sku_profiles(
                {
                    name: sku_profile_of(text, path("profiles", name))
                    for name, text in sorted(request.profiles.items())
                }
            )

        await self._do(request, context, work)
        return messages.SetSkuProfilesResponse()

    async def GetSkuProfile(  # noqa: N802
        self, request: messages.GetSkuProfileRequest, context: Context
    ) -> messages.GetSkuProfileResponse:
        """How one SKU is sold."""
        text = await self._do(
            request, context, lambda: profile_text(self._engine.sku_profile(request.sku))
        )
        return messages.GetSkuProfileResponse(profile=text)

    async def SetAreas(  # noqa: N802
        self, request: messages.SetAreasRequest, context: Context
    ) -> messages.SetAreasResponse:
        """Draw service areas, or take them away."""
        at_most(MOST_ENTRIES, "areas", len(request.areas))
        areas = {name: text or None for name, text in sorted(request.areas.items())}
        # What takes long is done beside the lane, where orders go on.
        drawing = await asyncio.to_thread(self._engine.draw_areas, areas)
        await self._do(request, context, lambda: self._engine.set_areas(drawing))
        return messages.SetAreasResponse()

    async def ListAreas(  # noqa: N802
        self, request: messages.ListAreasRequest, context: Context
    ) -> messages.ListAreasResponse:
        """All service areas."""
        areas = await self._do(request, context, self._engine.areas)
        return messages.ListAreasResponse(areas=areas)

    # -- CHANNELS ------------------------------------------------------------------------------

    async def SetShares(  # noqa: N802
        self, request: messages.SetSharesRequest, context: Context
    ) -> messages.SetSharesResponse:
        """Say what part of stores' stock a channel is offered."""
        at_most(MOST_ENTRIES, "shares", len(request.shares))
        shares = dict(sorted(request.shares.items()))
        reached = self._reach((f"shares[{name!r}]", name) for name in shares)

        def work() -> None:
            reached()
            self._engine.set_shares(request.channel, shares)

        await self._do(request, context, work)
        return messages.SetSharesResponse()

    async def GetShare(  # noqa: N802
        self, request: messages.GetShareRequest, context: Context
    ) -> messages.GetShareResponse:
        """What part of one store's stock a channel is offered."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> float:
            reached()
            return self._engine.share(request.store_id, request.channel)

        return messages.GetShareResponse(share=await self._do(request, context, work))

    async def SetHiddenSkus(  # noqa: N802
        self, request: messages.SetHiddenSkusRequest, context: Context
    ) -> messages.SetHiddenSkusResponse:
        """Say which SKUs a channel does not sell."""
        at_most(MOST_SKUS, "skus", len(request.skus))
        skus = list(request.skus)
        await self._do(
            request, context, lambda: self._engine.set_hidden_skus(request.channel, skus)
        )
        return messages.SetHiddenSkusResponse()

    async def ListHiddenSkus(  # noqa: N802
        self, request: messages.ListHiddenSkusRequest, context: Context
    ) -> messages.ListHiddenSkusResponse:
        """Which SKUs a channel does not sell."""
        skus = await self._do(request, context, lambda: self._engine.hidden_skus(request.channel))
        return messages.ListHiddenSkusResponse(skus=skus)

    # -- STOCK THAT IS NOT SOLD, AND STOCK TO COME ---------------------------------------------

    async def SetHeld(  # noqa: N802
        self, request: messages.SetHeldRequest, context: Context
    ) -> messages.SetHeldResponse:
        """Say what stores keep of their stock."""
        at_most(MOST_ROWS, "stores", len(request.stores))
        stores = list(request.stores)
        reached = self._reach((f"stores[{row}]", name) for row, name in enumerate(stores))
        parts = {
            "safety": list(request.safety) or None,
            "locked": list(request.locked) or None,
            "display": list(request.display) or None,
        }

        def work() -> None:
            reached()
            self._engine.set_held(stores, list(request.skus), **parts)

        await self._do(request, context, work)
        return messages.SetHeldResponse()

    async def GetHeld(  # noqa: N802
        self, request: messages.GetHeldRequest, context: Context
    ) -> messages.GetHeldResponse:
        """What one store keeps of one SKU."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> messages.GetHeldResponse:
            reached()
            held = self._engine.held(request.store_id, request.sku)
            return messages.GetHeldResponse(**held._asdict())

        return await self._do(request, context, work)

    async def SetLots(  # noqa: N802
        self, request: messages.SetLotsRequest, context: Context
    ) -> messages.SetLotsResponse:
        """Say how much there is of each sell-by date."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> messages.SetLotsResponse:
            reached()
            lots = dict(sorted(request.lots.items()))
            short = self._engine.set_lots(request.store_id, request.sku, lots)
            return _with_shortfall(messages.SetLotsResponse(), short)

        return await self._do(request, context, work)

    async def ListLots(  # noqa: N802
        self, request: messages.ListLotsRequest, context: Context
    ) -> messages.ListLotsResponse:
        """The lots of one pair."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> messages.ListLotsResponse:
            reached()
            lots = self._engine.lots(request.store_id, request.sku)
            return messages.ListLotsResponse(
                lots=[
                    messages.Lot(date=lot.date, on_hand=lot.on_hand, reserved=lot.reserved)
                    for lot in lots
                ]
            )

        return await self._do(request, context, work)

    async def SetSupply(  # noqa: N802
        self, request: messages.SetSupplyRequest, context: Context
    ) -> messages.SetSupplyResponse:
        """Say how much is to arrive."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> messages.SetSupplyResponse:
            reached()
            supply = (request.store_id, request.sku, request.date, request.quantity)
            return _with_shortfall(messages.SetSupplyResponse(), self._engine.set_supply(*supply))

        return await self._do(request, context, work)

    async def ReceiveSupply(  # noqa: N802
        self, request: messages.ReceiveSupplyRequest, context: Context
    ) -> messages.ReceiveSupplyResponse:
        """It has arrived."""
        reached = self._reach([("store_id", request.store_id)])

        def work() -> int:
            reached()
            return self._engine.receive_supply(request.store_id, request.sku, request.date)

        return messages.ReceiveSupplyResponse(quantity=await self._do(request, context, work))

    async def ListSupply(  # noqa: N802
        self, request: messages.ListSupplyRequest, context: Context
    ) -> messages.ListSupplyResponse:
        """What is to arrive."""
        sku = request.sku if request.HasField("sku") else None
        store_id = request.store_id if request.HasField("store_id") else None
        if store_id is None and caller().scope.is_bound:
            refuse(Fault.NOT_ALLOWED, "store_id", hint="name one of your stores")
        reached = self._reach([] if store_id is None else [("store_id", store_id)])

        def work() -> messages.ListSupplyResponse:
            reached()
            return messages.ListSupplyResponse(
                supplies=[
                    messages.Supply(
                        store_id=one.store_id,
                        sku=one.sku,
                        date=one.date,
                        quantity=one.quantity,
                        reserved=one.reserved,
                    )
                    for one in self._engine.supply(sku, store_id)
                ]
            )

        return await self._do(request, context, work)

    # -- INSIDE --------------------------------------------------------------------------------

    def _reach(self, stores: Iterable[tuple[str, str]]) -> Callable[[], None]:
        """What refuses stores, each with its field, that are not the caller's."""
        who, named = caller(), list(stores)

        def check() -> None:
            for field, store_id in named if who.scope.is_bound else ():
                who.check_store(store_id, self._engine.region_of, field)

        return check


def _with_shortfall(answer: Answer, shortfalls: Iterable[Shortfall]) -> Answer:
    """The answer of a call about one pair, of which there may be too little now."""
    for one in shortfalls:
        answer.shortfall.on_hand, answer.shortfall.reserved = one.on_hand, one.reserved
        answer.shortfall.order_ids.extend(one.order_ids)
    return answer
