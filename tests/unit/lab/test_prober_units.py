# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prober's arithmetic, DNS packets and configuration, without sockets."""

from __future__ import annotations

import importlib.util
import json
import socket
import struct
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "lab" / "prober"


def load(name):
    spec = importlib.util.spec_from_file_location(f"lab_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prober = load("prober")


@pytest.fixture
def config(tmp_path):
    return prober.Config({"id": "t", "out": str(tmp_path), "targets": [{"kind": "clusterip", "addresses": ["127.0.0.1"], "port": 1}]})


@pytest.fixture
def statistics(config):
    recorder = prober.Recorder(config, now=100.0)
    result = prober.Statistics("clusterip", recorder, warm_until=100.0)
    recorder.statistics.append(result)
    return result


def failures(statistics):
    path = Path(statistics.recorder.failures_path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- DNS ---


def answer(query, addresses, flags=0x8180, compressed=True):
    question = query[12 : query.index(b"\0", 12) + 5]
    owner = b"\xc0\x0c" if compressed else question[:-4]
    records = b"".join(owner + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton(address) for address in addresses)
    return query[:2] + struct.pack("!5H", flags, 1, len(addresses), 0, 0) + question + records


def test_query_has_the_name_and_asks_for_addresses():
    query = prober.build_query("web.demo.svc.cluster.local", 0x1234)
    assert query[:12] == bytes.fromhex("123401000001000000000001")
    assert query[12:].startswith(b"\x03web\x04demo\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01")
    assert query.endswith(b"\x00" + struct.pack("!HHIH", 41, 1232, 0, 0))
    assert prober.build_query("web.", 1) == prober.build_query("web", 1)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64])
def test_query_refuses_what_is_not_a_name(name):
    with pytest.raises(prober.DnsError):
        prober.build_query(name, 1)


@pytest.mark.parametrize("compressed", [True, False])
def test_answer_gives_addresses(compressed):
    query = prober.build_query("web.demo", 7)
    assert prober.parse_answer(answer(query, ["10.0.0.1", "10.0.0.2"], compressed=compressed), 7) == ["10.0.0.1", "10.0.0.2"]


def test_answer_for_an_unknown_name_is_empty():
    assert prober.parse_answer(answer(prober.build_query("web.demo", 7), [], flags=0x8183), 7) == []


def test_answer_skips_other_records():
    query = prober.build_query("www", 7)
    question = query[12 : query.index(b"\0", 12) + 5]
    alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 5, 6) + b"\x03web\xc0\x0c"
    address = b"\xc0\x21" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton("10.0.0.9")
    data = query[:2] + struct.pack("!5H", 0x8180, 1, 2, 0, 0) + question + alias + address
    assert prober.parse_answer(data, 7) == ["10.0.0.9"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:5], "malformed"),
        (lambda data: data[:-3], "malformed"),
        (lambda data: b"\0\1" + data[2:], "not the answer"),
        (lambda data: data[:2] + b"\x01\x00" + data[4:], "not the answer"),
        (lambda data: data[:2] + b"\x81\x82" + data[4:], "response code 2"),
    ],
)
def test_answer_refuses_what_is_no_answer(change, message):
    data = answer(prober.build_query("web.demo", 7), ["10.0.0.1"])
    with pytest.raises(prober.DnsError, match=message):
        prober.parse_answer(change(data), 7)


# --- Outages and counts ---


def test_outage_lasts_from_success_to_success():
    tracker = prober.OutageTracker()
    assert tracker.success(1.0) is None
    tracker.failure(1.05, 2.05)
    tracker.failure(1.10, 2.10)
    assert tracker.unfinished() == (1.0, 2.10)
    assert tracker.success(2.5) == (1.0, 2.5)
    assert tracker.unfinished() is None
    assert tracker.success(2.6) is None


def test_outage_before_any_success_begins_with_the_first_failure():
    tracker = prober.OutageTracker()
    tracker.failure(1.0, 2.0)
    tracker.failure(1.5, 2.5)
    assert tracker.success(3.0) == (1.0, 3.0)


def test_statistics_count_failures_and_the_longest_outage(statistics):
    statistics.succeeded("a", 100.0, 100.01)
    statistics.failed_request("a", 100.05, 101.05, "read timeout", 0.0)
    statistics.failed_request("a", 100.10, 101.10, "read timeout", 0.0)
    statistics.succeeded("a", 101.5, 101.51)
    statistics.failed_request("a", 102.0, 102.0, "ECONNREFUSED", 0.0)
    statistics.succeeded("a", 102.1, 102.11)
    result = statistics.as_dict()
    assert (result["requests"], result["failed"]) == (6, 3)
    assert result["longest_outage_ms"] == 1500.0
    assert [entry["milliseconds"] for entry in result["outages"]] == [1500.0, 600.0]
    assert [entry["error"] for entry in failures(statistics)] == ["read timeout", "read timeout", "ECONNREFUSED"]
    assert failures(statistics)[0]["milliseconds"] == 1000.0


def test_an_outage_of_one_target_is_not_hidden_by_another(statistics):
    for begin in (100.0, 100.2, 100.4):
        statistics.succeeded("good", begin, begin + 0.01)
        statistics.failed_request("bad", begin + 0.1, begin + 0.11, "ECONNREFUSED", 0.0)
    statistics.succeeded("bad", 101.0, 101.01)
    assert statistics.as_dict()["longest_outage_ms"] == 910.0


