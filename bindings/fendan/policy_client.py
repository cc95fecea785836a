"""What both clients do about policies: their conversations are in `policy_calls`."""

from abc import ABC, abstractmethod
from typing import TypeVar

from fendan import policy_calls
from fendan.channel import Exchange
from fendan.model import PolicyVersion
from fendan.policy import PolicyBook

__all__ = ["AioPolicyClient", "PolicyClient"]

T = TypeVar("T")


class PolicyClient(ABC):
    """The policy file and its versions, for threads."""

    @abstractmethod
    def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    def check_policy(self, text: str, *, timeout_s: float | None = None) -> PolicyBook:
        """What the text of a policy file means, if the service takes it; nothing is kept."""
        return self._do(policy_calls.check_policy(text), timeout_s)

    def draft_policy(self, text: str, *, timeout_s: float | None = None) -> int:
        """Check and keep the text of a policy file; returns its version, which is not in force."""
        return self._do(policy_calls.draft_policy(text), timeout_s)

    def activate_policy(self, version: int, *, timeout_s: float | None = None) -> None:
        """Route orders under this version from now on; 0: under none, as before the first."""
        return self._do(policy_calls.activate_policy(version), timeout_s)

    def policy_versions(self, *, timeout_s: float | None = None) -> list[PolicyVersion]:
        """All versions that are kept, the oldest first."""
        return self._do(policy_calls.policy_versions(), timeout_s)

    def policy_text(self, version: int, *, timeout_s: float | None = None) -> str:
        """The text of a version, as it was drafted."""
        return self._do(policy_calls.policy_text(version), timeout_s)


class AioPolicyClient(ABC):
    """The policy file and its versions, for asyncio."""

    @abstractmethod
    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    async def check_policy(self, text: str, *, timeout_s: float | None = None) -> PolicyBook:
        """What the text of a policy file means, if the service takes it; nothing is kept."""
        return await self._do(policy_calls.check_policy(text), timeout_s)

    async def draft_policy(self, text: str, *, timeout_s: float | None = None) -> int:
        """Check and keep the text of a policy file; returns its version, which is not in force."""
        return await self._do(policy_calls.draft_policy(text), timeout_s)

    async def activate_policy(self, version: int, *, timeout_s: float | None = None) -> None:
        """Route orders under this version from now on; 0: under none, as before the first."""
        return await self._do(policy_calls.activate_policy(version), timeout_s)

    async def policy_versions(self, *, timeout_s: float | None = None) -> list[PolicyVersion]:
        """All versions that are kept, the oldest first."""
        return await self._do(policy_calls.policy_versions(), timeout_s)

    async def policy_text(self, version: int, *, timeout_s: float | None = None) -> str:
        """The text of a version, as it was drafted."""
        return await self._do(policy_calls.policy_text(version), timeout_s)
