"""The versions of the policy file, as an engine keeps them: two kinds of documents.

    policy         by version: {"drafted_ns": 1767240000000000000, "text": "default_type = …"}
    policy-active  "active":   {"version": 3, "activated_ns": {"1": …, "3": …}}

A text is the same version however often it is drafted. Of very many the oldest are forgotten, but
never the one in force; in the journal they are found for as long as it is kept.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from fendan.documents import Documents, texts_of
from fendan.errors import Fault, refuse
from fendan.model import PolicyState, PolicyVersion

__all__ = ["ACTIVE", "MOST_VERSIONS", "NONE", "POLICY", "Draft", "Versions", "checked_version"]

POLICY = "policy"
ACTIVE = "policy-active"
ACTIVE_NAME = "active"
NONE_ACTIVE = '{"version": 0, "activated_ns": {}}'

# A change each week for four years.
MOST_VERSIONS = 200

# No policy: what there is before the first is activated, and may be chosen again.
NONE = 0


class Draft(NamedTuple):
    """A text, and when it came."""

    drafted_ns: int
    text: str


class Versions(NamedTuple):
    """What the documents say. `activated_ns`: when each was last put into force."""

    drafts: Mapping[int, Draft]
    active: int
    activated_ns: Mapping[int, int]

    @classmethod
    def of(cls, documents: Documents) -> "Versions":
        """Those of an engine that keeps these documents. Raises CorruptJournalError."""
        try:
            drafts = {
                int(name): Draft(**json.loads(text))
                for name, text in texts_of(documents, POLICY).items()
            }
            content = json.loads(documents.get((ACTIVE, ACTIVE_NAME), NONE_ACTIVE))
            active, times = content["version"], content["activated_ns"]
            if active != NONE and active not in drafts:
                raise ValueError(f"version {active} is in force, and not kept")
            activated_ns = {int(version): ns for version, ns in times.items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            refuse(Fault.CORRUPT, f"documents.{POLICY}", hint=str(error))
        return cls(dict(sorted(drafts.items())), active, activated_ns)

    def version_of(self, text: str) -> int | None:
        """The version that this text is; None where it is new."""
        return next((one for one, draft in self.drafts.items() if draft.text == text), None)

    def text(self, version: int) -> str:
        """The text of a version. Raises UnknownPolicyError, WrongTypeError."""
        if checked_version(version) not in self.drafts:
            known = f"known are {min(self.drafts)} to {max(self.drafts)}" if self.drafts else ""
            refuse(Fault.UNKNOWN_POLICY, "version", version, hint=known or "there is none yet")
        return self.drafts[version].text

    def listed(self) -> list[PolicyVersion]:
        """All of them, the oldest first."""
        return [
            PolicyVersion(
                version=version,
                state=self._state(version),
                drafted_ns=draft.drafted_ns,
                activated_ns=self.activated_ns.get(version),
            )
            for version, draft in self.drafts.items()
        ]

    def _state(self, version: int) -> PolicyState:
        if version == self.active:
            return PolicyState.ACTIVE
        return PolicyState.RETIRED if version in self.activated_ns else PolicyState.DRAFT

    # -- CHANGES -------------------------------------------------------------------------------

    def with_draft(self, text: str, now_ns: int) -> tuple[int, dict[str, str]]:
        """A new version, and the documents of the kind POLICY that change with it."""
        version = max(self.drafts, default=NONE) + 1
        draft = Draft(now_ns, text)._asdict()
        changes = {str(version): json.dumps(draft, ensure_ascii=False, separators=(",", ":"))}
        if len(self.drafts) >= MOST_VERSIONS:
            changes[str(next(one for one in self.drafts if one != self.active))] = ""
        return version, changes

    def with_active(self, version: int, now_ns: int) -> dict[str, str]:
        """The document of the kind ACTIVE once this version, or NONE, is in force."""
        times = {one: ns for one, ns in self.activated_ns.items() if one in self.drafts}
        if version != NONE:
            times[version] = now_ns
        content = {"version": version, "activated_ns": dict(sorted(times.items()))}
        return {ACTIVE_NAME: json.dumps(content, separators=(",", ":"))}


def checked_version(version: int) -> int:
    """What may be the number of a version. Raises WrongTypeError."""
    if isinstance(version, bool) or not isinstance(version, int):
        refuse(Fault.WRONG_TYPE, "version", version, hint="must be a whole number")
    return version
