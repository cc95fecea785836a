"""Files and tables come in whole, or are refused by the place a reader can look up."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fendan import Datum, Engine, FendanError, Order, Store
from fendan.loaders import ALIASES, SAID, naming_places, read_orders, read_stock, read_stores
from fendan.rules import OrderType

STORES = "store_id,lat,lng\nS1,31.2,121.4\n南京路店,31.25,121.5\n"
STOCK = "store_id,sku,quantity\nS1,A,5\nS1,B,0\n南京路店,A,2147483647\n"
ORDERS = (
    "order_id,lat,lng,sku,quantity\nO1,31.2,121.41,A,1\nO2,31.3,121.5,可乐,2\nO1,31.2,121.41,B,3\n"
)
READ: dict[str, Callable[..., Any]] = {
    "stores": read_stores,
    "stock": read_stock,
    "orders": read_orders,
}
TEXTS = {"stores": STORES, "stock": STOCK, "orders": ORDERS}


def frame(text: str) -> pd.DataFrame:
    header, *rows = [line.split(",") for line in text.splitlines()]
    table = pd.DataFrame(rows, columns=header)
    kinds = {"lat": float, "lng": float, "quantity": int, "amount": int}
    return table.astype({name: kind for name, kind in kinds.items() if name in header})


def as_csv(text: str, path: Path) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def as_gzip(text: str, path: Path) -> Path:
    path = path.with_name(path.name + ".gz")
    path.write_bytes(gzip.compress(text.encode()))
    return path


def as_parquet(text: str, path: Path) -> Path:
    path = path.with_suffix(".parquet")
    parquet.write_table(as_arrow(text, path), path)
    return path


def as_arrow(text: str, _: Path) -> pa.Table:
    return pa.Table.from_pandas(frame(text), preserve_index=False)


def as_categories(text: str, _: Path) -> pd.DataFrame:
    return frame(text).astype("category")


def as_text_table(text: str, _: Path) -> pa.Table:
    return pa.Table.from_pandas(frame(text).astype(str), preserve_index=False)


def as_frame(text: str, _: Path) -> pd.DataFrame:
    # Columns keep their index when rows are dropped; the rows are counted all the same.
    table = frame(text)
    table.index += 100
    return table


SOURCES = [as_csv, as_gzip, as_parquet, as_arrow, as_text_table, as_frame, as_categories]


@pytest.fixture(params=SOURCES, ids=lambda kind: kind.__name__)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Any]:
    return lambda text: request.param(text, tmp_path / "source.csv")


def refusal(kind: str, source: Any, **options: Any) -> FendanError:
    with pytest.raises(FendanError) as caught:
        READ[kind](source, **options)
    return caught.value


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., FendanError]:
    """The error of a CSV file with these bytes, or this text."""

    def refuse(kind: str, content: str | bytes, **options: Any) -> FendanError:
        path = tmp_path / f"{kind}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return refusal(kind, path, **options)

    return refuse


# -- READING -----------------------------------------------------------------------------------


def test_stores_are_the_same_from_every_source(source: Callable[[str], Any]) -> None:
    assert read_stores(source(STORES), datum=Datum.GCJ02) == [
        Store(id="S1", lat=31.2, lng=121.4, datum=Datum.GCJ02),
        Store(id="南京路店", lat=31.25, lng=121.5, datum=Datum.GCJ02),
    ]


def test_stock_is_the_same_from_every_source(source: Callable[[str], Any]) -> None:
    stock = read_stock(source(STOCK))
    assert stock.stores.to_pylist() == ["S1", "S1", "南京路店"]
    assert stock.skus.to_pylist() == ["A", "B", "A"]
    assert stock.quantities.tolist() == [5, 0, 2**31 - 1]
    assert stock.quantities.dtype == np.int32
    assert len(stock) == 3


def test_the_rows_of_one_order_need_not_be_adjacent(source: Callable[[str], Any]) -> None:
    assert read_orders(source(ORDERS), datum=Datum.BD09) == [
        Order(id="O1", lat=31.2, lng=121.41, lines=[("A", 1), ("B", 3)], datum=Datum.BD09),
        Order(id="O2", lat=31.3, lng=121.5, lines=[("可乐", 2)], datum=Datum.BD09),
    ]


def test_a_line_may_say_what_it_costs(source: Callable[[str], Any]) -> None:
    priced = ORDERS.replace("quantity\n", "quantity,amount\n")
    priced = (
        priced.replace(",1\n", ",1,1250\n")
        .replace(",2\n", ",2,0\n")
        .replace(",3\n", ",3,1000000000000\n")
    )
    first, second = read_orders(source(priced))
    assert first.lines == [("A", 1, 1250), ("B", 3, 10**12)]
    assert second.lines == [("可乐", 2, 0)]


@pytest.mark.parametrize("gap", ["", "  "])
def test_a_line_need_not_say_what_it_costs(tmp_path: Path, gap: str) -> None:
    text = f"order_id,lat,lng,sku,quantity,amount\nO1,31,121,A,1,5\nO1,31,121,B,2,{gap}\n"
    (order,) = read_orders(as_csv(text, tmp_path / "orders.csv"))
    assert order.lines == [("A", 1, 5), ("B", 2, 0)]


@pytest.mark.parametrize(
    "amounts",
    [
        pa.array([None, 7], pa.int64()),
        pa.array([None, "7"]),
        pa.array([None, 7], pa.int64()).dictionary_encode(),
        pa.chunked_array([pa.array([None], pa.int32()), pa.array([7], pa.int32())]),
    ],
    ids=lambda amounts: str(amounts.type),
)
def test_a_gap_among_the_amounts_of_a_table_says_nothing(amounts: Any) -> None:
    place = {"lat": [31.0, 31.0], "lng": [121.0, 121.0]}
    columns = {"order": ["O1", "O1"], **place, "sku": ["A", "B"], "qty": [1, 2], "amount": amounts}
    assert read_orders(pa.table(columns))[0].lines == [("A", 1, 0), ("B", 2, 7)]


def test_a_column_of_amounts_may_be_all_gaps() -> None:
    place = {"lat": [31.0], "lng": [121.0]}
    columns = {"order": ["O1"], **place, "sku": ["A"], "qty": [1], "amount": pa.nulls(1)}
    assert read_orders(pa.table(columns))[0].lines == [("A", 1, 0)]


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("-1", "OUT_OF_RANGE"),
        ("1000000000001", "OUT_OF_RANGE"),
        ("12.50", "WRONG_TYPE"),
        ("¥12", "WRONG_TYPE"),
    ],
)
def test_an_amount_that_cannot_be_is_named_by_its_line(
    refused: Callable[..., FendanError], amount: str, code: str
) -> None:
    error = refused(
        "orders", f"id,lat,lng,sku,qty,amount\nO1,31,121,A,1,5\nO2,31,121,A,1,{amount}\n"
    )
    assert (error.code, error.field, error.value, error.row) == (code, "amount", amount, 1)
    assert error.hint == "must be a whole number from 0 to 1,000,000,000,000"


def test_stock_that_was_read_is_ready_for_the_engine(source: Callable[[str], Any]) -> None:
    engine = Engine()
    engine.add_stores(read_stores(source(STORES)))
    stock = read_stock(source(STOCK))
    engine.set_stock(stores=stock.stores, skus=stock.skus, quantities=stock.quantities)
    assert engine.available("南京路店", "A") == 2**31 - 1
    assert engine.available("S1", "B") == 0


SPOKEN = (
    "order_id,lat,lng,sku,quantity,order_type,channel,region,pickup_store_id,group_id,buyer_id,"
    "address_id\n"
    "O1,31.2,121.41,A,1,pickup,meituan,east,S1,G1,wang,home\n"
    "O2,31.3,121.5,A,2,,,,,,,\n"
    "O1,31.2,121.41,B,3,PICKUP,meituan,east,S1,G1,wang,home\n"
)


def test_orders_may_say_more_than_place_and_lines(source: Callable[[str], Any]) -> None:
    first, second = read_orders(source(SPOKEN))
    assert first == Order(
        id="O1",
        lat=31.2,
        lng=121.41,
        lines=[("A", 1), ("B", 3)],
        order_type=OrderType.PICKUP,
        channel="meituan",
        region="east",
        pickup_store_id="S1",
        group_id="G1",
        buyer_id="wang",
        address_id="home",
    )
    assert second == Order(id="O2", lat=31.3, lng=121.5, lines=[("A", 2)])


@pytest.mark.parametrize(
    ("cell", "order_type"),
    [
        ("", OrderType.UNSPECIFIED),
        ("SAME_DAY", OrderType.SAME_DAY),
        (" same_day ", OrderType.SAME_DAY),
        ("6", OrderType.GROUP),
        (0, OrderType.UNSPECIFIED),
        (None, OrderType.UNSPECIFIED),
        (3, OrderType.NEXT_DAY),
    ],
)
def test_an_order_type_is_a_name_or_a_number(cell: Any, order_type: OrderType) -> None:
    place = {"lat": [31.0], "lng": [121.0]}
    table = pa.table({"order": ["O1"], **place, "sku": ["A"], "qty": [1], "order_type": [cell]})
    assert read_orders(table)[0].order_type is order_type


@pytest.mark.parametrize(
    ("field", "cell", "code"),
    [
        ("order_type", "tomorrow", "WRONG_TYPE"),
        ("order_type", "7", "OUT_OF_RANGE"),
        ("order_type", "-1", "OUT_OF_RANGE"),
        ("channel", "x" * 256, "BAD_ID"),
        ("region", "a\x1fb", "BAD_ID"),
    ],
)
def test_what_an_order_cannot_say_is_named_by_its_line(
    refused: Callable[..., FendanError], field: str, cell: str, code: str
) -> None:
    header = f"order_id,lat,lng,sku,quantity,{field}"
    error = refused("orders", f"{header}\nO1,31,121,A,1,\nO2,31,121,A,1,{cell}\n")
    assert (error.code, error.field, error.value, error.row) == (code, field, cell, 1)


@pytest.mark.parametrize(
    ("field", "first", "second"),
    [("order_type", "INSTANT", "PICKUP"), ("channel", "meituan", ""), ("buyer_id", "", "wang")],
)
def test_the_rows_of_an_order_say_the_same_of_it(
    refused: Callable[..., FendanError], field: str, first: str, second: str
) -> None:
    header = f"order_id,lat,lng,sku,quantity,{field}"
    error = refused(
        "orders", f"{header}\nO1,31,121,A,1,{first}\nO2,31,121,A,1,\nO1,31,121,B,1,{second}\n"
    )
    assert (error.code, error.field, error.row) == ("ORDER_CONFLICT", field, 2)
    assert error.hint.endswith(f"line 2 of the same order says {first}")


NOT_ALWAYS = ("amount", *SAID)


@pytest.mark.parametrize("column", [name for name in ALIASES if name not in NOT_ALWAYS])
def test_a_column_may_go_by_each_of_its_names(tmp_path: Path, column: str) -> None:
    kind = "stores" if column == "store_id" else "orders"
    expected = READ[kind](as_csv(TEXTS[kind], tmp_path / "plain.csv"))
    for alias in ALIASES[column]:
        text = TEXTS[kind].replace(column, f" {alias.upper()} ", 1)
        assert READ[kind](as_csv(text, tmp_path / "alias.csv")) == expected


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = as_csv("lng,store_id,lat\n121.4,S1,31.2\n", tmp_path / "stores.csv")
    assert read_stores(path) == [Store(id="S1", lat=31.2, lng=121.4)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "as Excel marks it"])
def test_utf8_is_read_as_each_system_writes_it(tmp_path: Path, end: str, mark: bytes) -> None:
    path = tmp_path / "stores.csv"
    path.write_bytes(mark + STORES.replace("\n", end).rstrip().encode())
    assert [store.id for store in read_stores(path)] == ["S1", "南京路店"]


@pytest.mark.parametrize("encoding", ["gbk", "GB18030", "utf-16", "utf-8-sig", "UTF8"])
def test_a_file_in_another_encoding_is_read_when_it_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "stores.csv"
    path.write_bytes(STORES.encode(encoding))
    assert [store.id for store in read_stores(path, encoding=encoding)] == ["S1", "南京路店"]


def test_quoted_cells_and_blank_lines_are_read(tmp_path: Path) -> None:
    path = as_csv('store_id,lat,lng\n\n"S1, the ""first""", 31.2 ,121.4\n\n', tmp_path / "s.csv")
    assert read_stores(path) == [Store(id='S1, the "first"', lat=31.2, lng=121.4)]


