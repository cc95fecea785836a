"""What part of a store's stock a channel is offered, and what it does not sell at all.

Kept as two documents a channel: of kind "share", store ids and shares in whole millionths, without
those that are whole; of kind "hidden", a list of SKUs. No document: all of everything.
"""

import json
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.documents import Documents, texts_of
from fendan.engine.names import Names
from fendan.errors import Fault, refuse

__all__ = ["HIDDEN", "SHARE", "WHOLE", "ShareArrays", "Shares", "millionths_of"]

SHARE, HIDDEN = "share", "hidden"
WHOLE = 1_000_000


class ShareArrays(NamedTuple):
    """For the core: a row a channel, by codes; None where all is whole, or nothing hidden."""

    millionths: NDArray[np.int32] | None
    hidden: NDArray[np.uint8] | None


class Shares:
    """Shares and hidden SKUs by channel, as the documents say; not to be changed."""

    def __init__(self, documents: Documents) -> None:
        self.shares: dict[str, dict[str, int]] = _read(documents, SHARE)
        self.hidden: dict[str, list[str]] = _read(documents, HIDDEN)

    @property
    def channels(self) -> list[str]:
        """The channels that any of it is about, in the order of their names."""
        return sorted(self.shares.keys() | self.hidden.keys())

    def millionths(self, store_id: str, channel: str) -> int:
        """One share, 0 to WHOLE."""
        return self.shares.get(channel, {}).get(store_id, WHOLE)

    def arrays(
        self,
        channels: Sequence[str],
        store_code_of: Mapping[str, int],
        store_count: int,
        sku_code_of: Names,
    ) -> ShareArrays:
        """For channels by code: int32[channel, store code], uint8[channel, SKU code].

        Stores and SKUs that are not there any more are left out.
        """
        millionths = hidden = None
        for row, channel in enumerate(channels):
            for store_id, share in self.shares.get(channel, {}).items():
                if store_id in store_code_of:
                    if millionths is None:
                        millionths = np.full((len(channels), store_count), WHOLE, dtype=np.int32)
                    millionths[row, store_code_of[store_id]] = share
            for sku in self.hidden.get(channel, ()):
                code = sku_code_of.get(sku)
                if code is not None:
                    if hidden is None:
                        hidden = np.zeros((len(channels), len(sku_code_of)), dtype=np.uint8)
                    hidden[row, code] = 1
        return ShareArrays(millionths, hidden)

    def with_shares(self, channel: str, shares: Mapping[str, int]) -> str:
        """The text of the channel's shares once these are set, "" where all are whole."""
        merged = {**self.shares.get(channel, {}), **shares}
        kept = {name: share for name, share in sorted(merged.items()) if share != WHOLE}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""


def millionths_of(share: float, field: str) -> int:
    """A share from 0 to 1 in whole millionths. Raises InvalidInputError naming the field."""
    hint = "must be a share from 0 to 1"
    if not isinstance(share, Real) or isinstance(share, bool):
        refuse(Fault.WRONG_TYPE, field, share, hint=hint)
    if not 0 <= share <= 1:
        refuse(Fault.OUT_OF_RANGE, field, share, hint=hint)
    return round(float(share) * WHOLE)


def _read(documents: Documents, kind: str) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in texts_of(documents, kind).items()}
