"""`fendan workload`: a named workload as files, and the commands that serve and load it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fendan.terminal import plain_errors, progress_bars, step

__all__ = ["workload"]


def workload(
    name: Annotated[str, typer.Argument(help="metro, nation, peak, sparse and others.")],
    folder: Annotated[Path, typer.Argument(help="Where the files go; made if need be.")],
    *,
    smaller: Annotated[
        int, typer.Option(help="So many times fewer stores, SKUs and orders.", min=1, max=1000)
    ] = 1,
    seed: Annotated[int, typer.Option(help="Same seed, same workload.", min=0)] = 1,
) -> None:
    """Write the stores, stock and orders of a named workload, and print how to serve them."""
    with plain_errors():
        from fendan.workloads import files
        from fendan.workloads.named import by_name

        size = by_name(name).smaller(smaller)
        with progress_bars() as progress, step(progress, f"Writing {name}"):
            files.write(size, folder, seed)
        stores, stock, orders, data = (
            shlex.quote(str(folder / file))
            for file in (files.STORES, files.STOCK, files.ORDERS, "data")
        )
        radius = "" if size.radius_m is None else f" --radius-m {size.radius_m:g}"
        print(f"fendan serve --stores {stores} --stock {stock} --data {data}{radius}")
        whole = smaller == 1  # `fendan load` makes these orders by itself
        seeded = "" if seed == 1 else f" --seed {seed}"
        print(f"fendan load {f'--workload {name}{seeded}' if whole else f'--orders {orders}'}")