def test_ids_that_look_like_numbers_stay_what_they_are(tmp_path: Path) -> None:
    path = as_csv("store_id,lat,lng\n007,31.2,121.4\nNA,31.2,121.4\n", tmp_path / "s.csv")
    assert [store.id for store in read_stores(path)] == ["007", "NA"]


def test_whole_numbers_in_a_table_are_ids_by_their_digits() -> None:
    table = pa.table({"store_id": [1001, 7], "sku": [5, 5], "quantity": [1, 2]})
    stock = read_stock(table)
    assert stock.stores.to_pylist() == ["1001", "7"]
    assert stock.skus.to_pylist() == ["5", "5"]


@pytest.mark.parametrize("kind", ["stores", "orders"])
def test_a_file_with_a_header_and_no_rows_holds_nothing(tmp_path: Path, kind: str) -> None:
    header = TEXTS[kind].partition("\n")[0]
    assert READ[kind](as_csv(header, tmp_path / "only.csv")) == []
    assert READ[kind](as_csv(header + "\n", tmp_path / "only.csv")) == []
    assert len(read_stock(as_csv("store,sku,qty\n", tmp_path / "only.csv"))) == 0


def test_a_category_that_no_row_uses_is_not_looked_at() -> None:
    indices = pa.array([1, 1], pa.int32())
    skus = pa.DictionaryArray.from_arrays(indices, pa.array(["", "A"]))
    stock = read_stock(pa.table({"store": ["S1", "S2"], "sku": skus, "quantity": [1, 1]}))
    assert stock.skus.to_pylist() == ["A", "A"]


