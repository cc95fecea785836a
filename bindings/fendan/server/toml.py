"""TOML files read into pydantic models, with errors that name the file, the key and the value."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from fendan.errors import Fault, refuse
from fendan.toml_file import read

__all__ = ["Section", "keys", "read", "validated"]

Model = TypeVar("Model", bound=BaseModel)

# Types whose message says that the value is of the wrong type; all others have a wrong value.
WRONG_TYPES = ("_type", "_parsing", "is_instance_of")

PLAIN_WORDS = {
    "Field required": "",
    "Value error, ": "",
    "Input should be": "it must be",
    "Input should have": "it must have",
    "String should": "it must",
    "a valid dictionary or instance of": "a table,",
    "a valid list": "an array of tables",
}


class Section(BaseModel):
    """A table of a file: unknown keys are refused, types are not guessed, values do not change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def validated(
    model: type[Model],
    values: Mapping[str, Any],
    *,
    where: Callable[[str], str],
    context: object = None,
) -> Model:
    """The values as a model; else the error of the first that is wrong.

    `where` says, for the path of a key, where its value was given: a file, the command line.
    """
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        _refuse(first, model, where)


def _refuse(first: ErrorDetails, model: type[BaseModel], where: Callable[[str], str]) -> NoReturn:
    kind, path = first["type"], key_path(first["loc"])
    # Of a missing key pydantic shows the table around it.
    value = None if kind == "missing" else first["input"]
    said = _in_plain_words(first["msg"])
    if kind == "extra_forbidden":
        refuse(Fault.BAD_FILE, path, value, where=where(path), hint=_unknown(first["loc"], model))
    if kind == "missing":
        fault = Fault.MISSING
    elif kind == "no_such_file":
        fault = Fault.BAD_FILE
    elif any(part in kind for part in WRONG_TYPES):
        fault = Fault.WRONG_TYPE
    else:
        fault = Fault.OUT_OF_RANGE
    refuse(fault, path, value, where=where(path), hint=said)


def _in_plain_words(message: str) -> str:
    """What pydantic says, for readers of TOML."""
    for words, plain in PLAIN_WORDS.items():
        message = message.replace(words, plain)
    return message


def key_path(parts: tuple[int | str, ...]) -> str:
    """The path of a key as people write it: ``token[2].scope``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _unknown(parts: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """That there is no such key, and which one may be meant."""
    known = keys(model)
    tables = [part for part in parts if isinstance(part, str)]
    near = difflib.get_close_matches(".".join(tables), known, n=1) or [
        key for key in known if key.rpartition(".")[2] == tables[-1]
    ]
    return "there is no such key" + (f"; did you mean {near[0]}?" if near else "")


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The paths of all keys, tables included."""
    found = []
    for name, field in model.model_fields.items():
        found.append(prefix + name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found += keys(kind, f"{prefix}{name}.")
    return found
