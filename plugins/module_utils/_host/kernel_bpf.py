# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the running kernel's BPF can do, asked by the bpf() system call. Needs root, and neither bpftool nor a compiler.

Each question loads a program of two instructions or makes a map of one entry, and closes it at once. Numbers and layouts are those of the
kernel's interface for programs (C(include/uapi/linux/bpf.h)), which never change. The ways to ask are the documented ones: a type that the
kernel does not know is EINVAL, and the verifier names a helper that it does not know.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import struct
import typing as t

Result = tuple[t.Optional[bool], str]
"""Yes, no or unknown, and what was seen."""

SYSCALLS = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "ppc64le": 361,
    "s390x": 351,
    "armv7l": 386,
    "armv8l": 386,
    "i686": 357,
}
"""Number of bpf() by machine."""
MAP_CREATE, PROG_LOAD, PROG_ATTACH = 0, 5, 8


def _words(text: str) -> list[str]:
    return text.split()


MAP_TYPES = _words(
    "unspec hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array lru_hash lru_percpu_hash lpm_trie "
    "array_of_maps hash_of_maps devmap sockmap cpumap xskmap sockhash cgroup_storage reuseport_sockarray percpu_cgroup_storage queue stack "
    "sk_storage devmap_hash struct_ops ringbuf inode_storage task_storage bloom_filter user_ringbuf cgrp_storage arena"
)
"""In the order of their numbers."""
PROGRAM_TYPES = _words(
    "unspec socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb cgroup_sock lwt_in lwt_out lwt_xmit sock_ops sk_skb "
    "cgroup_device sk_msg raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2 sk_reuseport flow_dissector cgroup_sysctl "
    "raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm sk_lookup syscall netfilter"
)
"""In the order of their numbers."""
NEED_BTF = ("sk_storage", "struct_ops", "inode_storage", "task_storage", "cgrp_storage", "tracing", "ext", "lsm")
"""Types that need a description of types or something to attach to, and that no CNI here uses: not asked for."""
HELPERS = _words(
    "unspec map_lookup_elem map_update_elem map_delete_elem probe_read ktime_get_ns trace_printk get_prandom_u32 get_smp_processor_id "
    "skb_store_bytes l3_csum_replace l4_csum_replace tail_call clone_redirect get_current_pid_tgid get_current_uid_gid get_current_comm "
    "get_cgroup_classid skb_vlan_push skb_vlan_pop skb_get_tunnel_key skb_set_tunnel_key perf_event_read redirect get_route_realm "
    "perf_event_output skb_load_bytes get_stackid csum_diff skb_get_tunnel_opt skb_set_tunnel_opt skb_change_proto skb_change_type "
    "skb_under_cgroup get_hash_recalc get_current_task probe_write_user current_task_under_cgroup skb_change_tail skb_pull_data csum_update "
    "set_hash_invalid get_numa_node_id skb_change_head xdp_adjust_head probe_read_str get_socket_cookie get_socket_uid set_hash setsockopt "
    "skb_adjust_room redirect_map sk_redirect_map sock_map_update xdp_adjust_meta perf_event_read_value perf_prog_read_value getsockopt "
    "override_return sock_ops_cb_flags_set msg_redirect_map msg_apply_bytes msg_cork_bytes msg_pull_data bind xdp_adjust_tail "
    "skb_get_xfrm_state get_stack skb_load_bytes_relative fib_lookup sock_hash_update msg_redirect_hash sk_redirect_hash lwt_push_encap "
    "lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action rc_repeat rc_keydown skb_cgroup_id get_current_cgroup_id get_local_storage "
    "sk_select_reuseport skb_ancestor_cgroup_id sk_lookup_tcp sk_lookup_udp sk_release map_push_elem map_pop_elem map_peek_elem "
    "msg_push_data msg_pop_data rc_pointer_rel spin_lock spin_unlock sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock skc_lookup_tcp "
    "tcp_check_syncookie sysctl_get_name sysctl_get_current_value sysctl_get_new_value sysctl_set_new_value strtol strtoul sk_storage_get "
    "sk_storage_delete send_signal tcp_gen_syncookie skb_output probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str "
    "tcp_send_ack send_signal_thread jiffies64 read_branch_records get_ns_current_pid_tgid xdp_output get_netns_cookie "
    "get_current_ancestor_cgroup_id sk_assign ktime_get_boot_ns seq_printf seq_write sk_cgroup_id sk_ancestor_cgroup_id ringbuf_output "
    "ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query csum_level skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock "
    "skc_to_tcp_request_sock skc_to_udp6_sock get_task_stack load_hdr_opt store_hdr_opt reserve_hdr_opt inode_storage_get "
    "inode_storage_delete d_path copy_from_user snprintf_btf seq_printf_btf skb_cgroup_classid redirect_neigh per_cpu_ptr this_cpu_ptr "
    "redirect_peer task_storage_get task_storage_delete get_current_task_btf bprm_opts_set ktime_get_coarse_ns ima_inode_hash "
    "sock_from_file check_mtu for_each_map_elem snprintf sys_bpf btf_find_by_name_kind sys_close timer_init timer_set_callback timer_start "
    "timer_cancel get_func_ip get_attach_cookie task_pt_regs get_branch_snapshot trace_vprintk skc_to_unix_sock kallsyms_lookup_name "
    "find_vma loop strncmp get_func_arg get_func_ret get_func_arg_cnt get_retval set_retval xdp_get_buff_len xdp_load_bytes xdp_store_bytes "
    "copy_from_user_task skb_set_tstamp ima_file_hash kptr_xchg map_lookup_percpu_elem skc_to_mptcp_sock dynptr_from_mem "
    "ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data tcp_raw_gen_syncookie_ipv4 "
    "tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6 ktime_get_tai_ns user_ringbuf_drain "
    "cgrp_storage_get cgrp_storage_delete"
)
"""Without the prefix C(bpf_), in the order of their numbers."""
_ATTACH_TYPES = {"cgroup_sock": 2, "cgroup_sock_addr": 10, "cgroup_sockopt": 21, "sk_lookup": 36, "netfilter": 45, "flow_dissector": 17}
_TCX_INGRESS = 46
_SLEEPABLE = 1 << 4
_NO_PREALLOC = 1
_MMAPABLE = 1 << 10
_ARENA_START = 1 << 44
# Register 0 becomes 0; return.
_RETURN_ZERO = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
_MOVE = struct.pack("=BBhi", 0xB7, 0, 0, 1)
_UNKNOWN_HELPER = ("invalid func ", "unknown func ", "program of this type cannot use helper ")


