# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a request to the cluster's API, by its reason."""

from __future__ import annotations


class KubeError(Exception):
    """A request that was not answered with success.

    C(status) is the HTTP status, 0 when there was no answer. C(reason) and C(message) are those of the C(Status) object
    (kubernetes/apimachinery:pkg/apis/meta/v1/types.go).
    """

    def __init__(self, status: int, reason: str, message: str, path: str) -> None:
        super().__init__(f"{path}: {message or reason or status}")
        self.status = status
        self.reason = reason
        self.message = message
        self.path = path


class NotFound(KubeError):
    """The object, or its kind, does not exist."""


class Conflict(KubeError):
    """Somebody else changed the object, or it exists already."""


class Forbidden(KubeError):
    """The user of the kubeconfig may not do this, or is not known."""


class Unauthorized(Forbidden):
    """The API server does not know who asks."""


class Invalid(KubeError):
    """The object was refused: an unknown field, a wrong value."""


class TooManyRequests(KubeError):
    """Try again after C(retry_after) seconds. An eviction that a PodDisruptionBudget forbids ends so, too."""

    def __init__(self, status: int, reason: str, message: str, path: str, retry_after: float = 1.0) -> None:
        super().__init__(status, reason, message, path)
        self.retry_after = retry_after


class Untrusted(KubeError):
    """No answer, and there will be none until something is corrected: a certificate that is not valid, or no TLS at all."""


class Unreachable(KubeError):
    """No answer: connection refused, reset or timed out, or the server answered that it is not able to serve.

    C(not_sent) is true when there was no connection at all, so that the request cannot have been carried out.
    """

    def __init__(self, status: int, reason: str, message: str, path: str, not_sent: bool = False) -> None:
        super().__init__(status, reason, message, path)
        self.not_sent = not_sent


_BY_STATUS = {400: Invalid, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 422: Invalid}


def error_of(status: int, reason: str, message: str, path: str, retry_after: float | None = None) -> KubeError:
    """The error for an HTTP status."""
    if status == 429:
        return TooManyRequests(status, reason, message, path, 1.0 if retry_after is None else retry_after)
    if status == 0 or status >= 500:
        return Unreachable(status, reason, message, path)
    return _BY_STATUS.get(status, KubeError)(status, reason, message, path)
