# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each fault is injected and lifted: by what a machine, a network or another person would do, never by a change of the collection."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import typing as t
from collections.abc import Callable

from podnet_lab import network, router
from podnet_lab.control_plane import ControlPlane
from podnet_lab.errors import LabError
from podnet_lab.image_store import image_store
from podnet_lab.images import build_all
from podnet_lab.node import NodeContainer
from podnet_lab.process import Daemon
from podnet_lab.shell import wait_for
from podnet_molecule import playbook

from podnet_faults import replug_steps
from podnet_faults.scene import CALICO_NODE, FLANNEL, Scene

Action = Callable[[Scene], None]
BACK_SECONDS = 120.0
CRASHES = "podnet-lab-crashes"
"""Unit on a node that ends a program again and again."""
CUT_OFF = "podnet-lab-cut-off"
"""Table of nft on a node that drops packets."""
ADMINISTRATOR = "kubernetes-admin"
"""The user of the kubeconfig that the playbooks use."""


def nothing(_scene: Scene) -> None:
    """For faults that end by themselves."""


# -- SSH and the controller


def end_ssh(scene: Scene) -> None:
    """Stop the node's SSH server and end its sessions; nothing else on the node is touched."""
    scene.on(scene.node, "systemctl stop ssh.socket ssh 2>/dev/null; for p in $(pgrep -x sshd); do kill -KILL $p; done; ! pgrep -x sshd", check=False)


def start_ssh(scene: Scene) -> None:
    """Start it again."""
    scene.on(scene.node, "systemctl start ssh")


def kill_controller(scene: Scene) -> None:
    """SIGKILL for ansible-playbook and all of its processes."""
    if scene.process is None:
        raise LabError("there is no run to kill")
    os.killpg(scene.process.pid, signal.SIGKILL)
    scene.process.wait()


def kill_replug(stage: str) -> Action:
    """SIGKILL for cni_replug on the node while a pod is at this stage, then for the controller."""

    def action(scene: Scene) -> None:
        root = scene.root(scene.node)  # /proc/PID/root of the node's init process
        scene.memory["left"] = replug_steps.end_at(root, replug_steps.modules(int(root.parent.name)), stage)
        kill_controller(scene)

    return action


def cut_off(scene: Scene) -> None:
    """While another pod of the node is cut over, make another node drop what is for one that comes next: it was looked at already."""
    root = scene.root(scene.node)
    other = next(node.name for node in scene.lab.nodes if node.name != scene.node)
    with replug_steps.caught(root, replug_steps.modules(int(root.parent.name)), "cut", "prepared") as found:
        # Not a blackhole route, which BIRD would tell other nodes of.
        drop = f"add rule ip {CUT_OFF} before ip daddr {replug_steps.next_of(found)} drop"
        hook = f"add chain ip {CUT_OFF} before {{ type filter hook prerouting priority raw; }}"
        scene.memory["cut_off"] = other
        scene.on(other, f"printf '%s\\n' 'add table ip {CUT_OFF}' '{hook}' '{drop}' | nft --file -")


def let_through(scene: Scene) -> None:
    """Drop nothing any more."""
    if "cut_off" in scene.memory:
        scene.on(scene.memory["cut_off"], f"nft delete table ip {CUT_OFF}", check=False)


def second_run(scene: Scene, *before: str) -> None:
    """Start the same playbook a second time, and keep how it ended."""
    command = [*before, *playbook.command(scene.lab.inventory, {"podnet_confirm": True, "podnet_remove_flannel": False, "podnet_settle_seconds": 10})]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    scene.memory.update(second_code=done.returncode, second_output=done.stdout)


def second_run_an_hour_ahead(scene: Scene) -> None:
    """The second run's clock is an hour ahead (libfaketime)."""
    second_run(scene, "faketime", "-f", "+1h")


# -- Nodes


