"""The service called from a second language: Node, with its stock gRPC client."""

import shutil

import pytest

from node_client import NODE, node
from serving import serving

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js"),
    pytest.mark.skipif(not (NODE / "node_modules").is_dir(), reason="needs `npm ci` in tests/node"),
]


def test_node_routes_an_order_and_is_told_which_field_of_a_bad_one_is_at_fault() -> None:
    with serving() as served:
        said = node(served.address, "tea")
        assert served.engine.decision("N-1").store_id == "S3"
    assert "status: 'DECISION_STATUS_ASSIGNED'" in said
    assert "store_id: 'S3'" in said
    assert "status: 'INVALID_ARGUMENT'" in said
    assert "code: 'OUT_OF_RANGE'" in said
    assert "field: 'order.lines[0].quantity'" in said
