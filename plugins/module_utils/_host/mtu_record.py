# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What MTUs of links, and files that set them, were like before a change, so that all of it can be put back."""

from __future__ import annotations

import errno
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import mtu_places, namespaces
from ansible_collections.podnet.cni.plugins.module_utils._host import put_back as setups
from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu


class Entry(setups.Setup):
    """What one link was like."""

    mtu: int | None
    """Bytes, None when only its files have changed."""
    depth: int
    """How far above the wire it is, by which the order is found in which links are put back."""
    namespace: list[t.Any] | None
    """Path and inode, None for a link of the node itself."""
    index: int
    name: str
    fitted: bool
    """Whether it was not too large for the link below: the kernel does not take back what was."""
    routes: list[str]
    """Routes by it that had an MTU of their own which was changed as well: messages of netlink, in hexadecimal digits."""


Entries = dict[str, Entry]


def of_link(place: mtu_places.Place, value: int, depth: int, fitted: bool, routes: t.Iterable[bytes]) -> Entry:
    """The entry of a link."""
    return Entry(
        mtu=value,
        depth=depth,
        namespace=list(place.namespace) if place.namespace else None,
        index=place.ifindex,
        name=place.name,
        fitted=fitted,
        routes=[route.hex() for route in routes],
        **setups.nothing(),
    )


def of_setup(setup: setups.Setup) -> Entry:
    """The entry of files and commands alone."""
    return Entry(mtu=None, depth=0, namespace=None, index=0, name="", fitted=True, routes=[], **setup)


def place_of(entry: Entry) -> mtu_places.Place:
    """Where the link is."""
    namespace = namespaces.Namespace(*entry["namespace"]) if entry["namespace"] else None
    return mtu_places.Place(namespace, entry["index"], entry["name"])


def merged(first: Entries, second: Entries) -> Entries:
    """Both; of what is in both, the first."""
    found = dict(first)
    for key, entry in second.items():
        known = found.get(key)
        if known is None:
            found[key] = entry
            continue
        link = known if known["mtu"] is not None else entry
        found[key] = Entry(
            mtu=link["mtu"],
            depth=link["depth"],
            namespace=link["namespace"],
            index=link["index"],
            name=link["name"],
            fitted=link["fitted"],
            routes=link["routes"],
            files={**entry["files"], **known["files"]},
            commands={**entry["commands"], **known["commands"]},
        )
    return found


def put_back(entries: Entries) -> list[str]:
    """Put everything back; what could not be. A link that is gone has nothing to be put back."""
    problems = []
    links = []
    for key, entry in entries.items():
        now = mtu_places.read_mtu(place_of(entry)) if entry["mtu"] is not None else None
        if now is not None and entry["mtu"] is not None:
            links.append((key, entry["depth"], now, entry["mtu"]))
    for step in mtu.order(links):
        try:
            mtu_places.set_mtu(place_of(entries[step.key]), step.after)
        except ProcessLookupError:
            continue
        except OSError as exc:
            if exc.errno == errno.ENODEV or (exc.errno == errno.EINVAL and not entries[step.key]["fitted"]):
                continue
            problems.append(f"MTU {step.after} of {step.key}: {exc.strerror or exc}")
    for key, *dummy in links:
        try:
            mtu_places.replace_routes(place_of(entries[key]), [bytes.fromhex(route) for route in entries[key]["routes"]])
        except ProcessLookupError:
            continue
        except OSError as exc:
            if exc.errno in (errno.ENODEV, errno.ENOENT, errno.ESRCH):
                continue
            problems.append(f"routes of {key}: {exc.strerror or exc}")
    for entry in entries.values():
        problems += setups.restore_setup(entry)
    return problems
