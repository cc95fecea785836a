"""The compiled client (`fendan.engine.traffic`): one thread, nothing in Python a message."""

import numpy as np
from numpy.typing import NDArray

from fendan.channel import Tls
from fendan.engine import link, traffic
from fendan.load.messages import Messages
from fendan.load.sending import Came, Target, Watch
from fendan.times import NS_PER_S

__all__ = ["send"]


def send(
    target: Target,
    messages: Messages,
    due_ns: NDArray[np.int64],
    patience_s: float,
    watch: Watch | None,
) -> Came:
    """As `sending.send`."""
    last_s = int(due_ns[-1]) / NS_PER_S if len(due_ns) else 0.0
    with traffic.Traffic(
        target.address,
        connections=target.connections,
        streams=target.streams,
        tls=None if target.tls is None else _tls(target.address, target.tls),
        token=target.token,
        open_s=patience_s,
    ) as roads:
        outcome = roads.send(
            target.call.method,
            messages.data,
            messages.offsets,
            due_ns=due_ns,
            deadline_s=last_s + patience_s,
            keep_answers=True,
            watch=watch,
        )
    return Came(
        latencies_ns=outcome.latencies_ns,
        statuses=outcome.statuses,
        said=outcome.said,
        lost=outcome.lost,
        answers=outcome.answers,
    )


def _tls(address: str, tls: Tls) -> link.Tls:
    host = address.rpartition(":")[0].strip("[]")
    return link.Tls.client(host, ca=tls.ca, certificate=tls.certificate, key=tls.key)
