"""Which stock updates were applied: the last version of each store, the answer to each key."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fendan.engine.network import ID_HINT, is_usable_id
from fendan.engine.snapshot import Section, corrupt, whole
from fendan.errors import Fault, refuse
from fendan.model import Shortfall, StaleStock, StockUpdate

__all__ = ["Updates", "as_json", "from_json", "usable_version"]

# A sender retries within minutes; this is hours of updates, and some 20 MB.
KEYS_REMEMBERED = 65_536

GREATEST_VERSION = 2**63 - 1

# What a snapshot keeps of them: versions by store code, and the answers as JSON, oldest first.
KINDS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "versioned_stores": (np.dtype(np.int32), ()),
    "versions": (np.dtype(np.int64), ()),
    "answers": (np.dtype(np.uint8), ()),
}


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

    # -- SNAPSHOTS -----------------------------------------------------------------------------

    def sections(self) -> list[Section]:
        """All of it as sections of a snapshot."""
        stores = sorted(self._versions)
        answers = [
            [key, digest.hex(), as_json(answer)] for key, (digest, answer) in self._answers.items()
        ]
        text = json.dumps(answers, separators=(",", ":")).encode()
        return [
            whole("versioned_stores", np.array(stores, dtype=np.int32)),
            whole("versions", np.array([self._versions[s] for s in stores], dtype=np.int64)),
            whole("answers", np.frombuffer(text, dtype=np.uint8)),
        ]

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]], store_count: int) -> Self:
        """What the sections tell of, one array for each of KINDS. Raises for what cannot be."""
        stores, versions = arrays["versioned_stores"], arrays["versions"]
        if len(stores) != len(versions) or not ((stores >= 0) & (stores < store_count)).all():
            corrupt("versioned_stores", len(stores), hint="not one for each version, or no store")
        if (versions < 1).any():
            corrupt("versions", int(versions.min()), hint="must be 1 or more")
        updates = cls()
        updates._versions = dict(zip(stores.tolist(), versions.tolist(), strict=True))
        try:
            for key, digest, answer in json.loads(arrays["answers"].tobytes()):
                updates._answers[str(key)] = bytes.fromhex(digest), from_json(answer)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            corrupt("answers", hint=str(error))
        return updates


def as_json(update: StockUpdate) -> dict[str, Any]:
    """An answer as JSON has it."""
    return {
        "shortfalls": [asdict(shortfall) for shortfall in update.shortfalls],
        "stale": [asdict(stale) for stale in update.stale],
    }


def from_json(answer: dict[str, Any]) -> StockUpdate:
    """The answer that `as_json` wrote."""
    return StockUpdate(
        shortfalls=tuple(
            Shortfall(**row | {"order_ids": tuple(row["order_ids"])})
            for row in answer["shortfalls"]
        ),
        stale=tuple(StaleStock(**row) for row in answer["stale"]),
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
