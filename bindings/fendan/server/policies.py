"""PolicyService: the policy file and its versions."""

import asyncio

from fendan.api import Engine
from fendan.policy_messages import policy_version_message
from fendan.server.methods import Context
from fendan.v1 import policy_service_pb2 as messages
from fendan.v1 import policy_service_pb2_grpc

__all__ = ["PolicyService"]


class PolicyService(policy_service_pb2_grpc.PolicyServiceServicer):
    """Keeps one engine's policies. It works beside the lane: reading a file holds up no order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CheckPolicy(  # noqa: N802
        self, request: messages.CheckPolicyRequest, context: Context
    ) -> messages.CheckPolicyResponse:
        """Whether a file could be drafted."""
        book = await asyncio.to_thread(self._engine.check_policy, request.text)
        return messages.CheckPolicyResponse(
            rule_count=len(book.rules),
            channels=book.channels,
            regions=book.regions,
            product_classes=book.product_classes,
        )

    async def DraftPolicy(  # noqa: N802
        self, request: messages.DraftPolicyRequest, context: Context
    ) -> messages.DraftPolicyResponse:
        """Keep a file."""
        version = await asyncio.to_thread(self._engine.draft_policy, request.text)
        return messages.DraftPolicyResponse(version=version)

    async def ActivatePolicy(  # noqa: N802
        self, request: messages.ActivatePolicyRequest, context: Context
    ) -> messages.ActivatePolicyResponse:
        """Put a version into force."""
        await asyncio.to_thread(self._engine.activate_policy, request.version)
        return messages.ActivatePolicyResponse()

    async def GetPolicy(  # noqa: N802
        self, request: messages.GetPolicyRequest, context: Context
    ) -> messages.GetPolicyResponse:
        """The file of a version."""
        text = await asyncio.to_thread(self._engine.policy_text, request.version)
        return messages.GetPolicyResponse(text=text)

    async def ListPolicies(  # noqa: N802
        self, request: messages.ListPoliciesRequest, context: Context
    ) -> messages.ListPoliciesResponse:
        """All versions."""
        versions = await asyncio.to_thread(self._engine.policy_versions)
        return messages.ListPoliciesResponse(versions=map(policy_version_message, versions))
