# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches the addresses of pods: no two live ones may have the same, and Calico's IPAM must not have given it to another one.

What is true is read from the nodes, from what the CNI library keeps of every attachment whose network namespace is there
(containernetworking/cni:libcni/api.go, C(cacheAdd)); a pod's status in the API may be older. Calico's handles name the container
(projectcalico/calico:cni-plugin/internal/pkg/utils/utils.go, C(GetHandleID)), so that both can be compared exactly.
"""

from __future__ import annotations

import collections
import contextlib
import json
import threading
import typing as t
from collections.abc import Iterable, Mapping
from pathlib import Path

from podnet_lab.cluster_api import ClusterApi
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab

BLOCKS = "/apis/crd.projectcalico.org/v1/ipamblocks"
CALICO_NETWORK = "k8s-pod-network"
RESULTS = "var/lib/cni/results"
PAUSE_SECONDS = 0.7
CONFIRMED = 3
"""Samples in a row that make a finding: a pod's end and its release are not one moment."""


class Attachment(t.NamedTuple):
    """A sandbox with its address in a network."""

    network: str
    container: str
    pod: str
    address: str


def attachment_of(cached: Mapping[str, t.Any]) -> Attachment | None:
    """What the CNI library keeps of one attachment; None without an address."""
    words = dict(cached.get("cniArgs") or [])
    addresses = [entry["address"].split("/")[0] for entry in (cached.get("result") or {}).get("ips") or []]
    if not addresses or cached.get("networkName") == "cni-loopback":
        return None
    pod = f"{words.get('K8S_POD_NAMESPACE')}/{words.get('K8S_POD_NAME')}"
    return Attachment(cached["networkName"], cached["containerId"], pod, addresses[0])


def read_attachments(root: Path) -> list[Attachment]:
    """Those of a node whose network namespace is there, read through the root of its init process."""
    found = []
    for path in (root / RESULTS).glob("*"):
        with contextlib.suppress(OSError, ValueError):
            cached = json.loads(path.read_text(encoding="utf-8"))
            if (root / str(cached["netns"]).replace("/var/run/", "/run/").lstrip("/")).exists():
                attachment = attachment_of(cached)
                found += [attachment] if attachment else []
    return found


def allocations(blocks: Iterable[Mapping[str, t.Any]]) -> dict[str, str]:
    """Address to handle of what Calico's IPAM has given to containers."""
    given: dict[str, str] = {}
    for block in blocks:
        spec = block["spec"]
        first = [int(part) for part in spec["cidr"].split("/")[0].split(".")]
        for ordinal, index in enumerate(spec["allocations"]):
            handle = None if index is None else spec["attributes"][index].get("handle_id")
            if handle and handle.startswith(f"{CALICO_NETWORK}."):
                number = sum(part << shift for part, shift in zip(first, (24, 16, 8, 0))) + ordinal
                given[".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))] = handle
    return given


def twice(attachments: Iterable[Attachment]) -> set[str]:
    """Addresses that more than one live sandbox has."""
    holders: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for item in attachments:
        holders[item.address][item.container] = item.pod
    return {f"{address} is that of {' and '.join(sorted(pods.values()))}" for address, pods in holders.items() if len(pods) > 1}


def against_ipam(attachments: Iterable[Attachment], given: Mapping[str, str]) -> set[str]:
    """Addresses of live sandboxes that Calico's IPAM gave to another container, or of Calico's that it holds for nobody."""
    found = set()
    for item in attachments:
        handle, own = given.get(item.address), f"{CALICO_NETWORK}.{item.container}"
        if handle is not None and handle != own:
            found.add(f"{item.address} of {item.pod} is given to {handle} by Calico's IPAM")
        elif handle is None and item.network == CALICO_NETWORK:
            found.add(f"{item.address} of {item.pod} is free in Calico's IPAM")
    return found


class Confirmed:
    """Findings that stay for some samples in a row."""

    def __init__(self, samples: int = CONFIRMED) -> None:
        self._samples = samples
        self._seen: collections.Counter[str] = collections.Counter()
        self.findings: set[str] = set()

    def add(self, current: set[str]) -> None:
        """Take one sample."""
        self._seen = collections.Counter({text: self._seen[text] + 1 for text in current})
        self.findings |= {text for text, count in self._seen.items() if count >= self._samples}


class AddressWatch:
    """A thread that samples as long as the block runs."""

    def __init__(self, lab: Lab, api: ClusterApi) -> None:
        self._lab = lab
        self._api = api
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="address-watch", daemon=True)
        self._pids: dict[str, int] = {}
        self.duplicates = Confirmed()
        self.mismatches = Confirmed()
        self.samples = 0
        self.compared = 0
        """Samples that Calico's IPAM could be asked for as well."""
        self.addresses: set[str] = set()

    def __enter__(self) -> AddressWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def as_dict(self) -> dict[str, t.Any]:
        """Ready for JSON."""
        return {
            "samples": self.samples,
            "compared_with_ipam": self.compared,
            "addresses": len(self.addresses),
            "twice": sorted(self.duplicates.findings),
            "against_ipam": sorted(self.mismatches.findings),
        }

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        before = self._attachments()
        self.samples += 1
        self.addresses |= {item.address for item in before}
        self.duplicates.add(twice(before))
        with contextlib.suppress(LabError):  # the API server is away, or Calico's definitions are not there
            given = allocations(self._api.items(BLOCKS))
            lasting = set(before) & set(self._attachments())
            self.compared += 1
            self.mismatches.add(against_ipam(lasting, given))

    def _attachments(self) -> list[Attachment]:
        return [item for node in self._lab.nodes for item in read_attachments(self._root(node.container))]

    def _root(self, container: str) -> Path:
        root = Path(f"/proc/{self._pids.get(container, 0)}/root")
        if not (root / RESULTS).exists():
            self._pids[container] = self._lab.podman.pid(container)
            root = Path(f"/proc/{self._pids[container]}/root") if self._pids[container] else Path("/nonexistent")
        return root
