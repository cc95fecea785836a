"""`fendan serve`: the command. Flags win over the settings file, and that over the defaults.

The server's libraries are imported where they are needed: the command line works without them.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from fendan.server.commands import needing_server_libraries

__all__ = ["serve"]


def _says(help: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=help)
    return option


File = Annotated[Path | None, _says("A TOML file; `fendan config show` prints one.")]
Listen = Annotated[str | None, _says("HOST:PORT or unix:PATH; port 0 takes a free one.")]
Door = Annotated[
    str | None, _says("Open the native door, too: a port, HOST:PORT or unix:PATH, as 50052.")
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the journal, in which all is kept.")
]
Durable = Annotated[str | None, _says("What is certain of an answer: sync, async or none.")]
Stores = Annotated[Path | None, _says("For a new folder: store_id, lat, lng; CSV or Parquet.")]
Stock = Annotated[Path | None, _says("For a new folder: store_id, sku, quantity.")]
Radius = Annotated[float | None, _says("How far a store may be from an order, in metres.")]
Grid = Annotated[str | None, _says("The grid of all places: WGS84, GCJ-02 or BD-09.")]
Encoding = Annotated[str | None, _says("Of the CSV files, such as gbk.")]
Demo = Annotated[bool, typer.Option("--demo", help="A generated chain, in a folder of its own.")]
DemoStores = Annotated[int, _says("How many stores it has.")]
DemoSkus = Annotated[int, _says("How many SKUs it has.")]
TokenFile = Annotated[Path | None, _says("Written by `fendan token new`.")]
Certificate = Annotated[Path | None, _says("Of this server; PEM.")]
Key = Annotated[Path | None, _says("Of the certificate; PEM, not encrypted.")]
ClientCa = Annotated[Path | None, _says("Whose certificates clients need; PEM.")]
InsecureBind = Annotated[
    bool | None,
    typer.Option("--insecure-bind", help="Listen to others without TLS or tokens."),
]
MetricsListen = Annotated[str | None, _says("HOST:PORT for Prometheus.")]
LogFormat = Annotated[str | None, _says("console or json.")]
LogLevel = Annotated[str | None, _says("debug, info, warning or error.")]
LogOrders = Annotated[str | None, _says("Which get a line each: none, unassigned or all.")]
Drain = Annotated[float | None, _says("How long calls may go on after a signal to stop.")]


def serve(
    *,
    config: File = None,
    listen: Listen = None,
    door: Door = None,
    data: DataFolder = None,
    durability: Durable = None,
    stores: Stores = None,
    stock: Stock = None,
    radius_m: Radius = None,
    datum: Grid = None,
    encoding: Encoding = None,
    demo: Demo = False,
    demo_stores: DemoStores = 6_000,
    demo_skus: DemoSkus = 10_000,
    tokens: TokenFile = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    tls_client_ca: ClientCa = None,
    insecure_bind: InsecureBind = None,
    metrics_listen: MetricsListen = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    log_orders: LogOrders = None,
    drain_s: Drain = None,
) -> None:
    """Serve orders, stock and stores over gRPC, until SIGTERM or Ctrl-C.

    A first signal lets calls end, a second one does not. What was answered is in the folder, and is
    there again at the next start, whatever ended the server.
    """
    flags = {
        "listen": listen,
        "door.listen": door,
        "insecure_bind": insecure_bind,
        "tokens": tokens,
        "drain_s": drain_s,
        "tls.certificate": tls_certificate,
        "tls.key": tls_key,
        "tls.client_ca": tls_client_ca,
        "data.folder": data,
        "data.durability": durability,
        "data.stores": stores,
        "data.stock": stock,
        "data.radius_m": radius_m,
        "data.datum": datum,
        "data.encoding": encoding,
        "metrics.listen": metrics_listen,
        "log.format": log_format,
        "log.level": log_level,
        "log.orders": log_orders,
    }
    with needing_server_libraries():
        # gRPC's core would add lines of its own to ours; it looks when it is imported.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from fendan.server import logs, process
        from fendan.server.config import Config

        settings = Config.load(config, flags)
        logs.configure(settings.log.format, settings.log.level)
        folder = process.folder_of(settings.data, demo)
        with process.load(settings, folder, (demo_stores, demo_skus) if demo else None) as engine:
            status = asyncio.run(process.run(settings, engine, folder))
    raise typer.Exit(status)
