"""The engine's face for those who write policies: versions, drafted, checked, put into force."""

from fendan.core import Core
from fendan.model import PolicyVersion
from fendan.policy import PolicyBook
from fendan.policy_file import policy_of
from fendan.policy_versions import ACTIVE, NONE, POLICY, Versions, checked_version

__all__ = ["PolicyFace"]


class PolicyFace(Core):
    """The policy file: its versions, and which of them orders are routed under.

    Whatever is refused changes nothing: the version that was in force stays so.
    """

    _versions = Versions({}, NONE, {})
    _book: PolicyBook | None = None
    """Of the version in force; None where there is none."""

    _read: tuple[int, PolicyBook] | None = None
    """The version that is about to be put into force, already read."""

    @staticmethod
    def check_policy(text: str) -> PolicyBook:
        """What the text of a policy file means, without keeping it.

        Raises FileFormatError for what is not TOML and for unknown keys, InvalidInputError for
        everything else, naming the path of the field.
        """
        return policy_of(text)

    def draft_policy(self, text: str) -> int:
        """Check and keep the text of a policy file; returns its version. Nothing else changes.

        A text that is kept already has its version. Raises as `check_policy`.
        """
        policy_of(text)
        with self._command() as command:
            known = self._versions.version_of(text)
            if known is not None:
                return known
            version, changes = self._versions.with_draft(text, command.now_ns)
            self._write_documents(POLICY, changes)
            return version

    def activate_policy(self, version: int) -> None:
        """Route orders under this version from now on; 0: under none, as before the first.

        The switch is between two orders: each is routed under one version. Raises
        UnknownPolicyError.
        """
        read = None
        if checked_version(version) != NONE:
            read = version, policy_of(self.policy_text(version))
        with self._command() as command:
            if version == self._versions.active:
                return
            if version != NONE:
                self._versions.text(version)  # it may have been forgotten meanwhile
            self._read = read
            self._write_documents(ACTIVE, self._versions.with_active(version, command.now_ns))

    def policy_versions(self) -> list[PolicyVersion]:
        """All versions that are kept, the oldest first."""
        with self._command():
            return self._versions.listed()

    def policy_text(self, version: int) -> str:
        """The text of a version, as it was drafted. Raises UnknownPolicyError."""
        with self._command():
            return self._versions.text(version)

    @property
    def active_version(self) -> int:
        """The version that orders are routed under; 0: none."""
        with self._command():
            return self._versions.active

    # -- INSIDE --------------------------------------------------------------------------------

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        if kinds.isdisjoint((POLICY, ACTIVE)):
            return
        before, self._versions = self._versions, Versions.of(self._documents)
        active = self._versions.active
        if active == before.active:
            return
        if active == NONE:
            self._book = None
        elif self._read is not None and self._read[0] == active:
            self._book = self._read[1]
        else:
            self._book = policy_of(self._versions.text(active), where=f"policy {active}")
        self._read = None
        self._policy_changed()

    def _policy_changed(self) -> None:
        """A hook, called under the lock when `_book` is another: for those who route by it."""
