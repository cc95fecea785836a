"""Files and tables as columns, and the way back from a row to the place where a reader finds it.

Nothing here knows what the columns mean; `loaders` does.
"""

import codecs
import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast

from fendan.errors import Fault, FendanError, refuse

__all__ = ["Opened", "Source", "open_source"]

ChunkedArray = Any  # of pyarrow, which has no types, and is imported only when it is needed
Series = Any  # of pandas, which is not imported at all

# What a broken file makes Python and pyarrow raise; pyarrow's own errors are among them.
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, csv.Error)

UTF_16_HINT = (
    "the file is UTF-16; save it as UTF-8 (in Excel: CSV UTF-8), "
    'or read it with encoding="utf-16" or --encoding utf-16'
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """Where rows came from, to name a row as the reader of an error will find it.

    `text`: the file, if it is text, whose rows are named by their lines.
    """

    name: str
    text: Path | None = None
    encoding: str = ""

    def where(self, row: int) -> str:
        """``orders.csv, line 7``, or ``orders.parquet, row 5``; rows count from 0, lines from 1.

        Lines are counted only when an error needs them. Blank lines are no rows, but are counted.
        """
        if self.text is None:
            return f"{self.name}, row {row}"
        header_and_rows = row + 1
        with io.TextIOWrapper(_open(self.text), self.encoding) as lines:
            filled = (number for number, line in enumerate(lines, 1) if line != "\n")
            for _ in range(header_and_rows):
                next(filled)
            return f"{self.name}, line {next(filled)}"

    def refuse(
        self, fault: Fault, field: str, value: object, *, row: int | None = None, hint: str = ""
    ) -> NoReturn:
        """Raise the error of `fault`, naming the source and the place of `row` in it."""
        where = self.name if row is None else self.where(row)
        refuse(fault, field, value, row=row, hint=hint, where=where)


class Opened(NamedTuple):
    """A source, the names of its columns as they stand there, and the columns, unchecked."""

    source: Source
    names: list[str]
    columns: list[ChunkedArray]


def open_source(source: Any, encoding: str) -> Opened:
    """Open the path of a .csv, .csv.gz or .parquet, a pyarrow Table or a pandas DataFrame.

    All columns of CSV are dictionary-encoded text. Raises a FendanError (BAD_FILE, RAGGED, …).
    """
    import pyarrow as pa

    if isinstance(source, (str, Path)):
        return _open_file(Path(source), encoding)
    if isinstance(source, pa.Table):
        return Opened(Source(name="Table"), source.column_names, source.columns)
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns"):
        frame = Source(name="DataFrame")
        series = [(str(name), cells) for name, cells in source.items()]
        columns = [_pandas_column(frame, name, cells) for name, cells in series]
        return Opened(frame, [name for name, _ in series], columns)
    hint = "must be a path, a pyarrow Table or a pandas DataFrame"
    refuse(Fault.WRONG_TYPE, "source", source, hint=hint)


def _open_file(path: Path, encoding: str) -> Opened:
    if not path.is_file():
        hint = "it is a folder" if path.is_dir() else "there is no such file"
        refuse(Fault.BAD_FILE, "path", str(path), hint=hint)
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return _open_csv(Source(name=path.name, text=path, encoding=_codec(encoding)))
    if path.suffix.lower() == ".parquet":
        return _open_parquet(path)
    hint = "the name must end in .csv, .csv.gz or .parquet"
    refuse(Fault.BAD_FILE, "path", str(path), hint=hint)


def _open_parquet(path: Path) -> Opened:
    from pyarrow import parquet

    source = Source(name=path.name)
    try:
        names = parquet.ParquetFile(path).schema_arrow.names
        table = parquet.ParquetFile(path, read_dictionary=names).read()
    except UNREADABLE as error:
        source.refuse(Fault.BAD_FILE, "file", str(error), hint="is it Parquet, and all of it?")
    return Opened(source, table.column_names, table.columns)


def _pandas_column(source: Source, name: str, cells: Series) -> ChunkedArray:
    import pyarrow as pa

    try:
        column = pa.array(cells, from_pandas=True)
        return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        _refuse_mixture(source, name, cells)


def _refuse_mixture(source: Source, name: str, cells: Series) -> NoReturn:
    """Name the cell of a pandas column that keeps it from being of one type."""
    import pyarrow as pa

    gaps = cells.isna().tolist()
    if any(gaps):
        source.refuse(Fault.MISSING, name, None, row=gaps.index(True))
    kind = type(cells.iloc[0])
    for row, cell in enumerate(cells):
        if type(cell) is not kind:
            hint = f"the column begins with {kind.__name__}; its values must be of one type"
            source.refuse(Fault.WRONG_TYPE, name, cell, row=row, hint=hint)
        try:
            pa.scalar(cell)
        except OverflowError:
            source.refuse(Fault.OVERFLOW, name, cell, row=row)
        except (pa.ArrowException, ValueError, TypeError):
            source.refuse(Fault.WRONG_TYPE, name, cell, row=row)
    refuse(Fault.WRONG_TYPE, name, kind.__name__, where=source.name)


# -- CSV ---------------------------------------------------------------------------------------


def _codec(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)  # some of Python's codecs are not for text
    except (LookupError, TypeError):
        hint = "must be a text encoding, such as utf-8 or gbk"
        refuse(Fault.WRONG_TYPE, "encoding", encoding, hint=hint)
    return "utf-8-sig" if name == "utf-8" else name  # Excel begins UTF-8 with a mark


def _open(path: Path) -> BinaryIO:
    is_gzip = path.suffix.lower() == ".gz"
    return cast(BinaryIO, gzip.open(path)) if is_gzip else path.open("rb")


def _open_csv(source: Source) -> Opened:
    assert source.text is not None
    try:
        with _open(source.text) as file:
            _check_beginning(source, file.read(4))
        with (
            _open(source.text) as file,
            io.TextIOWrapper(file, source.encoding, newline="") as text,
        ):
            names = next(filter(None, csv.reader(text)), [])
        return Opened(source, names, _cells(source, len(names)) if names else [])
    except FendanError:
        raise
    except UNREADABLE as error:
        _explain(source, error)


def _check_beginning(source: Source, beginning: bytes) -> None:
    if not beginning:
        source.refuse(Fault.BAD_FILE, "file", "", hint="the file is empty")
    # Plain letters in UTF-16 are every other byte 0, whether there is a mark or not.
    looks_wide = beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if (looks_wide or b"\0" in beginning) and not source.encoding.startswith("utf-16"):
        source.refuse(Fault.BAD_FILE, "text", beginning, hint=UTF_16_HINT)


def _cells(source: Source, width: int) -> list[ChunkedArray]:
    """The columns below the header."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(place) for place in range(width)]
    text = pa.dictionary(pa.int32(), pa.string())
    # pyarrow reads UTF-8, with a mark or without, only under this name at full speed.
    encoding = "utf8" if source.encoding == "utf-8-sig" else source.encoding
    table = arrow_csv.read_csv(
        source.text,
        read_options=arrow_csv.ReadOptions(column_names=names, encoding=encoding),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, text)),
    )
    header_rows = 1
    return [column.slice(header_rows) for column in table.columns]


def _explain(source: Source, error: Exception) -> NoReturn:
    """Read a file that was refused again, slowly and whole, to say where it is broken."""
    assert source.text is not None
    try:
        with _open(source.text) as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as damage:
        source.refuse(
            Fault.BAD_FILE, "file", str(damage), hint="the file cannot be read to its end"
        )
    try:
        text = data.decode(source.encoding)
    except UnicodeDecodeError as unfit:
        line = unfit.object.count(b"\n", 0, unfit.start)
        refuse(
            Fault.BAD_FILE,
            "text",
            unfit.object.split(b"\n")[line],
            where=f"{source.name}, line {line + 1}",
            hint=_encoding_hint(data, source.encoding),
        )
    _refuse_ragged(source, text)
    source.refuse(Fault.BAD_FILE, "file", str(error))


def _encoding_hint(data: bytes, encoding: str) -> str:
    hint = f"the text is not {encoding.removesuffix('-sig').upper()}"
    for other in ("utf-8", "gbk", "gb18030"):
        try:
            data.decode(other)
        except UnicodeDecodeError:
            continue
        name = other.upper()
        return f'{hint} but reads as {name}: encoding="{other}" or --encoding {other} reads it'
    return hint


def _refuse_ragged(source: Source, text: str) -> None:
    """Refuse the first row that is longer or shorter than the header."""
    rows = csv.reader(io.StringIO(text, newline=""))
    width, line = 0, 1
    try:
        for cells in rows:
            width = width or len(cells)
            if cells and len(cells) != width:
                hint = f"there are {len(cells)} cells, and {width} in the header"
                refuse(Fault.RAGGED, "row", cells, hint=hint, where=f"{source.name}, line {line}")
            line = rows.line_num + 1
    except csv.Error as error:
        hint = "is there a quotation mark that is never closed?"
        refuse(Fault.BAD_FILE, "text", str(error), hint=hint, where=f"{source.name}, line {line}")
