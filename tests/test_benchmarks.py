"""The benchmarks run, in tiny sizes, so that they cannot rot. Nothing here looks at seconds."""

import importlib
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.image import imread

import fendan
from fendan.v1.routing_service_pb2 import RouteRequest
from fendan.workloads import files, named
from fendan.workloads.workload import joined
from fendan.workloads.workload import metro as metro_of

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Imports a module of the folder, which is no package, and forgets all of them afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    ours = {path.stem for path in BENCHMARKS.glob("*.py")}
    before = {name: sys.modules.pop(name) for name in ours & set(sys.modules)}

    def load_module(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load_module
    for name in ours:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture
def metro(load) -> ModuleType:
    return load("metro")


def test_the_report_is_printed_and_written_with_every_row(metro, tmp_path, capsys):
    report = metro.main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report.decisions in printed
    assert written["decisions"] == report.decisions
    assert written["machine"]["fendan"] in printed
    assert [row["name"] for row in written["rows"]] == [row.name for row in report.rows]
    assert all(row["value"] > 0 for row in written["rows"] if row["unit"] != "bytes")
    assert sum(row["met"] is not None for row in written["rows"]) == 8


def test_two_runs_decide_the_same_and_the_peers_agree(metro):
    first, second = metro.measure(metro.SMOKE), metro.measure(metro.SMOKE)
    assert first.decisions == second.decisions
    assert first.agreements == second.agreements
    by_peer = {agreement.peer: agreement for agreement in first.agreements}
    for peer in (metro.OBJECTS, metro.SCAN):
        assert by_peer[peer].same == by_peer[peer].found > 0
    # Beyond its 64 nearest stores scipy gives up, and then its stock is no longer the engine's.
    assert by_peer[metro.SCIPY].same >= 0.99 * by_peer[metro.SCIPY].found
    assert by_peer[metro.SCIPY].found > 0.9 * by_peer[metro.SCIPY].orders


def test_over_grpc_every_order_is_answered_and_assigned_however_it_comes(load, tmp_path, capsys):
    report = load("service").main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["machine"]["grpcio"] in printed
    assert [row["name"] for row in written["rows"]] == [row.name for row in report.rows]
    names = [tally.name for tally in report.tallies]
    trials = load("trials")
    assert names[:3] == [trials.BATCH, trials.BURSTS, trials.EVENLY]
    assert names[3:] == [trials.UNARY, trials.AIO, trials.MEANWHILE, trials.MEMORY]
    for tally in report.tallies:
        assert tally.orders == tally.answered == tally.assigned > 0, tally
    found = {row.name: row.value for row in report.rows}
    assert found["… decode"] > 0
    assert found["StreamRoute, offered"] in trials.SMOKE.rates_per_s
    assert 1 <= found["aio.Client, all of them, messages"] < trials.SMOKE.orders
    assert found["SetStock, rows"] == trials.SMOKE.snapshots * trials.SMOKE.skus_per_store
    assert sum(row.met is not None for row in report.rows) == 6


def test_what_a_journal_costs_is_measured_with_what_the_disk_alone_takes(load, tmp_path, capsys):
    report = load("journal").main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["machine"]["fendan"] in printed
    assert [row["name"] for row in written["rows"]] == [row.name for row in report.rows]
    found = {row.name: row.value for row in report.rows}
    for what in ("route_arrays, 200 orders", "route, one order"):
        for how in ("in memory", "with the journal synced", "the disk's sync"):
            assert found[f"{what}, {how}"] > 0
    # An id of 20 bytes, a place of 16 and two lines must be in it.
    assert found["journal, bytes an order"] > 20 + 16
    assert sum(row.met is not None for row in report.rows) == 7


def test_both_doors_answer_every_order_and_a_picture_shows_how_soon(load, tmp_path, capsys):
    pytest.importorskip("fendan.engine.door")
    report = load("door").main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["machine"]["grpcio"] in printed
    assert [row["name"] for row in written["rows"]] == [row.name for row in report.rows]
    door = load("door")
    sizes = door.SMOKE
    assert [(point.how, point.door, point.callers) for point in report.points] == [
        (how, name, callers)
        for how in (door.MEMORY, door.JOURNAL, door.TLS)
        for callers in sizes.callers
        for name in (door.NATIVE, door.GRPCIO)
    ]
    for point in report.points:
        waits = point.waits
        assert waits.orders == waits.answered == waits.assigned > 0, point
        assert 0 < waits.p50_ms <= waits.p90_ms <= waits.p99_ms <= waits.p999_ms <= waits.most_ms
    found = {row.name: row.value for row in report.rows}
    assert found["journal synced, bytes a sync"] > 0
    assert found["journal synced, the disk's own sync of as many"] > 0
    load("door_picture").draw(written, tmp_path / "door.png")
    assert imread(tmp_path / "door.png").std() > 0  # not blank


def test_each_order_of_many_written_at_once_is_found_again(load):
    crowd = load("crowd")
    requests = crowd.Requests.of(metro_of(60, 50, 1, orders=1), 25)
    ids = set()
    for begin, end in pairwise(requests.offsets.tolist()):
        message = RouteRequest.FromString(requests.data[begin:end])
        assert message.SerializeToString() == requests.data[begin:end]
        assert len(message.order.lines) == 2
        ids.add(message.order.id)
    assert len(ids) == len(requests) == 25


def test_latencies_count_from_when_a_message_was_due_and_weigh_orders(load):
    waits = load("load").Latencies.of([0.001, 0.004], weights=[99, 1])
    assert (waits.p50_ms, waits.p99_ms, waits.most_ms) == (1.0, 4.0, 4.0)


def test_with_64_stores_scipy_sees_them_all_and_chooses_what_the_engine_does(load):
    workload, peers = load("workload"), load("peers")
    small = metro_of(stores=64, skus=60, skus_per_store=15, orders=1500, seed=2)
    routed = workload.engine_for(small).route_arrays(**vars(small.orders))
    left = peers.dense_stock(small)
    scanned = peers.AllStores(small, left).route(small.orders)
    scipy = peers.NearestThenStock(small, left).route(small.orders)
    np.testing.assert_array_equal(routed.store_codes, scanned)
    np.testing.assert_array_equal(routed.store_codes, scipy)
    assert 0 < np.count_nonzero(scanned < 0) < len(scanned)  # some goods ran out


def test_stock_put_back_is_the_stock_there_was(load):
    workload, peers = load("workload"), load("peers")
    small = metro_of(stores=64, skus=60, skus_per_store=15, orders=1500, seed=3)
    engine, left = workload.engine_for(small), peers.dense_stock(small)
    restock, scipy = workload.Restock(engine, small), peers.NearestThenStock(small, left)
    untouched = left.copy()
    for _ in range(2):
        routed = engine.route_arrays(**vars(small.orders))
        assert engine.available(*sold_out_pair(routed, small, engine)) == 0
        restock.put_back(routed.store_codes, small.orders)
        scipy.put_back(scipy.route(small.orders), small.orders)
    np.testing.assert_array_equal(left, untouched)
    for store, sku, quantity in zip(*small.stock_rows, strict=True):
        assert engine.available(engine.store_ids[store], engine.skus[sku]) == quantity


def sold_out_pair(routed, workload, engine) -> tuple[str, str]:
    """A store and a SKU of which the batch took all there was."""
    stores = np.repeat(routed.store_codes, workload.orders.lines)
    there = stores >= 0
    taken = np.zeros(workload.on_hand.size, dtype=np.int64)
    rows = workload.row_of(stores[there], workload.orders.skus[there])
    np.add.at(taken, rows, workload.orders.quantities[there])
    row = int(np.flatnonzero(taken == workload.on_hand.ravel())[0])
    store_codes, sku_codes, _ = workload.stock_rows
    return engine.store_ids[store_codes[row]], engine.skus[sku_codes[row]]


def test_a_store_carries_as_many_distinct_skus_as_asked_and_an_order_wants_distinct_ones(load):
    made = metro_of(stores=300, skus=97, skus_per_store=31, orders=500)
    assert made.carried.shape == (300, 31)
    assert np.all(np.diff(made.carried, axis=1) > 0)
    assert made.carried.min() >= 0
    assert made.carried.max() < 97
    wanted = np.sort(made.more_orders(500, lines=5).skus.reshape(-1, 5), axis=1)
    assert np.all(np.diff(wanted, axis=1) > 0)


def test_the_pytest_benchmark_suite_runs():
    command = [sys.executable, "-m", "pytest", str(BENCHMARKS), "--benchmark-disable", "-q"]
    command += ["-p", "no:cacheprovider"]
    ran = subprocess.run(
        command,
        cwd=BENCHMARKS.parent,
        env={**os.environ, "FENDAN_BENCH_SMOKE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


# What the small workloads decide, on any machine; those around towns follow the table of towns.
DECISIONS = {
    "metro": "b62a2dcf57b9",
    "convenience": "5c49f979cb4d",
    "peak": "3179c8d77e77",
    "basket-1": "31f6716b966b",
    "basket-5": "eaf24ca7ea51",
    "basket-20": "f98df6b298c4",
    "sparse": "e401e4d75ab7",
    "out-of-range": "2bf7158cb3d8",
}


def test_every_named_workload_is_the_same_again_and_says_what_it_needs(load, tmp_path, capsys):
    workloads = load("workloads")
    report = workloads.main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    assert [one.name for one in report.workloads] == list(named.NAMED)
    assert not report.not_run
    found = {one.name: one for one in report.workloads}
    for one in report.workloads:
        assert one.decisions in printed
        assert len(one.by_batch_ms) == one.size.batches
    assert {name: found[name].decisions for name in DECISIONS} == DECISIONS
    assert found["basket-2"].decisions == found["convenience"].decisions
    assert found["metro"].assigned > 0.95
    assert found["out-of-range"].assigned == 0.0
    assert found["sparse"].assigned < found["peak"].assigned < 1.0  # some, or all, is sold out
    again = workloads.measured("nation", found["nation"].size, turns=1)
    assert again.decisions == found["nation"].decisions


def test_a_named_workload_of_files_is_decided_as_in_memory(load, tmp_path):
    nation = named.by_name("nation").smaller(300)
    files.write(nation, tmp_path)
    workload, batches = named.made(nation)
    engine = fendan.Engine()
    engine.load_stores(tmp_path / files.STORES)
    engine.load_stock(tmp_path / files.STOCK)
    orders = fendan.read_orders(tmp_path / files.ORDERS)
    told = [decision.store_id for decision in engine.route_batch(orders)]
    in_memory = load("workload").engine_for(workload)
    routed = in_memory.route_arrays(**vars(joined(batches)))
    ids = in_memory.store_ids
    assert told == [None if code < 0 else ids[code] for code in routed.store_codes.tolist()]
    assert len(told) > 100


def test_misses_are_simulated_for_a_workload_and_named_so(load, tmp_path, capsys):
    misses = load("misses")
    try:
        load("callgrind").check_tools()
    except load("callgrind").CannotCountError as reason:
        pytest.skip(str(reason))
    report = misses.main(["--smoke", "metro", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    (found,) = report.workloads
    instructions, branches, first, last = (found.simulated[what] for what in misses.EVENTS)
    assert instructions > branches > 0
    assert instructions > first > last > 0
    assert "simulated with caches of" in printed
    counted = set(found.counted) or set(report.not_run)
    assert counted <= {*misses.EVENTS, "hardware counters"}
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    table = load("page").misses(written)
    assert "| `metro` | simulated |" in table
    assert all(f" | {what}" in table for what in misses.EVENTS)


def test_perf_begins_to_count_when_it_is_told_to(load, monkeypatch):
    misses = load("misses")
    # What every machine with perf has: pages touched for the first time.
    monkeypatch.setattr(misses, "EVENTS", {"new pages": ((), "page-faults:u")})
    if why := misses.why_not_counted():
        pytest.skip(why)
    monkeypatch.setattr(misses.callgrind, "LONGEST_S", 60)
    (pages,) = misses._counted("metro", misses.SMALLER, orders=1).values()
    assert pages < 1000  # making and loading the workload touches many more


def test_what_perf_could_not_count_is_left_out(load):
    told = (
        "# started on Sun Nov 22\n\n"
        "3123456,,instructions:u,2000000,100.00,,\n"
        "<not supported>,,branch-misses:u,0,100.00,,\n"
        "<not counted>,,cache-misses:u,0,0.00,,\n"
    )
    assert load("misses").read_perf(told) == {"instructions": 3_123_456}


def test_caches_are_those_that_the_system_tells_of_or_the_usual(load, tmp_path, monkeypatch):
    misses = load("misses")
    levels = [("1", "Data", "48K", "12"), ("1", "Instruction", "32K", "8")]
    levels += [("2", "Unified", "2048K", "16"), ("3", "Unified", "16384K", "16")]
    names = ("level", "type", "size", "ways_of_associativity")
    monkeypatch.setattr(misses, "CACHES", tmp_path)
    assert misses._caches() == misses.USUAL_CACHES
    for number, said in enumerate(levels):
        (tmp_path / f"index{number}").mkdir()
        for name, value in zip(names, said, strict=True):
            (tmp_path / f"index{number}" / name).write_text(f"{value}\n")
    assert misses._caches() == ((48 << 10, 12), (16 << 20, 16))


def test_a_workload_too_large_for_the_machine_is_named_as_not_run(load, monkeypatch, capsys):
    workloads = load("workloads")
    monkeypatch.setattr(workloads, "free_bytes", lambda: 3_000_000_000)
    report = workloads.measure(["giant"], smaller=1, say=lambda _: None)
    assert report.workloads == []
    assert report.not_run == {"giant": "needs about 13 GB of memory, 3 GB are free"}


def test_a_workload_loaded_in_parts_is_the_same_engine(load, monkeypatch):
    workload = load("workload")
    small, batches = named.made(named.by_name("sparse").smaller(20))
    whole = workload.engine_for(small)
    monkeypatch.setattr(workload, "PAIRS_AT_ONCE", small.on_hand.size // 3)
    parts = workload.engine_for(small)
    assert (parts.skus, parts.pair_count) == (whole.skus, whole.pair_count)
    for orders in batches:
        told, expected = (engine.route_arrays(**vars(orders)) for engine in (parts, whole))
        np.testing.assert_array_equal(told.store_codes, expected.store_codes)


def test_a_peak_wants_few_goods_and_each_order_different_ones(load):
    peak = named.NAMED["peak"].smaller(10)
    workload, batches = named.made(peak)
    wanted = batches[0].skus.reshape(-1, 2)
    assert np.mean(wanted < peak.skus * named.HOT_SHARE) > 0.8
    assert np.all(wanted[:, 0] != wanted[:, 1])
    hot = workload.carried < peak.skus * named.HOT_SHARE
    assert workload.on_hand[hot].max() == named.HOT_ON_HAND


def test_all_who_do_the_whole_job_decide_as_the_engine_does(load, tmp_path, capsys):
    report = load("rivals").main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    rivals = [rival.name for rival in load("rivals").RIVALS]
    assert [one.peer for one in report.agreements] == [r for r in rivals if r not in report.not_run]
    assert all(name in printed for name in rivals)
    for one in report.agreements:
        # Redis keeps places to half a metre, so of two stores as far away it may take the other.
        least = one.orders - 2 if one.peer.startswith("Redis") else one.orders
        assert one.orders >= one.same >= least, one
        assert one.found >= least - 1, one


def test_a_peer_that_is_not_installed_is_named_as_not_run(load, monkeypatch):
    rivals = load("rivals")
    monkeypatch.setattr(load("redis_peer"), "SERVER", "no-such-server")
    monkeypatch.setattr(load("postgis_peer"), "binaries", lambda: None)
    tiny = rivals.Sizes(stores=64, skus=60, skus_per_store=15, orders=50, batches=1, turns=1)
    report = rivals.measure(tiny)
    assert report.not_run == {
        "Redis, GEOSEARCH + Lua": "needs Debian's redis-server",
        "PostGIS, KNN + join + update": "needs Debian's postgresql and postgis",
    }
    assert not {one.peer for one in report.agreements} & report.not_run.keys()


def test_where_goods_run_out_those_who_look_to_the_end_still_choose_as_all_do(load, tmp_path):
    workload, peers, plain = load("workload"), load("peers"), load("plain")
    small = metro_of(stores=200, skus=60, skus_per_store=6, orders=1500, seed=4)
    routed = workload.engine_for(small).route_arrays(**vars(small.orders))
    for made in (
        lambda left: peers.NearestThenStock(small, left, to_the_end=True),
        lambda left: peers.NearestThenStock(small, left, peers.AngleTree(small), to_the_end=True),
        lambda left: plain.PlainLoop(small, left, tmp_path),
    ):
        chosen = made(peers.dense_stock(small)).route(small.orders)
        np.testing.assert_array_equal(chosen, routed.store_codes)
    assert 0 < np.count_nonzero(routed.store_codes < 0) < 1500


def test_each_curve_stands_beside_what_it_should_be_and_is_drawn(load, tmp_path, capsys):
    curves = load("curves")
    report = curves.main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    assert [curve.what for curve in report.curves] == list(curves.CURVES)
    for curve in report.curves:
        assert f"{curve.what}; should grow" in printed
        assert len({point.expected_us for point in curve.points}) in (1, len(curve.points))
        assert all(0 < one.low_us <= one.us <= one.high_us for one in curve.points)
        assert all(0 < one.expected_bytes < 2 * one.bytes_a_pair for one in curve.points)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    load("curves_picture").draw(written, tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").std() > 0  # not blank


def test_a_growth_of_the_expected_shape_fits_it_whatever_its_parts(load):
    curves = load("curves")
    curve = curves.CURVES["batch"]
    points = curve.points(smoke=True)
    measured = [0.5 + 30 / point.batch for point in points]
    np.testing.assert_allclose(curves._expected(curve, points, measured), measured)
    flat = curves._expected(curves.CURVES["skus"], points, [1.0, 1.0, 1.0])
    np.testing.assert_allclose(flat, 1.0)


def test_instants_compressed_in_time_keep_their_crowds(load):
    arrivals = load("arrivals")
    day = np.concatenate([np.arange(0, 1440), np.full(1440, 720)]) * 60.0
    due = arrivals.compressed(day, 28_800, 1.0)
    assert due[0] == 0.0
    assert due[-1] == pytest.approx(1.0)
    assert np.all(np.diff(due) >= 0)
    at_noon = np.count_nonzero((due > 0.499) & (due < 0.502))
    assert 14_000 < at_noon < 15_000  # half of them, within two minutes of a day


@pytest.mark.real_data
def test_orders_that_come_as_they_really_came_are_all_routed(load, shared_data, capsys):
    report = load("arrivals").main(["--smoke"])
    printed = capsys.readouterr().out
    assert [one.curve for one in report.waits] == list(load("arrivals").CURVES)
    for one in report.waits:
        assert one.curve in printed
        assert one.assigned == 1.0
        assert one.busiest_per_s > one.offered_per_s  # it is no even stream
        assert 0 < one.p50_ms <= one.p99_ms <= one.p999_ms <= one.most_ms


def test_without_the_real_instants_nothing_runs_and_it_is_said(load, monkeypatch, tmp_path, capsys):
    arrivals = load("arrivals")
    monkeypatch.setattr(arrivals, "SHARED_DATA", tmp_path / "nowhere")
    assert arrivals.main(["--smoke"]).waits == []
    assert "a day of meals: not run, needs ../shared/data" in capsys.readouterr().out


def test_every_intake_rule_is_measured_and_two_runs_find_the_same(load, tmp_path, capsys):
    intake = load("intake")
    report = intake.main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["findings"] == report.findings
    assert report.findings in printed
    assert len(report.rows) == 2 + len(intake.RULES)
    assert [row.name for row in report.rows if row.met is not None] == ["all rules"]
    assert report.orders_found["PLACE_SWAPPED"] > 0
    assert intake.measure(intake.SMOKE).findings == report.findings


def test_whoever_waits_is_found_when_stock_arrives_and_the_report_says_how_soon(
    load, tmp_path, capsys
):
    waiting = load("waiting")
    report = waiting.main(["--smoke", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report.decisions in printed
    assert [row["name"] for row in written["rows"]] == [row.name for row in report.rows]
    assert report.assigned == waiting.SMOKE.arrivals * waiting.ORDERS_PER_SKU
    assert sum(row.met is not None for row in report.rows) == 1
