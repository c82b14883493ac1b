# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl_set: settings of the real kernel in a network namespace; files of a host in a temporary folder."""

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import sysctl
from ansible_collections.podnet.cni.plugins.modules import sysctl_set
from ansible_collections.podnet.cni.tests.unit.fakes import documentation
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import

needs_root_netns = pytest.mark.needs_root_netns
TTL, LO = "net.ipv4.ip_default_ttl", "net.ipv4.conf.lo.rp_filter"
OPTIONS = {"name": "90-podnet", "state": "present", "settings": {TTL: 65}}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "podnet"}, ["name: 'podnet'", "two digits", "90-podnet"]),
        ({"name": "90-podnet.conf"}, ["name: '90-podnet.conf'", "without suffix"]),
        ({"name": "90-a/../b"}, ["name: '90-a/../b'"]),
        ({"settings": {}}, ["settings: state=present needs some", "net.ipv4.ip_forward: 1"]),
        ({"settings": {"forward": 1}}, ["settings: 'forward' is no name"]),
        ({"settings": {"net.ipv4..ip_forward": 1}}, ["'net.ipv4..ip_forward' is no name"]),
        ({"settings": {"net/../../etc/passwd": 1}}, ["'net/../../etc/passwd' is no name"]),
        ({"settings": {"net.ipv4.conf.*.rp_filter": 1}}, ["without patterns"]),
        ({"settings": {TTL: None}}, [TTL, "has the value 'None'", "one line"]),
        ({"settings": {TTL: "1\n2"}}, [TTL, "one line"]),
        ({"settings": {TTL: [1]}}, [TTL, "has the value '[1]'"]),
        ({"settings": {TTL: 1, "net/ipv4/ip_default_ttl": 2}}, [TTL, "'net/ipv4/ip_default_ttl' are the same setting"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = sysctl_set.option_problem({**OPTIONS, **params})
    assert problem is not None
    assert all(word in problem for word in words), problem


def test_good_options():
    assert sysctl_set.option_problem(OPTIONS) is None
    assert sysctl_set.option_problem({**OPTIONS, "state": "absent", "settings": {}}) is None


class Host:
    """A namespace with its own net.* and folders of its own."""

    def __init__(self, base):
        self.base = base
        base.options = {"sysctl_dir": str(base.folder / "sysctl.d"), "state_dir": str(base.folder / "podnet"), "name": "90-podnet"}
        self.file = base.folder / "sysctl.d" / "90-podnet.conf"
        self.state = base.folder / "podnet"

    def set(self, check=False, **options):
        return self.base.module("sysctl_set", check=check, **options)

    def twice(self, **options):
        """In check mode, for real, and again."""
        foretold, done, again = self.set(check=True, **options), self.set(**options), self.set(**options)
        told = [results.get("changed", results.get("msg")) for results in (foretold, done, again)]
        assert told == [True, True, False]
        assert foretold["after"] == done["after"]
        assert foretold["diff"] == done["diff"] != []
        assert all(part["before"] != part["after"] for part in done["diff"])
        return done

    def value(self, key):
        return " ".join(self.base.run("cat", f"/proc/sys/{key.replace('.', '/')}").split())


@pytest.fixture
def host(node):  # noqa: F811
    node.run("sh", "-c", "echo 64 > /proc/sys/net/ipv4/ip_default_ttl; echo 0 > /proc/sys/net/ipv4/ip_forward")
    return Host(node)


@needs_root_netns
def test_settings_are_in_force_and_in_the_file(host):
    done = host.twice(settings={TTL: 65, "net.ipv4.tcp_rmem": "4096\t131072  33554432", "net/ipv4/conf/lo/proxy_arp": True})
    assert host.value(TTL) == "65"
    assert host.value("net.ipv4.tcp_rmem") == "4096 131072 33554432"
    assert host.value("net.ipv4.conf.lo.proxy_arp") == "1"
    assert host.file.read_text().splitlines()[1:] == [
        "net.ipv4.ip_default_ttl = 65",
        "net.ipv4.tcp_rmem = 4096 131072 33554432",
        "net/ipv4/conf/lo/proxy_arp = 1",
    ]
    assert host.file.stat().st_mode & 0o777 == 0o644
    assert done["before"][TTL] == "64" and done["after"][TTL] == "65"
    assert done["diff"][0]["before"].startswith("net.ipv4.ip_default_ttl = 64\n")
    host.base.run("sysctl", "--load", str(host.file))


@needs_root_netns
def test_check_mode_changes_nothing(host):
    host.set(check=True, settings={TTL: 65})
    assert host.value(TTL) == "64"
    assert not host.file.exists() and not host.state.exists()


@needs_root_netns
def test_what_is_left_out_later_and_everything_in_the_end_is_put_back(host):
    before = host.value("net.ipv4.tcp_rmem")
    host.set(settings={TTL: 65, "net.ipv4.tcp_rmem": "4096 131072 33554432"})
    host.twice(settings={TTL: 66})
    assert host.value("net.ipv4.tcp_rmem") == before
    assert "tcp_rmem" not in host.file.read_text()
    done = host.twice(state="absent")
    assert host.value(TTL) == "64", "what was there before the first call"
    assert done["before"] == {TTL: "66"} and done["after"] == {TTL: "64"}
    assert not host.file.exists() and not host.state.exists()


@needs_root_netns
def test_what_somebody_else_has_changed_since_is_left_alone(host):
    host.set(settings={TTL: 65})
    host.base.run("sysctl", "-qw", f"{TTL}=70")
    done = host.set(state="absent")
    assert done["changed"] and done["after"] == {}
    assert f"{TTL} is 70, which this module did not set, so it is not put back to 64" in json.dumps(done["warnings"])
    assert host.value(TTL) == "70"


@needs_root_netns
def test_what_was_changed_behind_its_back_is_set_again(host):
    host.set(settings={TTL: 65})
    host.base.run("sysctl", "-qw", f"{TTL}=70")
    assert host.set(settings={TTL: 65})["changed"]
    assert host.value(TTL) == "65"
    host.set(state="absent")
    assert host.value(TTL) == "64"


@needs_root_netns
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (TTL, 999, ["the kernel refuses '999' for net.ipv4.ip_default_ttl (Invalid argument)"]),
        ("net.ipv4.tcp_congestion_control", "nonsense", ["the kernel refuses 'nonsense'", "No such file or directory"]),
        ("net.ipv4.neigh.lo.retrans_time_ms", 1001, ["the kernel makes '100", "of '1001' for net.ipv4.neigh.lo.retrans_time_ms; give '100"]),
    ],
)
def test_all_or_nothing(host, key, value, words):
    host.set(settings={LO: 1})
    before = host.value(key)
    text, record = host.file.read_text(), (host.state / "sysctl" / "90-podnet.json").read_text()
    refused = host.set(settings={LO: 2, "net.ipv4.conf.lo.proxy_arp": 1, key: value})
    assert refused["failed"]
    assert all(word in refused["msg"] for word in [*words, "everything is as it was before"]), refused["msg"]
    assert (host.value(LO), host.value("net.ipv4.conf.lo.proxy_arp"), host.value(key)) == ("1", "0", before)
    assert host.file.read_text() == text
    assert (host.state / "sysctl" / "90-podnet.json").read_text() == record