def reboot(scene: Scene) -> None:
    """Power off and on: all processes end at once, and links, routes, rules and what is in memory are gone; the disk stays."""
    node = next(item for item in scene.lab.nodes if item.name == scene.node)
    container = NodeContainer(scene.lab.topology, node, scene.lab.state)
    scene.lab.podman.run("kill", node.container)
    wait_for(f"the end of {node.container}", 30, lambda: not container.running(), pause=0.1)
    scene.lab.run_in("tor", ["ip", "netns", "delete", node.netns])
    network.create(scene.lab.topology)
    scene.lab.podman.start(container.log, "start", node.container)
    container.wait_booted()


def last_node(scene: Scene) -> NodeContainer:
    """The machine that joins and leaves; never the one that is moved."""
    node = scene.lab.nodes[-1]
    if node.name == scene.node:
        raise LabError(f"{node.name} is the node that the fault happens to")
    return NodeContainer(scene.lab.topology, node, scene.lab.state)


def leave(scene: Scene) -> None:
    """Power it off, and delete the node."""
    container = last_node(scene)
    node = container.node
    pods = [pod for pod in scene.api.items("/api/v1/pods") if pod["spec"].get("nodeName") == node.name]
    addresses = {node.address, *(pod["status"].get("podIP") for pod in pods)}
    scene.memory["off"] = addresses | {f"node-{node.name}", *(pod["metadata"]["name"] for pod in pods)}
    container.remove()
    scene.lab.run_in("tor", ["ip", "netns", "delete", node.netns])
    scene.api.delete(f"/api/v1/nodes/{node.name}")


def boot(scene: Scene) -> NodeContainer:
    """A new machine of the same name with an empty disk."""
    container = last_node(scene)
    network.create(scene.lab.topology)
    artifacts = build_all()
    layer = scene.lab.state / "nodes" / "layer"
    control_plane = ControlPlane(scene.lab.topology, artifacts, scene.lab.state)
    container.start(artifacts, layer, image_store(artifacts), control_plane)
    container.wait_booted()
    return container


def new_machine(scene: Scene) -> None:
    """Have a machine that is ready to join: it has booted, its kubelet does not run, and the cluster does not know it."""
    leave(scene)
    container = boot(scene)
    scene.on(container.node.name, "systemctl stop kubelet")
    scene.api.delete(f"/api/v1/nodes/{container.node.name}")


def join(scene: Scene) -> None:
    """Start its kubelet, and wait until the cluster knows it."""
    name = last_node(scene).node.name
    scene.on(name, "systemctl start kubelet")
    wait_for(f"the node {name}", 30, lambda: scene.api.get_or_none(f"/api/v1/nodes/{name}") is not None, pause=0.1)


def succeed(scene: Scene) -> None:
    """A new machine takes the place of the one that left."""
    boot(scene)
    for path in (FLANNEL, CALICO_NODE):
        wait_ready(scene, path)


def restart(unit: str) -> Action:
    """Restart a service of the node once."""

    def action(scene: Scene) -> None:
        scene.on(scene.node, f"systemctl restart {unit}")

    return action


def stop(unit: str) -> Action:
    """Stop a service of the node."""

    def action(scene: Scene) -> None:
        scene.on(scene.node, f"systemctl stop {unit}")

    return action


def start(unit: str) -> Action:
    """Start it again."""

    def action(scene: Scene) -> None:
        scene.on(scene.node, f"systemctl start {unit}")

    return action


def end_once(program: str) -> Action:
    """SIGKILL for a program in a pod of the node; its container is started again."""

    def action(scene: Scene) -> None:
        scene.on(scene.node, f"pkill -KILL -x {program}")

    return action


def replace_calico(scene: Scene) -> None:
    """Delete calico-node's pod on the node, as an upgrade does; the DaemonSet makes another one."""
    delete_pod_of(scene, CALICO_NODE)


