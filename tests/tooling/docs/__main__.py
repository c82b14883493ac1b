# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(python3 -m tooling.launch tooling.docs) writes what the code says into the documentation; with C(--check) it only says what is out of date."""

from __future__ import annotations

import argparse
import sys

from tooling.docs import pages
from tooling.tree import synchronize


def main() -> int:
    """Exit code 1 when something is out of date and was not to be written."""
    parser = argparse.ArgumentParser(prog="tooling.docs", description="Write the parts of the documentation that the code says.")
    parser.add_argument("--check", action="store_true", help="write nothing, name the pages that are out of date")
    options = parser.parse_args()
    sys.path.insert(0, str(synchronize()))  # for `import ansible_collections.podnet.cni`
    names = pages.outdated() if options.check else pages.write()
    for name in names:
        print(f"{name} {'is out of date' if options.check else 'was written'}")
    return 1 if options.check and names else 0


if __name__ == "__main__":
    sys.exit(main())