@needs_root_netns
def test_a_setting_that_changes_others_does_not_undo_what_was_asked_for(host):
    done = host.twice(settings={"net.ipv4.conf.lo.forwarding": 0, "net.ipv4.ip_forward": 1})
    assert host.value("net.ipv4.conf.lo.forwarding") == "0" and host.value("net.ipv4.ip_forward") == "1"
    assert done["after"] == {"net.ipv4.ip_forward": "1"}
    host.set(state="absent")
    assert host.value("net.ipv4.ip_forward") == "0"


@needs_root_netns
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("net.ipv4.ip_forwrad", ["'net.ipv4.ip_forwrad' is unknown", "did you mean net.ipv4.ip_forward"]),
        ("net.nonsense.at_all", ["this kernel does not know it", "sysctl --all"]),
        ("net.ipv4.conf.eth7.rp_filter", ["there is no device 'eth7' on this host; it has all, default, lo"]),
        ("net.ipv4.conf", ["is a group of settings; name one of them, such as net.ipv4.conf.all"]),
        ("net.ipv4.route.flush", ["makes the kernel do something"]),
        ("net.ipv4.tcp_available_congestion_control", ["only tells something"]),
    ],
)
def test_what_cannot_be_set_is_refused_before_anything_changes(host, key, words):
    refused = host.set(settings={TTL: 65, key: 1})
    assert refused["failed"]
    assert all(word in refused["msg"] for word in words), refused["msg"]
    assert host.value(TTL) == "64" and not host.file.exists() and not host.state.exists()


