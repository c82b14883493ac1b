# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python3 -m podnet_molecule."""

from __future__ import annotations

import sys

from podnet_molecule.cli import main

sys.exit(main())
