# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call plugins of a CNI as the runtime does (containernetworking/cni:SPEC.md, section 2)."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, commands, files

SECONDS = 30.0
"""For one call; Calico's plugins wait for the API server."""


class PluginError(Exception):
    """A plugin failed; the text has what it said."""


def call(places: cni_state.Places, plugin: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any], environment: t.Mapping[str, str]) -> cni_cache.Record:
    """Call one plugin and return its result, empty for a command that has none.

    :raises PluginError: when it fails.
    """
    name = str(plugin["type"])
    try:
        done = commands.run([str(places.programs / name)], stdin=json.dumps(given), check=False, timeout=SECONDS, environment=environment)
    except commands.CommandError as exc:
        raise PluginError(str(exc)) from exc
    try:
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
    except ValueError:
        answer = {"msg": done.stdout.strip()}
    if done.returncode:
        said = answer.get("msg") or done.stderr.strip() or f"code {done.returncode}"
        details = f" ({answer['details']})" if answer.get("details") else ""
        raise PluginError(f"{environment['CNI_COMMAND']} of the plugin {name} failed: {said}{details}")
    return answer if isinstance(answer, dict) else {}


def add_first(
    places: cni_state.Places, pod: cni_cache.Remembered, config: cni_cache.Record, netns: str, extra: t.Mapping[str, str]
) -> cni_cache.Record:
    """Have the first plugin of a list make an interface; C(extra) are further arguments, such as C(IP)."""
    plugin = config["plugins"][0]
    given = cni_cache.plugin_input(plugin, config, pod.content.get("capabilityArgs") or {}, None)
    return call(places, plugin, given, cni_cache.environment(pod, "ADD", netns, str(places.programs), extra))


def add_others(
    places: cni_state.Places, pod: cni_cache.Remembered, config: cni_cache.Record, netns: str, result: cni_cache.Record
) -> cni_cache.Record:
    """Have the plugins after the first one do their part to an interface."""
    for plugin in config["plugins"][1:]:
        given = cni_cache.plugin_input(plugin, config, pod.content.get("capabilityArgs") or {}, result)
        result = call(places, plugin, given, cni_cache.environment(pod, "ADD", netns, str(places.programs))) or result
    return result


def delete(places: cni_state.Places, pod: cni_cache.Remembered, config: cni_cache.Record, result: cni_cache.Record | None) -> list[str]:
    """Have plugins give back what they hold for a pod, the last one first. No namespace is named, so that no interface is touched.

    All are called, also after a failure; what failed is returned.
    """
    problems = []
    for plugin in reversed(config["plugins"]):
        given = cni_cache.plugin_input(plugin, config, pod.content.get("capabilityArgs") or {}, result)
        try:
            call(places, plugin, given, cni_cache.environment(pod, "DEL", "", str(places.programs)))
        except PluginError as exc:
            problems.append(str(exc))
    return problems


def read_remembered(places: cni_state.Places) -> dict[Path, cni_cache.Remembered]:
    """What the CNI library remembers of pods, by file."""
    parsed = ((path, cni_cache.parse(files.read_bytes(path) or b"")) for path in cni_state.cache_files(places))
    return {path: remembered for path, remembered in parsed if remembered is not None}


def read_list(path: Path) -> cni_cache.Record | None:
    """A configuration file as a list of plugins, None when there is none."""
    content = files.read_bytes(path)
    return None if content is None else cni_cache.as_list(json.loads(content))