@needs_root_netns
def test_a_file_that_cannot_be_written_puts_everything_back(host):
    host.base.options["sysctl_dir"] = "/proc/nowhere"
    refused = host.set(settings={TTL: 65})
    assert refused["failed"] and "everything is as it was before" in refused["msg"]
    assert host.value(TTL) == "64" and not host.state.exists()


class Files:
    """A host in a folder, whose kernel takes everything."""

    def __init__(self, root, monkeypatch):
        self.root = root
        monkeypatch.setattr(sysctl, "ROOT", root / "proc")
        for path, value in (("net/ipv4/ip_forward", "0"), ("net/ipv4/conf/all/rp_filter", "0"), ("net/bridge/bridge-nf-call-iptables", "1")):
            self.write(f"proc/{path}", value)

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return str(target)

    def setter(self, settings, **options):
        given = {"sysctl_dir": str(self.root / "etc/sysctl.d"), "state_dir": str(self.root / "state"), "overridden": "fail", "state": "present"}
        return sysctl_set.Setter({"name": "90-podnet", "settings": settings, **given, **options}, False, self.root)

    def set(self, settings, **options):
        setter = self.setter(settings, **options)
        results = setter.run()
        documentation.check_results("sysctl_set", results, complete=True)
        return results, setter.warnings


@pytest.fixture
def host_files(tmp_path, monkeypatch):
    return Files(tmp_path, monkeypatch)


@pytest.mark.parametrize("folder", ["etc", "run", "usr/local/lib", "usr/lib"])
def test_a_file_that_is_read_later_is_named(host_files, folder):
    path = host_files.write(f"{folder}/sysctl.d/99-zzz-override.conf", "# theirs\n\n-net.ipv4.conf.all.rp_filter = 2\nnet/ipv4/ip_forward=1\n")
    with pytest.raises(sysctl_set.Failure, match="which is read later, sets net.ipv4.conf.all.rp_filter to 2") as refused:
        host_files.set({"net.ipv4.conf.all.rp_filter": 1, "net.ipv4.ip_forward": 1})
    assert f"line 3 of '{path}'" in str(refused.value) and "choose a name that sorts after it" in str(refused.value)
    assert (host_files.root / "proc/net/ipv4/conf/all/rp_filter").read_text() == "0"
    results, warnings = host_files.set({"net.ipv4.conf.all.rp_filter": 1}, overridden="warn")
    assert results["overridden"] == [{"name": "net.ipv4.conf.all.rp_filter", "value": "2", "file": path, "line": 3}]
    assert len(warnings) == 1 and "would be lost with a restart" in warnings[0]
    assert host_files.set({"net.ipv4.conf.all.rp_filter": 1}, name="99-zzzz")[1] == []


def test_what_is_read_earlier_or_is_masked_has_no_say(host_files):
    host_files.write("usr/lib/sysctl.d/50-default.conf", "net.ipv4.ip_forward = 0\n")
    host_files.write("usr/lib/sysctl.d/95-vendor.conf", "net.ipv4.ip_forward = 0\n")
    host_files.write("etc/sysctl.d/95-vendor.conf", "")
    host_files.write("etc/sysctl.d/95-notes.txt", "net.ipv4.ip_forward = 0\n")
    results, warnings = host_files.set({"net.ipv4.ip_forward": 1})
    assert results["changed"] and results["overridden"] == [] and warnings == []


