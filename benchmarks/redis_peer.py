"""Redis as a peer: GEOSEARCH for the stores around, a hash of counts for each, a script an order.

The server is Debian's `redis-server`, in a temporary folder, asked over a socket in it; it writes
nothing to disk. Orders of a batch are sent one after another without waiting for answers (a
pipeline), so that the way there and back is paid once.
"""

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fendan.workloads.workload import Orders, Workload
from peers import HALF_EARTH_M, NO_STORE

SERVER = "redis-server"
START_S = 20.0
COMMANDS_AT_ONCE = 500
# A circle that should hold about so many stores is asked for first, then twice as wide ones.
FIRST_STORES = 32

# ARGV: lat, lng, metres, then SKU and quantity of each line. Stores that a narrower circle held
# are the first of the wider one, so they are not asked again.
ROUTE = """
local seen, radius = 0, tonumber(ARGV[3])
local skus = {}
for line = 4, #ARGV, 2 do skus[#skus + 1] = ARGV[line] end
while true do
    local near = redis.call('GEOSEARCH', 'stores', 'FROMLONLAT', ARGV[2], ARGV[1],
        'BYRADIUS', radius, 'm', 'ASC')
    for i = seen + 1, #near do
        local counts = redis.call('HMGET', 'stock:' .. near[i], unpack(skus))
        local has = true
        for line = 1, #skus do
            if not counts[line] or tonumber(counts[line]) < tonumber(ARGV[3 + 2 * line]) then
                has = false
                break
            end
        end
        if has then
            for line = 1, #skus do
                redis.call('HINCRBY', 'stock:' .. near[i], skus[line], -ARGV[3 + 2 * line])
            end
            return tonumber(near[i])
        end
    end
    seen = #near
    if radius >= tonumber(HALF_EARTH) then return -1 end
    radius = radius * 2
end
"""


class Connection:
    """As much of Redis's protocol as is asked here: commands of texts, answers of one line."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._answers = self._socket.makefile("rb")

    def ask(self, commands: Iterable[Sequence[object]]) -> Iterator[bytes]:
        """The answer to each, in order; sent many at a time."""
        waiting: list[bytes] = []
        for command in commands:
            waiting.append(as_bytes(command))
            if len(waiting) == COMMANDS_AT_ONCE:
                yield from self.send(b"".join(waiting), len(waiting))
                waiting.clear()
        yield from self.send(b"".join(waiting), len(waiting))

    def send(self, data: bytes, count: int) -> list[bytes]:
        """The answers to so many commands that are bytes already."""
        self._socket.sendall(data)
        answers = [self._answers.readline() for _ in range(count)]
        for place, answer in enumerate(answers):
            if answer.startswith(b"$"):  # a text, on a line of its own
                answers[place] = self._answers.readline()
            elif answer.startswith(b"-") or not answer:
                raise RuntimeError(f"redis: {answer.decode() or 'gone'}")
        return answers

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._socket.close()


def as_bytes(command: Sequence[object]) -> bytes:
    """A command as Redis reads it: how many words, and each after its length."""
    words = [str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


@contextmanager
def serving(folder: Path) -> Iterator[Connection]:
    """A server of its own, which ends with the block."""
    path = folder / "redis.sock"
    command = [SERVER, "--port", "0", "--unixsocket", str(path), "--save", "", "--daemonize", "no"]
    server = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        with closing(_connected(server, path)) as connection:
            yield connection
    finally:
        server.terminate()
        server.wait()


def _connected(server: "subprocess.Popen[bytes]", path: Path) -> Connection:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            return Connection(path)
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{SERVER} does not start")


class Redis:
    """One script call an order, which finds the store and reserves."""

    def __init__(self, workload: Workload, connection: Connection) -> None:
        self._connection = connection
        for _ in connection.ask(chain(_places(workload), _shelves(workload))):
            pass
        script = ROUTE.replace("HALF_EARTH", f"{HALF_EARTH_M:.0f}")
        (sha,) = connection.ask([("SCRIPT", "LOAD", script)])
        self._sha = sha.decode().strip()
        # Everywhere as dense as on the average: only a first guess, so that no time is wasted.
        square_m2 = np.ptp(workload.store_lat) * np.ptp(workload.store_lng) * 95_000 * 111_195
        self._first_m = float(np.sqrt(FIRST_STORES * square_m2 / workload.store_count / np.pi))

    def prepared(self, orders: Orders) -> tuple[bytes, int]:
        """The orders as commands; writing them in Python is not what is measured."""
        lines = np.column_stack([orders.skus, orders.quantities]).reshape(len(orders), -1)
        rows = zip(orders.lat.tolist(), orders.lng.tolist(), lines.tolist(), strict=True)
        commands = [("EVALSHA", self._sha, 0, y, x, self._first_m, *line) for y, x, line in rows]
        return b"".join(map(as_bytes, commands)), len(commands)

    def route(self, given: tuple[bytes, int]) -> NDArray[np.int32]:
        """The store of each order, or -1; reserves."""
        answers = self._connection.send(*given)
        return np.array([int(answer[1:]) for answer in answers], dtype=np.int32)

    def put_back(self, store_codes: NDArray[np.int32], orders: Orders) -> None:
        """Undo a batch that was routed to these stores."""
        stores = np.repeat(store_codes, orders.lines).tolist()
        rows = zip(stores, orders.skus.tolist(), orders.quantities.tolist(), strict=True)
        commands = (("HINCRBY", f"stock:{s}", sku, n) for s, sku, n in rows if s != NO_STORE)
        for _ in self._connection.ask(commands):
            pass


def _places(workload: Workload) -> Iterator[list[object]]:
    """A command a store: where it is."""
    places = zip(workload.store_lng.tolist(), workload.store_lat.tolist(), strict=True)
    for code, (lng, lat) in enumerate(places):
        yield ["GEOADD", "stores", lng, lat, code]


def _shelves(workload: Workload) -> Iterator[list[object]]:
    """A command a store: what it has of each SKU."""
    for code, (skus, counts) in enumerate(zip(workload.carried, workload.on_hand, strict=True)):
        pairs = np.column_stack([skus, counts]).ravel().tolist()
        yield ["HSET", f"stock:{code}", *pairs]
