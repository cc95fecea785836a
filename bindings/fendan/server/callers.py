"""Who calls, and which stores they may speak for."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fendan.errors import Fault, refuse

__all__ = ["LOCAL", "Caller", "Scope"]


class Scope(Enum):
    """How far a token reaches; which methods that means is in `access.METHODS`."""

    STORE = "store"
    """The staff and systems of one store: its own stock and orders."""
    REGION = "region"
    """The staff of one region: all of its stores."""
    HEADQUARTERS = "headquarters"
    """Everything."""
    INGEST = "ingest"
    """The services that bring orders in, from every platform."""
    SETTLEMENT = "settlement"
    """The modules that read what was decided."""
    EXCEPTIONS = "exceptions"
    """The desk that looks after orders which nobody fills."""

    @property
    def is_bound(self) -> bool:
        """Whether tokens of this scope belong to one store or one region."""
        return self in (Scope.STORE, Scope.REGION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever holds a token. `of` is the store id or region that it is bound to, else empty."""

    name: str
    scope: Scope
    of: str = ""

    def check_store(
        self, store_id: str, region_of: Callable[[str], str], field: str = "store_id"
    ) -> None:
        """Raise NotAllowedError where the store is outside this caller's scope.

        `region_of` gives a store's region, and may raise UnknownStoreError. An empty `store_id`,
        that of an order without a store, is in no scope that is bound.
        """
        if self.scope is Scope.STORE and store_id != self.of:
            self._refuse(field, store_id)
        if self.scope is Scope.REGION and not (store_id and region_of(store_id) == self.of):
            self._refuse(field, store_id)

    def check_region(self, region: str, field: str = "region") -> None:
        """Raise NotAllowedError where this caller may not act for, or list, this whole region."""
        if self.scope.is_bound and not (self.scope is Scope.REGION and region == self.of):
            self._refuse(field, region)

    def _refuse(self, field: str, value: str) -> None:
        hint = f"the token {self.name!r} is for the {self.scope.value} {self.of!r}"
        refuse(Fault.NOT_ALLOWED, field, value, hint=hint)


# Who calls a server that has no tokens, and listens to its own machine only.
LOCAL = Caller(name="local", scope=Scope.HEADQUARTERS)
