"""Which stock updates were applied: the last version of each store, the answer to each key."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, refuse
from fendan.model import Shortfall, StaleStock, StockUpdate

__all__ = ["Updates", "as_text", "of_text", "usable_version"]

# A sender retries within minutes; this is hours of updates, and some 20 MB.
KEYS_REMEMBERED = 65_536

GREATEST_VERSION = 2**63 - 1


class Updates:
    """Versions and idempotency keys; the caller holds the lock."""

    def __init__(self) -> None:
        self._versions: dict[int, int] = {}
        self._answers: OrderedDict[str, tuple[bytes, StockUpdate]] = OrderedDict()

    def version(self, store: int) -> int:
        """The last version applied to a store, by code; 0 where none ever was."""
        return self._versions.get(store, 0)

    def applied(self, versions: Mapping[int, int]) -> None:
        """These versions are now the last, where they are newer."""
        for store, version in versions.items():
            self._versions[store] = max(version, self.version(store))

    def checked(self, versions: Mapping[str, int], code_of: Mapping[str, int]) -> dict[int, int]:
        """Versions by store code. Raises for an unknown store, or what is no version."""
        if not isinstance(versions, Mapping):
            refuse(Fault.WRONG_TYPE, "versions", versions, hint="must map store ids to versions")
        checked: dict[int, int] = {}
        for name, version in versions.items():
            code = code_of.get(name)
            if code is None:
                refuse(Fault.UNKNOWN_STORE, "versions", name)
            checked[code] = usable_version(name, version)
        return checked

    def stale(self, versions: Mapping[int, int], store_ids: list[str]) -> dict[int, StaleStock]:
        """The stores, by code, to which a newer version was applied."""
        return {
            store: StaleStock(
                store_id=store_ids[store], version=version, last_version=self.version(store)
            )
            for store, version in versions.items()
            if version < self.version(store)
        }

    def first(self, key: str, content: tuple[Any, ...]) -> tuple[bytes, StockUpdate | None]:
        """What the key stands for, and the answer it got, if it came before.

        Raises InvalidInputError for what is no key, KeyConflictError for other content.
        """
        if not is_usable_id(key):
            refuse(Fault.BAD_ID, "key", key, hint=ID_HINT)
        digest = _digest(content)
        if key not in self._answers:
            return digest, None
        before, answer = self._answers[key]
        if before != digest:
            refuse(Fault.KEY_CONFLICT, "key", key)
        return digest, answer

    def remember(self, key: str, digest: bytes, answer: StockUpdate) -> None:
        """This is what the key got; of many keys the oldest is forgotten."""
        self._answers[key] = digest, answer
        if len(self._answers) > KEYS_REMEMBERED:
            self._answers.popitem(last=False)


def as_text(answer: StockUpdate) -> bytes:
    """An answer as JSON."""
    return json.dumps(asdict(answer), separators=(",", ":"), ensure_ascii=False).encode()


def of_text(text: bytes) -> StockUpdate:
    """What `as_text` wrote."""
    fields = json.loads(text)
    return StockUpdate(
        shortfalls=tuple(
            Shortfall(**{**one, "order_ids": tuple(one["order_ids"])})
            for one in fields["shortfalls"]
        ),
        stale=tuple(StaleStock(**one) for one in fields["stale"]),
    )


def usable_version(store_id: str, version: int) -> int:
    """The version that a caller gave for a store. Raises InvalidInputError for what is none."""
    field, hint = f"versions[{store_id!r}]", "must be a whole number from 1"
    if not isinstance(version, Integral):
        refuse(Fault.WRONG_TYPE, field, version, hint=hint)
    if not 1 <= version <= GREATEST_VERSION:
        refuse(Fault.OUT_OF_RANGE, field, version, hint=hint)
    return int(version)


def _digest(content: tuple[Any, ...]) -> bytes:
    """One number for what was asked; columns by their bytes."""
    digest = blake2b(digest_size=16)
    for part in content:
        value: NDArray[Any] | str = part if isinstance(part, np.ndarray) else repr(part)
        data = value.tobytes() if isinstance(value, np.ndarray) else value.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()