def delete_pod_of(scene: Scene, path: str) -> None:
    """Delete the pod of a DaemonSet on the node."""
    daemonset = scene.api.get(path)
    labels = ",".join(f"{key}={value}" for key, value in daemonset["spec"]["selector"]["matchLabels"].items())
    namespace = daemonset["metadata"]["namespace"]
    for pod in scene.api.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels):
        if pod["spec"].get("nodeName") == scene.node:
            scene.api.delete(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}")


def crash_loop(program: str) -> Action:
    """SIGKILL for a program in a pod of the node as often as it starts, so that the kubelet waits longer each time."""

    def action(scene: Scene) -> None:
        loop = f"while sleep 0.5; do pkill -KILL -x {program}; done"
        scene.on(scene.node, f"systemd-run --quiet --collect --unit={CRASHES} sh -c '{loop}'")

    return action


def end_crash_loop(path: str) -> Action:
    """Let it run, and wait until its DaemonSet is Ready everywhere; the kubelet's longer and longer pauses are cut short by new pods."""

    def action(scene: Scene) -> None:
        scene.on(scene.node, f"systemctl stop {CRASHES}")
        delete_pod_of(scene, path)
        wait_ready(scene, path)

    return action


def wait_ready(scene: Scene, path: str) -> None:
    """Wait until a DaemonSet is Ready on every node."""

    def ready() -> bool:
        status = scene.api.get(path)["status"]
        return bool(status["desiredNumberScheduled"] == status.get("numberReady") == status.get("updatedNumberScheduled"))

    wait_for(f"Ready of {path}", BACK_SECONDS, ready, pause=0.5)


def fill_disk(scene: Scene) -> None:
    """Mount a small full file system where the collection writes on the node."""
    scene.on(
        scene.node,
        "mkdir -p /var/lib/podnet && mount -t tmpfs -o size=16k,nr_inodes=8 full /var/lib/podnet && { cat /dev/zero > /var/lib/podnet/full; true; }"
        " 2>/dev/null",
    )


def empty_disk(scene: Scene) -> None:
    """Take it away."""
    scene.on(scene.node, "umount /var/lib/podnet")


# -- Control plane


def _daemon(scene: Scene, name: str) -> Daemon:
    """A process of the control plane, as it was started."""
    folder = scene.lab.state / "control-plane"
    record = json.loads((folder / f"{name}.pid").read_text(encoding="utf-8")) if (folder / f"{name}.pid").exists() else {"command": [name]}
    return Daemon(name, scene.lab.topology.netns("cp"), record["command"], folder, scene.lab.logs)


def end_api(scene: Scene) -> None:
    """SIGKILL for the API server."""
    daemon = _daemon(scene, "kube-apiserver")
    pid = daemon.pid()
    if pid is None:
        raise LabError("the API server does not run")
    scene.memory["api"] = daemon
    os.kill(pid, signal.SIGKILL)


def start_api(scene: Scene) -> None:
    """Start it again."""
    scene.memory["api"].start()
    wait_for("an answer of the API server", BACK_SECONDS, lambda: scene.api.request("GET", "/readyz") == "ok")


def pause_etcd(scene: Scene) -> None:
    """SIGSTOP for etcd, which has one member here: nobody leads while it stands still."""
    pid = _daemon(scene, "etcd").pid()
    if pid is None:
        raise LabError("etcd does not run")
    scene.memory["etcd"] = pid
    os.kill(pid, signal.SIGSTOP)


def go_on_etcd(scene: Scene) -> None:
    """SIGCONT."""
    os.kill(scene.memory["etcd"], signal.SIGCONT)