def test_an_id_that_a_dictionary_holds_twice_is_still_one_id() -> None:
    ids = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int32()), pa.array(["X", "X"]))
    place = {"lat": [31.2, 31.2], "lng": [121.4, 121.4]}
    orders = read_orders(pa.table({"order": ids, **place, "sku": ["A", "B"], "qty": [1, 2]}))
    assert orders == [Order(id="X", lat=31.2, lng=121.4, lines=[("A", 1), ("B", 2)])]
    error = refusal("stores", pa.table({"store": ids, **place}))
    assert str(error).startswith("Table, row 1: store_id: store id given twice: 'X'")


def test_many_rows_in_many_blocks_keep_their_order(tmp_path: Path) -> None:
    rows = range(200_000)
    text = "\n".join(f"S{row % 977},K{row * 7919 % 10_007},{row}" for row in rows)
    stock = read_stock(as_csv(f"store,sku,qty\n{text}\n", tmp_path / "stock.csv"))
    assert stock.quantities.tolist() == list(rows)
    assert stock.stores.to_pylist() == [f"S{row % 977}" for row in rows]
    assert stock.skus.to_pylist() == [f"K{row * 7919 % 10_007}" for row in rows]


# -- FILES THAT ARE NONE -----------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refusal("stores", tmp_path / "nowhere.csv")
    assert error.code == "BAD_FILE"
    assert "nowhere.csv" in str(error)
    assert error.hint == "there is no such file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    error = refusal("stores", str(tmp_path))
    assert (error.code, error.hint) == ("BAD_FILE", "it is a folder")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = as_csv(STORES, tmp_path / "stores.xlsx")
    assert "must end in .csv, .csv.gz or .parquet" in str(refusal("stores", path))


