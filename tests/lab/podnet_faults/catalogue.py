# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults: each is data and names what injects it."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Callable

from podnet_molecule import playbook

from podnet_faults import actions
from podnet_faults.actions import Action
from podnet_faults.scene import Scene

Trigger = Callable[[Scene], bool]
Text = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One row of docs/faults.md."""

    id: str
    title: str
    point: str
    """When it is injected, in words."""
    when: Trigger
    inject: Action
    how: str
    """What was really done in the lab, in words."""
    expected: str
    go_on: str
    """What a user does afterwards."""
    lift: Action = actions.nothing
    hold: float | None = 0.0
    """Seconds after which it is lifted; None for at the end of the disturbed run."""
    code: int = 0
    """Exit code of the disturbed run."""
    says: Text = ()
    """Words that have to be in its output."""
    second_says: Text = ()
    """Words of the second run, which has to be refused."""
    start: str = "one"
    """C(fresh) before Calico is there, C(one) with the first node on Flannel and the others on Calico, C(two) likewise, C(calico)."""
    playbook: str = playbook.PLAYBOOK
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    always: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """Variables of the runs before and after it as well."""
    before: Action = actions.nothing
    """Done before the run starts."""
    by_timer: bool = False
    """The node has to go back to Flannel by itself, while it cannot be reached."""
    removes: bool = False
    """Whether the run removes Flannel in the end."""
    leaves: str = ""
    """The stage at which a pod that is moved as it runs is left."""
    phase: str | None = None
    """What the journal says of the node after the disturbed run."""
    without_last: bool = False
    """The inventory of the disturbed run does not have the last node."""
    ends_probers: bool = False
    """A machine ends, and its prober with it; they are started again afterwards."""
    goes_back: bool = False
    """What follows is the way back of all nodes, instead of the migration."""
    loses: bool = False
    """Whether requests fail, for the reason that C(expected) gives; those from and to a machine that is off are not meant."""


AGAIN = "Run the same playbook again."
QUICK = {"podnet_evict_timeout": 25, "podnet_settle_seconds": 15}
RETURN = {"podnet_return_nodes": "n1"}
SWITCHED = "after the switch, before the commit"
EVICTING = "while pods are evicted"
REPLUG = {"podnet_pod_move": "replug"}
REPLUGGING = "while pods are moved as they run"
OF_MODULE = "SIGKILL for the module on the node and for ansible-playbook with all of its processes"


def controller_killed(**rest: t.Any) -> Fault:
    """The controller is killed while it carries a playbook out."""
    usual = {"title": "Controller killed", "how": "SIGKILL for ansible-playbook and all of its processes.", "go_on": AGAIN}
    return Fault(inject=actions.kill_controller, code=-9, **{**usual, **rest})


def replug_killed(stage: str, **rest: t.Any) -> Fault:
    """cni_replug and the controller are killed while a pod is at this stage."""
    return Fault(
        title="Controller and module killed",
        when=Scene.replugging,
        inject=actions.kill_replug(stage),
        go_on=AGAIN,
        code=-9,
        always=REPLUG,
        leaves=stage,
        **rest,
    )


FAULTS: tuple[Fault, ...] = (
    Fault(
        id="image-missing",
        title="An image cannot be pulled",
        point="before Calico is installed",
        when=Scene.locked,
        inject=actions.nothing,
        how="The image of calico-node is taken out of the node's containerd, and no registry can be reached; it is put back when the run has ended.",
        expected="The run stops before a pod has moved, and names node, image and reason.",
        go_on="Make the image available, run the same playbook again.",
        before=actions.hide_image,
        lift=actions.show_image,
        hold=None,
        code=2,
        says=("No pod was moved", "docker.io/calico/node"),
        variables={"podnet_wait_timeout": 40},
        start="fresh",
    ),
    controller_killed(
        id="killed-installing",
        point="while Calico is installed",
        when=Scene.calico_starting,
        expected="Nothing has moved; the next run takes the lock over at once.",
        start="fresh",
    ),
    controller_killed(
        id="killed-switched",
        point=SWITCHED,
        when=Scene.switched,
        expected="The node's timer waits; the next run takes the lock over at once and finishes the node.",
    ),
    controller_killed(
        id="killed-returning",
        point="while a node goes back to Flannel",
        when=Scene.back_on_flannel,
        how="SIGKILL for ansible-playbook while rollback_to_flannel has switched the node.",
        expected="The next run finishes the node.",
        playbook=playbook.ROLLBACK,
        start="calico",
        variables=RETURN,
    ),
    controller_killed(
        id="killed-switched-back",
        title="Controller killed, then the way back",
        point=SWITCHED,
        when=Scene.switched,
        expected="rollback_to_flannel takes the lock over at once, brings this node and all others back, and removes Calico.",
        go_on="Run rollback_to_flannel, or the same playbook again.",
        goes_back=True,
    ),
    controller_killed(
        id="killed-removing-calico",
        point="while Calico is removed on the way back",
        when=Scene.calico_gone,
        how="SIGKILL for ansible-playbook once calico-node's DaemonSet is gone, after rollback_to_flannel has brought all nodes back.",
        expected="The next run removes the rest.",
        playbook=playbook.ROLLBACK,
        goes_back=True,
    ),
    replug_killed(
        "prepared",
        id="replug-killed-prepared",
        point=f"{REPLUGGING}: they have both interfaces",
        how=f"{OF_MODULE}, while packets take Flannel's interface still.",
        expected="The node's timer waits. The next run takes the new interfaces back, and moves the pods.",
    ),
    replug_killed(
        "cut",
        id="replug-killed-cut",
        point=f"{REPLUGGING}: packets are being led over",
        how=f"{OF_MODULE}, in the milliseconds of the cut.",
        expected="The next run puts that pod back on Flannel's interface, and moves it. Until then packets may not reach it.",
    ),
    replug_killed(
        "moved",
        id="replug-killed-moved",
        point=f"{REPLUGGING}: the old interface goes",
        how=f"{OF_MODULE}, after the new interface was seen to work.",
        expected="The next run finishes that pod.",
    ),
    replug_killed(
        "cut",
        id="replug-killed-returning",
        point="while pods go back as they run: packets are being led over",
        how=f"{OF_MODULE}, in the milliseconds of the cut back to Flannel.",
        expected="The next run, a migration here, puts that pod back on Calico's interface and moves the others there. Until then packets may not "
        "reach it.",
        playbook=playbook.ROLLBACK,
        start="calico",
        variables=RETURN,
    ),
    Fault(
        id="replug-cut-off",
        title="Another node loses the way to a pod",
        point=REPLUGGING,
        when=Scene.replugging,
        inject=actions.cut_off,
        how="As the first pod's packets are led over, with the module standing still for that moment, another node begins to drop what is for one "
        "that comes next, until the run has ended.",
        expected="That pod is taken back, since a pod on the other node does not answer it any more. The run stops with its name and the address; "
        "all pods of the node go back as they run.",
        go_on="Repair the way between the nodes, run the same playbook again.",
        lift=actions.let_through,
        hold=None,
        code=2,
        says=("over its new interface, and did over its old one", "could not be moved to calico", "run the same playbook again"),
        variables={"podnet_settle_seconds": 15},
        always=REPLUG,
        phase="failed",
    ),
    Fault(
        id="replug-pod-deleted",
        title="A pod is deleted",
        point=REPLUGGING,
        when=Scene.replugging,
        inject=actions.delete_calm,
        how="A pod that ends at once is deleted as the first ones are prepared.",
        expected="The run passes; what Calico's IPAM held for the pod is given back.",
        go_on="Nothing to do.",
        before=actions.calm_pod,
        lift=actions.remove_calm,
        hold=None,
        always=REPLUG,
    ),
    Fault(
        id="replug-api-away",
        title="API server away for 30 s",
        point=REPLUGGING,
        when=Scene.replugging,
        inject=actions.end_api,
        how="SIGKILL for kube-apiserver as the first pods are prepared, started again after 30 s.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
        lift=actions.start_api,
        hold=30.0,
        variables={"podnet_settle_seconds": 120},
        always=REPLUG,
    ),
    controller_killed(
        id="killed-removing",
        point="while Flannel is removed",
        when=Scene.flannel_gone,
        how="SIGKILL for ansible-playbook once Flannel's DaemonSet is gone.",
        expected="The next run removes the rest.",
        start="calico",
        removes=True,
    ),
    Fault(
        id="ssh-dies",
        title="SSH to the node dies",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.end_ssh,
        how="The node's sshd and its sessions are killed, and started again when the node is back on Flannel.",
        expected="The run stops with the node's name; the node's timer puts Flannel back without anybody's help.",
        go_on="Repair the access to the node, run the same playbook again.",
        lift=actions.start_ssh,
        hold=None,
        code=2,
        says=("cannot be reached any more over SSH; its own timer puts Flannel back", "run the same playbook again"),
        variables={"podnet_watchdog_seconds": 20, "podnet_probe_timeout": 10, "podnet_settle_seconds": 10},
        by_timer=True,
    ),
    Fault(
        id="ssh-dies-removing",
        title="SSH to a node dies",
        point="after the last node, before Flannel is removed",
        when=Scene.quieting,
        inject=actions.end_ssh,
        how="The node's sshd and its sessions are killed, and started again when the run has ended.",
        expected="The run stops with the node's name before anything of Flannel is removed.",
        go_on="Repair the access to the node, run the same playbook again.",
        lift=actions.start_ssh,
        hold=None,
        code=4,  # of Ansible, when a host is unreachable
        says=("cannot be reached any more", "run the same playbook again"),
        start="calico",
        removes=True,
    ),
    Fault(
        id="two-runs",
        title="Two runs at once",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.second_run,
        how="The same playbook is started a second time.",
        expected="The second is refused by the lock, with its owner and age; the first passes.",
        go_on="Wait for the first run.",
        second_says=("does not have the lock", "holds it, renewed"),
    ),
    Fault(
        id="clock-skew",
        title="A controller's clock is an hour ahead",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.second_run_an_hour_ahead,
        how="The same playbook is started a second time with libfaketime, an hour ahead.",
        expected="The second run does not take the lock for expired: its age is judged by the API server's clock.",
        go_on="Wait for the first run.",
        second_says=("does not have the lock", "holds it, renewed"),
    ),
    Fault(
        id="disk-full",
        title="Disk of the node is full",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.fill_disk,
        how="A full file system is mounted at /var/lib/podnet, where the collection writes.",
        expected="The switch fails before it changes anything; the node stays on Flannel and is in service.",
        go_on="Make room, run the same playbook again.",
        lift=actions.empty_disk,
        hold=None,
        code=2,
        says=("No space left on device", "run the same playbook again"),
        variables=QUICK,
        phase="failed",
    ),
    Fault(
        id="node-reboot",
        title="Node restarts",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.reboot,
        how="The container is killed, its network namespace is made anew, and it is started again, which takes some seconds.",
        expected="The run waits and passes; the node's timer did not survive, and Calico's configuration stays the active one. Requests to the "
        "node's pods fail until it is back.",
        go_on="Nothing to do; were the node away for longer, the run would stop, and the next one would finish it.",
        loses=True,
        ends_probers=True,
    ),
    Fault(
        id="kubelet-restart",
        title="kubelet restarts",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.restart("kubelet"),
        how="systemctl restart kubelet on the node.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
    ),
    Fault(
        id="kubelet-away",
        title="kubelet does not run",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.stop("kubelet"),
        how="systemctl stop kubelet, until the run has ended.",
        expected="The run stops and names the pods that do not end; the node stays on Flannel.",
        go_on="Repair the kubelet, run the same playbook again.",
        lift=actions.start("kubelet"),
        hold=None,
        code=2,
        says=("does not terminate", "run the same playbook again"),
        variables=QUICK,
        phase="failed",
    ),
    Fault(
        id="containerd-restart",
        title="containerd restarts",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.restart("containerd"),
        how="systemctl restart containerd on the node.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
    ),
    Fault(
        id="flanneld-restart",
        title="flanneld restarts",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.end_once("flanneld"),
        how="SIGKILL for flanneld on the node, once.",
        expected="The gate waits until it is Ready, and the run passes.",
        go_on="Nothing to do.",
    ),
    Fault(
        id="flanneld-crashes",
        title="flanneld crashes again and again",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.crash_loop("flanneld"),
        how="SIGKILL for flanneld on the node as often as it starts, until the run has ended.",
        expected="The gate stops the run and names DaemonSet and node.",
        go_on="Repair flanneld, run the same playbook again.",
        lift=actions.end_flannel_crashes,
        hold=None,
        code=2,
        says=("flanneld", "is not Ready there", "run the same playbook again"),
        variables=QUICK,
        start="two",
    ),
    Fault(
        id="calico-restart",
        title="calico-node restarts",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.end_once("runsvdir"),
        how="SIGKILL for the first process of calico-node on the node, once.",
        expected="The gate waits until it is Ready, and the run passes.",
        go_on="Nothing to do.",
    ),
    Fault(
        id="calico-replaced",
        title="calico-node's pod is replaced",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.replace_calico,
        how="The pod of calico-node on the node is deleted, so that its installer runs again as well.",
        expected="The gate waits until it is Ready, and the run passes.",
        go_on="Nothing to do.",
    ),
    Fault(
        id="calico-crashes",
        title="calico-node crashes again and again",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.crash_loop("runsvdir"),
        how="SIGKILL for the first process of calico-node on the node as often as it starts, until the run has ended.",
        expected="The run stops and names the node, which goes back to Flannel with all of its pods. Pods that were started there meanwhile have no "
        "network until then.",
        go_on="Repair calico-node, run the same playbook again.",
        lift=actions.end_calico_crashes,
        hold=None,
        code=2,
        says=("calico-node is not Ready there", "run the same playbook again"),
        variables=QUICK,
        start="two",
        loses=True,
    ),
    Fault(
        id="api-away",
        title="API server away for 30 s",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.end_api,
        how="SIGKILL for kube-apiserver, started again after 30 s.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
        lift=actions.start_api,
        hold=30.0,
        variables={"podnet_settle_seconds": 120},
    ),
    Fault(
        id="api-429",
        title="API server answers 429",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.answer_429,
        how="For 15 s a priority level without room takes all requests of the playbook's user, so that the API server itself answers 429.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
        lift=actions.no_429,
        hold=15.0,
    ),
    Fault(
        id="api-500",
        title="API server answers 500",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.answer_500,
        how="For 15 s a webhook that nobody serves stands before all writes of the playbook's user, so that the API server answers 500.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
        lift=actions.no_500,
        hold=15.0,
    ),
    Fault(
        id="etcd-leader",
        title="etcd has no leader",
        point=SWITCHED,
        when=Scene.switched,
        inject=actions.pause_etcd,
        how="SIGSTOP for etcd for 10 s. The lab's etcd has one member, so this is not a change of leaders but a time without one.",
        expected="The run waits and passes.",
        go_on="Nothing to do.",
        lift=actions.go_on_etcd,
        hold=10.0,
    ),
    Fault(
        id="router-drops-sessions",
        title="Router drops all sessions",
        point="between two nodes",
        when=Scene.moved,
        inject=actions.drop_sessions,
        how="All protocols of the router's BIRD are disabled for 15 s.",
        expected="Moved pods are reached through Flannel's tunnel meanwhile; the gate waits for the sessions, and the run passes. What is under way "
        "at the router is lost, and the kernel drops a packet of each masqueraded flow whose device changes.",
        go_on="Nothing to do.",
        lift=actions.take_up_sessions,
        hold=15.0,
        start="two",
        variables={"podnet_serial": "1", "podnet_settle_seconds": 90},
        loses=True,
    ),
    Fault(
        id="zone-withdrawn",
        title="Router withdraws the routes of a zone",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.withdraw_zone,
        how="The router's export filter rejects what comes from zone b, until the run has ended.",
        expected="The gate stops the run and names the missing routes. The kernel drops a packet of each masqueraded flow whose device changes.",
        go_on="Repair the router, run the same playbook again.",
        lift=actions.announce_zone,
        hold=None,
        code=2,
        says=("block-route-missing", "run the same playbook again"),
        variables=QUICK,
        loses=True,
    ),
    Fault(
        id="budget-allows-nothing",
        title="A PodDisruptionBudget allows no eviction",
        point="after the plan, before the eviction",
        when=Scene.locked,
        inject=actions.forbid_evictions,
        how="A budget with maxUnavailable 0 is made once the run has the lock, and removed when it has ended.",
        expected="The run stops and names pod and budget; the node stays on Flannel and is in service.",
        go_on="Change the budget, run the same playbook again.",
        before=actions.calm_pod,
        lift=actions.allow_evictions,
        hold=None,
        code=2,
        says=("demo/never", "disruption budget", "run the same playbook again"),
        variables=QUICK,
        phase="failed",
    ),
    Fault(
        id="pod-does-not-end",
        title="A pod does not end",
        point="before the eviction",
        when=Scene.locked,
        inject=actions.nothing,
        how="A pod ignores SIGTERM and has a grace period of 600 s; it is deleted by force, and its process killed, when the run has ended.",
        expected="The run stops at podnet_evict_timeout and names the pod; the node stays on Flannel and is in service.",
        go_on="Delete the pod by force and end its sandbox on the node (crictl stopp), or wait; run the same playbook again.",
        before=actions.stubborn_pod,
        lift=actions.end_stubborn,
        hold=None,
        code=2,
        says=("demo/stubborn", "does not terminate", "run the same playbook again"),
        variables=QUICK,
        phase="failed",
    ),
    Fault(
        id="flannel-put-back",
        title="Another tool puts Flannel's DaemonSet back",
        point="while Flannel is removed",
        when=Scene.flannel_gone,
        inject=actions.put_flannel_back,
        how="The DaemonSet is applied again as soon as it is gone, by somebody with another field manager.",
        expected="The run stops, and names the DaemonSet and who wrote it; pods stay on Calico.",
        go_on="Stop the tool that puts it back, run the same playbook again.",
        before=actions.keep_flannel,
        code=2,
        says=("podnet-lab-gitops", "run the same playbook again"),
        start="calico",
        removes=True,
    ),
    Fault(
        id="node-joins",
        title="A node joins",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.join,
        how="A machine that is not in the inventory joins the cluster: its kubelet is started.",
        expected="The gate stops the run and names the node.",
        go_on="Add it to the inventory, run the same playbook again.",
        before=actions.new_machine,
        code=2,
        says=("joined the cluster after the plan was made", "Add it to the inventory", "run the same playbook again"),
        variables=QUICK,
        without_last=True,
        ends_probers=True,
    ),
    Fault(
        id="node-leaves",
        title="A node leaves",
        point=EVICTING,
        when=Scene.cordoned,
        inject=actions.leave,
        how="Another node is powered off and deleted from the cluster; a new machine takes its place when the run has ended.",
        expected="The run passes with a warning that names the node. Requests to pods that were on it fail until the cluster has removed them.",
        go_on="Take it out of the inventory, or let its successor join and run the same playbook again.",
        lift=actions.succeed,
        hold=None,
        variables={"podnet_serial": "1"},
        says=("gate-node-gone", "node n3"),
        start="two",
        ends_probers=True,
        loses=True,
    ),
)
"""What the scenario injects: each has ended in the lab as it is expected to."""
