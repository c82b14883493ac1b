# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what CNIs want of a kernel from YAML files on the controller, so that nodes need no YAML. Private: may change without notice."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import yaml
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data

FOLDER = Path(__file__).parent / "kernel_profiles"
"""The files of the collection."""


def _plain(value: t.Any) -> t.Any:
    """YAML data as JSON can carry it: a date without quotes is a date in YAML."""
    if isinstance(value, t.Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.date) else value


def read_file(path: str | Path) -> dict[str, t.Any]:
    """The profiles of one file.

    :raises ValueError: when it cannot be read, or has not the form; the text names the file.
    """
    try:
        data = _plain(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
        kernel_data.read_profiles(data)
    except OSError as exc:
        raise ValueError(f"profile_files: '{path}' cannot be read: {exc.strerror}") from exc
    except yaml.YAMLError as exc:
        raise ValueError(f"profile_files: '{path}' is no YAML: {exc}") from exc
    except ValueError as exc:
        raise ValueError(f"profile_files: '{path}': {exc}") from exc
    found: dict[str, t.Any] = data["profiles"]
    return found


def collection_files() -> list[Path]:
    """The files of the collection, in their order."""
    return sorted(FOLDER.glob("*.yml"))


def read_data(more: t.Iterable[str | Path] = ()) -> dict[str, t.Any]:
    """All profiles: those of the collection, and those of further files, which replace others of their name.

    :raises ValueError: when a file cannot be used.
    """
    profiles: dict[str, t.Any] = {}
    for path in [*collection_files(), *more]:
        profiles.update(read_file(path))
    return {"profiles": profiles}
