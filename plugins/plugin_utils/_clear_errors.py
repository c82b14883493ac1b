# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of filters that say which filter it was and what to give it. Private: may change without notice."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

_Function = t.Callable[..., t.Any]


def clear_errors(name: str, function: _Function) -> _Function:
    """Turn what a function raises about its input into an error of the filter C(name)."""

    @functools.wraps(function)
    def checked(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except ValueError as exc:
            raise AnsibleFilterError(f"podnet.cni.{name}: {exc}") from None
        except (KeyError, TypeError, AttributeError) as exc:
            problem = f"{exc} is missing" if isinstance(exc, KeyError) else str(exc)
            raise AnsibleFilterError(
                f"podnet.cni.{name}: the input is not what this filter works on ({problem}); give what its documentation says "
                f"(ansible-doc -t filter podnet.cni.{name})"
            ) from None

    return checked


def filters_with_clear_errors(functions: t.Mapping[str, _Function]) -> dict[str, _Function]:
    """The filters by name, each with clear errors."""
    return {name: clear_errors(name, function) for name, function in functions.items()}
