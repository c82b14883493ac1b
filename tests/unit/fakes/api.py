# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server over HTTP with the objects of a FakeKube, for the way of a module from its options to its results."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t
from urllib.parse import parse_qs, urlsplit

import yaml
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

TOKEN = "secret-of-the-test"


class FakeApi(http.server.ThreadingHTTPServer):
    """Answers reading requests; collections in pages of C(page_size) items at most, whatever is asked for."""

    daemon_threads = True

    def __init__(self, kube: FakeKube, page_size: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kube = kube
        self.page_size = page_size
        self.requests: list[tuple[str, dict[str, str]]] = []

    def write_kubeconfig(self, path: t.Any, context: str = "lab") -> str:
        """A kubeconfig that leads here."""
        cluster = {"server": f"http://127.0.0.1:{self.server_address[1]}"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
            "current-context": context,
        }
        path.write_text(yaml.safe_dump(content))
        return str(path)

    def answer(self, path: str, query: t.Mapping[str, str]) -> dict[str, t.Any]:
        """The body for a request.

        :raises KubeError: when there is none.
        """
        if path == "/readyz":
            return {}
        if path == "/apis":
            groups = [version.split("/") for version in self.kube.served() if "/" in version]
            return {"groups": [{"name": group, "versions": [{"groupVersion": f"{group}/{version}"}]} for group, version in groups]}
        if "limit" not in query:
            return self.kube.get(path)
        items = list(self.kube.list(path, query.get("labelSelector"), query.get("fieldSelector")))
        begin = int(query.get("continue", "0"))
        end = begin + min(self.page_size, int(query["limit"]))
        return {"items": items[begin:end], "metadata": {"continue": str(end)} if end < len(items) else {}}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.requests.append((parts.path, query))
        try:
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                status, body = 401, {"kind": "Status", "reason": "Unauthorized", "message": "no token"}
            else:
                status, body = 200, self.server.answer(parts.path, query)
        except KubeError as exc:
            status, body = exc.status, {"kind": "Status", "reason": exc.reason, "message": exc.message}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: t.Any) -> None:
        """Nothing to the terminal."""


@contextlib.contextmanager
def serving(kube: FakeKube, page_size: int = 500) -> t.Iterator[FakeApi]:
    """A server for the time of a test."""
    server = FakeApi(kube, page_size)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
