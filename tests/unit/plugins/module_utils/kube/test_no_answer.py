# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API servers that do not answer, or not as one: real sockets and certificates on loopback, and the words that a user sees."""

from __future__ import annotations

import contextlib
import datetime
import errno
import http.server
import ipaddress
import socket
import ssl
import threading

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.module_utils._kube import errors, no_answer
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.tests.unit.fakes.api import serving
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

pytest.importorskip("kubernetes")
x509 = pytest.importorskip("cryptography.x509")
hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Module:
    def __init__(self, path, timeout=0.4):
        self.params = {"kubeconfig": str(path), "context": None, "request_timeout": timeout, "field_validation": "Strict"}

    def fail_json(self, **results):
        raise SystemExit(results["msg"])


class Authority:
    """Signs certificates of servers."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.name, self.key.public_key(), NOW - DAY, NOW + DAY, x509.BasicConstraints(ca=True, path_length=None))

    def sign(self, name, key, begin, end, *extensions):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, folder, address="127.0.0.1", begin=NOW - DAY, end=NOW + DAY):
        """A certificate and key of a server, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self.sign(name, key.public_key(), begin, end, names)
        (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "server.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return folder / "server.crt", folder / "server.key"


class Page(http.server.BaseHTTPRequestHandler):
    """A web page, as a proxy's login is."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *words):
        """Nothing to the terminal."""


@contextlib.contextmanager
def web(files=None):
    """A server of pages, with TLS when files are given; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.handle_error = lambda *_words: None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def connect(tmp_path, server, authority=None, timeout=0.4):
    """A client whose kubeconfig leads to a server."""
    cluster = {"server": server}
    if authority:
        (tmp_path / "ca.crt").write_bytes(authority.pem())
        cluster["certificate-authority"] = "ca.crt"
    content = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(content))
    return KubeClient.from_module(Module(path, timeout))


def message_of(kube, kind):
    with pytest.raises(kind) as caught:
        kube.get("/version")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_listens(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        message = message_of(connect(tmp_path, f"https://127.0.0.1:{port}"), errors.Unreachable)
    assert f"/version: no answer from https://127.0.0.1:{port}: connection refused, so nothing listens there. Check that" in message


def test_a_name_that_nobody_knows(tmp_path):
    message = message_of(connect(tmp_path, "https://api.podnet.invalid:6443"), errors.Unreachable)
    assert "no answer from https://api.podnet.invalid:6443: the name 'api.podnet.invalid' is not known here. Correct the server" in message


def test_a_server_that_is_silent(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        message = message_of(connect(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2), errors.Unreachable)
    assert "nothing came within 0.2 s. Check that the server of the cluster in the kubeconfig can be reached" in message
    assert "raise request_timeout" in message


def test_no_tls_where_tls_is_wanted(tmp_path):
    with web() as port:
        kube = connect(tmp_path, f"https://127.0.0.1:{port}", timeout=30.0)
        assert "what listens there does not speak TLS (" in message_of(kube, errors.Untrusted)
    assert kube.calls == 1


@pytest.mark.parametrize(
    ("changes", "other", "says"),
    [
        ({"begin": NOW - 2 * DAY, "end": NOW - DAY}, False, "is not valid now (certificate has expired). Renew the API server's certificate"),
        ({}, True, "is not signed by the authority that the kubeconfig trusts ("),
        ({"address": "192.0.2.1"}, False, "its certificate is not for '127.0.0.1' ("),
    ],
)
def test_a_certificate_that_is_wrong_is_not_tried_again(tmp_path, changes, other, says):
    authority = Authority("kubernetes")
    with web(authority.server(tmp_path, **changes)) as port:
        kube = connect(tmp_path, f"https://127.0.0.1:{port}", Authority("another cluster") if other else authority, timeout=30.0)
        assert says in message_of(kube, errors.Untrusted)
    assert kube.calls == 1


def test_a_good_certificate_and_a_page_that_is_no_api(tmp_path):
    authority = Authority("kubernetes")
    with web(authority.server(tmp_path)) as port:
        message = message_of(connect(tmp_path, f"https://127.0.0.1:{port}", authority, timeout=30.0), errors.KubeError)
    assert f"https://127.0.0.1:{port} answers, but not as the API of a cluster (no JSON); correct the server of the cluster in" in message


def test_credentials_that_are_not_accepted(tmp_path):
    with serving(FakeKube()) as api:
        message = message_of(connect(tmp_path, f"http://127.0.0.1:{api.server_address[1]}"), errors.Unauthorized)
    assert f"does not accept the credentials of {tmp_path}/config: no token. Its token or client certificate may have expired" in message
    assert "(podnet_kubeconfig)" in message


def test_who_comes_as_nobody_has_no_credentials(tmp_path):
    """As when the program that should give a token fails."""
    kube = connect(tmp_path, "http://127.0.0.1:1")

    class Answer:
        status, headers, reason = 403, {}, "Forbidden"
        data = b'{"reason": "Forbidden", "message": "nodes is forbidden: User \\"system:anonymous\\" cannot list"}'

    error = kube._refusal(Answer(), "/api/v1/nodes")
    assert isinstance(error, errors.Unauthorized)
    assert "does not accept the credentials" in str(error)


@pytest.mark.parametrize(
    ("error", "says", "lasting"),
    [
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no route to '192.0.2.1'. Correct the server", False),
        (ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"), "it refuses the TLS connection (", True),
        (ConnectionResetError(104, "Connection reset by peer"), "no answer from https://192.0.2.1:6443: [Errno 104] Connection reset by peer", False),
    ],
)
def test_other_reasons(error, says, lasting):
    reason = no_answer.reason_of(error, "https://192.0.2.1:6443", 30)
    assert says in reason.text
    assert reason.lasting is lasting
