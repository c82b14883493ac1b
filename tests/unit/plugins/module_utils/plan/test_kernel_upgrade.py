# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host needs follows from what runs, what is started by default, and what is wanted."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_upgrade, kernel_upgrade_texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_upgrade import plan_host, reboot_reason
from ansible_collections.podnet.cni.tests.unit.fixtures.kernel_host import NEW, OLD, facts
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = {"kernel": "default", "flavour": "", "stream": "default", "cluster": False, "allow_older": False, "allow_untried": False}


def plan(state=None, **settings):
    return plan_host("n1", state or facts(), {**SETTINGS, **settings})


def ids(found):
    return [finding["id"] for finding in found["findings"]]


def test_a_kernel_that_is_not_there_is_installed_and_started_once():
    found = plan()
    assert (found["wanted"], found["packages"]) == (NEW, [f"linux-image-{NEW}=6.1.192-2"])
    assert found["steps"] == ["install", "check", "boot once", "prove", "make default"]
    assert (found["install"], found["boot"], found["work"], found["blocked"]) == (True, True, True, False)
    assert found["reason"] == f"{OLD} runs, {NEW} is wanted"


def test_a_node_is_evicted_before_and_gets_pods_after():
    assert plan(cluster=True)["steps"] == ["install", "check", "evict", "boot once", "prove", "make default", "uncordon"]


@pytest.mark.parametrize(
    ("running", "default", "steps"),
    [
        (NEW, NEW, []),
        (NEW, OLD, ["prove", "make default"]),
        (OLD, NEW, ["check", "boot once", "prove", "make default"]),
        (OLD, OLD, ["check", "boot once", "prove", "make default"]),
    ],
)
def test_a_reboot_is_needed_by_what_runs_and_not_by_what_is_the_default(running, default, steps):
    found = plan(facts(running, default, (OLD, NEW)))
    assert found["steps"] == steps
    assert found["work"] == bool(steps)
    assert bool(reboot_reason(running, default, NEW)) == (running != NEW)


def test_a_flag_that_asks_for_a_reboot_is_no_reason():
    assert not plan(facts(NEW, NEW, (OLD, NEW), reboot_required=["linux-image-cloud-amd64"]))["work"]


def test_a_run_that_was_stopped_after_the_reboot_goes_on_with_the_proof():
    state = facts(NEW, OLD, (OLD, NEW), trial={"armed": True, "on_trial": True, "release": NEW, "log": []})
    found = plan(state, cluster=True)
    assert (found["resume"], found["boot"]) == (True, False)
    assert found["steps"] == ["prove", "make default", "uncordon"]


def test_a_trial_that_was_left_behind_is_told():
    found = plan(facts(trial={"armed": True, "on_trial": False, "release": NEW, "log": ["x"]}))
    assert "kernel-trial-left" in ids(found)
    assert not found["blocked"]


@pytest.mark.parametrize(
    ("change", "identifier", "remedy"),
    [
        ({"container": "podman"}, "kernel-container", "on the machine"),
        ({"immutable": "flatcar"}, "kernel-immutable", "Flatcar Linux Update Operator"),
        ({"immutable": "talos"}, "kernel-immutable", "talosctl upgrade"),
        ({"immutable": "ostree"}, "kernel-immutable", "rpm-ostree"),
        ({"system": {"id": "arch", "pretty_name": "Arch Linux"}}, "kernel-system-unknown", "by hand"),
        ({"manager": ""}, "kernel-system-unknown", "by hand"),
        ({"boot": {**facts()["boot"], "problem": "GRUB cannot write"}}, "kernel-boot-loader", "GRUB"),
        ({"boot": {**facts()["boot"], "releases": []}}, "kernel-no-way-back", "install the package"),
        ({"space": {"path": "/boot", "free": 10 * 2**20, "kernel": 60 * 2**20}}, "kernel-boot-space", "autoremove"),
        ({"packages": [], "metas": {}}, "kernel-not-available", "Enable the repository"),
    ],
)
def test_what_cannot_be_done_safely_is_refused_with_the_remedy(change, identifier, remedy):
    found = plan({**facts(), **change})
    (blocker,) = [finding for finding in found["findings"] if finding["severity"] == "blocker"]
    assert (blocker["id"], found["blocked"]) == (identifier, True)
    assert remedy in blocker["remedy"]


@pytest.mark.parametrize("kind", kernel_upgrade.IMMUTABLE)
def test_every_immutable_system_has_its_own_way(kind):
    found = plan({**facts(), "immutable": kind})
    assert found["blocked"]
    assert len(found["findings"][0]["remedy"]) > 20


def test_room_is_not_asked_for_when_nothing_is_installed():
    state = facts(OLD, OLD, (OLD, NEW), space={"path": "/boot", "free": 0, "kernel": 60 * 2**20})
    assert not plan(state)["blocked"]


def test_an_untried_distribution_needs_consent():
    packages = [
        {"name": "kernel", "version": "5.14.0-427.el9", "arch": "x86_64", "installed": True},
        {"name": "kernel", "version": "5.14.0-503.el9", "arch": "x86_64", "installed": False},
    ]
    running = "5.14.0-427.el9.x86_64"
    boot = {**facts()["boot"], "loader": "grub-bls", "default": running, "releases": [running]}
    state = facts(running, system={"id": "rocky", "id_like": "rhel"}, manager="dnf", packages=packages, boot=boot)
    assert [(finding["id"], finding["severity"]) for finding in plan(state)["findings"]] == [
        ("kernel-boot-untried", "blocker"),
        ("kernel-system-untried", "blocker"),
    ]
    allowed = plan(state, allow_untried=True)
    assert (allowed["blocked"], allowed["wanted"]) == (False, "5.14.0-503.el9.x86_64")


