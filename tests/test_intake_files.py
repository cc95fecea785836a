"""Files of orders are taken apart into payloads, and nothing of them is left out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan import Datum, FileFormatError
from fendan.intake.adapter import Adapter
from fendan.intake.files import for_file, payloads_in
from fendan.intake.payload import Breakage
from fendan.intake.platforms import PLATFORMS

OWN = PLATFORMS["OWN_SHOP"]


def payloads(folder: Path, name: str, data: bytes, platform: str = "OWN_SHOP") -> list[bytes]:
    path = folder / name
    path.write_bytes(data)
    found = list(payloads_in(path, for_file(PLATFORMS[platform], path)))
    assert {one.platform for one in found} <= {platform}
    return [one.data for one in found]


def test_a_list_is_a_payload_for_each_of_its_elements_as_it_was_written(tmp_path: Path) -> None:
    text = b' [ {"a": 1.0,\n "b": [1, 2]} ,[7],"x, ]" ,\n null ]\n'
    assert payloads(tmp_path, "o.json", text) == [
        b'{"a": 1.0,\n "b": [1, 2]}',
        b"[7]",
        b'"x, ]"',
        b"null",
    ]


def test_what_is_no_list_is_one_payload(tmp_path: Path) -> None:
    for data in (b'{"a": [1, 2]}', b"", b"none"):
        assert payloads(tmp_path, "o.json", data) == [data]
    assert payloads(tmp_path, "o.json", b"[]") == []


@pytest.mark.parametrize("rest", [b'{"b": ]', b"{", b'{"b": 1}', b"", b"[" * 100_000])
def test_what_follows_a_mistake_is_kept_in_one_piece(tmp_path: Path, rest: bytes) -> None:
    data = b'[{"a": 1}, ' + rest
    found = payloads(tmp_path, "o.json", data)
    assert found[0] == b'{"a": 1}'
    assert b"".join(found[1:]) == rest


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 2]))
def test_elements_are_those_that_a_reader_of_json_finds(
    tmp_path_factory: pytest.TempPathFactory, elements: list[Any], indent: int | None
) -> None:
    folder = tmp_path_factory.getbasetemp()
    data = json.dumps(elements, indent=indent, ensure_ascii=False).encode(errors="replace")
    found = payloads(folder, "elements.json", data)
    assert [json.loads(one) for one in found] == json.loads(data)


def test_a_line_is_a_payload(tmp_path: Path) -> None:
    lines = b'{"a": 1}\n\n  \r\n{"b": 2}\r\nbroken'
    for name in ("o.jsonl", "o.ndjson", "o.form", "O.TXT"):
        assert payloads(tmp_path, name, lines) == [b'{"a": 1}', b'{"b": 2}', b"broken"]


def test_the_rows_of_an_order_are_one_payload_wherever_they_stand(tmp_path: Path) -> None:
    table = b'order_id,sku,quantity\nA,"t,1",1\nB,milk,2\n\nA,milk,3\nC\n'
    assert payloads(tmp_path, "o.csv", table) == [
        b'order_id,sku,quantity\nA,"t,1",1\nA,milk,3\n',
        b"order_id,sku,quantity\nB,milk,2\n",
        b"order_id,sku,quantity\nC\n",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_a_table_may_be_in_the_encoding_of_its_mapping(tmp_path: Path, encoding: str) -> None:
    table = "bill_no,item_code,qty\n单1,茶,1\n".encode(encoding)
    found = payloads(tmp_path, "o.csv", table, "POS")
    assert found == ["bill_no,item_code,qty\n单1,茶,1\n".encode()]


def test_a_table_that_breaks_off_loses_none_of_its_rows(tmp_path: Path) -> None:
    table = b'order_id,sku,quantity\nA,tea,1\nB,"milk,2\nC,tea,3\n'
    path = tmp_path / "o.csv"
    path.write_bytes(table)
    mapping = for_file(OWN, path)
    found = list(payloads_in(path, mapping))
    assert b"".join(one.data for one in found).count(b"tea") == 2
    result = Adapter({"OWN_SHOP": mapping}, Datum.WGS84).adapt(found)
    assert result.received.order_ids == ["A"]
    assert [one.code for one in result.broken] == [Breakage.BAD_SYNTAX]


def test_a_table_without_rows_has_no_orders_and_a_strange_line_end_ends_no_line(
    tmp_path: Path,
) -> None:
    assert payloads(tmp_path, "o.csv", b"order_id,sku\n\n") == []
    table = "order_id,sku\nA\u2028B\x85,t\n".encode()
    assert payloads(tmp_path, "o.csv", table) == [table]


def test_a_table_without_ids_and_one_that_nobody_can_read_are_exceptions(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    for data, code in (
        (b"sku,quantity\ntea,1\n", Breakage.FIELD_MISSING),
        (b"order_id,\xff\xfe\n", Breakage.BAD_ENCODING),
    ):
        path.write_bytes(data)
        mapping = for_file(OWN, path)
        found = list(payloads_in(path, mapping))
        result = Adapter({"OWN_SHOP": mapping}, Datum.WGS84).adapt(found)
        assert [one.code for one in result.broken] == [code]


def test_a_file_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"must end in one of \.json"):
        for_file(OWN, tmp_path / "orders.xls")
    with pytest.raises(FileFormatError, match="No such file"):
        list(payloads_in(tmp_path / "none.json", OWN))
    with pytest.raises(FileFormatError, match="directory"):
        (tmp_path / "folder.json").mkdir()
        list(payloads_in(tmp_path / "folder.json", OWN))
