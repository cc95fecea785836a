"""PostGIS as a peer: the nearest store by an index, a join with the stock, an update.

The server is Debian's `postgresql` with `postgis`, in a temporary folder, asked over a socket in
it. It may lose everything in a power cut (no fsync), and a batch is one call of a function that
goes through the orders: neither the disk nor the way there and back is measured.
"""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from fendan.workloads.workload import Orders, Workload
from peers import NO_STORE

WHO = "postgres"  # it refuses to be root
MEMORY = "1GB"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": MEMORY,
    "maintenance_work_mem": MEMORY,
    "max_wal_size": "8GB",
    "autovacuum": "off",
    "jit": "off",
    "random_page_cost": "1.1",
}
ROWS_AT_ONCE = 1_000_000

TABLES = """
CREATE EXTENSION postgis;
CREATE UNLOGGED TABLE stores (store int PRIMARY KEY, place geography(Point));
CREATE UNLOGGED TABLE stock (store int, sku int, quantity int) WITH (fillfactor = 90);
CREATE UNLOGGED TABLE coming (id int, lat float8, lng float8, skus int[], quantities int[]);
CREATE UNLOGGED TABLE decided (id int, store int);
"""
# Every store is asked in the order of its distance, until one has every line.
ROUTE = """
CREATE FUNCTION route() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    this coming;
    nearest int;
BEGIN
    FOR this IN SELECT * FROM coming ORDER BY id LOOP
        SELECT store INTO nearest FROM stores
        WHERE NOT EXISTS (
            SELECT FROM unnest(this.skus, this.quantities) AS line (sku, wanted)
            WHERE NOT EXISTS (
                SELECT FROM stock
                WHERE stock.store = stores.store AND stock.sku = line.sku AND quantity >= wanted))
        ORDER BY place <-> ST_MakePoint(this.lng, this.lat)::geography LIMIT 1;
        UPDATE stock SET quantity = quantity - wanted
        FROM unnest(this.skus, this.quantities) AS line (sku, wanted)
        WHERE stock.store = nearest AND stock.sku = line.sku;
        INSERT INTO decided VALUES (this.id, coalesce(nearest, -1));
    END LOOP;
END $$;
"""
INDEXES = """
CREATE INDEX ON stores USING gist (place);
ALTER TABLE stock ADD PRIMARY KEY (store, sku);
VACUUM ANALYZE;
"""
BATCH = """
SET enable_seqscan = off; SET enable_sort = off;
TRUNCATE coming, decided;
COPY coming FROM STDIN;
{orders}\\.
SELECT route();
COPY (SELECT store FROM decided ORDER BY id) TO STDOUT;
"""
PUT_BACK = """
CREATE TEMPORARY TABLE back (store int, sku int, wanted int);
COPY back FROM STDIN;
{rows}\\.
UPDATE stock SET quantity = quantity + taken
FROM (SELECT store, sku, sum(wanted) AS taken FROM back GROUP BY store, sku) AS per_pair
WHERE stock.store = per_pair.store AND stock.sku = per_pair.sku;
"""


def binaries() -> Path | None:
    """Where Debian puts the newest server; None where there is none with PostGIS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    extension = "/usr/share/postgresql/{}/extension/postgis.control"
    found = [path for path in found if Path(extension.format(path.parts[-3])).exists()]
    return found[-1].parent if found else None


class Database:
    """One server, and psql to ask it."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder, self.bin_folder = folder, bin_folder
        self.user = WHO if os.geteuid() == 0 else None

    def ask(self, script: str) -> str:
        """What psql prints for a script; raises RuntimeError with what it complains of."""
        command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]
        command += ["--set=ON_ERROR_STOP=1", f"--host={self.folder}", "--dbname=postgres"]
        return self._run(*command, given=script)

    def start(self) -> None:
        """Make the folder and start the server."""
        if self.user:
            shutil.chown(self.folder, self.user, self.user)
        data = str(self.folder / "data")
        self._run(str(self.bin_folder / "initdb"), "--auth=trust", "-D", data)
        settings = [f"-c {name}={value!r}" for name, value in SETTINGS.items()]
        options = " ".join([*settings, f"-k {self.folder}"])
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop it."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        self._run(str(self.bin_folder / "pg_ctl"), "-w", "-D", str(self.folder / "data"), *words)

    def _run(self, *command: str, given: str = "") -> str:
        # What a server inherits stays open as long as it runs: its output goes nowhere.
        starts = "start" in command
        ran = subprocess.run(
            command,
            input=given,
            stdout=subprocess.DEVNULL if starts else subprocess.PIPE,
            stderr=subprocess.DEVNULL if starts else subprocess.PIPE,
            text=True,
            check=False,
            user=self.user,
            cwd=self.folder,
        )
        if ran.returncode:
            raise RuntimeError(f"{Path(command[0]).name}: {self._complaint(ran.stderr)}")
        return ran.stdout or ""

    def _complaint(self, said: str | None) -> str:
        """What a command said; of one whose output went nowhere, what stands in its log."""
        log = self.folder / "log"
        return said if said is not None else log.read_text() if log.exists() else "no log"


@contextmanager
def serving(folder: Path) -> Iterator[Database]:
    """A server of its own, which ends with the block."""
    bin_folder = binaries()
    assert bin_folder is not None
    database = Database(folder, bin_folder)
    database.start()
    try:
        yield database
    finally:
        database.stop()


class PostGis:
    """One call of a function a batch."""

    def __init__(self, workload: Workload, database: Database) -> None:
        self._database = database
        database.ask(TABLES + ROUTE)
        places = zip(workload.store_lng.tolist(), workload.store_lat.tolist(), strict=True)
        rows = "".join(f"{code}\tPOINT({x!r} {y!r})\n" for code, (x, y) in enumerate(places))
        database.ask(f"COPY stores FROM STDIN;\n{rows}\\.\n")
        columns = pa.table(dict(zip("abc", workload.stock_rows, strict=True)))
        for first in range(0, len(columns), ROWS_AT_ONCE):
            text = io.BytesIO()
            options = csv.WriteOptions(include_header=False)
            csv.write_csv(columns.slice(first, ROWS_AT_ONCE), text, options)
            rows = text.getvalue().decode()
            database.ask(f"COPY stock FROM STDIN (FORMAT csv);\n{rows}\\.\n")
        database.ask(INDEXES)

    def prepared(self, orders: Orders) -> str:
        """The orders as a script; writing it in Python is not what is measured."""
        shape = (len(orders), orders.lines)
        rows = zip(
            orders.lat.tolist(),
            orders.lng.tolist(),
            orders.skus.reshape(shape).tolist(),
            orders.quantities.reshape(shape).tolist(),
            strict=True,
        )
        text = "".join(
            f"{row}\t{lat!r}\t{lng!r}\t{_braces(skus)}\t{_braces(wanted)}\n"
            for row, (lat, lng, skus, wanted) in enumerate(rows)
        )
        return BATCH.format(orders=text)

    def route(self, script: str) -> NDArray[np.int32]:
        """The store of each order, or -1; reserves."""
        told = self._database.ask(script).split()
        return np.array(told, dtype=np.int32)

    def put_back(self, store_codes: NDArray[np.int32], orders: Orders) -> None:
        """Undo a batch that was routed to these stores."""
        stores = np.repeat(store_codes, orders.lines)
        rows = np.column_stack([stores, orders.skus, orders.quantities])[stores != NO_STORE]
        text = "".join(f"{store}\t{sku}\t{wanted}\n" for store, sku, wanted in rows.tolist())
        self._database.ask(PUT_BACK.format(rows=text))


def _braces(values: list[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