def test_a_source_of_another_type_is_refused() -> None:
    sources: list[Any] = [{"store_id": []}, None, frame(STORES)["lat"]]
    for source in sources:
        assert refusal("stores", source).code == "WRONG_TYPE"


@pytest.mark.parametrize("encoding", ["klingon", "rot13", None])
def test_an_encoding_that_does_not_exist_is_refused(tmp_path: Path, encoding: Any) -> None:
    error = refusal("stores", as_csv(STORES, tmp_path / "s.csv"), encoding=encoding)
    assert (error.code, error.field) == ("WRONG_TYPE", "encoding")


def test_an_empty_file_is_refused(refused: Callable[..., FendanError], tmp_path: Path) -> None:
    error = refused("stores", "")
    assert (error.code, error.hint) == ("BAD_FILE", "the file is empty")
    assert str(error).startswith("stores.csv: ")
    assert refusal("stores", as_gzip("", tmp_path / "stores.csv")).hint == "the file is empty"


def test_a_file_of_blank_lines_has_no_columns(refused: Callable[..., FendanError]) -> None:
    assert refused("stores", "\n\n\n").code == "BAD_COLUMNS"


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"store_id,lat,lng\n"])
def test_broken_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stores.parquet"
    path.write_bytes(content)
    error = refusal("stores", path)
    assert error.code == "BAD_FILE"
    assert str(error).startswith("stores.parquet: file: cannot be read: ")