def test_an_outage_that_goes_on_is_reported(statistics):
    statistics.succeeded("a", 100.0, 100.01)
    statistics.failed_request("a", 100.1, 101.1, "connect timeout", 0.0)
    result = statistics.as_dict()
    assert result["longest_outage_ms"] == 1090.0
    assert result["outages"][0]["over"] is False


def test_failures_in_the_first_seconds_are_failures_and_are_marked(statistics):
    statistics.warm_until = 101.0
    statistics.failed_request("a", 100.5, 100.5, "ECONNREFUSED", 0.0)
    assert (statistics.requests, statistics.failed, statistics.warmup_failed) == (1, 1, 1)
    statistics.failed_request("a", 101.5, 101.5, "ECONNREFUSED", 0.0)
    assert (statistics.requests, statistics.failed, statistics.warmup_failed) == (2, 2, 1)
    assert [entry["warmup"] for entry in failures(statistics)] == [True, False]


def test_lag_of_several_timers_counts_once(statistics):
    recorder = statistics.recorder
    recorder.late(100.0, 100.5)
    recorder.late(100.1, 100.5)
    recorder.late(100.4, 100.6)
    assert recorder.lag_total == pytest.approx(0.6)
    assert recorder.longest_lag == pytest.approx(0.5)


def test_lag_is_known_before_the_late_timer_runs(statistics):
    recorder = statistics.recorder
    assert recorder.lag(100.5).timers == 0
    recorder.due("a", 100.1)
    recorder.due("b", 100.3)
    assert recorder.lag(100.05).timers == 0
    assert recorder.lag(100.5).timers == pytest.approx(0.4)
    recorder.late(100.1, 100.5)
    assert recorder.lag(100.5).timers == pytest.approx(0.4)
    recorder.due("a", 101.0)
    recorder.not_due("b")
    assert recorder.lag(100.9).timers == pytest.approx(0.4)


def test_lag_is_what_the_clock_says_that_saw_more_of_it():
    before = prober.Lag(timers=1.0, processor=10.0)
    assert prober.Lag(timers=1.5, processor=10.2).since(before) == pytest.approx(0.5)
    assert prober.Lag(timers=1.1, processor=10.9).since(before) == pytest.approx(0.9)


def test_the_wait_for_a_processor_is_read_from_the_kernel(tmp_path):
    file = tmp_path / "schedstat"
    file.write_text("5000000000 2500000000 17\n")
    wait = prober.WaitForProcessor(str(file))
    assert wait.seconds() == 2.5
    file.write_text("5000000000 3500000000 18\n")
    assert wait.seconds() == 3.5


def test_a_kernel_that_does_not_count_the_wait_adds_nothing(tmp_path):
    assert prober.WaitForProcessor(str(tmp_path / "missing")).seconds() == 0.0


def test_answers_after_the_plain_deadline_are_counted(statistics):
    statistics.succeeded("a", 100.0, 100.9)
    statistics.succeeded("a", 100.0, 101.1)
    assert (statistics.requests, statistics.stalled) == (2, 1)


def test_histogram_quantiles_are_upper_bounds():
    histogram = prober.Histogram()
    for value in [1.0] * 98 + [40.0, 1000.0]:
        histogram.add(value)
    assert histogram.quantile(0.5) == 1.0
    assert 40 <= histogram.quantile(0.99) < 48
    assert histogram.quantile(1.0) == 1000.0
    assert prober.Histogram().quantile(0.5) is None


def test_summary_and_seconds_are_written(statistics):
    statistics.succeeded("a", 100.2, 100.21)
    statistics.failed_request("a", 100.3, 101.3, "read timeout", 0.0)
    recorder = statistics.recorder
    recorder.write(101.0)
    assert not Path(recorder.seconds_path).exists()
    recorder.write(110.0, ended=True)
    summary = json.loads(Path(recorder.summary_path).read_text())
    assert summary["ended"] is True
    assert summary["kinds"]["clusterip"]["failed"] == 1
    lines = [json.loads(line) for line in Path(recorder.seconds_path).read_text().splitlines()]
    assert sum(line["kinds"]["clusterip"][0] for line in lines) == 2
    assert sum(line["kinds"]["clusterip"][1] for line in lines) == 1
    assert not list(Path(recorder.config.out).glob("*.new"))


# --- Configuration ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a/b"}, "id a/b"),
        ({"targets": []}, "targets"),
        ({"targets": [{"kind": "ping", "addresses": ["::1"], "port": 1}]}, "kind ping"),
        ({"targets": [{"kind": "udp", "addresses": ["127.0.0.1"]}]}, "port 0"),
        ({"targets": [{"kind": "udp", "port": 1}]}, "names or addresses"),
        ({"targets": [{"kind": "udp", "port": 1, "names": ["a"]}]}, "dns_server"),
        ({"targets": [{"kind": "dns"}]}, "names is empty"),
        ({"targets": [{"kind": "udp", "addresses": ["127.0.0.1"], "port": 1, "interval_ms": 0}]}, "interval_ms 0"),
        ({"targets": [{"kind": "udp", "addresses": ["127.0.0.1"], "port": 1}] * 2}, "each kind once"),
    ],
)
def test_bad_configuration_is_refused_with_the_field(change, message):
    good = {"id": "t", "out": "o", "targets": [{"kind": "udp", "addresses": ["127.0.0.1"], "port": 1}]}
    with pytest.raises(prober.ConfigError, match=message):
        prober.Config({**good, **change})


def test_missing_field_is_named():
    with pytest.raises(prober.ConfigError, match="out is missing"):
        prober.Config({"id": "t"})
