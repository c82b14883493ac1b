# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API as the lab uses it: objects in, objects out, from inside the controller's namespace."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path
from urllib.parse import urlencode

from podnet_lab.errors import LabError
from podnet_lab.netns_thread import NetnsThread

FIELD_MANAGER = "podnet-lab"
CLUSTER_SCOPED = {
    "Namespace",
    "Node",
    "ClusterRole",
    "ClusterRoleBinding",
    "PriorityClass",
    "CustomResourceDefinition",
    "PersistentVolume",
    "StorageClass",
}
PLURALS = {"NetworkPolicy": "networkpolicies", "PriorityClass": "priorityclasses", "Endpoints": "endpoints"}

Object = dict[str, t.Any]


class ApiRefusal(LabError):
    """The API server answered with an error."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


def object_path(item: Object) -> str:
    """The path of a named object; kinds of the lab's manifests only, so plurals are regular or listed."""
    version = item["apiVersion"]
    kind = item["kind"]
    plural = PLURALS.get(kind, kind.lower() + "s")
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    name = item["metadata"]["name"]
    if kind in CLUSTER_SCOPED:
        return f"{root}/{plural}/{name}"
    return f"{root}/namespaces/{item['metadata'].get('namespace', 'default')}/{plural}/{name}"


class ClusterApi:
    """A connection to the API server with one kubeconfig."""

    def __init__(self, kubeconfig: Path, netns: str) -> None:
        try:
            import kubernetes
        except ImportError as error:
            raise LabError("the Python package 'kubernetes' is missing: python3 -m pip install kubernetes") from error
        self._thread = NetnsThread(netns)
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
        configuration.proxy = None
        configuration.retries = False
        self._host = configuration.host
        settings = t.cast("dict[str, dict[str, t.Any]]", configuration.auth_settings())
        self._credentials = {entry["key"]: str(entry["value"]) for entry in settings.values() if entry.get("value")}
        # The package's own request functions differ between its versions; its connection pool does not.
        self._pool = kubernetes.client.rest.RESTClientObject(configuration).pool_manager

    def __enter__(self) -> ClusterApi:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and end the thread."""
        self._pool.clear()
        self._thread.close()

    def request(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, str] | None = None,
        body: t.Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> str:
        """One call; returns the body as text."""
        return self._thread.call(self._request, method, path, query or {}, body, content_type, accept)

    def _request(self, method: str, path: str, query: t.Mapping[str, str], body: t.Any, content_type: str, accept: str) -> str:
        import urllib3

        url = self._host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": accept, "Content-Type": content_type, **self._credentials}
        data = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(method, url, headers=headers, body=data, timeout=30, retries=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise LabError(f"{method} {path}: no answer from the API server: {error}") from error
        if response.status >= 400:
            raise ApiRefusal(method, path, response.status, _message(response.data))
        return str(response.data.decode(errors="replace"))

    def get(self, path: str, **query: str) -> Object:
        """Read one object or a list."""
        return t.cast(Object, json.loads(self.request("GET", path, query)))

    def get_or_none(self, path: str) -> Object | None:
        """Read one object; None when there is none."""
        try:
            return self.get(path)
        except ApiRefusal as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, **query: str) -> list[Object]:
        """The items of a list."""
        return list(self.get(path, **query)["items"])

    def apply(self, item: Object) -> Object:
        """Server-side apply; a field that the server does not know is an error."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        text = self.request("PATCH", object_path(item), query, item, "application/apply-patch+yaml")
        return t.cast(Object, json.loads(text))

    def delete(self, path: str) -> None:
        """Delete an object unless it is gone already."""
        try:
            self.request("DELETE", path)
        except ApiRefusal as error:
            if error.status != 404:
                raise


def _message(body: t.Any) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(body)[:500]
