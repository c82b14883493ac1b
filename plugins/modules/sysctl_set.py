#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_set
short_description: Set several kernel settings at once, all or none, with a way back
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Sets kernel settings (sysctls) and writes them to a file of its own in a folder that systemd-sysctl reads when the system starts.
  - Everything is looked at before anything changes, that is whether the kernel knows each setting and lets it be written, and whether a
    file that is read later would give it another value. If the kernel refuses one value, or makes another of it, all others are put back.
  - What was there before is kept on the host, and O(state=absent) puts it back. A setting that is left out in a later call is put back too.
  - Runs on the host, and needs no program there.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
    details:
      - Whether the kernel refuses a value shows only when it is written.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  name:
    description:
      - Name of the file without its suffix, two digits, a dash and a name. Files are read in the order of their names, whatever folder they
        are in, and the last one wins.
    type: str
    required: true
  settings:
    description:
      - Values by name. Required with O(state=present). A name has dots or slashes, as in sysctl.d(5), so that the device C(eth0.100) is
        C(net.ipv4.conf.eth0/100.rp_filter).
      - They are written in the given order. V(true) is V(1) and V(false) is V(0).
    type: dict
    default: {}
  state:
    description:
      - V(present) sets them.
      - V(absent) puts back what was there before, and removes the file. What somebody else has changed since is left as it is, with a warning.
    type: str
    choices: [present, absent]
    default: present
  overridden:
    description:
      - What to do when a file that is read later gives one of O(settings) another value, so that it would be lost with a restart. Either
        V(fail) before anything changes, or V(warn).
    type: str
    choices: [fail, warn]
    default: fail
  sysctl_dir:
    description: Folder of the file.
    type: path
    default: /etc/sysctl.d
  state_dir:
    description: Folder for what was there before.
    type: path
    default: /var/lib/podnet
seealso:
  - module: ansible.posix.sysctl
  - module: podnet.cni.offload_set
"""

EXAMPLES = r"""
- name: Let the host forward, with room for many neighbours
  podnet.cni.sysctl_set:
    name: 90-podnet-nodes
    settings:
      net.ipv4.ip_forward: 1
      net.ipv4.neigh.default.gc_thresh2: 4096
      net.ipv4.neigh.default.gc_thresh3: 8192
      net.ipv4.tcp_rmem: 4096 131072 33554432

- name: Put back what was there before
  podnet.cni.sysctl_set:
    name: 90-podnet-nodes
    state: absent
"""

RETURN = r"""
file:
  description: The file that is read when the system starts.
  returned: always
  type: str
  sample: /etc/sysctl.d/90-podnet-nodes.conf
before:
  description: Values before, of what was changed or would be.
  returned: always
  type: dict
  sample: {net.ipv4.ip_forward: "0"}
after:
  description: The same afterwards.
  returned: always
  type: dict
  sample: {net.ipv4.ip_forward: "1"}
overridden:
  description: Lines of files that are read later and give a setting another value.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The setting.
      type: str
      returned: always
    value:
      description: What it would be after a restart.
      type: str
      returned: always
    file:
      description: The file.
      type: str
      returned: always
    line:
      description: Number of the line.
      type: int
      returned: always
  sample:
    - {name: net.ipv4.conf.all.rp_filter, value: "0", file: /etc/sysctl.d/99-zzz-override_cilium.conf, line: 5}