def test_a_kernel_that_the_firmware_would_not_start_is_refused():
    packages = [{"name": "kernel-ml", "version": "6.15.4-1.el9.elrepo", "arch": "x86_64", "installed": False}]
    running = "5.14.0-427.el9.x86_64"
    boot = {**facts()["boot"], "default": running, "releases": [running]}
    state = facts(running, system={"id": "rocky"}, manager="dnf", packages=packages, boot=boot, secure_boot=True)
    found = plan(state, stream="elrepo-ml", allow_untried=True)
    assert (found["blocked"], "kernel-not-signed" in ids(found)) == (True, True)
    assert not plan({**state, "secure_boot": False}, stream="elrepo-ml", allow_untried=True)["blocked"]


def test_going_back_by_mistake_is_refused_and_on_purpose_it_is_not():
    state = facts(NEW, NEW, (OLD, NEW))
    assert ids(plan(state, kernel=OLD)) == ["kernel-older"]
    back = plan(state, kernel=OLD, allow_older=True)
    assert (back["blocked"], back["wanted"], back["boot"], back["packages"]) == (False, OLD, True, [])


def test_a_newer_kernel_than_the_line_has_is_left_alone():
    newer = "6.12.117+deb12-cloud-amd64"
    state = facts(newer, newer, (OLD, newer))
    found = plan(state)
    assert (ids(found), found["work"], found["blocked"]) == (["kernel-newer-runs"], False, False)


def test_the_kernel_before():
    state = facts(NEW, NEW, (OLD, NEW), record={"release": NEW, "previous": OLD})
    assert plan(state, kernel="previous", allow_older=True)["wanted"] == OLD
    assert ids(plan(facts(), kernel="previous", allow_older=True)) == ["kernel-no-record"]
    again = facts(OLD, OLD, (OLD, NEW), record={"release": NEW, "previous": OLD})
    assert not plan(again, kernel="previous", allow_older=True)["work"]


def test_a_stream_that_the_distribution_has_not():
    (finding,) = plan(stream="hwe")["findings"]
    assert (finding["id"], "default, backports" in finding["remedy"]) == ("kernel-stream", True)


def test_another_version_of_the_running_release_is_told_and_not_done():
    state = facts(NEW, NEW, (NEW,))
    state["packages"].append({"name": f"linux-image-{NEW}", "version": "6.1.192-3", "arch": "", "installed": False})
    found = plan(state)
    assert (ids(found), found["work"]) == (["kernel-same-release"], False)


def test_what_does_not_bring_a_hung_kernel_back_is_told():
    found = plan(facts(watchdog={"device": False, "identity": "", "active": False}))
    assert (ids(found), found["blocked"]) == (["kernel-no-watchdog"], False)


@given(
    st.sampled_from([OLD, NEW]),
    st.sampled_from([OLD, NEW, ""]),
    st.sets(st.sampled_from([OLD, NEW])),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_plan_never_starts_a_kernel_without_a_way_back(running, default, installed, armed, on_trial, cluster):
    state = facts(running, default, tuple(sorted({running, *installed})), trial={"armed": armed, "on_trial": on_trial, "log": []})
    before = copy.deepcopy(state)
    found = plan(state, cluster=cluster)
    assert state == before
    assert found["boot"] == (running != NEW)
    if found["boot"]:
        order = [found["steps"].index(step) for step in ("check", "boot once", "prove", "make default")]
        assert order == sorted(order)
    assert found["work"] == bool(found["steps"])
    assert found["work"] or default == running == NEW


def test_a_plan_as_a_table():
    plans = {"n1": plan(), "n2": plan_host("n2", facts(NEW, NEW, (OLD, NEW)), SETTINGS)}
    text = kernel_upgrade_texts.plan_table(plans, [1, "10%"])
    assert "Plan: 1 host of 2 in 1 batch (1), 1 reboot." in text
    assert "it is there already" in text
    assert f"- linux-image-{NEW}=6.1.192-2" in text


def test_a_host_that_cannot_be_read_is_refused():
    plans = {"n1": plan(), "n2": kernel_upgrade_texts.unreadable("n2", "The host could not be reached")}
    text = kernel_upgrade_texts.plan_table(plans, [1])
    assert "Plan: REFUSED because of n2. Nothing is changed on any host." in text
    assert "The host could not be reached." in text


def test_nothing_to_do():
    plans = {"n1": plan_host("n1", facts(NEW, NEW, (OLD, NEW)), SETTINGS)}
    assert "Plan: nothing to do, 1 host as wanted." in kernel_upgrade_texts.plan_table(plans, [1])


def test_results_as_a_table():
    results = {
        "n1": {"before": OLD, "now": NEW, "phase": "kept", "text": "", "seconds": 61.0},
        "n2": {"before": OLD, "now": OLD, "phase": "went back", "text": "Reboot: it did not come back"},
        "n3": {},
    }
    text = kernel_upgrade_texts.result_table(results)
    assert "Result: 1 host of 3 run the wanted kernel by default (1 min 1 s each); went back or failed: n2; not begun: n3." in text.replace(
        "\n  ", " "
    )


@pytest.mark.parametrize(
    ("now", "log", "says"),
    [
        (OLD, [], "the new kernel panicked, was reset by the watchdog, or was never started"),
        (OLD, ["2026-11-28T10:00:00Z x was not kept within 900 s of the boot: reboot"], "its timer wrote: 2026-11-28"),
        ("5.10.0-28-amd64", [], "came back with 5.10.0-28-amd64"),
        ("", [], "no kernel that is known"),
    ],
)
def test_why_a_host_runs_another_kernel(now, log, says):
    assert says in kernel_upgrade_texts.came_back(OLD, NEW, now, log)
