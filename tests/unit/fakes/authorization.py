# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as the API server's authorization sees them, and which of them the one list of rights allows."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._kube import access_rules

VERBS = {"POST": ("create",), "PUT": ("update",), "PATCH": ("patch",), "APPLY": ("create", "patch"), "DELETE": ("delete",)}
FREE = ("authorization.k8s.io", "authentication.k8s.io")
"""Groups that every known user may ask."""


def asked(method, path):
    """Verbs, group and resource (with its subresource) of a request; None for what every known user may read.

    :returns: a set of triples.
    """
    root, *words = path.strip("/").split("/")
    if root not in ("api", "apis") or len(words) < 2:
        return set()
    group, rest = ("", words[1:]) if root == "api" else (words[0], words[2:])
    if not rest or group in FREE:
        return set()
    if rest[0] == "namespaces" and len(rest) > 2:
        if len(rest) == 3 and method == "GET" and rest[1] != access_rules.CALICO_NAMESPACE:
            return set()  # Flannel's namespace, in which everything may be listed
        rest = rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    verbs = VERBS.get(method) or (("get",) if len(rest) > 1 else ("list",))
    return {(verb, group, resource) for verb in verbs}


def allowed(purposes=access_rules.PURPOSES):
    """What the rules of some purposes allow, whatever the names and the namespace."""
    return {
        (verb, group, resource)
        for rule in access_rules.rules_for(purposes, access_rules.UPSTREAM, access_rules.UPSTREAM)
        for verb in rule.verbs
        for group in rule.groups
        for resource in rule.resources
        if "*" not in rule.groups
    }
