"""Documents: what an engine keeps beside stores, stock and orders, as named texts.

A document has a kind, such as "policy", and among those of its kind a name. Its text is kept as it
came: whoever gave it has checked it before, and whoever needs more than a text makes it anew where
documents change (`Core._documents_changed`). No document has no text: an empty one is removed.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.network import ID_HINT, is_usable_id
from fendan.engine.snapshot import Section, corrupt, whole
from fendan.errors import Fault, refuse

__all__ = ["KINDS", "MOST_BYTES", "Documents", "changed", "restored", "sections", "texts_of"]

Documents = dict[tuple[str, str], str]
"""The texts by kind and name."""

# The outline of a province has some 200 kB; what is much larger was given by mistake.
MOST_BYTES = 8 * 1024 * 1024

# What a snapshot keeps of them: JSON, an array of [kind, name, text], in the order of the keys.
KINDS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "documents": (np.dtype(np.uint8), ()),
}


def texts_of(documents: Documents, kind: str) -> dict[str, str]:
    """The texts of one kind, by name."""
    return {name: text for (of_kind, name), text in documents.items() if of_kind == kind}


def changed(documents: Documents, kind: str, texts: Mapping[str, str]) -> dict[str, bytes]:
    """Which of these texts say something new, as UTF-8; "" removes a document that is there.

    Raises InvalidInputError for a name that is none, and a text that is none or too large.
    """
    assert is_usable_id(kind), kind
    new = {}
    for name, text in texts.items():
        if not is_usable_id(name):
            refuse(Fault.BAD_ID, kind, name, hint=ID_HINT)
        data = _encoded(f"{kind}[{name!r}]", text)
        if text != documents.get((kind, name), ""):
            new[name] = data
    return new


def _encoded(field: str, text: str) -> bytes:
    if not isinstance(text, str):
        refuse(Fault.WRONG_TYPE, field, text, hint="must be a str")
    try:
        data = text.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair
        refuse(Fault.OUT_OF_RANGE, field, text[error.start], hint="cannot be written as UTF-8")
    if len(data) > MOST_BYTES:
        hint = f"it has {len(data):,} bytes, and {MOST_BYTES:,} are the most"
        refuse(Fault.OUT_OF_RANGE, field, text, hint=hint)
    return data


# -- SNAPSHOTS ---------------------------------------------------------------------------------


def sections(documents: Documents) -> list[Section]:
    """All of them as a section of a snapshot."""
    rows = [[*key, text] for key, text in sorted(documents.items())]
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
    return [whole("documents", np.frombuffer(text.encode(), dtype=np.uint8))]


def restored(arrays: Mapping[str, NDArray[Any]]) -> Documents:
    """What the section tells of. Raises CorruptJournalError for what cannot be."""
    documents: Documents = {}
    try:
        for kind, name, text in json.loads(arrays["documents"].tobytes()):
            if not (is_usable_id(kind) and is_usable_id(name) and isinstance(text, str) and text):
                raise ValueError(f"no document: {[kind, name]!r}")
            if (kind, name) in documents:
                raise ValueError(f"there twice: {[kind, name]!r}")
            documents[kind, name] = text
    except (ValueError, TypeError, RecursionError) as error:
        corrupt("documents", hint=str(error))
    return documents
