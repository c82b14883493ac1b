# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cni_replug on the real kernel: a node with Flannel's bridge, pods in network namespaces, and plugins that make interfaces as the real ones do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import namespaces
from ansible_collections.podnet.cni.plugins.modules import cni_replug
from ansible_collections.podnet.cni.tests.unit.fakes.node import CALICO, FLANNEL, node  # noqa: F401  # pylint: disable=unused-import

needs_root_netns = pytest.mark.needs_root_netns
HEAD = """\
#!/bin/sh
exec 2>>{folder}/plugins.log
name=$(basename $0)
echo "$CNI_COMMAND $name ns=$CNI_NETNS args=$CNI_ARGS" >> {folder}/calls
short=$(echo $CNI_CONTAINERID | cut -c1-8)
cat > {folder}/$name.$short
set -e
[ ! -e {folder}/fail-$CNI_COMMAND-$name ] || {{ echo '{{"code": 11, "msg": "no '$name' today"}}'; exit 1; }}
address=$(echo "$CNI_ARGS" | sed -n 's/.*;IP=//p')
inside="ip netns exec $(basename "$CNI_NETNS")"
"""
CALICO_PLUGIN = """
case $CNI_COMMAND in
ADD)
  [ ! -e {folder}/ipam/$address ] || {{ echo '{{"code": 11, "msg": "address is in use"}}'; exit 1; }}
  echo $CNI_CONTAINERID > {folder}/ipam/$address
  ip link add cali$short type veth peer name eth0 netns $(basename $CNI_NETNS)
  ip link set cali$short up
  echo 1 > /proc/sys/net/ipv4/conf/cali$short/proxy_arp
  echo 0 > /proc/sys/net/ipv4/neigh/cali$short/proxy_delay
  $inside ip link set eth0 up
  $inside ip address add $address/32 dev eth0
  $inside ip route add 169.254.1.1 dev eth0
  $inside ip route add default via 169.254.1.1
  ip route add $address/32 dev cali$short
  iptables-nft -N cali-tw-cali$short
  echo '{{"cniVersion": "0.3.1", "interfaces": [{{"name": "cali'$short'"}}], "ips": [{{"version": "4", "address": "'$address'/32"}}]}}'
  ;;
DEL)
  grep -l $CNI_CONTAINERID {folder}/ipam/* | xargs -r rm
  iptables-nft -X cali-tw-cali$short || true
  ;;
esac
"""
FLANNEL_PLUGIN = """
case $CNI_COMMAND in
ADD)
  [ ! -e {folder}/cni/networks/cbr0/$address ] || {{ echo '{{"code": 11, "msg": "address is in use"}}'; exit 1; }}
  printf '%s\\r\\neth0' $CNI_CONTAINERID > {folder}/cni/networks/cbr0/$address
  ip link add veth$short type veth peer name eth0 netns $(basename $CNI_NETNS)
  ip link set veth$short master cni0 up
  $inside ip link set eth0 up
  $inside ip address add $address/24 dev eth0
  $inside ip route add default via 10.244.1.1
  mac=$($inside cat /sys/class/net/eth0/address)
  cat <<JSON
{{"cniVersion": "0.3.1", "interfaces": [{{"name": "cni0"}}, {{"name": "veth$short"}}, {{"name": "eth0", "mac": "$mac", "sandbox": "$CNI_NETNS"}}],
 "ips": [{{"version": "4", "address": "$address/24", "gateway": "10.244.1.1"}}]}}
JSON
  ;;
DEL)
  grep -l $CNI_CONTAINERID {folder}/cni/networks/cbr0/* | xargs -r rm
  ;;
esac
"""
PORTMAP = """
[ $CNI_COMMAND != ADD ] || python3 -c 'import json, sys; json.dump(json.load(open(sys.argv[1]))["prevResult"], sys.stdout)' {folder}/portmap.$short
"""
ECHO = """
import socket, threading
def answer(link):
    while True:
        data = link.recv(100)
        if not data:
            return
        link.sendall(data)
server = socket.create_server(("", 80))
print("ready", flush=True)
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""
PODS = {"10.244.1.5": "aaaaaaaa0000", "10.244.1.6": "bbbbbbbb0000"}


class Place:
    """The node, its pods, and a program in each that echoes."""

    def __init__(self, base):
        self.base = base
        self.pods = {address: f"{base.name}-{container[0]}" for address, container in PODS.items()}
        self.processes = []

    def build(self):
        base = self.base
        base.flannel_files()
        (base.folder / "ipam").mkdir()
        base.ip(
            "link set lo up\nlink add eth0 type veth peer name far0\nlink set far0 up\naddress add 172.30.1.11/24 dev eth0\n"
            "link set eth0 up\nroute add default via 172.30.1.1\n"
            "link add cni0 type bridge\naddress add 10.244.1.1/24 dev cni0\nlink set cni0 up\n"
            "route add blackhole 10.244.1.0/26\nroute add 10.244.1.0/27 dev cni0 metric 27127\n"
        )
        for name, text in (("calico", CALICO_PLUGIN), ("flannel", FLANNEL_PLUGIN), ("portmap", PORTMAP)):
            path = base.folder / "bin" / name
            path.write_text((HEAD + text).format(folder=base.folder))
            path.chmod(0o755)
        base.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv4/conf/cni0/proxy_arp")
        base.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/neigh/cni0/proxy_delay")
        for address, namespace in self.pods.items():
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            container = PODS[address]
            variables = f"CNI_COMMAND=ADD CNI_CONTAINERID={container} CNI_NETNS=/run/netns/{namespace} CNI_ARGS='X=1;IP={address}'"
            result = json.loads(base.run("sh", "-c", f"{variables} {base.folder}/bin/flannel < /dev/null"))
            path = base.attachment(FLANNEL, address, ["cni0", f"veth{container[:8]}"], container, f"/run/netns/{namespace}")
            content = json.loads(path.read_text())
            content["cniArgs"] += [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", f"web-{container[0]}"]]
            path.write_text(json.dumps({**content, "result": result}))
            server = subprocess.Popen(["ip", "netns", "exec", namespace, "python3", "-c", ECHO], stdout=subprocess.PIPE, text=True)
            self.processes.append(server)
            assert server.stdout.readline() == "ready\n"
        base.config("05-calico.conflist", CALICO)
        (base.folder / "calls").unlink()

    def remove(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
        for namespace in self.pods.values():
            subprocess.run(["ip", "netns", "delete", namespace], check=False)

    def replug(self, state="calico", check=False, **options):
        quick = {"timeout": 2, "plugin_seconds": 0, "state_dir": str(self.base.folder / "podnet")}
        return self.base.module("cni_replug", check=check, state=state, **{**quick, **options})

    def links(self, address):
        shown = subprocess.run(["ip", "-n", self.pods[address], "-json", "address", "show"], capture_output=True, text=True, check=True).stdout
        return {link["ifname"]: [entry["local"] for entry in link["addr_info"] if entry["family"] == "inet"] for link in json.loads(shown)}

    def ways(self, address):
        shown = subprocess.run(["ip", "-n", self.pods[address], "-4", "route", "show"], capture_output=True, text=True, check=True).stdout
        return sorted(line.strip() for line in shown.splitlines())

    @property
    def state(self):
        """All that a move changes, to compare."""
        base = self.base
        routes = sorted(base.run("ip", "-4", "route", "show", "table", "all").splitlines())
        rules = base.run("ip", "-4", "rule", "show")
        files = sorted(str(path.relative_to(base.folder)) for path in base.folder.glob("cni/*/**/*")) + os.listdir(base.folder / "ipam")
        return routes, rules, files, {address: (self.links(address), self.ways(address)) for address in self.pods}

    def calls(self):
        path = self.base.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def end(self, address):
        """A pod ends: its processes, its namespace, and with it its interfaces."""
        process = self.processes.pop(list(self.pods).index(address))
        process.kill()
        process.wait()
        process.stdout.close()
        subprocess.run(["ip", "netns", "delete", self.pods[address]], check=True)

    def fail(self, command, plugin, on=True):
        path = self.base.folder / f"fail-{command}-{plugin}"
        path.touch() if on else path.unlink()

    @contextlib.contextmanager
    def talk(self, *ways):
        """Connections that are used all the time: each way is (namespace, address). Yields a function that tells the longest silence in seconds."""
        links, stop, longest, threads = [], threading.Event(), [0.0], []
        for namespace, address in ways:
            links.append(connect(namespace, address))

        def use(link):
            while not stop.is_set():
                begin = time.monotonic()
                link.sendall(b"x")
                assert link.recv(1) == b"x"
                longest[0] = max(longest[0], time.monotonic() - begin)
                time.sleep(0.001)

        errors = []

        def guarded(link):
            try:
                use(link)
            except Exception as exc:
                errors.append(exc)

        for link in links:
            threads.append(threading.Thread(target=guarded, args=(link,)))
            threads[-1].start()
        time.sleep(0.1)
        try:
            yield lambda: longest[0]
            time.sleep(0.3)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for link in links:
                link.close()
        assert errors == []


def connect(namespace, address):
    """A connection from a namespace; a socket stays in that in which it was made."""
    path = f"/run/netns/{namespace}"
    link = namespaces.inside(namespaces.Namespace(path, namespaces.inode_of(path)), lambda: socket.create_connection((address, 80), timeout=3))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


@pytest.fixture
def place(node):  # noqa: F811
    made = Place(node)
    try:
        made.build()
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"pods": ["web-0"]}, ["pods[0]: 'web-0'", "shop/cart-0"]),
        ({"pods": ["shop/web-0", "/x"]}, ["pods[1]: '/x'"]),
        ({"reach": ["192.0.2.1", "fd00::1"]}, ["reach[1]: 'fd00::1'", "such as 172.30.1.12"]),
        ({"parallel": 0}, ["parallel: 0", "1 to 32"]),
        ({"timeout": 0}, ["timeout: 0", "1 to 300"]),
        ({"plugin_seconds": 601}, ["plugin_seconds: 601", "0 to 600"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = cni_replug.option_problem({"pods": None, "reach": [], "parallel": 4, "timeout": 10, "plugin_seconds": 60, **params})
    assert problem is not None
    assert all(word in problem for word in words), problem


@needs_root_netns
def test_pods_move_with_their_connections_and_back(place):
    before = place.state
    foretold = place.replug(check=True)
    assert foretold["changed"] and place.state == before and place.calls() == []
    one, other = place.pods
    with place.talk((place.base.name, one), (place.base.name, other), (place.pods[one], other), (place.pods[other], one)) as silence:
        done = place.replug()
        assert not done.get("failed"), done["msg"]
    print("to calico", done["moved"], silence())
    assert [entry["pod"] for entry in done["moved"]] == [entry["pod"] for entry in foretold["moved"]] == ["shop/web-a", "shop/web-b"]
    for address in place.pods:
        assert place.links(address) == {"lo": ["127.0.0.1"] if place.links(address)["lo"] else [], "eth0": [address]}
        assert place.ways(address) == ["169.254.1.1 dev eth0 scope link", "default via 169.254.1.1 dev eth0"]
    assert silence() < 1
    assert not (place.base.folder / "podnet" / "replug").exists()
    again = place.replug()
    assert not again["changed"] and again["moved"] == []
    (place.base.folder / "net.d" / "05-calico.conflist").rename(place.base.folder / "calico.saved")
    with place.talk((place.base.name, one), (place.pods[one], other), (place.pods[other], one)) as silence:
        back = place.replug("flannel")
        assert not back.get("failed"), back["msg"]
    print("to flannel", back["moved"], silence())
    assert silence() < 1
    after = place.state
    assert after == before


def failure(results):
    assert results.get("failed"), results
    return results["msg"]


@needs_root_netns
@pytest.mark.parametrize("plugin", ["calico", "portmap"])
def test_a_pod_whose_plugin_fails_stays_where_it_is(place, plugin):
    before = place.state
    place.fail("ADD", plugin)
    with place.talk(*((place.base.name, address) for address in place.pods)) as silence:
        done = place.replug(parallel=1)
    assert f"no {plugin} today" in failure(done) and "shop/web-a" in failure(done)
    assert silence() < 0.5
    assert [entry["pod"] for entry in done["not_moved"]] == ["shop/web-a"] and done["moved"] == []
    place.fail("ADD", plugin, on=False)
    assert place.state[2:] == before[2:]
    assert not place.replug().get("failed")
    assert all(place.links(address)["eth0"] == [address] and "169.254.1.1" in place.ways(address)[0] for address in place.pods)


@contextlib.contextmanager
def failing(place, *calls):
    """Plugins fail until each of these calls was made twice."""
    for command, plugin in calls:
        place.fail(command, plugin)
    missed = list(calls)

    def mend():
        until = time.monotonic() + 20
        while missed and time.monotonic() < until:
            made = [tuple(call.split()[:2]) for call in place.calls()]
            for call in [call for call in missed if made.count(call) >= 2]:
                place.fail(*call, on=False)
                missed.remove(call)
            time.sleep(0.02)

    thread = threading.Thread(target=mend)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert missed == []


@needs_root_netns
def test_plugins_that_fail_for_a_moment_are_called_again(place):
    with failing(place, ("ADD", "calico"), ("DEL", "calico"), ("DEL", "flannel")):
        done = place.replug(pods=["shop/web-a"], plugin_seconds=30)
    assert not done.get("failed"), done["msg"]
    assert [entry["pod"] for entry in done["moved"]] == ["shop/web-a"]
    assert os.listdir(place.base.folder / "ipam") == [next(iter(place.pods))]
    assert not (place.base.folder / "podnet" / "replug").exists()


@needs_root_netns
def test_plugins_that_fail_for_longer_are_not_waited_for(place):
    before = place.state
    place.fail("ADD", "calico")
    begin = time.monotonic()
    done = place.replug(on_failure="go_on", parallel=1, plugin_seconds=2)
    assert len(done["not_moved"]) == 2
    assert 2 <= time.monotonic() - begin < 15
    assert sum(call.startswith("ADD calico ") for call in place.calls()) >= 4
    assert place.state[2:] == before[2:]


@needs_root_netns
def test_all_are_tried_when_asked(place):
    place.fail("ADD", "calico")
    done = place.replug(on_failure="go_on", parallel=1)
    assert {entry["pod"] for entry in done["not_moved"]} == {"shop/web-a", "shop/web-b"}


@needs_root_netns
def test_a_pod_that_does_not_answer_is_put_back(place):
    before = place.state
    address = next(iter(place.pods))
    rule = ("OUTPUT", "-d", address, "-o", "cali+", "-p", "icmp", "-j", "DROP")
    place.base.run("iptables-nft", "-I", *rule)
    with place.talk((place.base.name, address)) as silence:
        done = place.replug(pods=["shop/web-a"])
    assert f"{address} does not answer over its new interface" in failure(done)
    assert silence() < 1
    assert place.state[2:] == before[2:]
    place.base.run("iptables-nft", "-D", *rule)
    assert [entry["pod"] for entry in place.replug(pods=["shop/web-a"])["moved"]] == ["shop/web-a"]


def wait_for(process, is_so):
    until = time.monotonic() + 10
    while not is_so():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)


def killed(place, state, is_so):
    """Start the module, and kill it with all of its processes when something is so."""
    given = {**place.base.options, "state": state, "state_dir": str(place.base.folder / "podnet"), "timeout": 5, "pods": ["shop/web-a"]}
    process = place.base.start("cni_replug", **given)
    wait_for(process, is_so)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def stage(place):
    folder = place.base.folder / "podnet" / "replug"
    for path in folder.glob("*.json") if folder.exists() else []:
        return json.loads(path.read_text())["stage"]
    return None


@needs_root_netns
@pytest.mark.parametrize(("moment", "done"), [("prepared", "taken back"), ("cut", "put back"), ("moved", "finished")])
def test_what_a_killed_run_has_left_is_finished_or_taken_back(place, moment, done):
    address = next(iter(place.pods))
    slow = place.base.folder / "bin" / {"prepared": "portmap", "cut": "calico", "moved": "flannel"}[moment]
    text = slow.read_text()
    rule = ("OUTPUT", "-d", address, "-o", "cali+", "-p", "icmp", "-j", "DROP")
    if moment == "cut":
        place.base.run("iptables-nft", "-I", *rule)
    else:
        slow.write_text(text.replace("set -e\n", "sleep 30\nset -e\n"))
    with place.talk((place.base.name, address)) as silence:
        killed(place, "calico", lambda: stage(place) == moment)
    assert silence() < 1
    if moment == "cut":
        place.base.run("iptables-nft", "-D", *rule)
    slow.write_text(text)
    foretold = place.replug(check=True)
    assert len(foretold["recovered"]) == 1 and moment in foretold["recovered"][0]
    with place.talk((place.base.name, address)) as silence:
        again = place.replug()
    assert not again.get("failed"), again["msg"]
    assert len(again["recovered"]) == 1 and done in again["recovered"][0], again
    assert silence() < 1
    assert all(place.links(pod)["eth0"] == [pod] and set(place.links(pod)) == {"lo", "eth0"} for pod in place.pods)
    assert sorted(os.listdir(place.base.folder / "ipam")) == sorted(place.pods)
    assert not (place.base.folder / "podnet" / "replug").exists()
    assert not place.replug()["changed"]


@needs_root_netns
def test_a_pod_that_is_gone_leaves_nothing(place):
    slow = place.base.folder / "bin" / "portmap"
    text = slow.read_text()
    slow.write_text(text.replace("set -e\n", "sleep 30\nset -e\n"))
    killed(place, "calico", lambda: stage(place) == "prepared")
    slow.write_text(text)
    place.end("10.244.1.5")
    again = place.replug()
    assert "the pod is gone" in again["recovered"][0]
    assert os.listdir(place.base.folder / "ipam") == ["10.244.1.6"]


@needs_root_netns
def test_nothing_is_moved_to_a_network_that_is_not_the_active_one(place):
    message = failure(place.replug("flannel"))
    assert "state: pods can be moved to flannel" in message and "it is calico's" in message and "cni_switch with state=flannel" in message
    for name in place.base.configs():
        (place.base.folder / "net.d" / name).unlink()
    assert "there is none" in failure(place.replug())


@needs_root_netns
def test_interfaces_that_nothing_is_known_of_are_told(place):
    for path in (place.base.folder / "cni" / "results").iterdir():
        path.unlink()
    done = place.replug(timeout=1)
    message = failure(done)
    assert "2 interfaces of pods could not be moved to calico; vethaaaaaaaa: the CNI library remembers no pod" in message and "name those" in message
    assert not done["changed"] and set(done["unknown"]) == {"vethaaaaaaaa", "vethbbbbbbbb"}
    assert not place.replug(check=True)["changed"]


@needs_root_netns
def test_one_that_nothing_is_known_of_keeps_all_where_they_are_unless_others_are_named(place):
    (path,) = (entry for entry in (place.base.folder / "cni" / "results").iterdir() if "bbbb" in entry.name)
    path.unlink()
    before = place.state
    assert "vethbbbbbbbb" in failure(place.replug(timeout=1))
    assert place.state == before
    done = place.replug(pods=["shop/web-a"], timeout=1)
    assert [entry["pod"] for entry in done["moved"]] == ["shop/web-a"] and not done.get("failed")


@needs_root_netns
def test_a_pod_that_starts_meanwhile_is_waited_for_and_moved(place):
    (path,) = (entry for entry in (place.base.folder / "cni" / "results").iterdir() if "bbbb" in entry.name)
    content = path.read_text()
    path.unlink()
    timer = threading.Timer(1.5, path.write_text, [content])
    timer.start()
    done = place.replug(timeout=10)
    timer.join()
    assert sorted(entry["pod"] for entry in done["moved"]) == ["shop/web-a", "shop/web-b"], done


@needs_root_netns
def test_a_pod_that_ends_meanwhile_is_no_failure_and_leaves_nothing(place):
    slow = place.base.folder / "bin" / "portmap"
    slow.write_text(slow.read_text().replace("set -e\n", "sleep 1\nset -e\n"))
    given = {**place.base.options, "state": "calico", "state_dir": str(place.base.folder / "podnet"), "timeout": 5, "parallel": 1}
    process = place.base.start("cni_replug", **given)
    wait_for(process, lambda: stage(place) == "prepared")
    place.end("10.244.1.5")
    done = json.loads(process.communicate()[0])
    assert not done.get("failed"), done["msg"]
    assert (done["ended"], [entry["pod"] for entry in done["moved"]]) == (["shop/web-a"], ["shop/web-b"])
    assert not (place.base.folder / "podnet" / "replug").exists()
    # The runtime deletes the pod by what it remembers of it, which is the old network; the new one's share was given back.
    assert any("DEL calico" in line and "web-a" in line for line in place.calls()), place.calls()


@needs_root_netns
def test_a_pod_that_cannot_be_verified_is_left_alone(place):
    before = place.state
    place.base.run("iptables-nft", "-I", "OUTPUT", "-d", "10.244.1.5", "-p", "icmp", "-j", "DROP")
    done = place.replug(parallel=1)
    assert "10.244.1.5 does not answer pings of its node" in failure(done)
    assert place.state[2:] == before[2:]
    assert place.calls() == []


@needs_root_netns
def test_names_of_pods_that_are_not_there_are_refused(place):
    assert "pods: shop/web-x is on none of this node's pod networks" in failure(place.replug(pods=["shop/web-a", "shop/web-x"]))
    assert place.calls() == []