class Bpf:
    """The system call."""

    def __init__(self) -> None:
        self._number = SYSCALLS.get(platform.machine())
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._raise_limit()

    @staticmethod
    def _raise_limit() -> None:
        """Before 5.11 maps and programs count as locked memory of the process."""
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def call(self, command: int, attributes: bytes) -> int:
        """A descriptor or another number that is not negative, or minus the error."""
        if self._number is None:
            return -errno.ENOSYS
        buffer = ctypes.create_string_buffer(attributes, len(attributes))
        returned = self._libc.syscall(self._number, command, buffer, len(attributes))
        return int(returned) if returned >= 0 else -ctypes.get_errno()

    def create_map(self, kind: int, key: int, value: int, entries: int, flags: int = 0, inner: int = 0, extra: int = 0) -> int:
        """A descriptor, or minus the error."""
        return self.call(MAP_CREATE, struct.pack("=6I20x5IQ", kind, key, value, entries, flags, inner, 0, 0, 0, 0, 0, extra))

    def load(self, kind: str, instructions: bytes, log: ctypes.Array[ctypes.c_char] | None = None) -> int:
        """A descriptor, or minus the error; the verifier writes into C(log)."""
        code = ctypes.create_string_buffer(instructions, len(instructions))
        licence = ctypes.create_string_buffer(b"GPL")
        attributes = struct.pack(
            "=IIQQIIQII16xII",
            PROGRAM_TYPES.index(kind),
            len(instructions) // 8,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            1 if log is not None else 0,
            len(log) if log is not None else 0,
            ctypes.addressof(log) if log is not None else 0,
            _kernel_version() if kind == "kprobe" else 0,
            _SLEEPABLE if kind == "syscall" else 0,
            0,
            _ATTACH_TYPES.get(kind, 0),
        )
        return self.call(PROG_LOAD, attributes)


def _kernel_version() -> int:
    """C(LINUX_VERSION_CODE), which old kernels want of a kprobe's program; where a vendor changes the release, the kernel goes by its own."""
    parts = [int("".join(char for char in part if char.isdigit()) or 0) for part in platform.release().split("-")[0].split(".")[:3]]
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return major << 16 | minor << 8 | min(patch, 255)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _said(code: int) -> str:
    return "yes" if code >= 0 else f"bpf() said {errno.errorcode.get(-code, str(-code))}"


def _judged(code: int, no: t.Container[int]) -> Result:
    """A result by its error."""
    _close(code)
    if code >= 0:
        return True, "the kernel accepts it"
    return (False if -code in no else None), _said(code)


def syscall(bpf: Bpf) -> Result:
    """Whether there is bpf() at all."""
    code = bpf.call(PROG_LOAD, bytes(72))
    if code == -errno.ENOSYS and platform.machine() not in SYSCALLS:
        return None, f"the number of bpf() on {platform.machine()} is not known"
    return (False, "there is no bpf()") if code == -errno.ENOSYS else (True, "the kernel has bpf()")