def test_half_a_gzip_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"S{row},31.{row * 7919 % 10_007},121.4\n" for row in range(20_000))
    path = as_gzip(f"store,lat,lng\n{rows}", tmp_path / "stores.csv")
    path.write_bytes(path.read_bytes()[:-20_000])
    error = refusal("stores", path)
    assert (error.code, error.hint) == ("BAD_FILE", "the file cannot be read to its end")
    path.write_bytes(STORES.encode())
    assert refusal("stores", path).code == "BAD_FILE"


# -- TEXT THAT IS NONE -------------------------------------------------------------------------


def test_gbk_is_refused_with_the_way_to_read_it(refused: Callable[..., FendanError]) -> None:
    error = refused("stores", STORES.encode("gbk"))
    assert error.code == "BAD_FILE"
    assert str(error).startswith("stores.csv, line 3: text: cannot be read: b'")
    assert 'encoding="gbk" or --encoding gbk reads it' in error.hint


def test_a_mark_of_gb18030_alone_is_refused_with_its_own_name(
    refused: Callable[..., FendanError],
) -> None:
    rare = "㐂𠮷"  # in names of people and places; GBK has neither
    assert "--encoding gb18030" in refused("stores", f"店,{rare}\n".encode("gb18030")).hint


def test_utf8_read_as_something_else_is_refused(refused: Callable[..., FendanError]) -> None:
    error = refused("stores", STORES.replace("店", "").encode(), encoding="ascii")
    assert str(error).startswith("stores.csv, line 3: text: cannot be read: b'")
    assert "but reads as UTF-8" in error.hint


def test_text_in_no_encoding_we_know_is_refused(refused: Callable[..., FendanError]) -> None:
    error = refused("stores", b"store_id,lat,lng\nS1,31,121\n\xff\xff,31,121\n")
    assert str(error).startswith("stores.csv, line 3: text: cannot be read: b'\\xff\\xff,31,121'")
    assert error.hint == "the text is not UTF-8"


def test_a_marked_file_that_is_not_utf8_further_down_names_the_line(
    refused: Callable[..., FendanError],
) -> None:
    error = refused("stores", b"\xef\xbb\xbfstore_id,lat,lng\nS1,31,121\n\n\n\xff,31,121\n")
    assert str(error).startswith("stores.csv, line 5: text: ")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_refused_with_the_way_out(
    refused: Callable[..., FendanError], encoding: str
) -> None:
    error = refused("stores", STORES.encode(encoding))
    assert error.code == "BAD_FILE"
    assert "save it as UTF-8" in error.hint
    assert '"utf-16"' in error.hint


@pytest.mark.parametrize("row", ["S3,31.2", "S3,31.2,121.4,", "S3", "S3;31.2;121.4"])
def test_a_row_that_is_longer_or_shorter_is_refused(
    refused: Callable[..., FendanError], row: str
) -> None:
    error = refused("stores", f"{STORES}\n{row}\nS4,31.2,121.4\n")
    assert error.code == "RAGGED"
    assert str(error).startswith("stores.csv, line 5: row: lengths do not fit: ['S3")
    assert error.hint == f"there are {row.count(',') + 1} cells, and 3 in the header"


def test_a_quotation_mark_never_closed_is_refused(refused: Callable[..., FendanError]) -> None:
    error = refused("stores", f'{STORES}"S3,31.2,121.4\nS4,31.2,121.4\n')
    assert str(error).startswith("stores.csv, line 4: row: lengths do not fit: ")
    rows = "S4,31.2,121.4\n" * 20_000
    error = refused("stores", f'{STORES}"S3,31.2,121.4\n{rows}')
    assert str(error).startswith("stores.csv, line 4: text: cannot be read: ")
    assert error.hint == "is there a quotation mark that is never closed?"


# -- COLUMNS -----------------------------------------------------------------------------------


def test_missing_and_unknown_columns_are_all_named(refused: Callable[..., FendanError]) -> None:
    error = refused("stock", "store_id,SKU,quantum,note\nS1,A,1,x\n")
    assert error.code == "BAD_COLUMNS"
    assert error.hint == "missing: quantity; unknown: 'quantum', 'note'"
    assert str(error).startswith("stock.csv: columns: columns do not fit: ['store_id', ")


def test_a_column_without_a_name_is_refused(refused: Callable[..., FendanError]) -> None:
    assert refused("stock", "store_id,sku,quantity,\nS1,A,1,\n").hint == "unknown: ''"


