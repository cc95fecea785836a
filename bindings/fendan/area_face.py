"""The engine's face for those who draw service areas."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fendan.areas import area_of, area_text, shapely_module
from fendan.core import Core
from fendan.documents import texts_of
from fendan.engine.areas import Areas
from fendan.errors import Fault, refuse

__all__ = ["AREA", "AreaFace", "Drawing", "geojson_of"]

AREA = "area"
"""The kind of documents that areas are kept as."""


class Drawing(NamedTuple):
    """Areas that were checked, and covered with cells together with those there were.

    `texts`: GeoJSON by name, "" removes. `before`: of all areas that there were.
    """

    texts: dict[str, str]
    before: dict[str, str]
    areas: Areas | None


class AreaFace(Core):
    """Named areas, in the engine's datum: where stores deliver to, and what is called a region."""

    _areas: Areas | None = None
    """Without stores; None until somebody asks, or where there are none."""

    def set_areas(self, areas: Mapping[str, Any] | Drawing) -> None:
        """Keep areas under their names: shapely polygons, GeoJSON geometries as text; None removes.

        Longitude comes first, as in GeoJSON, in the engine's datum. All or none: raises
        InvalidInputError for a geometry that is none (naming it and why), and for an area that goes
        while a store still has it. Needs the extra `fendan[areas]`. Orders are routed meanwhile:
        what takes long is done before the engine is held up, as by `draw_areas`.
        """
        drawing = areas if isinstance(areas, Drawing) else self.draw_areas(areas)
        texts = drawing.texts
        with self._command():
            used = {name for profile in self._profiles_of_stores() for name in profile.areas}
            for name, text in texts.items():
                if not text and name in used:
                    refuse(Fault.OUT_OF_RANGE, "areas", name, hint="a store still has it")
            is_drawn = drawing.before == self._area_texts()
            self._write_documents(AREA, texts)
            if is_drawn:
                self._areas = drawing.areas

    def draw_areas(self, areas: Mapping[str, Any]) -> Drawing:
        """What of `set_areas` takes long and changes nothing, to be set later."""
        if not isinstance(areas, Mapping):
            refuse(Fault.WRONG_TYPE, "areas", areas, hint="must map names to areas")
        texts = {name: geojson_of(name, area) for name, area in areas.items()}
        with self._lock:
            before = self._area_texts()
        return Drawing(texts, before, _drawn({**before, **texts}))

    def areas(self) -> dict[str, str]:
        """All areas by name, as GeoJSON geometries."""
        with self._command():
            return self._area_texts()

    # -- INSIDE --------------------------------------------------------------------------------

    def _profiles_of_stores(self) -> list[Any]:
        """A hook: of all stores that have one."""
        return []

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        if AREA in kinds:
            self._areas = None

    def _drawn_areas(self) -> Areas | None:
        """The areas ready for the core, without stores."""
        if self._areas is None:
            self._areas = _drawn(self._area_texts())
        return self._areas

    def _area_texts(self) -> dict[str, str]:
        return texts_of(self._documents, AREA)


def _drawn(texts: Mapping[str, str]) -> Areas | None:
    """Areas ready for the core; without those of no text."""
    named = sorted((name, text) for name, text in texts.items() if text)
    if not named:
        return None
    return Areas([name for name, _ in named], [area_of(text) for _, text in named])


def geojson_of(name: str, area: Any) -> str:
    """An area as its one GeoJSON text, "" for None. Raises a FendanError that names it."""
    if area is None:
        return ""
    field = f"areas[{name!r}]"
    if not isinstance(area, str):
        if not isinstance(area, shapely_module().geometry.base.BaseGeometry):
            hint = "must be a shapely polygon, a GeoJSON geometry as text, or None"
            refuse(Fault.WRONG_TYPE, field, area, hint=hint)
        area = shapely_module().to_geojson(area)
    return area_text(area_of(area, field))
