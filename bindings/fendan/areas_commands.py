"""`fendan areas`: polygons looked at before they are used, and where no store serves."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fendan import loaders
from fendan.areas import Area, Box, read_areas, shapely_module, square_km
from fendan.coverage import Coverage, Reach, everywhere, measure, rasterize
from fendan.engine.areas import Areas
from fendan.errors import Fault, refuse
from fendan.loaders import PeopleColumns
from fendan.model import Store
from fendan.report import show
from fendan.terminal import new_file, plain_errors, progress_bars, step

__all__ = ["areas_app"]

areas_app = typer.Typer(no_args_is_help=True, help="Districts and service areas on the map.")

DEFAULT_RADIUS_M = 3_000.0
FARTHEST_M = 20_100_000.0  # half-way round
MAP_PIXELS = 1_000

Name = Annotated[str, typer.Option(help="The property that names an area, such as adcode.")]
Repair = Annotated[
    bool, typer.Option("--repair", help="Mend areas that cross themselves instead of refusing.")
]


# -- CHECK -------------------------------------------------------------------------------------


@areas_app.command("check")
def check_areas(
    file: Annotated[Path, typer.Argument(help="GeoJSON, or .gz of it.")],
    *,
    name: Name = "name",
    repair: Repair = False,
) -> None:
    """Read a file of areas and show what is in it; refuses what could not be used."""
    with plain_errors():
        with progress_bars() as progress:
            with step(progress, f"Reading {file.name}"):
                areas = read_areas(file, name=name, repair=repair)
            with step(progress, f"Covering {len(areas):,} areas with cells"):
                index = Areas([area.name for area in areas], [area.geometry for area in areas])
        show(_checked(file, areas, index))


def _checked(file: Path, areas: list[Area], index: Areas) -> Table:
    table = Table(title=f"{file.name}: {len(areas):,} areas, good", title_justify="left")
    table.add_column("area", no_wrap=True)
    for column in ("vertices", "km²", "resolution", "cells inside", "on the border"):
        table.add_column(column, justify="right")
    vertices = shapely_module().get_num_coordinates([area.geometry for area in areas])
    totals = [0, 0.0, 0, 0]
    for number, area in enumerate(areas):
        resolution, inside, border = index.cells(number)
        km2 = square_km(area.geometry)
        row = (f"{vertices[number]:,}", f"{km2:,.1f}", str(resolution))
        table.add_row(area.name, *row, f"{inside:,}", f"{border:,}")
        figures = (int(vertices[number]), km2, inside, border)
        totals = [total + one for total, one in zip(totals, figures, strict=True)]
    table.add_section()
    sums = (f"{totals[0]:,}", f"{totals[1]:,.1f}", "", f"{totals[2]:,}", f"{totals[3]:,}")
    table.add_row("all", *sums)
    return table


# -- COVERAGE ----------------------------------------------------------------------------------


@areas_app.command("coverage")
def coverage(
    stores: Annotated[Path, typer.Argument(help="Columns store_id, lat, lng.")],
    *,
    areas: Annotated[
        Path | None, typer.Option(help="Regions to tell apart: GeoJSON, or .gz of it.")
    ] = None,
    name: Name = "name",
    repair: Repair = False,
    radius_m: Annotated[
        float | None,
        typer.Option(help="How far from a store it serves; 3,000 where there is no --service."),
    ] = None,
    service: Annotated[
        Path | None,
        typer.Option(help="Service areas: GeoJSON whose features have a property store_id."),
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Where people live: columns lat, lng, people.")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Where the map goes: a .png file.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the CSV files, such as gbk.")] = "utf-8",
) -> None:
    """Show how much of each region, and how many of its people, some store serves.

    All files are on the same grid.
    """
    with plain_errors():
        radius_m = _radius(radius_m, service)
        with progress_bars() as progress:
            with step(progress, f"Reading {stores.name}"):
                chain = _stores(stores, encoding)
            box = _box(chain)
            with step(progress, "Reading areas"):
                regions = _regions(areas, name, box, repair, chain, radius_m)
                reach = Reach(chain, radius_m, _service(service, chain, box, repair))
                counted = PeopleColumns.none()
                if people is not None:
                    counted = loaders.read_people(people, encoding=encoding)
            with step(progress, f"Measuring {len(regions):,} regions"):
                found = measure(regions, reach, counted)
            if map_file is not None:
                with step(progress, f"Drawing {map_file.name}"):
                    _draw(map_file, regions, found, reach, (stores, areas, service, people))
        show(_table(stores, found))


def _radius(radius_m: float | None, service: Path | None) -> float | None:
    if radius_m is None:
        return DEFAULT_RADIUS_M if service is None else None
    if not 0.0 < radius_m <= FARTHEST_M:
        hint = f"must be metres, above 0 and up to {FARTHEST_M:,.0f}"
        refuse(Fault.OUT_OF_RANGE, "--radius-m", radius_m, hint=hint)
    return radius_m


def _stores(path: Path, encoding: str) -> list[Store]:
    chain = loaders.read_stores(path, encoding=encoding)
    if not chain:
        refuse(Fault.BAD_FILE, "stores", path.name, hint="there are none in it")
    return chain


def _box(chain: list[Store]) -> Box:
    """Around the stores, with a degree to spare."""
    lat, lng = [store.lat for store in chain], [store.lng for store in chain]
    return min(lng) - 1.0, min(lat) - 1.0, max(lng) + 1.0, max(lat) + 1.0


def _regions(
    path: Path | None,
    name: str,
    box: Box,
    repair: bool,
    chain: list[Store],
    radius_m: float | None,
) -> list[Area]:
    if path is None:
        return [everywhere(chain, radius_m or DEFAULT_RADIUS_M)]
    return read_areas(path, name=name, within=box, repair=repair)


def _service(path: Path | None, chain: list[Store], box: Box, repair: bool) -> list[Area]:
    if path is None:
        return []
    service = read_areas(path, name="store_id", within=box, repair=repair)
    known = {store.id for store in chain}
    for area in service:
        if area.name not in known:
            field = f"{area.path}.properties.store_id"
            refuse(Fault.UNKNOWN_STORE, field, area.name, where=path.name)
    return service


def _draw(
    path: Path,
    regions: list[Area],
    found: Coverage,
    reach: Reach,
    read: tuple[Path | None, ...],
) -> None:
    try:
        from fendan.coverage_picture import draw_coverage
    except ModuleNotFoundError as error:
        hint = "the map needs it: pip install 'fendan[demo]'"
        refuse(Fault.MISSING, "package", error.name, hint=hint)
    with new_file(path, (".png",), unlike=tuple(file for file in read if file)) as part:
        draw_coverage(part, regions, found, reach, rasterize(regions, reach, across=MAP_PIXELS))


def _table(stores: Path, found: Coverage) -> Table:
    """The regions with most left out first, and all of them together last."""
    counts_people = bool(len(found.people.counts))
    table = Table(title=f"What the stores of {stores.name} serve", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("region", no_wrap=True)
    columns = ["stores", "km²", "served"] + ["people", "served"] * counts_people
    for column in columns:
        table.add_column(column, justify="right")
    order = [found.regions[number] for number in found.worst_first()]
    for rank, one in enumerate(order, 1):
        cells = [f"{one.stores:,}", f"{one.square_km:,.1f}", f"{one.share:.1%}"]
        cells += [f"{one.people:,}", _share(one.people_served, one.people)] * counts_people
        table.add_row(str(rank), one.name, *cells)
    whole, left = (
        sum(one.square_km for one in order),
        sum(one.square_km_left for one in order),
    )
    everyone, served = sum(one.people for one in order), sum(one.people_served for one in order)
    cells = [f"{sum(one.stores for one in order):,}", f"{whole:,.1f}", f"{1 - left / whole:.1%}"]
    cells += [f"{everyone:,}", _share(served, everyone)] * counts_people
    table.add_section()
    table.add_row("", "all", *cells)
    return table


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
