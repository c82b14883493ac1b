# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release what the plugins of a CNI still hold for pods that are gone.

A runtime deletes a pod with the configuration that is active then (containerd/go-cni:cni.go Remove). So a pod that ends after the switch to
another CNI leaves its address, and the rules of its host ports, which go on winning against those of its successor. What the CNI library
remembers of the pod is enough to call the plugins for it, as the specification says (containernetworking/cni:SPEC.md, section 4 and 5).
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, commands, files


def find_gone(places: cni_state.Places, interfaces: t.Collection[str], cni: str = "flannel") -> list[Path]:
    """Files of the CNI library about pods of a CNI that have no sandbox any more, and no interface among those of the node."""
    found = []
    for name, attachments in cni_state.read_attachments(places).items():
        ours = [item for item in attachments if item["cni"] == cni]
        connected = any(interface in interfaces for item in ours for interface in item["host_interfaces"])
        if ours and not connected and not os.path.exists(str(_load(Path(name)).get("netns") or "")):
            found.append(Path(name))
    return found


def release(path: Path, places: cni_state.Places) -> None:
    """Call the plugins for the deletion of a pod, the last one first, and forget the pod.

    :raises CommandError: when a plugin fails; then the pod is not forgotten.
    """
    pod = cni_cache.parse(files.read_bytes(path) or b"")
    if pod is None:
        raise commands.CommandError(f"{path} does not tell any more which plugins its pod has")
    environment = cni_cache.environment(pod, "DEL", "", str(places.programs))
    for plugin in reversed(pod.config["plugins"]):
        program = str(places.programs / str(plugin["type"]))
        given = cni_cache.plugin_input(plugin, pod.config, pod.content.get("capabilityArgs") or {}, pod.content.get("result"))
        commands.run([program], stdin=json.dumps(given), timeout=10, environment=environment)
    files.remove(path)


def _load(path: Path) -> dict[str, t.Any]:
    try:
        cached = json.loads(files.read_bytes(path) or b"{}")
    except ValueError:
        return {}
    return cached if isinstance(cached, dict) else {}
