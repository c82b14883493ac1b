# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces of other programs: which there are, and how to do something in one (setns(2), network_namespaces(7))."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import typing as t
from collections.abc import Callable

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_socket

FOLDERS = ("/run/netns", "/run/docker/netns")
"""Where they have names: those of container runtimes' sandboxes too."""
_NETWORK = 0x40000000
# linux:include/uapi/linux/net_namespace.h
_GET_NUMBER, _NUMBER, _FILE = 90, 1, 3
_Result = t.TypeVar("_Result")


class Namespace(t.NamedTuple):
    """A network namespace: C(inode) tells whether the path still leads to the same one."""

    path: str
    inode: int


def inode_of(path: str) -> int | None:
    """What tells a namespace from all others, None when there is nothing at the path."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _paths() -> t.Iterator[str]:
    for folder in FOLDERS:
        try:
            yield from (entry.path for entry in os.scandir(folder))
        except OSError:
            continue
    yield from (f"/proc/{name}/ns/net" for name in os.listdir("/proc") if name.isdigit())


def others() -> list[Namespace]:
    """Every namespace but the one that this program runs in."""
    known = {inode_of("/proc/self/ns/net")}
    found = []
    for path in _paths():
        inode = inode_of(path)
        if inode is not None and inode not in known:
            known.add(inode)
            found.append(Namespace(path, inode))
    return found


def by_number(namespaces: t.Iterable[Namespace]) -> dict[int, Namespace]:
    """Namespaces by the numbers that the kernel has for them in this one; those that no link leads to have none."""
    kernel = netlink_socket.Netlink(netlink_socket.ROUTE)
    try:
        return {number: namespace for namespace in namespaces for number in _numbers(kernel, namespace)}
    finally:
        kernel.close()


def _numbers(kernel: netlink_socket.Netlink, namespace: Namespace) -> list[int]:
    try:
        descriptor = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        (answer,) = kernel.ask(_GET_NUMBER, 0, struct.pack("=Bxxx", 0) + messages.attribute(_FILE, struct.pack("=I", descriptor)))
    except (OSError, ValueError):
        # What is no namespace, or of another kind.
        return []
    finally:
        os.close(descriptor)
    number = struct.unpack_from("=i", dict(messages.attributes_in(answer[4:])).get(_NUMBER, b"\xff\xff\xff\xff"))[0]
    return [number] if number >= 0 else []


def inside(namespace: Namespace, action: Callable[[], _Result]) -> _Result:
    """Do something in a namespace: in a thread of its own, since that is all that setns(2) moves.

    :raises ProcessLookupError: when the namespace is gone.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            _enter(namespace)
            results.append(action())
        except BaseException as exc:  # noqa: BLE001 - raised again below, in the thread that asked
            errors.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _enter(namespace: Namespace) -> None:
    gone = ProcessLookupError(f"the network namespace {namespace.path} is gone")
    try:
        descriptor = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise gone from exc
    try:
        if os.fstat(descriptor).st_ino != namespace.inode:
            raise gone
        # Python has a name for it since 3.12 only.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _NETWORK):
            number = ctypes.get_errno()
            raise OSError(number, f"{namespace.path}: {os.strerror(number)}")
    finally:
        os.close(descriptor)