def map_type(bpf: Bpf, name: str) -> Result:
    """Whether maps of a type can be made."""
    if name not in MAP_TYPES or name in NEED_BTF:
        return None, "this type of map is not asked for"
    kind, size = MAP_TYPES.index(name), mmap.PAGESIZE
    inner = -1
    shapes: dict[str, tuple[int, int, int, int, int]] = {
        "stack_trace": (4, 8, 1, 0, 0),
        "lpm_trie": (8, 8, 1, _NO_PREALLOC, 0),
        "cgroup_storage": (16, 8, 0, 0, 0),
        "percpu_cgroup_storage": (16, 8, 0, 0, 0),
        "queue": (0, 4, 1, 0, 0),
        "stack": (0, 4, 1, 0, 0),
        "ringbuf": (0, 0, size, 0, 0),
        "user_ringbuf": (0, 0, size, 0, 0),
        "bloom_filter": (0, 4, 1, 0, 0),
        "arena": (0, 0, 1, _MMAPABLE, _ARENA_START),
    }
    key, value, entries, flags, extra = shapes.get(name, (4, 4, 1, 0, 0))
    if name in ("array_of_maps", "hash_of_maps"):
        inner = bpf.create_map(MAP_TYPES.index("hash"), 4, 4, 1)
        if inner < 0:
            return None, f"the inner map: {_said(inner)}"
    try:
        return _judged(bpf.create_map(kind, key, value, entries, flags, max(inner, 0), extra), (errno.EINVAL, errno.E2BIG, errno.EOPNOTSUPP))
    finally:
        _close(inner)


def program_type(bpf: Bpf, name: str) -> Result:
    """Whether programs of a type can be loaded."""
    if name not in PROGRAM_TYPES or name in NEED_BTF:
        return None, "this type of program is not asked for"
    return _judged(bpf.load(name, _RETURN_ZERO), (errno.EINVAL, errno.E2BIG, errno.EOPNOTSUPP))


def helper(bpf: Bpf, kind: str, name: str) -> Result:
    """Whether programs of a type may call a helper, by its name with or without C(bpf_)."""
    short = name.removeprefix("bpf_")
    if short not in HELPERS or kind not in PROGRAM_TYPES or kind in NEED_BTF:
        return None, "this helper is not asked for"
    can = program_type(bpf, kind)
    if not can[0]:
        return can[0], f"{kind}: {can[1]}"
    log = ctypes.create_string_buffer(4096)
    call = struct.pack("=BBhi", 0x85, 0, 0, HELPERS.index(short)) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    code = bpf.load(kind, call, log)
    _close(code)
    text = log.value.decode("utf-8", "replace")
    if code >= 0:
        return True, "the kernel accepts it"
    refused = [line for line in text.splitlines() if any(words in line for words in _UNKNOWN_HELPER)]
    if refused:
        return False, f"the verifier says '{refused[0].strip()}'"
    # The verifier has looked at the arguments, which there are none of, so that it knows the helper.
    return (True, "the verifier knows it") if text else (None, _said(code))


def large_programs(bpf: Bpf) -> Result:
    """Whether programs of more than 4096 instructions are accepted (Linux 5.2)."""
    small = bpf.load("sched_cls", _RETURN_ZERO)
    if small < 0:
        return None, f"sched_cls: {_said(small)}"
    _close(small)
    return _judged(bpf.load("sched_cls", _MOVE * 4096 + _RETURN_ZERO), (errno.E2BIG, errno.EINVAL))


def bounded_loops(bpf: Bpf) -> Result:
    """Whether the verifier follows loops that end (Linux 5.3)."""
    loop = (
        struct.pack("=BBhi", 0xB7, 0, 0, 10),  # r0 = 10
        struct.pack("=BBhi", 0x07, 0, 0, -1),  # r0 -= 1
        struct.pack("=BBhi", 0x55, 0, -2, 0),  # back to there unless r0 is 0
        struct.pack("=BBhi", 0x95, 0, 0, 0),
    )
    small = bpf.load("sched_cls", _RETURN_ZERO)
    if small < 0:
        return None, f"sched_cls: {_said(small)}"
    _close(small)
    return _judged(bpf.load("sched_cls", b"".join(loop)), (errno.EINVAL, errno.E2BIG))


def tcx(bpf: Bpf) -> Result:
    """Whether programs can be attached by tcx (Linux 6.6): a kernel that has it misses the device 0, others do not know the way to attach."""
    program = bpf.load("sched_cls", _RETURN_ZERO)
    if program < 0:
        return None, f"sched_cls: {_said(program)}"
    code = bpf.call(PROG_ATTACH, struct.pack("=4I16x", 0, program, _TCX_INGRESS, 0))
    _close(program)
    if code == -errno.ENODEV:
        return True, "the kernel knows it"
    return (False if code == -errno.EINVAL else None), _said(code)
