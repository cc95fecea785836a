"""The engine's face for what it should know of stores and SKUs beside places and counts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fendan.catalogue import PLAIN, SKU, Catalogue
from fendan.core import Core
from fendan.documents import texts_of
from fendan.engine import limits
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, refuse
from fendan.hours import path
from fendan.profile_checks import check_bundles, check_sku_profile, check_store_profile
from fendan.profile_text import profile_text, store_profile_of
from fendan.profiles import SkuProfile, StoreProfile

__all__ = ["STORE", "ProfileFace", "check_each"]

STORE = "store"
NO_ROWS = np.empty(0, dtype=np.int32)
PLAIN_STORE = StoreProfile()


class ProfileFace(Core):
    """Profiles of stores and of SKUs; each says all of itself, and takes the place of the last."""

    _store_profiles: Mapping[str, StoreProfile] = {}

    def set_sku_profiles(self, profiles: Mapping[str, SkuProfile]) -> None:
        """Set how SKUs are sold; SKUs that are not known, parts included, are from now on.

        `pieces_per_unit` counts for stock that is set later, and so may change only while there is
        nothing of the SKU. Parts may be set once, for a SKU that no remembered order asks for, and
        then never change: orders are remembered by their parts, and a retry must find them. Raises
        a FendanError that names the field by its path, such as ``profiles.kit.parts.tea``.
        """
        check_each("profiles", profiles, check_sku_profile)
        with self._command():
            said = {name: profile for name, profile in profiles.items() if profile != PLAIN}
            kept = {n: p for n, p in self._catalogue.profiles.items() if n not in profiles}
            after = Catalogue({}, {**kept, **said})
            self._check_catalogue(profiles, after)
            self._name_skus([*profiles, *(part for p in profiles.values() for part in p.parts)])
            self._set_thresholds(profiles)
            texts = {n: profile_text(said[n]) if n in said else "" for n in profiles}
            self._write_documents(SKU, texts)

    def sku_profile(self, sku: str) -> SkuProfile:
        """How a SKU is sold; `SkuProfile()` where it was never said. Raises UnknownSkuError."""
        with self._command():
            self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", sku)
            return self._catalogue.profile(sku)

    def set_store_profiles(self, profiles: Mapping[str, StoreProfile]) -> None:
        """Set how stores work. Raises UnknownStoreError, or what names the field by its path."""
        check_each("profiles", profiles, check_store_profile)
        with self._command():
            for name in profiles:
                if name not in self._network.code_of:
                    refuse(Fault.UNKNOWN_STORE, path("profiles", name), name)
            texts = {n: "" if p == PLAIN_STORE else profile_text(p) for n, p in profiles.items()}
            self._write_documents(STORE, texts)

    def store_profile(self, store_id: str) -> StoreProfile:
        """How a store works; `StoreProfile()` where it was never said. Raises UnknownStoreError."""
        with self._command():
            self._store_code(store_id)
            return self._store_profiles.get(store_id, PLAIN_STORE)

    # -- INSIDE --------------------------------------------------------------------------------

    def _check_catalogue(self, profiles: Mapping[str, SkuProfile], after: Catalogue) -> None:
        """Refuse what does not go together with the other profiles, with stock or with orders."""
        check_bundles(after.profiles, "profiles")
        after.check_abilities("profiles")
        assert after.parts is not None  # which refuses bundles of too many pieces
        become = []
        for name, profile in profiles.items():
            before, code = self._catalogue.profile(name), self._stock.sku_code_of.get(name)
            changed = dict(profile.parts) != dict(before.parts)
            if changed and before.parts:
                hint = "parts stay what they are; sell other parts as another SKU"
                refuse(Fault.OUT_OF_RANGE, path("profiles", name, "parts"), name, hint=hint)
            if code is None:
                continue
            if changed:
                become.append((name, code))
            is_same = profile.pieces_per_unit == before.pieces_per_unit
            if not is_same and self._stock.totals_of(code) != (0, 0):
                field, hint = path("profiles", name, "pieces_per_unit"), "there is stock of it"
                refuse(Fault.OUT_OF_RANGE, field, profile.pieces_per_unit, hint=hint)
        if become:
            wanted = np.zeros(len(self._stock.skus), dtype=np.uint8)
            wanted[[code for _, code in become]] = 1
            if self._orders.ask_for(wanted):
                field, hint = path("profiles", become[0][0], "parts"), "orders ask for it already"
                refuse(Fault.OUT_OF_RANGE, field, become[0][0], hint=hint)

    def _name_skus(self, names: list[str]) -> None:
        """Take those of the names that are not known into the catalogue."""
        code_of = self._stock.sku_code_of
        new = [name for name in dict.fromkeys(names) if name not in code_of]
        if new:
            self._stock.check(NO_ROWS, NO_ROWS, NO_ROWS, len(self._stock.skus) + len(new))
            self._set_on_hand(NO_ROWS, NO_ROWS, NO_ROWS, new)

    def _set_thresholds(self, profiles: Mapping[str, SkuProfile]) -> None:
        rows = []
        for name, profile in profiles.items():
            before = self._catalogue.profile(name)
            after = (profile.off_below, profile.on_from)
            if after != (before.off_below, before.on_from):
                code = self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", name)
                rows.append((code, *after))
        if self._journal is not None and rows:
            events = self._journal.begin(0, 0, len(rows))
            for row in rows:
                events.thresholds(*row)
        for row in rows:
            limits.set_thresholds(self._stock, *row)

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        if SKU in kinds:
            self._catalogue = Catalogue.of(self._documents, self._catalogue)
            self._bundles = self._catalogue.bundles(self._stock.sku_code_of)
            self._per_unit = None
            if self._catalogue.has_units:
                self._per_unit = self._catalogue.arrays(self._stock.sku_code_of).pieces_per_unit
        if STORE in kinds:
            self._store_profiles = {
                name: store_profile_of(text)
                for name, text in texts_of(self._documents, STORE).items()
            }


def check_each(field: str, profiles: Any, check: Any) -> None:
    """Refuse what maps no ids to profiles, and profiles that `check` refuses."""
    if not isinstance(profiles, Mapping):
        refuse(Fault.WRONG_TYPE, field, profiles, hint="must map ids to profiles")
    for name, profile in profiles.items():
        if not is_usable_id(name):
            refuse(Fault.BAD_ID, field, name, hint=ID_HINT)
        check(profile, path(field, name))