def test_a_pattern_gives_way_with_systemd_and_is_warned_of(host_files):
    path = host_files.write("usr/lib/sysctl.d/95-all.conf", "net.ipv4.conf.*.rp_filter = 2\n")
    dummy, warnings = host_files.set({"net.ipv4.conf.all.rp_filter": 1})
    assert warnings == [f"line 1 of '{path}' sets everything like net.ipv4.conf.all.rp_filter to 2, if it is read by 'sysctl --system'"]


def test_the_old_file_counts_where_it_is_linked_and_is_warned_of_where_not(host_files):
    path = host_files.write("etc/sysctl.conf", "net.ipv4.ip_forward = 0\n")
    dummy, warnings = host_files.set({"net.ipv4.ip_forward": 1})
    assert warnings == [f"line 1 of '{path}' sets net.ipv4.ip_forward to 0, if it is read by 'sysctl --system'"]
    (host_files.root / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    with pytest.raises(sysctl_set.Failure, match="99-sysctl.conf"):
        host_files.set({"net.ipv4.ip_forward": 1})


def test_files_of_others_are_not_written_over_or_hidden(host_files):
    hidden = host_files.write("usr/lib/sysctl.d/90-podnet.conf", "net.ipv4.ip_forward = 1\n")
    with pytest.raises(sysctl_set.Failure, match="has the same name and would not be read any more") as refused:
        host_files.set({"net.ipv4.ip_forward": 1})
    assert hidden in str(refused.value)
    theirs = host_files.write("etc/sysctl.d/90-podnet.conf", "net.ipv4.ip_forward = 1\n")
    for state in ("present", "absent"):
        with pytest.raises(sysctl_set.Failure, match="was not written by this module; choose another name") as refused:
            host_files.set({"net.ipv4.ip_forward": 1}, state=state)
        assert theirs in str(refused.value)


def test_a_module_that_is_not_loaded_at_the_start_is_warned_of(host_files):
    host_files.write("sys/module/br_netfilter/initstate", "live\n")
    dummy, warnings = host_files.set({"net.bridge.bridge-nf-call-iptables": 1})
    assert len(warnings) == 1 and "the module br_netfilter is loaded now, but no file in /etc/modules-load.d names it" in warnings[0]
    host_files.write("etc/modules-load.d/k8s.conf", "overlay\nbr-netfilter\n")
    assert host_files.set({"net.bridge.bridge-nf-call-iptables": 1})[1] == []


def test_a_module_that_is_missing_is_named(host_files):
    (host_files.root / "proc/net/bridge/bridge-nf-call-iptables").unlink()
    with pytest.raises(sysctl_set.Failure, match="load the module br_netfilter") as refused:
        host_files.set({"net.bridge.bridge-nf-call-iptables": 1})
    assert "modprobe br_netfilter" in str(refused.value)


def test_without_a_record_values_stay(host_files):
    host_files.set({"net.ipv4.ip_forward": 1})
    (host_files.root / "state/sysctl/90-podnet.json").unlink()
    results, warnings = host_files.set({}, state="absent")
    assert results["changed"] and results["after"] == {}
    assert len(warnings) == 1 and "nothing tells what was there before" in warnings[0]
    assert not (host_files.root / "etc/sysctl.d/90-podnet.conf").exists()
    assert (host_files.root / "proc/net/ipv4/ip_forward").read_text() == "1\n"


def test_the_record_is_for_people_too(host_files):
    host_files.set({"net.ipv4.ip_forward": 1})
    record = json.loads((host_files.root / "state/sysctl/90-podnet.json").read_text())
    assert record == {"before": {"net.ipv4.ip_forward": "0"}, "set": {"net.ipv4.ip_forward": "1"}}
