# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of one kernel that the judge asks for: probes, configuration, modules, programs."""

from __future__ import annotations

import os
import platform
import re
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files, kernel_bpf, kernel_files, kernel_netlink

Record = dict[str, t.Any]
Needs = t.Mapping[str, t.Sequence[str]]
_BTF_MAGIC = (b"\x9f\xeb", b"\xeb\x9f")
_VERSION = re.compile(r"\bv?(\d+(?:\.\d+)+)")


def _jit() -> kernel_bpf.Result:
    text = (files.read_text("/proc/sys/net/core/bpf_jit_enable") or "").strip()
    if not text:
        return None, "net.core.bpf_jit_enable cannot be read"
    return text != "0", f"net.core.bpf_jit_enable is {text}"


def _btf() -> kernel_bpf.Result:
    try:
        with open("/sys/kernel/btf/vmlinux", "rb") as stream:
            magic = stream.read(2)
    except FileNotFoundError:
        return (False, "/sys/kernel/btf/vmlinux is not there") if os.path.isdir("/sys/kernel") else (None, "/sys is not mounted")
    except OSError as exc:
        return None, f"/sys/kernel/btf/vmlinux: {exc.strerror}"
    return magic in _BTF_MAGIC, "/sys/kernel/btf/vmlinux is there"


def _bpf_answer(bpf: kernel_bpf.Bpf, words: t.Sequence[str]) -> kernel_bpf.Result:
    asks: dict[str, t.Callable[..., kernel_bpf.Result]] = {
        "bpf_syscall": kernel_bpf.syscall,
        "large_programs": kernel_bpf.large_programs,
        "bounded_loops": kernel_bpf.bounded_loops,
        "tcx": kernel_bpf.tcx,
        "map_type": kernel_bpf.map_type,
        "program_type": kernel_bpf.program_type,
        "helper": kernel_bpf.helper,
    }
    try:
        return asks[words[0]](bpf, *words[1:])
    except OSError as exc:
        return None, str(exc)


def probe(names: t.Sequence[str], depth: str) -> dict[str, Record]:
    """Answers of the running kernel by the names of the probes; C(depth) is C(all), C(bpf) (nothing is loaded) or C(none)."""
    answers: dict[str, kernel_bpf.Result] = {}
    network = [name for name in names if name.split()[0] in kernel_netlink.NAMES]
    if depth == "all":
        answers.update(kernel_netlink.ask(network))
    if depth != "none":
        bpf = kernel_bpf.Bpf()
        for name in names:
            words = name.split()
            if words[0] == "jit":
                answers[name] = _jit()
            elif words[0] == "btf":
                answers[name] = _btf()
            elif name not in network:
                answers[name] = _bpf_answer(bpf, words)
    not_asked = (None, "was not probed")
    return {name: {"result": found[0], "detail": found[1]} for name in names for found in [answers.get(name, not_asked)]}


def tool_versions(names: t.Iterable[str]) -> dict[str, str | None]:
    """Versions of programs: empty when the node has none, None when it does not tell."""
    found: dict[str, str | None] = {}
    for name in names:
        if not commands.find(name):
            found[name] = ""
            continue
        try:
            said = commands.run([name, "--version"], check=False, timeout=5.0)
        except commands.CommandError:
            found[name] = None
            continue
        match = _VERSION.search(said.stdout or said.stderr)
        found[name] = match.group(1) if match else None
    return found


def running_facts(needs: Needs, depth: str) -> Record:
    """Facts of the kernel that runs here."""
    root, release = Path("/"), platform.release()
    source, options = kernel_files.find_config(root, release, running=True)
    folder, names = kernel_files.find_modules(root, release, running=True)
    return {
        "release": release,
        "machine": platform.machine(),
        "banner": platform.version(),
        "signature": files.read_text("/proc/version_signature") or "",
        "running": True,
        "others": [],
        "probes": probe(needs["probes"], depth),
        "config": _config(source, options, needs),
        "modules": _modules(folder, names, needs),
        "tools": tool_versions(needs["tools"]),
    }


def stored_facts(needs: Needs, root: str, release: str) -> Record:
    """Facts of a kernel in a file system that is mounted somewhere, or in a boot folder.

    :raises kernel_files.NotFound: when there is no such kernel.
    """
    base = Path(root)
    chosen, others = kernel_files.choose_release(base, release)
    source, options = kernel_files.find_config(base, chosen, running=False)
    folder, names = kernel_files.find_modules(base, chosen, running=False)
    return _stored(chosen, others, kernel_files.machine_of(options), _config(source, options, needs), _modules(folder, names, needs))


def config_facts(needs: Needs, path: str, release: str) -> Record:
    """Facts that a configuration file alone tells.

    :raises kernel_files.NotFound: when it cannot be read, or does not tell of which release it is.
    """
    text = kernel_files.read_config(Path(path))
    if not text or "CONFIG_" not in text:
        raise kernel_files.NotFound(f"config: '{path}' is no kernel configuration that can be read; give one such as /boot/config-RELEASE")
    named = Path(path).name.partition("config-")[2]
    chosen = release or (named if re.match(r"\d+\.\d+", named) else "") or kernel_files.config_release(text)
    if not chosen:
        raise kernel_files.NotFound(f"kernel: '{path}' does not tell of which release it is; give the release")
    options = kernel_files.parse_config(text)
    return _stored(chosen, [], kernel_files.machine_of(options), _config(path, options, needs), _modules("", set(), needs))


def _stored(release: str, others: list[str], machine: str, config: Record, modules: Record) -> Record:
    return {
        "release": release,
        "machine": machine,
        "banner": "",
        "signature": "",
        "running": False,
        "others": others,
        "probes": {},
        "config": config,
        "modules": modules,
        "tools": {},
    }


def _config(source: str, options: t.Mapping[str, str], needs: Needs) -> Record:
    return {"source": source, "options": {name: options[name] for name in needs["options"] if name in options}}


def _modules(source: str, names: set[str], needs: Needs) -> Record:
    wanted = [name.replace("-", "_") for name in needs["modules"]]
    return {"source": source, "found": sorted({name for name in wanted if name in names})}
