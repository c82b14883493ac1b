# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_resources as resources


def test_groups():
    assert resources.api_of({resources.V1, resources.V3}) == resources.V3
    assert resources.api_of({resources.V1}) == resources.V1
    assert resources.store_of({resources.V1, resources.V3}) == resources.V1
    assert resources.store_of({resources.V3}) == resources.V3
    with pytest.raises(resources.NotServed, match="stage=crds"):
        resources.api_of({"v1"})


def definition(fields):
    return {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {"spec": {"properties": fields}}}}}]}}


def test_affinities_follow_the_schema():
    old = resources.affinity_schema(definition({"cidr": {}, "deleted": {"type": "string"}}))
    new = resources.affinity_schema(definition({"cidr": {}, "deleted": {"type": "boolean"}, "type": {"type": "string"}}))
    assert resources.affinity_schema(None) == old
    assert resources.pending_affinity(resources.V1, "n1", "10.244.1.0/26", old) == {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "BlockAffinity",
        "metadata": {"name": "n1-10-244-1-0-26"},
        "spec": {"cidr": "10.244.1.0/26", "node": "n1", "state": "pending", "deleted": "false"},
    }
    spec = resources.pending_affinity(resources.V3, "n1", "10.244.1.0/26", new)["spec"]
    assert spec["type"] == "host"
    assert spec["deleted"] is False


def test_paths_and_kinds():
    assert resources.path_of(resources.V1, "IPPool", "p") == "/apis/crd.projectcalico.org/v1/ippools/p"
    assert resources.path_of(resources.V3, "BGPPeer") == "/apis/projectcalico.org/v3/bgppeers"
    assert [resources.ipam_config_kind(store) for store in (resources.V1, resources.V3)] == ["IPAMConfig", "IPAMConfiguration"]
    assert resources.affinity_definition(resources.V1) == "blockaffinities.crd.projectcalico.org"


def test_specifications_name_every_choice():
    assert resources.ip_pool_spec("10.244.0.0/16", 26, True)["vxlanMode"] == "Never"
    assert resources.ipam_config_spec(True, None) == {"strictAffinity": True, "autoAllocateBlocks": True}
    assert resources.ipam_config_spec(True, 4)["maxBlocksPerHost"] == 4
