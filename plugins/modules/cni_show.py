#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_show
short_description: Show text as it is, or how far a migration is
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Prints O(text) line by line, without quotes and without C(\n), so that tables can be read in a terminal and in AWX.
  - With O(progress) it prints one line that says which node of how many is in which phase, for how long, and how many requests of a live
    prober have failed so far.
  - It never changes anything, works in check mode, and does nothing on the target; it does not even connect to it.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  action:
    description: Has a corresponding action plugin, which does the work on the controller.
    support: full
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    support: full
    details:
      - This module does not modify state.
  platform:
    support: full
    platforms: all
options:
  text:
    description: A text of one or more lines, or a list of texts. Exactly one of O(text) and O(progress) is needed.
    type: raw
  level:
    description: How important it is. V(warning) is shown in the colour of warnings.
    type: str
    choices: [info, warning]
    default: info
  progress:
    description: How far a migration is.
    type: dict
    suboptions:
      position:
        description: Number of the node, from 1 on.
        type: int
        required: true
      total:
        description: Number of nodes.
        type: int
        required: true
      node:
        description: Name of the node.
        type: str
        required: true
      zone:
        description: Zone of the node.
        type: str
        default: ''
      phase:
        description: What has just been done.
        type: str
        required: true
      seconds:
        description: How long it took. Excludes O(progress.since).
        type: float
      since:
        description:
          - When it began, in seconds since 1970, as RV(at) of an earlier task tells it.
          - The module can't remember it by itself, since every task is a new one.
        type: float
  probe_file:
    description:
      - JSON file on the controller with C(requests) and C(failed), kept up to date by a live prober.
      - When there is no such file, nothing is said about failures.
    type: path
seealso:
  - plugin: podnet.cni.plan_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the plan
  podnet.cni.cni_show:
    text: "{{ plan | podnet.cni.plan_table }}"

- name: Begin
  podnet.cni.cni_show:
    progress: {position: 3, total: 6, node: n3, zone: b, phase: begin}
  register: began

- name: Evict the node's pods
  podnet.cni.node_evict:
    node: n3
    state: drained
  delegate_to: localhost

- name: Evicted
  podnet.cni.cni_show:
    progress:
      position: 3
      total: 6
      node: n3
      zone: b
      phase: evict
      since: "{{ began.at }}"
    probe_file: build/demo/probe-counters.json
"""

RETURN = r"""
lines:
  description: The lines that were printed.
  returned: success
  type: list
  elements: str
  sample: ["[node 3 of 6] n3 (zone b)  evict     1.2 s  failures so far: 0 of 4,120 requests"]
at:
  description: When the task ran, in seconds since 1970. Give it as O(progress.since) to a later task.
  returned: success
  type: float
  sample: 1764000000.25
seconds:
  description: The duration that was shown, none without one.
  returned: success
  type: float
  sample: 1.2
"""
