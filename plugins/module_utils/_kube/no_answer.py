# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why there is no answer from the API server, in words, with what to do. Pure: an exception in, a text out."""

from __future__ import annotations

import errno
import socket
import ssl
import typing as t
from urllib.parse import urlsplit

_SERVER = "the server of the cluster in the kubeconfig"
# Codes of OpenSSL (openssl/openssl:include/openssl/x509_vfy.h.in).
_EXPIRED, _NOT_YET = 10, 9
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
_OTHER_NAME = (62, 64)


class Reason(t.NamedTuple):
    """Why, with the remedy, and whether it is no use to try again."""

    text: str
    lasting: bool


class _Silence(t.NamedTuple):
    """What was raised, with all that it wraps; the host that was asked, and how long (seconds)."""

    found: list[BaseException]
    host: str | None
    timeout: float


def causes(error: BaseException) -> t.Iterator[BaseException]:
    """An exception and those that it wraps, from the outermost on; urllib3 keeps them in several places."""
    seen: set[int] = set()
    queue: list[t.Any] = [error]
    while queue:
        current = queue.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        queue += [getattr(current, "reason", None), current.__cause__, current.__context__, *current.args]


def reason_of(error: BaseException, host: str, timeout: float) -> Reason:
    """Why C(host), the URL of an API server, did not answer within C(timeout) seconds."""
    silence = _Silence(list(causes(error)), urlsplit(host).hostname, timeout)
    for judge in (_certificate, _tls, _name, _refused, _timed_out, _no_route):
        reason = judge(silence)
        if reason:
            return Reason(f"no answer from {host}: {reason.text}", reason.lasting)
    return Reason(f"no answer from {host}: {silence.found[-1]}", False)


def _certificate(silence: _Silence) -> Reason | None:
    for cause in silence.found:
        if not isinstance(cause, ssl.SSLCertVerificationError):
            continue
        told = cause.verify_message
        if cause.verify_code in (_EXPIRED, _NOT_YET):
            text = f"its certificate is not valid now ({told}). Renew the API server's certificate, and check the clocks of both machines"
        elif cause.verify_code in _UNKNOWN_AUTHORITY:
            text = (
                f"its certificate is not signed by the authority that the kubeconfig trusts ({told}). Use a kubeconfig of this cluster, or correct "
                "certificate-authority-data in it; a proxy that opens TLS on the way has the same effect"
            )
        elif cause.verify_code in _OTHER_NAME:
            text = (
                f"its certificate is not for '{silence.host}' ({told}). Use a name or address that is in the certificate as {_SERVER}, or set "
                "tls-server-name there"
            )
        else:
            text = f"its certificate is refused ({told}). Correct it, or certificate-authority-data in the kubeconfig"
        return Reason(text, True)
    return None


def _tls(silence: _Silence) -> Reason | None:
    for cause in silence.found:
        if not isinstance(cause, ssl.SSLError):
            continue
        told = getattr(cause, "reason", None) or str(cause)
        if told in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"):
            return Reason(f"what listens there does not speak TLS ({told}). Correct {_SERVER}: address, port, and https or http", True)
        if "ALERT" in told:
            return Reason(f"it refuses the TLS connection ({told}). Renew the client certificate in the kubeconfig", True)
        return Reason(f"TLS failed ({told}). Check {_SERVER}, and what is between", False)
    return None


def _name(silence: _Silence) -> Reason | None:
    if not any(isinstance(cause, socket.gaierror) for cause in silence.found):
        return None
    return Reason(f"the name '{silence.host}' is not known here. Correct {_SERVER}, or the name service of the machine that runs Ansible", False)


def _refused(silence: _Silence) -> Reason | None:
    if not any(isinstance(cause, ConnectionRefusedError) for cause in silence.found):
        return None
    return Reason(f"connection refused, so nothing listens there. Check that the API server runs, and that {_SERVER} has its address and port", False)


def _timed_out(silence: _Silence) -> Reason | None:
    names = {type(cause).__name__ for cause in silence.found}
    if not (names & {"ConnectTimeoutError", "ReadTimeoutError"} or any(isinstance(cause, (TimeoutError, socket.timeout)) for cause in silence.found)):
        return None
    return Reason(
        f"nothing came within {silence.timeout:g} s. Check that {_SERVER} can be reached from the machine that runs Ansible (route, firewall, "
        "VPN, proxy); for a server that is only slow raise request_timeout",
        False,
    )


def _no_route(silence: _Silence) -> Reason | None:
    codes = {cause.errno for cause in silence.found if isinstance(cause, OSError)}
    if not codes & {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return None
    return Reason(f"there is no route to '{silence.host}'. Correct {_SERVER}, or the network of the machine that runs Ansible", False)
