# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine with GRUB and Debian's kernels, on which the kernel playbooks are tried: QEMU without KVM, Debian packages only."""