@pytest.mark.parametrize("again", ["lat", "latitude", " LAT "])
def test_a_column_given_twice_is_refused(refused: Callable[..., FendanError], again: str) -> None:
    error = refused("stores", f"store_id,lat,lng,{again}\nS1,31.2,121.4,31.2\n")
    assert (error.code, error.hint) == ("BAD_COLUMNS", "twice: lat")


def test_a_table_that_has_a_column_twice_is_refused() -> None:
    names = ["store_id", "lat", "lng", "lat"]
    table = pa.table([["S1"], [31.2], [121.4], [31.2]], names=names)
    assert refusal("stores", table).hint == "twice: lat"
    twice = pd.concat([frame(STORES), frame(STORES)["lat"]], axis="columns")
    assert refusal("stores", twice).hint == "twice: lat"


# -- VALUES ------------------------------------------------------------------------------------

BAD_VALUES = [
    # kind, column, what stands there in CSV, code
    ("stores", "store_id", "", "MISSING"),
    ("stores", "store_id", "  ", "MISSING"),
    ("stores", "store_id", "x" * 256, "BAD_ID"),
    ("stores", "store_id", "a\0b", "BAD_ID"),
    ("stores", "lat", "", "MISSING"),
    ("stores", "lat", "north", "WRONG_TYPE"),
    ("stores", "lat", "3_1.2", "WRONG_TYPE"),
    ("stores", "lat", "90.001", "OUT_OF_RANGE"),
    ("stores", "lat", "nan", "OUT_OF_RANGE"),
    ("stores", "lng", "-180.5", "OUT_OF_RANGE"),
    ("stores", "lng", "inf", "OUT_OF_RANGE"),
    ("stock", "sku", "", "MISSING"),
    ("stock", "quantity", "", "MISSING"),
    ("stock", "quantity", "-1", "OUT_OF_RANGE"),
    ("stock", "quantity", "2147483648", "OVERFLOW"),
    ("stock", "quantity", "9" * 50, "OVERFLOW"),
    ("stock", "quantity", "9" * 5000, "WRONG_TYPE"),
    ("stock", "quantity", "1.5", "WRONG_TYPE"),
    ("stock", "quantity", "3.0", "WRONG_TYPE"),
    ("stock", "quantity", "0x10", "WRONG_TYPE"),
    ("stock", "quantity", "1_000", "WRONG_TYPE"),
    ("stock", "quantity", "many", "WRONG_TYPE"),
    ("orders", "order_id", "", "MISSING"),
    ("orders", "lat", "-91", "OUT_OF_RANGE"),
    ("orders", "lng", "east", "WRONG_TYPE"),
    ("orders", "sku", " ", "MISSING"),
    ("orders", "quantity", "0", "OUT_OF_RANGE"),
    ("orders", "quantity", "two", "WRONG_TYPE"),
    ("orders", "quantity", "2147483648", "OVERFLOW"),
]
GOOD_VALUES = {"store_id": "S7", "order_id": "O7", "lat": "1", "lng": "2", "sku": "C"} | {
    "quantity": "9"
}


@pytest.mark.parametrize(("kind", "column", "value", "code"), BAD_VALUES)
def test_a_bad_value_is_named_by_column_line_and_value(
    refused: Callable[..., FendanError], kind: str, column: str, value: str, code: str
) -> None:
    names = TEXTS[kind].partition("\n")[0].split(",")
    row = ",".join((GOOD_VALUES | {column: value})[name] for name in names)
    lines = TEXTS[kind].count("\n")
    error = refused(kind, f"{TEXTS[kind]}\n{row}\n")  # the blank line counts
    assert (error.code, error.field, error.value) == (code, column, value)
    assert str(error).startswith(f"{kind}.csv, line {lines + 2}: {column}: ")
    assert repr(value)[:80] in str(error)
    assert error.row == lines - 1


