# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import threading

import pytest
from podnet_demo import measure, traffic
from podnet_lab.errors import LabError


def test_iperf3_is_judged_by_what_the_receiver_got() -> None:
    report = {"end": {"sum_received": {"bits_per_second": 2.834e9}, "sum_sent": {"retransmits": 4}}}
    assert measure.parse_iperf3(json.dumps(report)) == {"gbit": 2.834, "retransmits": 4}


@pytest.mark.parametrize(("text", "words"), [('{"error": "no route"}', "no route"), ("oops", "not its JSON"), ("{}", "not its JSON")])
def test_errors_of_iperf3_are_told(text: str, words: str) -> None:
    with pytest.raises(LabError, match=words):
        measure.parse_iperf3(text)


def test_the_cost_is_told_for_frames_and_for_packets() -> None:
    cost = measure.WireCost(1000, 1100, 1080, 1, 0, 1514).as_dict()
    assert (cost["bytes_per_payload_byte"], cost["ip_bytes_per_payload_byte"]) == (1.1, 1.08)


def test_clients_and_server_agree_on_the_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(traffic, "PORT", free.getsockname()[1])
    threading.Thread(target=traffic.serve, daemon=True).start()
    for _attempt in range(50):
        try:
            traffic.connect("127.0.0.1").close()
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    assert traffic.bulk("127.0.0.1", 200_000)["payload_bytes"] == 64 + 200_000 + 1
    assert traffic.messages("127.0.0.1", 256, 20)["payload_bytes"] == 64 + 2 * 256 * 20
    result = traffic.latency("127.0.0.1", 256, 20)
    assert result["samples"] == 20
    assert result["connect_ms"]["p50"] <= result["connect_ms"]["p99"]  # type: ignore[index]


def test_quantiles() -> None:
    assert traffic.quantiles([i / 1000 for i in range(1, 101)]) == {"p50": 51.0, "p99": 100.0}
