"""A native door in a process of its own, whose engine answers each request with itself.

python tests/door_echo.py         prints its port, and serves until its input ends
"""

import sys
import threading

from door_client import METHODS
from fendan.engine.door import Door, DoorLimits

MIB = 1024 * 1024

# Small enough to be reached by a test.
LIMITS = DoorLimits(
    message_bytes=4 * MIB,
    concurrent_streams=100,
    queue_requests=1_000,
    queue_bytes=32 * MIB,
    connections=2_000,
    header_timeout_s=3.0,
    keepalive_time_s=2.0,
    keepalive_timeout_s=2.0,
    idle_s=600.0,
)


def work(door: Door) -> None:
    """Answer whatever comes."""
    while (turn := door.take()) is not None:
        for piece in turn:
            piece.answer(piece.data)
        door.hand_back(turn)


def main() -> None:
    """Serve."""
    door = Door(listen="127.0.0.1:0", methods=METHODS, tokens=None, limits=LIMITS, endings={})
    threads = [threading.Thread(target=door.run), threading.Thread(target=work, args=(door,))]
    for thread in threads:
        thread.start()
    print(door.port, flush=True)
    for line in sys.stdin:
        if line.strip() == "stats":
            stats = door.stats()
            print(stats.connections, stats.streams, stats.queue_requests, stats.held_bytes)
            sys.stdout.flush()
    door.close()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
