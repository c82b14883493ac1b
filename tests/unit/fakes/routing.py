# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's routing tables and rules, changed by the programs that the code calls. The real ones are used in the lab."""

from __future__ import annotations

import json
import subprocess
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import commands

MAIN = [
    {"dst": "default", "gateway": "172.30.1.1", "dev": "eth0", "protocol": "static"},
    {"dst": "172.30.1.0/24", "dev": "eth0", "protocol": "kernel", "scope": "link"},
    {"dst": "10.244.2.0/26", "gateway": "172.30.1.12", "dev": "eth0", "protocol": "bird"},
    {"dst": "10.244.3.0/26", "gateway": "10.244.3.0", "dev": "vxlan.calico", "flags": ["onlink"]},
    {"dst": "10.244.1.0/26", "type": "blackhole", "protocol": "bird"},
    {"dst": "10.244.1.5", "dev": "cali1234", "scope": "link"},
]


class FakeRouting:
    """Tables by number, rules by priority, and what programs were called in order."""

    def __init__(self) -> None:
        self.main: list[dict[str, t.Any]] = [dict(route) for route in MAIN]
        self.tables: dict[str, dict[str, str]] = {}
        self.rules: dict[str, str] = {}
        self.marks = False
        self.tunnel = True
        self.timer = ""
        self.calls: list[str] = []
        self.missing: set[str] = set()
        self.reached: dict[str, dict[str, t.Any]] = {}

    def find(self, program: str) -> str | None:
        return None if program in self.missing else f"/sbin/{program}"

    def run(self, words: t.Sequence[str], stdin: str | None = None, check: bool = True, **dummy: t.Any) -> subprocess.CompletedProcess[str]:
        """Instead of commands.run."""
        line = " ".join(words)
        self.calls.append(line if stdin is None else f"{line}: {stdin}")
        code, text = 0, ""
        if line.startswith("ip -json -4 rule show"):
            text = json.dumps([{"priority": int(priority), "table": rule.split()[-1]} for priority, rule in self.rules.items()])
        elif line.endswith("route show table all"):
            text = json.dumps([*self.main, *self._ours()])
        elif line.endswith("route show table main proto 80"):
            text = json.dumps([route for route in self.main if route.get("protocol") == "80"])
        elif line.startswith("ip link show dev"):
            code = 0 if self.tunnel else 1
        elif line.endswith("route show table main"):
            text = json.dumps(self.main)
        elif line.startswith("ip -json -4 route get"):
            text = json.dumps([self.reached.get(words[-1], {"dst": words[-1], "dev": "eth0"})])
        elif line.startswith("ip -json -4 address show"):
            text = json.dumps([{"addr_info": [{"local": "10.244.1.0"}]}])
        elif line.startswith("ip -4 rule add"):
            self.rules[words[5]] = " ".join(words[6:])
        elif line.startswith("ip -4 rule del"):
            del self.rules[words[5]]
        elif line == "ip -4 -batch -":
            for change in (stdin or "").splitlines():
                self._change(change.split())
        elif words[0] == "nft":
            code = self._nft(words[1])
        elif words[0] == "systemd-run":
            self.timer = line
        elif words[:2] == ["systemctl", "stop"]:
            self.timer = ""
        elif words[:2] == ["systemctl", "show"]:
            text = f"ActiveState={'active' if self.timer else 'inactive'}\nNextElapseUSecMonotonic=1h\n"
        if check and code:
            raise commands.CommandError(line)
        return subprocess.CompletedProcess(list(words), code, text, "")

    def _ours(self) -> t.Iterator[dict[str, t.Any]]:
        for table, routes in self.tables.items():
            for destination, words in routes.items():
                parts = words.split()
                if words == "throw":
                    yield {"dst": destination, "type": "throw", "table": table}
                else:
                    flags = ["onlink"] if "onlink" in parts else []
                    yield {"dst": destination, "gateway": parts[1], "dev": parts[3], "flags": flags, "table": table}

    def _change(self, words: list[str]) -> None:
        if "table" not in words:
            destination = next(word for word in words if "/" in word)
            self.main = [route for route in self.main if route["dst"] != destination]
            return
        verb, rest = words[1], words[2:]
        kind = ["throw"] if rest[0] == "throw" else []
        rest = rest[len(kind) :]
        table = self.tables.setdefault(rest[2], {})
        if verb == "replace":
            table[rest[0]] = " ".join(kind or rest[3:])
        else:
            del table[rest[0]]

    def _nft(self, verb: str) -> int:
        there, self.marks = self.marks, {"-f": True, "delete": False}.get(verb, self.marks)
        return 0 if there or verb == "-f" else 1


def install(monkeypatch: t.Any) -> FakeRouting:
    """A node whose programs are called by the code that is tested."""
    routing = FakeRouting()
    monkeypatch.setattr(commands, "run", routing.run)
    monkeypatch.setattr(commands, "find", routing.find)
    return routing
