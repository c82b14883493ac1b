# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of modules that change the cluster's objects under the lock, with the journal as their memory."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import JournalError
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Locked

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Worker(t.Protocol):
    """Carries a module's options out."""

    results: dict[str, t.Any]
    """What was done so far, also when it fails."""

    def run(self) -> dict[str, t.Any]:
        """Carry them out and return the module's results."""


def run_module(module: AnsibleModule, worker_of: t.Callable[[KubeClient, t.Mapping[str, t.Any], bool], Worker]) -> t.NoReturn:
    """Check C(wait_timeout), run a worker made of client, options and check mode, and end the module with its results or its error."""
    if module.params["wait_timeout"] <= 0:
        module.fail_json(msg=f"wait_timeout: {module.params['wait_timeout']} is not a duration; give seconds greater than 0")
    worker = worker_of(KubeClient.from_module(module), module.params, module.check_mode)
    try:
        results = worker.run()
    except (Failure, JournalError, Locked) as exc:
        module.fail_json(msg=str(exc), **worker.results)
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}", **worker.results)
    module.exit_json(**results)
