"""What the fuzzers start from: every message, every frame and every oddity of both formats, once.

    python tests/fuzz/seeds.py

writes tests/fuzz/corpus, which is committed, so that a crash found later can join it.
"""

from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from fendan.engine.frames import HEADER_BYTES, finish
from fendan.v1 import inventory_service_pb2, order_pb2, place_pb2
from fendan.v1 import routing_service_pb2 as pb

CORPUS = Path(__file__).parent / "corpus"

ORDER = order_pb2.Order(
    id="订-1",
    lat=31.2,
    lng=121.5,
    lines=[
        order_pb2.OrderLine(sku="tea", quantity=2),
        order_pb2.OrderLine(sku="SKU-000042", quantity=2**31 - 1, amount=10**12),
    ],
    datum=place_pb2.DATUM_GCJ02,
)
SPOKEN = order_pb2.Order(
    id="订-2",
    order_type=order_pb2.ORDER_TYPE_PICKUP,
    channel="meituan",
    region="east",
    pickup_store_id="S1",
    group_id="g",
    buyer_id="b",
    address_id="a",
)
POLICY = order_pb2.RoutePolicy(radius_m=3000.0)
ASSIGNED = order_pb2.Decision(
    order_id="订-1", status=order_pb2.DECISION_STATUS_ASSIGNED, store_id="S1", distance_m=812.5
)
UNASSIGNED = order_pb2.Decision(
    order_id="o2",
    status=order_pb2.DECISION_STATUS_UNASSIGNED,
    reason=order_pb2.DECISION_REASON_NO_STOCK,
)
SPLIT = order_pb2.Decision(
    order_id="o3",
    status=order_pb2.DECISION_STATUS_ASSIGNED,
    policy_version=3,
    step=order_pb2.DECISION_STEP_BACKORDER,
    promised_at=Timestamp(seconds=1_795_000_000, nanos=999_999_999),
    merge_group=300,
    shipments=[
        order_pb2.Shipment(
            number=1,
            store_id="S1",
            distance_m=812.5,
            lines=[order_pb2.ShipmentLine(sku="tea", quantity=2)],
            promised_at=Timestamp(seconds=1),
        ),
        order_pb2.Shipment(number=2, supply_date="2026-12-01"),
    ],
)
SNAPSHOT = inventory_service_pb2.StockSnapshot(
    store_id="S1",
    version=7,
    counts=[inventory_service_pb2.StockCount(sku="tea", on_hand=2**31 - 1)],
)
REFUSAL = pb.Refusal(status=8, message="busy", code="BUSY", field="orders", retry_after_ms=50)

# None has a negative quantity: the canary of fuzz_wire.py must be hunted for.
MESSAGES = {
    "empty": b"",
    "route_request": pb.RouteRequest(order=ORDER, policy=POLICY, dry_run=True).SerializeToString(),
    "stream_request": pb.StreamRouteRequest(
        orders=[ORDER, order_pb2.Order()], policy=POLICY, dry_run=True, correlation_id=2**64 - 1
    ).SerializeToString(),
    "spoken_request": pb.BatchRouteRequest(orders=[SPOKEN, ORDER]).SerializeToString(),
    "split_response": pb.BatchRouteResponse(decisions=[SPLIT, ASSIGNED]).SerializeToString(),
    "stream_response": pb.StreamRouteResponse(
        decisions=[ASSIGNED, UNASSIGNED], correlation_id=300, refusal=REFUSAL
    ).SerializeToString(),
    "set_stock_request": inventory_service_pb2.SetStockRequest(
        snapshots=[SNAPSHOT, inventory_service_pb2.StockSnapshot()], idempotency_key="k-1"
    ).SerializeToString(),
    "order_in_parts": b"\x0a\x03\x0a\x01a\x0a\x09\x11" + bytes(8) + b"\x0a\x02\x22\x00",
    "padded_tag": b"\x98\x80\x80\x80\x00\x01",
    "padded_length": b"\x0a\x85\x80\x00\x0a\x03tea",
    "padded_number": b"\x20\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00",
    "negative_amount": b"\x0a\x0f\x22\x0d\x10\x01\x18" + b"\xff" * 9 + b"\x01",
    "unknown_fields": b"\x48\x01\x4d\x00\x00\x00\x00\x49" + bytes(8) + b"\x4a\x02\x08\x01",
    "groups": b"\x4b\x53\x08\x01\x54\x4c",
    "group_in_an_order": b"\x0a\x04\x4b\x0a\x00\x4c",
    "wrong_wire_types": b"\x08\x01\x12\x02\x08\x01\x1a\x00",
    "text_of_four_lengths": b"\x0a\x0c\x0a\x0aa\xc3\xa9\xe8\x8c\xb6\xf0\x9f\x98\x80",
    "text_with_a_surrogate": b"\x0a\x05\x0a\x03\xed\xa0\x80",
    "cut_off": b"\x0a\x05\x0a\x04te",
}


def frame(
    sequence: int, body: bytes, *, count: int = 1, unsynced: int = 0, epoch: int = 0
) -> bytes:
    """A frame of the journal."""
    buffer = bytearray(HEADER_BYTES) + body + bytes(8)
    numbers = {"sequence": sequence, "count": count, "unsynced": unsynced, "epoch": epoch}
    return bytes(buffer[: finish(buffer, len(body), time_ns=-5, **numbers)])


# Eight bytes say how the rest is read; see frames_judge.agree_on. No frame follows one of a newer
# epoch: the canary of fuzz_frames.py must be hunted for.
ROW = frame(1, b"a") + frame(2, b"of eight", count=3) + frame(5, b"nine byte", epoch=1)
FRAMES = {
    "nothing": bytes(8),
    "zeros": bytes(8 + 100),
    "a_row": bytes(8) + ROW,
    "a_row_in_two_parts": b"\0\0\0\0\0\x09\0\0" + ROW,
    "a_row_from_the_middle": b"\0\0\0\3\2\0\0\0" + ROW,
    "a_row_and_room": b"\0\0\xff\0\0\0\0\0" + ROW + bytes(20),
    "torn": bytes(8) + bytes(48) + frame(2, b"unsure", unsynced=1),
    "damaged": bytes(8) + bytes(48) + frame(2, b"sure"),
    "cut_off": b"\0\0\x20\0\0\0\0\0" + ROW[:-24],
    "a_gap": bytes(8) + frame(1, b"a") + frame(3, b"c"),
}
SEEDS = {"wire": MESSAGES, "frames": FRAMES}


def main() -> None:
    """Write one file a seed."""
    for kind, seeds in SEEDS.items():
        for name, data in seeds.items():
            (CORPUS / kind / name).write_bytes(data)


if __name__ == "__main__":
    main()
