"""The command line: `fendan serve`, `fendan route` for files, `fendan demo` for a first look.

Results go to standard output, progress and errors to standard error. Exit status: 0 when done, 2
when something was refused, 130 when interrupted; then no output file is left behind or changed.
"""

import csv
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

import fendan
from fendan import Datum, Engine, Policy, Reason, Routed, Status, loaders, report
from fendan.areas_commands import areas_app
from fendan.exception_commands import exceptions_app
from fendan.explain_commands import explain
from fendan.intake_commands import intake
from fendan.journal_commands import check, journal_app, ledger_app, snapshot
from fendan.load.command import load
from fendan.loaders import OrderColumns
from fendan.loading import set_stock
from fendan.policy_commands import policy_app
from fendan.report_commands import report_app
from fendan.rules_commands import rules_app
from fendan.server.commands import config_app, token_app
from fendan.server.serve import serve
from fendan.terminal import new_file, plain_errors, progress_bars, step
from fendan.workloads.command import workload

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(serve)
app.command()(check)
app.command()(explain)
app.command()(load)
app.command()(intake)
app.command()(snapshot)
app.command()(workload)
app.add_typer(areas_app, name="areas")
app.add_typer(exceptions_app, name="exceptions")
app.add_typer(journal_app, name="journal")
app.add_typer(ledger_app, name="ledger")
app.add_typer(policy_app, name="policy")
app.add_typer(report_app, name="report")
app.add_typer(rules_app, name="rules")
app.add_typer(config_app, name="config")
app.add_typer(token_app, name="token")

# Large enough that the engine is never held up, small enough that the progress bar moves.
ORDERS_PER_CHUNK = 10_000

FORMATS = (".csv", ".parquet")