LEVEL: dict[str, t.Any] = {
    "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
    "kind": "PriorityLevelConfiguration",
    "metadata": {"name": "podnet-lab-none"},
    "spec": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}},
    },
}
SCHEMA: dict[str, t.Any] = {
    "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
    "kind": "FlowSchema",
    "metadata": {"name": "podnet-lab-none"},
    "spec": {
        "priorityLevelConfiguration": {"name": "podnet-lab-none"},
        "matchingPrecedence": 2,
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": ADMINISTRATOR}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }
        ],
    },
}
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
HOOK: dict[str, t.Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "podnet-lab-broken"},
    "webhooks": [
        {
            "name": "broken.podnet.lab",
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 2,
            "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"}],
            "matchConditions": [{"name": "playbook", "expression": f"request.userInfo.username == '{ADMINISTRATOR}'"}],
        }
    ],
}


def answer_429(scene: Scene) -> None:
    """Give the playbook's user a priority level that has room for no request: the API server itself answers 429."""
    scene.api.request("POST", f"{FLOW}/prioritylevelconfigurations", body=LEVEL)
    scene.api.request("POST", f"{FLOW}/flowschemas", body=SCHEMA)


def no_429(scene: Scene) -> None:
    """Take it away."""
    scene.api.delete(f"{FLOW}/flowschemas/podnet-lab-none")
    scene.api.delete(f"{FLOW}/prioritylevelconfigurations/podnet-lab-none")


def answer_500(scene: Scene) -> None:
    """Register an admission webhook that nobody serves, for the playbook's user: the API server itself answers 500 to every write."""
    scene.api.request("POST", HOOKS, body=HOOK)


def no_500(scene: Scene) -> None:
    """Take it away."""
    scene.api.delete(f"{HOOKS}/podnet-lab-broken")


# -- Images and other tools

IMAGE = "docker.io/calico/node:v3.28.5"
HIDDEN = "localhost/podnet-lab-hidden:1"
GITOPS = "podnet-lab-gitops"
"""Field manager of the tool that puts Flannel back."""


def rename_image(scene: Scene, name: str, other: str) -> None:
    """Give an image of the node's containerd another name."""
    scene.on(scene.node, f"ctr --namespace k8s.io images tag --force {name} {other} && ctr --namespace k8s.io images remove {name}")


def hide_image(scene: Scene) -> None:
    """The kubelet will have to pull it, from a registry that cannot be reached."""
    rename_image(scene, IMAGE, HIDDEN)


def show_image(scene: Scene) -> None:
    """Put it back; the DaemonSet's pod need not wait for the end of the kubelet's pause."""
    rename_image(scene, HIDDEN, IMAGE)


def keep_flannel(scene: Scene) -> None:
    """Remember Flannel's DaemonSet, as a repository would."""
    found = scene.api.get(FLANNEL)
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "labels") if key in found["metadata"]}
    scene.memory["flannel"] = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": found["spec"]}


def put_flannel_back(scene: Scene) -> None:
    """Apply it again."""
    scene.api.request("POST", FLANNEL.rsplit("/", 1)[0], {"fieldManager": GITOPS}, scene.memory["flannel"])


# -- Router


def drop_sessions(scene: Scene) -> None:
    """Take all BGP sessions of the router down, as an administrator would."""
    router.control(scene.lab.state, "disable all")


def take_up_sessions(scene: Scene) -> None:
    """And up again."""
    router.control(scene.lab.state, "enable all")


def withdraw_zone(scene: Scene) -> None:
    """Make the router send no route from the last zone any more; its sessions stay."""
    config = scene.lab.state / "router" / "bird.conf"
    text = config.read_text(encoding="utf-8")
    scene.memory["router"] = text
    subnet = scene.lab.topology.zones[-1].subnet
    config.write_text(text.replace("filter to_nodes {\n", f"filter to_nodes {{\n  if from ~ {subnet} then reject;\n", 1), encoding="utf-8")
    said = router.control(scene.lab.state, "configure")
    if "Reconfigur" not in said:
        raise LabError(f"the router did not take the configuration: {said}")


def announce_zone(scene: Scene) -> None:
    """Send them again."""
    (scene.lab.state / "router" / "bird.conf").write_text(scene.memory["router"], encoding="utf-8")
    router.control(scene.lab.state, "configure")


