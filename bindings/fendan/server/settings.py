"""A server's settings for people: a file to begin with, and a table of what is in effect.

Both are made of the models in `config`, whose docstrings are the only description there is.
"""

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.table import Table
from rich.text import Text

from fendan.server.config import Config

__all__ = ["table", "template"]


def template() -> str:
    """All settings with their defaults, as TOML; those without a default are commented out."""
    config = Config()
    intro = (
        "# Settings of `fendan serve --config FILE`. What is left out has the value it has here.\n"
    )
    sections = [intro + "\n" + _lines(config)]
    for name in type(config).model_fields:
        section = getattr(config, name)
        if isinstance(section, BaseModel):
            title = (type(section).__doc__ or "").strip()
            sections.append(f"# {title}\n[{name}]\n{_lines(section)}")
    return "\n".join(sections)


def table(config: Config) -> Table:
    """The settings in effect, and which of them are the defaults."""
    rows = Table("setting", "value", "", title_justify="left")
    usual = dict(_values(Config()))
    for key, value in _values(config):
        rows.add_row(Text(key), Text(_shown(value)), "default" if value == usual[key] else "")
    return rows


def _lines(section: BaseModel) -> str:
    """The settings of one section, without the sections in it."""
    lines = ""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if not isinstance(value, BaseModel):
            lines += f"# {field.description}\n{_setting(name, value, field)}\n"
    return lines


def _setting(name: str, value: object, field: FieldInfo) -> str:
    if value is None:
        return f"# {name} = {_toml(field.examples[0] if field.examples else '')}"
    return f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    """A default as TOML; none of them holds a character that JSON writes otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    return json.dumps(value.value if isinstance(value, Enum) else value)


def _values(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value) if isinstance(value, Path | str) else json.dumps(value)
