"""What a client says to the service about what a chain sets up: as `fendan.calls`.

Every call may be made again: it says how things are to be.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fendan import columns
from fendan.area_face import geojson_of
from fendan.calls import as_column, check_known
from fendan.channel import Call, Exchange
from fendan.columns import Column
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError, refuse
from fendan.lot_face import check_lots, check_sku
from fendan.model import Held, Lot, Shortfall, Supply
from fendan.profile_checks import check_sku_profile, check_store_profile
from fendan.profile_face import check_each
from fendan.profile_text import profile_text, sku_profile_of, store_profile_of
from fendan.profiles import SkuProfile, StoreProfile
from fendan.shares import WHOLE, millionths_of
from fendan.supplies import check_quantity, checked_date
from fendan.v1 import setup_service_pb2 as messages

SETUP = "/fendan.v1.SetupService"

# -- PROFILES AND AREAS ------------------------------------------------------------------------


def set_store_profiles(profiles: Mapping[str, StoreProfile]) -> Exchange[None]:
    """How stores work."""
    check_each("profiles", profiles, check_store_profile)
    texts = {name: profile_text(profile) for name, profile in profiles.items()}
    request = messages.SetStoreProfilesRequest(profiles=texts)
    yield Call.of(f"{SETUP}/SetStoreProfiles", request, messages.SetStoreProfilesResponse)


def store_profile(store_id: str) -> Exchange[StoreProfile]:
    """How one works."""
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    request = messages.GetStoreProfileRequest(store_id=store_id)
    answer: messages.GetStoreProfileResponse = yield Call.of(
        f"{SETUP}/GetStoreProfile", request, messages.GetStoreProfileResponse
    )
    return store_profile_of(answer.profile)


def set_sku_profiles(profiles: Mapping[str, SkuProfile]) -> Exchange[None]:
    """How SKUs are sold."""
    check_each("profiles", profiles, check_sku_profile)
    texts = {name: profile_text(profile) for name, profile in profiles.items()}
    request = messages.SetSkuProfilesRequest(profiles=texts)
    yield Call.of(f"{SETUP}/SetSkuProfiles", request, messages.SetSkuProfilesResponse)


def sku_profile(sku: str) -> Exchange[SkuProfile]:
    """How one is sold."""
    check_known(Fault.UNKNOWN_SKU, "sku", sku)
    request = messages.GetSkuProfileRequest(sku=sku)
    answer: messages.GetSkuProfileResponse = yield Call.of(
        f"{SETUP}/GetSkuProfile", request, messages.GetSkuProfileResponse
    )
    return sku_profile_of(answer.profile)


def set_areas(areas: Mapping[str, Any]) -> Exchange[None]:
    """Service areas. Text is the service's to read; polygons are written here."""
    texts = {
        name: area if isinstance(area, str) and area else geojson_of(name, area)
        for name, area in dict(areas).items()
    }
    request = messages.SetAreasRequest(areas=texts)
    yield Call.of(f"{SETUP}/SetAreas", request, messages.SetAreasResponse)


def areas() -> Exchange[dict[str, str]]:
    """All of them."""
    answer: messages.ListAreasResponse = yield Call.of(
        f"{SETUP}/ListAreas", messages.ListAreasRequest(), messages.ListAreasResponse
    )
    return dict(sorted(answer.areas.items()))


# -- CHANNELS ----------------------------------------------------------------------------------


def set_shares(channel: str, shares: Mapping[str, float]) -> Exchange[None]:
    """What a channel is offered."""
    _check_channel(channel)
    if not isinstance(shares, Mapping):
        refuse(Fault.WRONG_TYPE, "shares", shares, hint="must map store ids to shares")
    sent = {}
    for name, share in shares.items():
        check_known(Fault.UNKNOWN_STORE, f"shares[{name!r}]", name)
        sent[name] = millionths_of(share, f"shares[{name!r}]") / WHOLE
    request = messages.SetSharesRequest(channel=channel, shares=sent)
    yield Call.of(f"{SETUP}/SetShares", request, messages.SetSharesResponse)


def share(store_id: str, channel: str) -> Exchange[float]:
    """What it is offered of one store."""
    _check_channel(channel)
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    request = messages.GetShareRequest(store_id=store_id, channel=channel)
    answer: messages.GetShareResponse = yield Call.of(
        f"{SETUP}/GetShare", request, messages.GetShareResponse
    )
    return answer.share


def set_hidden_skus(channel: str, skus: Iterable[str]) -> Exchange[None]:
    """What it does not sell."""
    _check_channel(channel)
    names = columns.strings("skus", columns.rows("skus", skus))
    request = messages.SetHiddenSkusRequest(channel=channel, skus=names)
    yield from _columnwise(
        Call.of(f"{SETUP}/SetHiddenSkus", request, messages.SetHiddenSkusResponse)
    )


def hidden_skus(channel: str) -> Exchange[list[str]]:
    """What it does not sell now."""
    _check_channel(channel)
    request = messages.ListHiddenSkusRequest(channel=channel)
    answer: messages.ListHiddenSkusResponse = yield Call.of(
        f"{SETUP}/ListHiddenSkus", request, messages.ListHiddenSkusResponse
    )
    return list(answer.skus)