@pytest.mark.parametrize(
    ("column", "values", "code", "row"),
    [
        ("quantity", [1, 2, -3], "OUT_OF_RANGE", 2),
        ("quantity", [1, 2**31, 3], "OVERFLOW", 1),
        ("quantity", [1, 10**30, 3], "OVERFLOW", 1),
        ("quantity", [1.0, 2.0, 3.0], "WRONG_TYPE", 0),
        ("quantity", [1, None, 3], "MISSING", 1),
        ("quantity", [1, "two", 3], "WRONG_TYPE", 1),
        ("quantity", ["1", "two", "3"], "WRONG_TYPE", 1),
        ("quantity", [True, False, True], "WRONG_TYPE", 0),
        ("quantity", [[1], [2], [3]], "WRONG_TYPE", None),
        ("quantity", [object(), object(), object()], "WRONG_TYPE", 0),
        ("sku", ["A", None, "B"], "MISSING", 1),
        ("sku", ["A", "", "B"], "MISSING", 1),
        ("sku", ["A", 2, "B"], "WRONG_TYPE", 1),
        ("sku", ["A", None, 2], "MISSING", 1),
        ("sku", [1.0, 2.0, 3.0], "WRONG_TYPE", 0),
        ("sku", [b"A", b"B", b"C"], "WRONG_TYPE", 0),
    ],
)
def test_a_bad_value_in_a_data_frame_is_named_by_its_row(
    column: str, values: list[Any], code: str, row: int | None
) -> None:
    columns = {"store": ["S1"] * 3, "sku": ["A"] * 3, "quantity": [1] * 3}
    error = refusal("stock", pd.DataFrame(columns | {column: values}))
    assert (error.code, error.field, error.row) == (code, column, row)
    assert str(error).startswith("DataFrame" if row is None else f"DataFrame, row {row}: {column}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -91.0, None, b"31", True])
def test_a_bad_latitude_in_a_table_is_refused(value: Any) -> None:
    places = {"lat": [value, value], "lng": [0.0, 0.0]}
    error = refusal("stores", pa.table({"store": ["S1", "S2"], **places}))
    assert error.field == "lat"
    assert str(error).startswith("Table, row 0: lat: ")


def test_a_gap_in_a_dictionary_is_missing() -> None:
    for indices, names in (([0, None], ["A"]), ([0, 1], ["A", None])):
        skus = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(names))
        table = pa.table({"store": ["S1", "S2"], "sku": skus, "quantity": [1, 1]})
        error = refusal("stock", table)
        assert (error.code, error.field, error.row) == ("MISSING", "sku", 1)


def test_a_bad_value_in_parquet_is_named_by_its_row(tmp_path: Path) -> None:
    path = as_parquet(STORES + "S3,99,121.4\n", tmp_path / "stores.csv")
    error = refusal("stores", path)
    assert str(error).startswith("stores.parquet, row 2: lat: out of range: 99.0")


# -- ROWS THAT CONTRADICT EACH OTHER -----------------------------------------------------------


def test_a_store_given_twice_is_named_with_both_lines(refused: Callable[..., FendanError]) -> None:
    error = refused("stores", STORES + "\nS1,31.9,121.9\n")
    assert error.code == "DUPLICATE_STORE"
    assert str(error) == (
        "stores.csv, line 5: store_id: store id given twice: 'S1'; the first is stores.csv, line 2"
    )


@pytest.mark.parametrize(
    ("row", "field", "first"),
    [("O1,31.21,121.41,C,1", "lat", 31.2), ("O1,31.20,121.42,C,1", "lng", 121.41)],
)
def test_an_order_in_two_places_is_refused_by_the_row(
    refused: Callable[..., FendanError], row: str, field: str, first: float
) -> None:
    error = refused("orders", f"{ORDERS}{row}\n")
    assert (error.code, error.field) == ("ORDER_CONFLICT", field)
    assert str(error).startswith(f"orders.csv, line 5: {field}: ")
    assert error.hint == f"orders.csv, line 2 of the same order says {first}"


def test_an_order_that_writes_its_place_in_two_ways_is_one_order(tmp_path: Path) -> None:
    path = as_csv(f"{ORDERS}O1,31.20,121.410,C,1\n", tmp_path / "orders.csv")
    assert len(read_orders(path)[0].lines) == 3


def test_what_the_engine_refuses_is_named_by_the_line(tmp_path: Path) -> None:
    engine = Engine()
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    stock = read_stock(as_csv(STOCK, tmp_path / "stock.csv"))
    with (
        pytest.raises(FendanError, match=r"stock.csv, line 4: store_id: unknown store: '南京路店'"),
        naming_places(stock.source, {"stores": "store_id"}),
    ):
        engine.set_stock(stores=stock.stores, skus=stock.skus, quantities=stock.quantities)
    assert engine.pair_count == 0
