"""Versions of the policy file as protobuf messages, and back."""

from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from fendan.model import PolicyState, PolicyVersion
from fendan.times import NS_PER_S
from fendan.v1 import policy_service_pb2 as messages

__all__ = ["policy_version_message", "policy_version_of"]


def policy_version_message(version: PolicyVersion) -> messages.PolicyVersion:
    """A version for ListPolicies."""
    activated_ns = version.activated_ns
    return messages.PolicyVersion(
        version=version.version,
        state=cast(messages.PolicyState, version.state),
        draft_time=_time(version.drafted_ns),
        activate_time=None if activated_ns is None else _time(activated_ns),
    )


def policy_version_of(message: messages.PolicyVersion) -> PolicyVersion:
    """The version of a message."""
    is_known = message.HasField("activate_time")
    return PolicyVersion(
        version=message.version,
        state=PolicyState(message.state),
        drafted_ns=_ns(message.draft_time),
        activated_ns=_ns(message.activate_time) if is_known else None,
    )


def _time(time_ns: int) -> Timestamp:
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def _ns(time: Timestamp) -> int:
    return time.seconds * NS_PER_S + time.nanos