def _check_channel(channel: str) -> None:
    if not is_usable_id(channel):
        refuse(Fault.BAD_ID, "channel", channel, hint=ID_HINT)


# -- STOCK THAT IS NOT SOLD, AND STOCK TO COME -------------------------------------------------


def set_held(
    stores: Column, skus: Column, safety: Column, locked: Column, display: Column
) -> Exchange[None]:
    """What stores keep."""
    parts = {
        name: columns.int32s(name, column).tolist()
        for name, column in (("safety", safety), ("locked", locked), ("display", display))
        if column is not None
    }
    named = columns.strings("stores", stores), columns.strings("skus", skus)
    for name, values in parts.items():
        lengths = (*map(len, named), len(values))
        if len(set(lengths)) > 1:
            field = f"stores, skus, {name}"
            refuse(Fault.RAGGED, field, lengths, hint="must be equally long")
    request = messages.SetHeldRequest(stores=named[0], skus=named[1], **parts)
    yield from _columnwise(Call.of(f"{SETUP}/SetHeld", request, messages.SetHeldResponse))


def held(store_id: str, sku: str) -> Exchange[Held]:
    """What one keeps of one SKU."""
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_known(Fault.UNKNOWN_SKU, "sku", sku)
    request = messages.GetHeldRequest(store_id=store_id, sku=sku)
    answer: messages.GetHeldResponse = yield Call.of(
        f"{SETUP}/GetHeld", request, messages.GetHeldResponse
    )
    return Held(answer.safety, answer.locked, answer.display)


def set_lots(store_id: str, sku: str, lots: Mapping[str, int]) -> Exchange[list[Shortfall]]:
    """How much there is of each sell-by date."""
    check_lots(lots)
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_sku(sku)
    request = messages.SetLotsRequest(store_id=store_id, sku=sku, lots=lots)
    answer: messages.SetLotsResponse = yield Call.of(
        f"{SETUP}/SetLots", request, messages.SetLotsResponse
    )
    return [_shortfall(store_id, sku, answer.shortfall)] if answer.HasField("shortfall") else []


def lots(store_id: str, sku: str) -> Exchange[list[Lot]]:
    """What one store has of one SKU."""
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_known(Fault.UNKNOWN_SKU, "sku", sku)
    request = messages.ListLotsRequest(store_id=store_id, sku=sku)
    answer: messages.ListLotsResponse = yield Call.of(
        f"{SETUP}/ListLots", request, messages.ListLotsResponse
    )
    return [Lot(date=one.date, on_hand=one.on_hand, reserved=one.reserved) for one in answer.lots]


def set_supply(store_id: str, sku: str, date: str, quantity: int) -> Exchange[list[Shortfall]]:
    """What is to arrive."""
    checked_date(date)
    check_quantity(quantity)
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_known(Fault.UNKNOWN_SKU, "sku", sku)
    request = messages.SetSupplyRequest(store_id=store_id, sku=sku, date=date, quantity=quantity)
    answer: messages.SetSupplyResponse = yield Call.of(
        f"{SETUP}/SetSupply", request, messages.SetSupplyResponse
    )
    return [_shortfall(store_id, sku, answer.shortfall)] if answer.HasField("shortfall") else []


def receive_supply(store_id: str, sku: str, date: str) -> Exchange[int]:
    """It has arrived."""
    checked_date(date)
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_known(Fault.UNKNOWN_SKU, "sku", sku)
    request = messages.ReceiveSupplyRequest(store_id=store_id, sku=sku, date=date)
    answer: messages.ReceiveSupplyResponse = yield Call.of(
        f"{SETUP}/ReceiveSupply", request, messages.ReceiveSupplyResponse
    )
    return answer.quantity


def supply(sku: str | None, store_id: str | None) -> Exchange[list[Supply]]:
    """What is to arrive, of all or of some."""
    if sku is not None:
        check_known(Fault.UNKNOWN_SKU, "sku", sku)
    if store_id is not None:
        check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    request = messages.ListSupplyRequest(sku=sku, store_id=store_id)
    answer: messages.ListSupplyResponse = yield Call.of(
        f"{SETUP}/ListSupply", request, messages.ListSupplyResponse
    )
    return [
        Supply(
            store_id=one.store_id,
            sku=one.sku,
            date=one.date,
            quantity=one.quantity,
            reserved=one.reserved,
        )
        for one in answer.supplies
    ]


def _shortfall(
    store_id: str, sku: str, short: messages.LotShortfall | messages.SupplyShortfall
) -> Shortfall:
    return Shortfall(
        store_id=store_id,
        sku=sku,
        on_hand=short.on_hand,
        reserved=short.reserved,
        order_ids=tuple(short.order_ids),
    )


def _columnwise(call: Call) -> Exchange[Any]:
    try:
        return (yield call)
    except FendanError as error:
        raise as_column(error) from None