# -- Workloads

BUDGET: dict[str, t.Any] = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "never", "namespace": "demo"},
    "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "never"}}},
}


def lonely_pod(scene: Scene, name: str, script: str, grace: int) -> dict[str, t.Any]:
    """A Deployment of one pod on the node."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": grace,
                    "affinity": {
                        "nodeAffinity": {
                            "preferredDuringSchedulingIgnoredDuringExecution": [
                                {
                                    "weight": 100,
                                    "preference": {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [scene.node]}]},
                                }
                            ]
                        }
                    },
                    "containers": [
                        {"name": "main", "image": "localhost/podnet-lab-tools:1", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}
                    ],
                },
            },
        },
    }


def add_lonely(scene: Scene, name: str, script: str, grace: int) -> None:
    """Start such a pod, and wait until it is Ready on the node."""
    scene.api.apply(lonely_pod(scene, name, script, grace))

    def there() -> bool:
        pods = scene.api.items("/api/v1/namespaces/demo/pods", labelSelector=f"app={name}")
        return bool(pods) and all(pod["spec"].get("nodeName") == scene.node and pod["status"].get("phase") == "Running" for pod in pods)

    wait_for(f"a pod {name} on {scene.node}", 60, there, pause=0.5)


STUBBORN = "trap '' TERM; while :; do sleep 1; done"


def calm_pod(scene: Scene) -> None:
    """A pod that ends when it is told to, before the run."""
    add_lonely(scene, "never", "trap 'exit 0' TERM; while :; do sleep 0.2; done", 5)


def forbid_evictions(scene: Scene) -> None:
    """A PodDisruptionBudget that allows no eviction, made after the plan."""
    scene.api.apply(BUDGET)


def delete_calm(scene: Scene) -> None:
    """Delete it, as kubectl does without --wait."""
    for pod in scene.api.items("/api/v1/namespaces/demo/pods", labelSelector="app=never"):
        scene.api.delete(f"/api/v1/namespaces/demo/pods/{pod['metadata']['name']}")


def remove_calm(scene: Scene) -> None:
    """Remove its Deployment."""
    remove_lonely(scene, "never")


def allow_evictions(scene: Scene) -> None:
    """Remove it and its pod."""
    scene.api.delete("/apis/policy/v1/namespaces/demo/poddisruptionbudgets/never")
    remove_calm(scene)


def stubborn_pod(scene: Scene) -> None:
    """A pod that does not end on SIGTERM and has ten minutes to do so."""
    add_lonely(scene, "stubborn", STUBBORN, 600)


def end_stubborn(scene: Scene) -> None:
    """Delete it by force, as kubectl delete --force does. The kubelet keeps to the grace period all the same, so its process is ended too."""
    remove_lonely(scene, "stubborn")
    scene.on(scene.node, f"pkill -KILL -f {shlex.quote(f'^sh -c {STUBBORN}')}")


def remove_lonely(scene: Scene, name: str) -> None:
    """Delete the Deployment and its pods at once."""
    scene.api.delete(f"/apis/apps/v1/namespaces/demo/deployments/{name}")
    for pod in scene.api.items("/api/v1/namespaces/demo/pods", labelSelector=f"app={name}"):
        with contextlib.suppress(LabError):
            scene.api.request("DELETE", f"/api/v1/namespaces/demo/pods/{pod['metadata']['name']}", {"gracePeriodSeconds": "0"})
    wait_for(f"the end of {name}", 60, lambda: not scene.api.items("/api/v1/namespaces/demo/pods", labelSelector=f"app={name}"))


def end_calico_crashes(scene: Scene) -> None:
    """End the crashes of calico-node."""
    end_crash_loop(CALICO_NODE)(scene)


def end_flannel_crashes(scene: Scene) -> None:
    """End the crashes of flanneld."""
    end_crash_loop(FLANNEL)(scene)