def main() -> None:
    """Run the command line; the entry point of the `fendan` script."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fendan {fendan.__version__}")
        raise typer.Exit


@app.callback()
def _fendan(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say and leave."),
    ] = False,
) -> None:
    """Assign every online order to the nearest store that can fill it, exactly and fast."""


# -- ROUTE -------------------------------------------------------------------------------------


@app.command()
def route(
    *,
    stores: Annotated[Path, typer.Option(help="Columns store_id, lat, lng.")],
    stock: Annotated[Path, typer.Option(help="Columns store_id, sku, quantity.")],
    orders: Annotated[
        Path,
        typer.Option(help="Columns order_id, lat, lng, sku, quantity; one row per order line."),
    ],
    out: Annotated[Path, typer.Option(help="Where the decisions go: a .csv or .parquet file.")],
    radius_m: Annotated[
        float | None, typer.Option(help="How far a store may be from an order, in metres.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the CSV files, such as gbk.")] = "utf-8",
    datum: Annotated[
        Datum, typer.Option(help="The grid of all latitudes and longitudes.", case_sensitive=False)
    ] = Datum.WGS84,
) -> None:
    """Route the orders of a file, one after another, and write one decision for each.

    Files are .csv, .csv.gz or .parquet.
    """
    with plain_errors(), progress_bars() as progress:
        engine = Engine(policy=Policy(radius_m=radius_m), datum=datum)
        with new_file(out, FORMATS, unlike=(stores, stock, orders)) as file:
            with suppress(ImportError):
                # pyarrow does so anyway, sooner or later, but loses a Ctrl-C that falls into it.
                import_module("pandas")
            with step(progress, f"Reading {stores.name}"):
                engine.add_stores(loaders.read_stores(stores, encoding=encoding))
            with step(progress, f"Reading {stock.name}"):
                stock_columns = loaders.read_stock(stock, encoding=encoding)
            with step(progress, f"Reading {orders.name}"):
                order_columns = loaders.read_order_columns(orders, encoding=encoding)
            with step(progress, f"Loading {len(stock_columns):,} counts of stock"):
                set_stock(engine, stock_columns, stores.name)
            skus = _sku_codes(engine, order_columns, stock.name)
            routed, seconds = _route(engine, order_columns, skus, progress)
            with step(progress, f"Writing {out.name}"):
                _write(_decisions(engine, order_columns, routed), file, out.suffix)
    table = report.summary(
        routed,
        title=f"{orders.name}, decisions in {out}",
        seconds=seconds,
    )
    report.show(table)


def _sku_codes(engine: Engine, orders: OrderColumns, stock_name: str) -> NDArray[np.int32]:
    hint = f"it is not in {stock_name}"
    with loaders.naming_places(orders.source, {"skus": "sku"}, rows=orders.rows, hint=hint):
        return engine.sku_codes(orders.skus)


def _route(
    engine: Engine, orders: OrderColumns, skus: NDArray[np.int32], progress: Progress
) -> tuple[Routed, float]:
    """All decisions, and the seconds that routing alone took."""
    parts: list[Routed] = []
    seconds = 0.0
    # What only the engine can see: one order's lines of a SKU add up, or are too many.
    fields = {"quantities": "quantity", "offsets": "order_id"}
    task = progress.add_task(f"Routing {len(orders):,} orders", total=len(orders))
    for start in range(0, len(orders), ORDERS_PER_CHUNK):
        stop = min(start + ORDERS_PER_CHUNK, len(orders))
        offsets = orders.offsets[start : stop + 1]
        lines = slice(int(offsets[0]), int(offsets[-1]))
        first_rows = orders.rows[offsets[:-1]]
        with loaders.naming_places(orders.source, fields, rows=first_rows):
            began = perf_counter()
            routed = engine.route_arrays(
                lat=orders.lat[start:stop],
                lng=orders.lng[start:stop],
                offsets=offsets - offsets[0],
                skus=skus[lines],
                quantities=orders.quantities[lines],
            )
            seconds += perf_counter() - began
        parts.append(routed)
        progress.advance(task, stop - start)
    return _joined(parts), seconds


def _joined(parts: list[Routed]) -> Routed:
    def join(field: str, dtype: type[Any]) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(getattr(part, field) for part in parts)])

    return Routed(
        store_codes=join("store_codes", np.int32),
        distances_m=join("distances_m", np.float64),
        statuses=join("statuses", np.uint8),
        reasons=join("reasons", np.uint8),
    )


# -- DECISIONS ---------------------------------------------------------------------------------


def _decisions(engine: Engine, orders: OrderColumns, routed: Routed) -> dict[str, list[Any]]:
    """The decisions as columns; None where there is no store, or no reason to give."""
    ids = engine.store_ids
    status_names = {status.value: status.name for status in Status}
    reason_names = {reason.value: reason.name for reason in Reason} | {Reason.NONE.value: None}
    millimetres = 3  # finer than any coordinate
    metres = np.round(routed.distances_m, millimetres).tolist()
    stores = routed.store_codes.tolist()
    return {
        "order_id": orders.ids,
        "status": [status_names[status] for status in routed.statuses.tolist()],
        "store_id": [None if store < 0 else ids[store] for store in stores],
        "distance_m": [
            None if store < 0 else far for store, far in zip(stores, metres, strict=True)
        ],
        "reason": [reason_names[reason] for reason in routed.reasons.tolist()],
    }


def _write(columns: dict[str, list[Any]], file: Path, suffix: str) -> None:
    if suffix.lower() == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        text, metres = pa.string(), pa.float64()
        types = {name: metres if name == "distance_m" else text for name in columns}
        parquet.write_table(pa.table(columns, schema=pa.schema(types.items())), file)
        return
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


# -- DEMO --------------------------------------------------------------------------------------


@app.command()
def demo(
    *,
    stores: Annotated[int, typer.Option(help="How many stores.")] = 6_000,
    skus: Annotated[int, typer.Option(help="How many SKUs.")] = 10_000,
    orders: Annotated[int, typer.Option(help="How many orders.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same stores, stock and orders.")] = 1,
    picture: Annotated[Path, typer.Option(help="Where the map goes.")] = Path("demo.png"),
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no map.")] = False,
) -> None:
    """Generate a chain of stores and its orders, route them, and draw the map."""
    with plain_errors():
        from fendan import demo as generated

        generated.run(
            stores=stores,
            skus=skus,
            orders=orders,
            seed=seed,
            picture=None if no_picture else picture,
            console=Console(),
        )


if __name__ == "__main__":
    main()
