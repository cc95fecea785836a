"""The engine's face for what each channel is offered of the stock."""

import json
from collections.abc import Iterable, Mapping

from fendan import columns
from fendan.core import Core
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, in_words, refuse
from fendan.shares import HIDDEN, SHARE, WHOLE, Shares, millionths_of

__all__ = ["ShareFace"]


class ShareFace(Core):
    """Shares by store and channel, and SKUs that a channel does not sell."""

    _shares = Shares({})

    def set_shares(self, channel: str, shares: Mapping[str, float]) -> None:
        """Set what part of these stores' stock a channel is offered, 0 to 1, by store id.

        Of `n` pieces that could be sold, the channel is offered the whole ones of ``share * n``,
        where a share counts in whole millionths. 0: the store's stock is not counted for that
        channel; 1, as for everything that was never set: all of it. Other stores' shares stay.
        Raises UnknownStoreError, InvalidInputError.
        """
        _check_channel(channel)
        if not isinstance(shares, Mapping):
            refuse(Fault.WRONG_TYPE, "shares", shares, hint="must map store ids to shares")
        checked = {}
        for store_id, share in shares.items():
            checked[store_id] = millionths_of(share, f"shares[{in_words(store_id)}]")
        with self._command():
            for store_id in checked:
                if not isinstance(store_id, str) or store_id not in self._network.code_of:
                    refuse(Fault.UNKNOWN_STORE, f"shares[{in_words(store_id)}]", store_id)
            self._write_documents(SHARE, {channel: self._shares.with_shares(channel, checked)})

    def share(self, store_id: str, channel: str) -> float:
        """What part of a store's stock a channel is offered, 0 to 1. Raises UnknownStoreError."""
        _check_channel(channel)
        with self._command():
            self._store_code(store_id)
            return self._shares.millionths(store_id, channel) / WHOLE

    def set_hidden_skus(self, channel: str, skus: Iterable[str]) -> None:
        """Set which SKUs a channel does not sell at all; those of an earlier call are sold again.

        Raises UnknownSkuError, InvalidInputError.
        """
        _check_channel(channel)
        names = columns.rows("skus", skus)
        with self._command():
            self._skus_named(names)
            texts = sorted(set(names))
            text = json.dumps(texts, ensure_ascii=False, separators=(",", ":")) if texts else ""
            self._write_documents(HIDDEN, {channel: text})

    def hidden_skus(self, channel: str) -> list[str]:
        """The SKUs that a channel does not sell, in the order of their names."""
        _check_channel(channel)
        with self._command():
            return list(self._shares.hidden.get(channel, ()))

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        if not kinds.isdisjoint((SHARE, HIDDEN)):
            self._shares = Shares(self._documents)


def _check_channel(channel: str) -> None:
    if not is_usable_id(channel):
        refuse(Fault.BAD_ID, "channel", channel, hint=ID_HINT)
