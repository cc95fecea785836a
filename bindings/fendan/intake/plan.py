"""All that a chain says of its intake: a TOML file with the tables [intake] and [mapping.NAME]."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from fendan.given import Given
from fendan.intake.config import Config, config_from
from fendan.intake.items import Item, read_items
from fendan.intake.mapping import Mapping as FieldMapping
from fendan.intake.mapping_file import mappings_from
from fendan.intake.platforms import PLATFORMS
from fendan.toml_file import parsed, read_text

__all__ = ["IntakePlan", "read_intake_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePlan:
    """How payloads are read and judged: rules and their settings, mappings by name, and goods."""

    config: Config = field(default_factory=Config)
    mappings: Mapping[str, FieldMapping] = field(default_factory=lambda: PLATFORMS)
    items: tuple[Item, ...] = ()


def read_intake_plan(path: str | PathLike[str]) -> IntakePlan:
    """What a file says, and the items that it names.

    Raises FileFormatError, InvalidInputError naming the file and the field.
    """
    path = Path(path)
    tables = Given(parsed(read_text(path), "intake", where=path.name), where=path.name)
    found = tables.fields(
        {
            "intake": lambda given: config_from(given, path.parent),
            "mapping": lambda given: mappings_from(given, PLATFORMS),
        }
    )
    config = found.get("intake", Config())
    items = () if config.items is None else tuple(read_items(config.items))
    return IntakePlan(config=config, mappings=found.get("mapping", PLATFORMS), items=items)
