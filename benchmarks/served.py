"""A server in a process of its own, over the stores and the stock of `workload.metro`.

`Served` starts one and reads its Prometheus endpoint. The process ends when its standard input
does, so that none is left behind, whatever becomes of whoever started it.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

import fendan
from fendan.server import logs
from fendan.server.app import Server
from fendan.server.config import Config
from fendan.server.metrics import STAGES
from fendan.server.process import spare_long_lived_objects
from fendan.workloads.workload import Workload, metro, store_ids
from workload import dictionary_columns

LOOPBACK = "127.0.0.1"
ANY_PORT = f"{LOOPBACK}:0"
PATIENCE_S = 60.0  # a server that needs longer to answer or to end is at fault


class Chain(NamedTuple):
    """What the server has."""

    stores: int
    skus: int
    skus_per_store: int
    seed: int
    remembered_orders: int


class Reading:
    """What a server had counted by one moment."""

    def __init__(self, samples: Mapping[tuple[str, ...], float]) -> None:
        self._samples = samples

    @classmethod
    def of(cls, text: str) -> Self:
        """From the text that Prometheus reads; a sample goes by its name and its labels' values."""
        return cls(
            {
                (sample.name, *sample.labels.values()): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
        )

    @property
    def messages(self) -> int:
        """Messages with orders that were routed."""
        return int(self._samples["fendan_stage_seconds_count", "decode"])

    @property
    def journal(self) -> tuple[int, int]:
        """Bytes written to the journal, and syncs of it."""
        names = ("fendan_journal_bytes", "fendan_journal_syncs")
        written, syncs = (int(self._samples[(name,)]) for name in names)
        return written, syncs

    @property
    def resident_bytes(self) -> int | None:
        """What the process occupies; None where the system does not say (not Linux)."""
        found = self._samples.get(("process_resident_memory_bytes",))
        return None if found is None else int(found)

    def mean_ms_since(self, before: "Reading") -> dict[str, float]:
        """How long a message spent in each stage, on the average."""
        messages = self.messages - before.messages
        return {stage: 1e3 * (self._s(stage) - before._s(stage)) / messages for stage in STAGES}

    def _s(self, stage: str) -> float:
        return self._samples["fendan_stage_seconds_sum", stage]


class Served:
    """A server that runs; as a context manager it is ended, after the calls under way.

    `settings` are those of a configuration, by their dotted names. With `folder` it keeps a journal
    there. `door` is the address of the native door, if the settings want one.
    """

    def __init__(
        self,
        chain: Chain,
        settings: Mapping[str, object] | None = None,
        folder: Path | None = None,
    ) -> None:
        told = {"chain": chain, "settings": settings or {}, "folder": folder and str(folder)}
        command = [sys.executable, str(Path(__file__).resolve()), json.dumps(told)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        )
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            self._process.communicate()
            raise RuntimeError(f"the server did not start: status {self._process.returncode}")
        ports = json.loads(answer)
        self.address = f"{LOOPBACK}:{ports['grpc']}"
        self.door = f"{LOOPBACK}:{ports['door']}"
        self._metrics_port: int = ports["metrics"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._process.communicate(timeout=PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()

    def read(self) -> Reading:
        """Ask the metrics endpoint; straight, past any proxy."""
        connection = HTTPConnection(LOOPBACK, self._metrics_port, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/metrics")
            return Reading.of(connection.getresponse().read().decode())
        finally:
            connection.close()


# -- IN THE PROCESS ----------------------------------------------------------------------------


def stock(engine: fendan.Engine, workload: Workload) -> None:
    """Give an engine the stores and the stock."""
    places = zip(store_ids(workload), workload.store_lat, workload.store_lng, strict=True)
    engine.add_stores([fendan.Store(id=name, lat=lat, lng=lng) for name, lat, lng in places])
    engine.set_stock(**dictionary_columns(workload))


async def serve(engine: fendan.Engine, config: Config) -> None:
    """Serve, print one line that says where, and go on until the end of standard input."""
    spare_long_lived_objects()
    async with await Server.start(config, engine) as server:
        server.metrics.of_engine(engine)
        with server.metrics.serve(ANY_PORT) as endpoint:
            door = server.door and server.door.port
            ports = {"grpc": server.port, "door": door, "metrics": endpoint.port}
            print(json.dumps(ports), flush=True)
            await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """What `Served` runs."""
    told = json.loads(sys.argv[1])
    chain = Chain(*told["chain"])
    logs.configure("console", "warning")
    workload = metro(chain.stores, chain.skus, chain.skus_per_store, orders=1, seed=chain.seed)
    remembered = chain.remembered_orders
    if told["folder"] is None:
        engine = fendan.Engine(remembered_orders=remembered)
    else:
        engine = fendan.Engine.open(told["folder"], remembered_orders=remembered, snapshot_bytes=0)
    with engine:
        stock(engine, workload)
        del workload  # a server has its engine and nothing else
        asyncio.run(serve(engine, Config.load(None, {"listen": ANY_PORT, **told["settings"]})))


if __name__ == "__main__":
    main()
