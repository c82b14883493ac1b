# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which files of a node new pods get their MTU, and the names of the pods that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, device_setup, files, put_back
from ansible_collections.podnet.cni.plugins.module_utils._plan.mtu_findings import Setting

_FLANNEL = re.compile(r"(?m)^FLANNEL_MTU=(\d+)$")
_CALICO_FILE = "mtu"


def written_by_agents(places: cni_state.Places, calico: Path, value: int) -> device_setup.Change:
    """What the agents wrote for their plugins, with this MTU: flanneld's C(subnet.env) (flannel-io/flannel:pkg/subnet/subnet.go) and Felix's
    C(mtu) (projectcalico/calico:felix/dataplane/linux/int_dataplane.go). They write the same when they start the next time.
    """
    texts = {}
    path = places.flannel / "subnet.env"
    text = files.read_text(path)
    if text is not None and _FLANNEL.search(text):
        texts[path] = _FLANNEL.sub(f"FLANNEL_MTU={value}", text)
    path = calico / _CALICO_FILE
    text = files.read_text(path)
    if text is not None and text.strip().isdigit():
        texts[path] = text.replace(text.strip(), str(value))
    return device_setup.of_files(texts, 0o644)


def settings(places: cni_state.Places) -> list[Setting]:
    """Numbers in the configuration that new pods are made with."""
    active = next((config for config in cni_state.read_configs(places) if config["valid"]), None)
    if active is None:
        return []
    found = []
    for plugin in config_files.plugins_of(active["path"], json.loads(files.read_bytes(active["path"]) or b"{}")):
        delegate = plugin.get("delegate")
        for what, value in ((f"mtu of {plugin.get('type')}", plugin.get("mtu")), ("delegate.mtu", (delegate or {}).get("mtu"))):
            if isinstance(value, int) and not isinstance(value, bool):
                found.append(Setting(active["path"], what, value))
    return found


def pod_names(places: cni_state.Places) -> dict[str, str]:
    """Namespace and name of pods by the node's end of their veth, as the CNI library remembers them (containernetworking/cni:libcni/api.go)."""
    found = {}
    for folder in places.caches:
        for name in files.names(folder):
            try:
                cached = put_back.read(folder / name) or {}
                given = {str(pair[0]): str(pair[1]) for pair in cached.get("cniArgs") or []}
            except (ValueError, AttributeError, IndexError, TypeError):
                continue
            pod = f"{given.get('K8S_POD_NAMESPACE')}/{given.get('K8S_POD_NAME')}"
            for attachment in cni_state.read_attachments_of(folder / name):
                if "K8S_POD_NAME" in given:
                    found.update(dict.fromkeys(attachment["host_interfaces"], pod))
    return found
