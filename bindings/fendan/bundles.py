"""Bundles: SKUs that are sold as their parts. An order's line of one becomes lines of its parts.

What was paid for the bundle is shared over its parts in proportion to their pieces, rounded down;
what is left of it goes to the first part. Parts stand in the order of their names.

What a bundle's own profile asks for, or that of a bundle in it, counts for all of the order.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.batch import Batch
from fendan.engine.merging import merged
from fendan.engine.place import field_of, row_of
from fendan.errors import Fault, refuse
from fendan.hours import path
from fendan.profiles import SkuProfile

__all__ = ["Bundles", "flat_parts"]

MOST = 2**31 - 1
MOST_LINES = 10_000

Parts = dict[str, int]


def flat_parts(profiles: Mapping[str, SkuProfile], field: str) -> dict[str, Parts]:
    """Of each bundle, how many pieces of each SKU that is none; by name.

    The profiles must have been checked (`check_bundles`). Raises QuantityOverflowError for a bundle
    of more pieces than can be counted.
    """
    flat: dict[str, Parts] = {}

    def opened(name: str) -> Parts:
        if name not in flat:
            pieces: Parts = {}
            for part, count in sorted(profiles[name].parts.items()):
                inner = opened(part) if part in profiles and profiles[part].parts else {part: 1}
                for sku, each in inner.items():
                    pieces[sku] = pieces.get(sku, 0) + count * each
            total = sum(pieces.values())
            if total > MOST:
                hint = f"it has {total:,} pieces; at most {MOST:,}"
                refuse(Fault.OVERFLOW, path(field, name, "parts"), total, hint=hint)
            flat[name] = dict(sorted(pieces.items()))
        return flat[name]

    for name, profile in profiles.items():
        if profile.parts:
            opened(name)
    return flat


class Bundles:
    """The parts of all bundles by SKU code; not to be changed.

    The parts of SKU code s are `_parts[_first[s]:_first[s + 1]]`; a SKU that is none has none.
    `to_outer`: int32[n, 2], from each bundle to each it is in. `arrays`: what the core reads.
    """

    def __init__(
        self, parts_of: Mapping[int, Mapping[int, int]], to_outer: Iterable[tuple[int, int]] = ()
    ) -> None:
        counts = np.zeros(max(parts_of) + 1, dtype=np.int64)
        for code, parts in parts_of.items():
            counts[code] = len(parts)
        self._first = np.concatenate([[0], np.cumsum(counts)])
        rows = [pair for _, parts in sorted(parts_of.items()) for pair in parts.items()]
        self._parts, self._pieces = np.array(rows, dtype=np.int64).reshape(-1, 2).T.copy()
        self.parts_of = parts_of
        self.to_outer = np.array(list(to_outer), dtype=np.int32).reshape(-1, 2)
        self.arrays = {
            "bundles": np.array(sorted(parts_of), dtype=np.int32),
            "bundle_first": self._first,
            "bundle_parts": self._parts,
            "bundle_pieces": self._pieces,
        }

    def opened(self, batch: Batch, asks: Mapping[str, Any] | None = None) -> Batch:
        """The batch with each line of a bundle as lines of its parts; refuses what overflows.

        `asks`: what SKUs ask for under a policy, as the arrays of Rules.
        """
        arrays = batch.lines_as_arrays
        skus = arrays["skus"].astype(np.int64)
        known = np.minimum(skus, len(self._first) - 2)
        counts = np.where(skus == known, np.diff(self._first)[known], 0)
        if not counts.any():
            return batch
        is_bundle = counts > 0
        ends = np.cumsum(np.maximum(counts, 1))
        line = np.repeat(np.arange(len(skus)), np.maximum(counts, 1))
        place = np.arange(len(line)) - (ends - np.maximum(counts, 1))[line]
        part = np.where(is_bundle, self._first[known], 0)[line] + place
        part = np.where(is_bundle[line], part, 0)
        quantities = arrays["quantities"].astype(np.int64)[line]
        pieces = np.where(is_bundle[line], self._pieces[part], 1)
        offsets = np.concatenate([[0], ends])[arrays["offsets"]]
        self._check(batch, offsets, quantities * pieces)
        lines = {
            "offsets": offsets,
            "skus": np.where(is_bundle[line], self._parts[part], skus[line]).astype(np.int32),
            "quantities": (quantities * pieces).astype(np.int32),
        }
        if "amounts" in arrays:
            amounts = arrays["amounts"][: len(skus)]
            lines["amounts"] = _shared(amounts, line, place, pieces)
        if asks is not None:
            lines["asked"] = _asked(batch, np.flatnonzero(is_bundle), asks)
            lines["asked_rows"] = np.arange(len(batch), dtype=np.int32)  # each its own
        joined = merged(lines, batch.style)
        self._check_lines(batch, joined["offsets"])
        return batch.with_lines(joined)

    def _check(
        self, batch: Batch, offsets: NDArray[np.int64], quantities: NDArray[np.int64]
    ) -> None:
        bad = np.flatnonzero(quantities > MOST)
        if len(bad):
            row = int(np.searchsorted(offsets, bad[0], side="right")) - 1
            field = field_of("quantities", "lines", batch.style, row)
            hint = f"so many pieces would be in a bundle; at most {MOST:,} of one SKU"
            refuse(Fault.OVERFLOW, field, int(quantities[bad[0]]), row=_row(batch, row), hint=hint)

    def _check_lines(self, batch: Batch, offsets: NDArray[np.int64]) -> None:
        counts = np.diff(offsets)
        row = int(np.argmax(counts))
        if counts[row] > MOST_LINES:
            field = field_of("offsets", "lines", batch.style, row)
            hint = f"at most {MOST_LINES:,} lines an order, bundles as their parts"
            refuse(Fault.OUT_OF_RANGE, field, int(counts[row]), row=_row(batch, row), hint=hint)


def _asked(batch: Batch, lines: NDArray[np.int64], asks: Mapping[str, Any]) -> NDArray[Any]:
    """What orders ask for, with what their bundles do, which stand in these lines."""
    assert batch.asked is not None, "there is a policy, which asks"
    asked: NDArray[Any] = batch.asked.copy()
    skus = batch.lines_as_arrays["skus"][lines]
    row = np.searchsorted(batch.lines_as_arrays["offsets"], lines, side="right") - 1
    if "needs_of" in asks:
        np.bitwise_or.at(asked["bundle_needs"], row, asks["needs_of"][skus])
    if "class_sets_of" in asks:
        np.bitwise_or.at(asked["bundle_classes"], row, asks["class_sets_of"][skus])
    np.maximum.at(asked["bundle_life_days"], row, asks["least_life_days"][skus])
    if asks["hidden"] is not None:
        channel = asked["channel"][row]
        known = (channel >= 0) & (channel < len(asks["hidden"]))
        hidden = np.where(known, asks["hidden"][np.where(known, channel, 0), skus], 0)
        np.bitwise_or.at(asked["bundle_hidden"], row, hidden.astype(np.uint8))
    return asked


def _shared(
    amounts: NDArray[np.int64],
    line: NDArray[np.int64],
    place: NDArray[np.int64],
    pieces: NDArray[np.int64],
) -> NDArray[np.int64]:
    """What is paid for each part; all of a line's together what was paid for the line."""
    total = np.bincount(line, weights=pieces, minlength=len(amounts)).astype(np.int64)
    whole, rest = np.divmod(amounts, total)
    shares = whole[line] * pieces + rest[line] * pieces // total[line]
    left = amounts - np.bincount(line, weights=shares, minlength=len(amounts)).astype(np.int64)
    return np.where(place == 0, shares + left[line], shares)


def _row(batch: Batch, row: int) -> int | None:
    return row_of(batch.style, row)
