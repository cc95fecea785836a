"""What a client says to the service about policies: as `fendan.calls`, for PolicyService.

Every call may be made again: the same text is the same version, and one version is in force.
"""

from fendan.channel import Call, Exchange
from fendan.errors import Fault, refuse
from fendan.model import PolicyVersion
from fendan.policy import PolicyBook
from fendan.policy_file import checked_text, policy_of
from fendan.policy_messages import policy_version_of
from fendan.policy_versions import checked_version
from fendan.v1 import policy_service_pb2 as messages

__all__ = ["activate_policy", "check_policy", "draft_policy", "policy_text", "policy_versions"]

POLICIES = "/fendan.v1.PolicyService"
MOST_VERSION = 2**63 - 1


def check_policy(text: str) -> Exchange[PolicyBook]:
    """The service says whether it would take it; what it means, this release knows as well."""
    request = messages.CheckPolicyRequest(text=checked_text(text))
    yield Call.of(f"{POLICIES}/CheckPolicy", request, messages.CheckPolicyResponse)
    return policy_of(text)


def draft_policy(text: str) -> Exchange[int]:
    """Keep it."""
    request = messages.DraftPolicyRequest(text=checked_text(text))
    answer: messages.DraftPolicyResponse = yield Call.of(
        f"{POLICIES}/DraftPolicy", request, messages.DraftPolicyResponse
    )
    return answer.version


def activate_policy(version: int) -> Exchange[None]:
    """Put it into force."""
    request = messages.ActivatePolicyRequest(version=_sendable(version))
    yield Call.of(f"{POLICIES}/ActivatePolicy", request, messages.ActivatePolicyResponse)


def policy_text(version: int) -> Exchange[str]:
    """Its text."""
    request = messages.GetPolicyRequest(version=_sendable(version))
    answer: messages.GetPolicyResponse = yield Call.of(
        f"{POLICIES}/GetPolicy", request, messages.GetPolicyResponse
    )
    return answer.text


def policy_versions() -> Exchange[list[PolicyVersion]]:
    """All of them."""
    answer: messages.ListPoliciesResponse = yield Call.of(
        f"{POLICIES}/ListPolicies", messages.ListPoliciesRequest(), messages.ListPoliciesResponse
    )
    return list(map(policy_version_of, answer.versions))


def _sendable(version: int) -> int:
    """A version that there may be; what no message holds is none."""
    if abs(checked_version(version)) > MOST_VERSION:
        refuse(Fault.UNKNOWN_POLICY, "version", version)
    return version