"""

import json
import os
import socket
import stat
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import files, sysctl
from ansible_collections.podnet.cni.plugins.module_utils._host import sysctl_files as on_host
from ansible_collections.podnet.cni.plugins.module_utils._plan import sysctl_files as of_files


class Failure(Exception):
    """What the module fails with; the text has the remedy."""


class Record(t.TypedDict):
    """What was there before, and what was set."""

    before: dict[str, str]
    set: dict[str, str]


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    if not of_files.FILE_NAME.fullmatch(params["name"]) or params["name"].endswith(".conf"):
        return f"name: '{params['name']}' is no name for the file; give two digits, a dash and a name without suffix, such as 90-podnet"
    if params["state"] == "present" and not params["settings"]:
        return "settings: state=present needs some, such as net.ipv4.ip_forward: 1; use state=absent to put back what was there before"
    paths: dict[str, str] = {}
    for key, value in params["settings"].items():
        if not of_files.is_name(key):
            return f"settings: '{key}' is no name of a setting; give one, such as net.ipv4.ip_forward, without patterns"
        text = str("" if value is None else value).strip()
        plain = text.isascii() and all(sign.isprintable() or sign == "\t" for sign in text)
        if isinstance(value, (dict, list)) or not plain or not text:
            return f"settings: {key} has the value '{value}'; give one line of plain text or a number"
        other = paths.setdefault(of_files.path_of(key), key)
        if other != key:
            return f"settings: '{other}' and '{key}' are the same setting; give one of them"
    return None


class Setter:
    """Carries out one state."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, root: Path = Path("/")) -> None:
        self.params = params
        self.check_mode = check_mode
        self.root = root
        self.folder = Path(params["sysctl_dir"])
        self.file = self.folder / f"{params['name']}.conf"
        self.record_file = Path(params["state_dir"]) / "sysctl" / f"{params['name']}.json"
        self.wanted = {key: str(int(value) if isinstance(value, bool) else value) for key, value in params["settings"].items()}
        self.wanted = {key: " ".join(value.split()) for key, value in self.wanted.items()}
        self.record_text = files.read_text(self.record_file)
        self.record: Record = json.loads(self.record_text) if self.record_text else Record(before={}, set={})
        self.text = files.read_text(self.file)
        self.overridden: list[of_files.Override] = []
        self.warnings: list[str] = []

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        if self.text is not None and not self.text.startswith(of_files.HEAD):
            raise Failure(f"name: '{self.file}' is there already and was not written by this module; choose another name")
        if self.params["state"] == "absent":
            return self.run_absent()
        return self.run_present()

    # -- what is asked for

    def refuse(self) -> None:
        """Refuse what cannot be, before anything changes."""
        for key in self.wanted:
            self.refuse_key(key)
        hidden = on_host.hidden(self.file.name, self.folder, self.root)
        if hidden:
            raise Failure(f"name: '{hidden}' has the same name and would not be read any more; choose another name")
        self.overridden = of_files.overrides(self.wanted, on_host.after(self.file.name, self.folder, self.root))
        for found in self.overridden:
            line = f"line {found.setting.line} of '{found.setting.file}'"
            if not found.certain:
                self.warnings.append(f"{line} sets everything like {found.key} to {found.setting.value}, if it is read by 'sysctl --system'")
                continue
            told = f"{line}, which is read later, sets {found.key} to {found.setting.value}: {self.wanted[found.key]} would be lost with a restart"
            if self.params["overridden"] == "fail":
                raise Failure(f"name: {told}; change it there, choose a name that sorts after it, or set overridden=warn")
            self.warnings.append(told)
        for found in of_files.overrides(self.wanted, on_host.legacy(self.folder, self.root)):
            self.warnings.append(
                f"line {found.setting.line} of '{found.setting.file}' sets {found.key} to {found.setting.value}, if it is read by 'sysctl --system'"
            )
        modules = {of_files.module_of(of_files.path_of(key)) for key in self.wanted} - {None}
        self.warnings += [
            f"the module {module} is loaded now, but no file in /etc/modules-load.d names it; without it the settings are lost with a restart"
            for module in sorted(filter(None, modules))
            if not on_host.loaded_at_start(module, self.root)
        ]

    @staticmethod
    def refuse_key(key: str) -> None:
        """Refuse one setting that the kernel does not have, or not for us."""
        path = sysctl.ROOT / of_files.path_of(key)
        try:
            mode = os.stat(path).st_mode
        except OSError as exc:
            devices = ["all", "default", *(name for dummy, name in socket.if_nameindex())]
            raise Failure(f"settings: '{key}' is unknown: {of_files.unknown(key, sysctl.known(), devices)}") from exc
        if stat.S_ISDIR(mode):
            raise Failure(
                f"settings: '{key}' is a group of settings; name one of them, such as {key}{'/' if '/' in key else '.'}{files.names(path)[0]}"
            )
        if not mode & stat.S_IWUSR:
            raise Failure(f"settings: '{key}' only tells something and cannot be set; leave it out")
        if not mode & stat.S_IRUSR:
            raise Failure(f"settings: '{key}' makes the kernel do something and keeps no value; leave it out")
        if not os.access(path, os.W_OK):
            raise Failure(f"settings: '{key}' cannot be written here; run the task as root, and on the machine itself if this is a container")

    def now(self, keys: t.Iterable[str]) -> dict[str, str]:
        """Values of settings; those that are gone are left out."""
        found = {}
        for key in keys:
            value = sysctl.read([_dotted(key)]).get(_dotted(key))
            if value is not None:
                found[key] = value
        return found

    # -- present

    def run_present(self) -> dict[str, t.Any]:
        """State present."""
        self.refuse()
        now = self.now([*self.wanted, *self.record["before"]])
        silent = [key for key in self.wanted if key not in now]
        if silent:
            raise Failure(f"settings: '{silent[0]}' has no value now that could be put back; leave it out")
        dropped = {key: value for key, value in self.record["before"].items() if key not in self.wanted}
        back = self.to_put_back(dropped, now)
        different = {key: value for key, value in self.wanted.items() if not of_files.same(now[key], value)}
        text = of_files.text_of(self.wanted)
        before = {**{key: now[key] for key in self.wanted if key not in self.record["before"]}, **self.record["before"]}
        record = Record(before={key: before[key] for key in self.wanted}, set=self.wanted)
        changed = bool(different or dropped) or self.text != text or self.record != record
        if changed and not self.check_mode:
            self.carry_out({**back, **self.wanted}, now, text, record)
        return self.result(changed, now, {**back, **different}, text)

    def to_put_back(self, values: t.Mapping[str, str], now: t.Mapping[str, str]) -> dict[str, str]:
        """Values from before that differ now, without those that somebody else has changed since or that are gone."""
        found = {}
        for key, value in values.items():
            if key not in now or of_files.same(now[key], value):
                continue
            if of_files.same(now[key], self.record["set"].get(key, now[key])):
                found[key] = value
            else:
                self.warnings.append(f"{key} is {now[key]}, which this module did not set, so it is not put back to {value}")
        return found

    def carry_out(self, values: t.Mapping[str, str], now: t.Mapping[str, str], text: str | None, record: Record | None) -> None:
        """All of it, or nothing; what was there before is written down first."""
        try:
            self.write_record(json.dumps(record, indent=2) + "\n" if record else self.record_text)
            # Some change others as well, such as ip_forward: the second time puts those right that are asked for.
            for key, value in [*values.items(), *values.items()]:
                if not of_files.same(self.now([key])[key], value):
                    self.write(key, value)
            for key, value in self.now(values).items():
                if not of_files.same(value, values[key]):
                    raise Failure(f"settings: {key} is {value} again after the others were written; it cannot be had along with them")
            if text is None:
                files.remove(self.file)
                self.write_record(None)
            else:
                files.write_atomically(self.file, text.encode(), 0o644)
        except (Failure, OSError) as exc:
            raise Failure(f"{exc}; {self.undo(values, now)}") from exc

    @staticmethod
    def write(key: str, value: str) -> None:
        """Write one value, which has to be the kernel's afterwards."""
        try:
            sysctl.write({_dotted(key): value})
        except OSError as exc:
            raise Failure(f"settings: the kernel refuses '{value}' for {key} ({exc.strerror}); give a value that it takes") from exc
        read = " ".join((sysctl.ROOT / of_files.path_of(key)).read_text(encoding="ascii").split())
        if not of_files.same(read, value):
            raise Failure(f"settings: the kernel makes '{read}' of '{value}' for {key}; give '{read}', or another value that it keeps")

    def undo(self, values: t.Iterable[str], now: t.Mapping[str, str]) -> str:
        """Put back what was there when this call began, the last first, and say how that went."""
        problems = []
        for key in reversed(list(values)):
            try:
                if not of_files.same(self.now([key]).get(key, now[key]), now[key]):
                    sysctl.write({_dotted(key): now[key]})
            except OSError as exc:
                problems.append(f"{key}: {exc.strerror}")
        self.write_record(self.record_text)
        return f"this could not be put back: {'; '.join(problems)}" if problems else "everything is as it was before"

    def write_record(self, text: str | None) -> None:
        """What was there before, None to forget it."""
        if text is not None:
            files.write_atomically(self.record_file, text.encode())
            return
        files.remove(self.record_file)
        files.remove_if_empty(self.record_file.parent)
        files.remove_if_empty(self.record_file.parent.parent)

    # -- absent

    def run_absent(self) -> dict[str, t.Any]:
        """State absent."""
        now = self.now(self.record["before"])
        back = self.to_put_back(self.record["before"], now)
        changed = self.text is not None or self.record_text is not None
        if changed and self.record_text is None:
            self.warnings.append(f"'{self.record_file}' is gone, so that nothing tells what was there before '{self.file}'; values stay as they are")
        if changed and not self.check_mode:
            self.carry_out(back, now, None, None)
        return self.result(changed, now, back, None)

    # -- results

    def result(self, changed: bool, before: t.Mapping[str, str], values: t.Mapping[str, str], text: str | None) -> dict[str, t.Any]:
        """The module's results."""
        old = {key: before[key] for key in values}
        new = dict(values) if self.check_mode else self.now(values)
        sides = {"kernel": (_lines(old), _lines(new)), str(self.file): (self.text or "", text or "")}
        return {
            "changed": changed,
            "file": str(self.file),
            "before": old,
            "after": new,
            "overridden": [
                {"name": found.key, "value": found.setting.value, "file": found.setting.file, "line": found.setting.line} for found in self.overridden
            ],
            "diff": [
                {"before_header": name, "after_header": name, "before": before_text, "after": after_text}
                for name, (before_text, after_text) in sides.items()
                if before_text != after_text
            ],
        }


def _dotted(key: str) -> str:
    """A name with dots between its parts."""
    return of_files.dotted(of_files.path_of(key))


def _lines(values: t.Mapping[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in values.items())


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "settings": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "overridden": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
            "sysctl_dir": {"type": "path", "default": "/etc/sysctl.d"},
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        setter = Setter(module.params, module.check_mode)
        results = setter.run()
    except (Failure, OSError) as exc:
        module.fail_json(msg=str(exc))
    for warning in setter.warnings:
        module.warn(warning)
    module.exit_json(**results)


if __name__ == "__main__":
    main()
