# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._plan.variables import unknown_variables

KNOWN = ["podnet_serial", "podnet_confirm"]


def test_a_misspelled_variable_is_named_with_the_right_one():
    assert unknown_variables(["podnet_seriel", "podnet_confirm"], KNOWN) == [
        "podnet_seriel is no variable of this playbook and would have no effect; did you mean podnet_serial?"
    ]


def test_without_a_close_name_all_are_listed():
    (sentence,) = unknown_variables(["podnet_xyzzy"], KNOWN)
    assert sentence.endswith("use one of podnet_confirm, podnet_serial")


def test_variables_of_others_and_facts_of_ours_are_no_mistakes():
    assert unknown_variables(["pod_serial", "ansible_user", "podnet_cluster", "podnet_node", *KNOWN], KNOWN) == []
