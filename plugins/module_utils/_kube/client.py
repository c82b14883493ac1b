# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to the cluster's API: raw REST paths in, plain dictionaries out.

The Python package C(kubernetes) reads the kubeconfig (with its exec plugins, tokens and certificates) and holds the connections; the
objects of its models are not used, since building them costs more than the request. Every call is counted.
"""

from __future__ import annotations

import email.utils
import json
import os
import time
import traceback
import typing as t
from urllib.parse import urlencode

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.podnet.cni.plugins.module_utils._kube import kubeconfig, no_answer
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Forbidden,
    KubeError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    Untrusted,
    error_of,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Query = t.Mapping[str, t.Any]
FIELD_MANAGER = "podnet.cni"
PAGE_SIZE = 500
LEAST_OFFSET = 5.0
AWAY_FACTOR = 2.0
"""How many times the timeout of a request a server may be away altogether: one that restarts is, and it is no reason to send a node back."""
STARTING_SECONDS = 20.0
"""How long a server that has just started may refuse what it will allow once it has read the rules of RBAC."""
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML


class KubeClient:
    """The requests that the modules make."""

    def __init__(
        self, configuration: t.Any, pool: t.Any, request_timeout: float = 30.0, field_validation: str = "Strict", source: str = "the kubeconfig"
    ) -> None:
        self._configuration = configuration
        self._source = source
        self._pool = pool
        self._request_timeout = request_timeout
        self._field_validation = field_validation
        self._served: set[str] | None = None
        self._never_ready = False
        self.calls = 0
        self.clock_offset = 0.0
        """Seconds by which the API server's clock is ahead of this machine's, as far as its answers tell; small differences count as none."""

    @classmethod
    def from_module(cls, module: AnsibleModule) -> KubeClient:
        """A client for the options in C(KUBE_ARGUMENTS); ends the module with a remedy when there can be none."""
        try:
            from kubernetes import client, config
            from kubernetes.client.rest import RESTClientObject
        except ImportError:
            module.fail_json(msg=missing_required_lib("kubernetes"), exception=traceback.format_exc())
        params = module.params
        if params["request_timeout"] <= 0:
            module.fail_json(msg=f"request_timeout: {params['request_timeout']} is not a duration; give seconds greater than 0")
        from_file = bool(params["kubeconfig"]) or not _inside_cluster()
        problem = kubeconfig.problem(params["kubeconfig"], params["context"]) if from_file else None
        if problem:
            module.fail_json(msg=problem)
        source = params["kubeconfig"] or kubeconfig.DEFAULT if from_file else "the service account of this pod"
        try:
            configuration = client.Configuration()
            if from_file:
                config.load_kube_config(config_file=params["kubeconfig"], context=params["context"], client_configuration=configuration)
            else:
                config.load_incluster_config(client_configuration=configuration)
        except Exception as exc:  # noqa: BLE001 - the packages below raise errors of many kinds for a file that is wrong
            where = source + (f" with context {params['context']}" if params["context"] else "")
            module.fail_json(
                msg=f"kubeconfig: {where} cannot be used: {str(exc).rstrip('.')}. "
                "Set kubeconfig (or K8S_AUTH_KUBECONFIG) to a readable kubeconfig, and context to one that it holds"
            )
        # The package's own request functions differ between its versions; its connection pool does not.
        pool = RESTClientObject(configuration).pool_manager
        return cls(configuration, pool, params["request_timeout"], params["field_validation"], source)

    # -- reading

    def get(self, path: str, query: Query | None = None) -> dict[str, t.Any]:
        """The object at C(path).

        :raises KubeError: by reason.
        """
        return self._retry("GET", path, query)

    def get_or_none(self, path: str, query: Query | None = None) -> dict[str, t.Any] | None:
        """The object at C(path), None when there is none."""
        try:
            return self.get(path, query)
        except NotFound:
            return None

    def list(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None, limit: int = PAGE_SIZE
    ) -> t.Iterator[dict[str, t.Any]]:
        """The items of a collection, read in pages of C(limit)."""
        query: dict[str, t.Any] = {"limit": limit}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            page = self._retry("GET", path, query)
            yield from page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def served(self) -> set[str]:
        """Every group and version that the API serves, such as C(apps/v1); asked once."""
        if self._served is None:
            groups = self.get("/apis").get("groups") or []
            self._served = {version["groupVersion"] for group in groups for version in group["versions"]} | {"v1"}
        return self._served

    # -- writing

    def create(self, path: str, body: t.Mapping[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Create an object in the collection (or sub-resource) at C(path). Only tried again when it was not sent: else it may have been done."""
        return self._retry("POST", path, self._write_query(dry_run), body, repeatable=False)

    def replace(self, path: str, body: t.Mapping[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Replace the object at C(path); its resourceVersion protects the changes of others."""
        return self._retry("PUT", path, self._write_query(dry_run), body, repeatable=False)

    def merge_patch(self, path: str, body: t.Mapping[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Change some fields (RFC 7396); a value of None removes a field."""
        return self._retry("PATCH", path, self._write_query(dry_run), body, _MERGE_PATCH)

    def strategic_patch(self, path: str, body: t.Mapping[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Change some fields of a built-in kind, and entries of lists that have a key, such as a condition by its type.

        See kubernetes/community:contributors/devel/sig-api-machinery/strategic-merge-patch.md.
        """
        return self._retry("PATCH", path, self._write_query(dry_run), body, _STRATEGIC_PATCH)

    def json_patch(self, path: str, operations: t.Sequence[t.Mapping[str, t.Any]], dry_run: bool = False) -> dict[str, t.Any]:
        """Change by operations (RFC 6902). Only tried again when they were not sent: operations need not be repeatable."""
        return self._retry("PATCH", path, self._write_query(dry_run), operations, _JSON_PATCH, repeatable=False)

    def apply(
        self, path: str, body: t.Mapping[str, t.Any], field_manager: str = FIELD_MANAGER, force: bool = True, dry_run: bool = False
    ) -> dict[str, t.Any]:
        """Server-side apply of one named object; fields of other managers are taken over with C(force)."""
        query = {**self._write_query(dry_run), "fieldManager": field_manager, "force": str(force).lower()}
        return self._retry("PATCH", path, query, body, _APPLY_PATCH)

    def delete(
        self,
        path: str,
        propagation: str = "Background",
        grace_seconds: int | None = None,
        uid: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, t.Any]:
        """Delete the object at C(path), only if it still is the one with C(uid) when that is given."""
        body: dict[str, t.Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        if uid:
            body["preconditions"] = {"uid": uid}
        if dry_run:  # in the body: the API server passes over the query of a DELETE that has one
            body["dryRun"] = ["All"]
        return self._retry("DELETE", path, {}, body)

    # -- in pods

    def run_in_pod(self, namespace: str, pod: str, container: str, command: t.Sequence[str]) -> str:
        """The output (and error output) of a command that ends by itself.

        :raises KubeError: when it cannot be run; the user needs the right to create C(pods/exec).
        """
        from kubernetes import client
        from kubernetes.stream import stream

        self.calls += 1
        core = client.CoreV1Api(client.ApiClient(self._configuration))
        try:
            output = stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                container=container,
                command=list(command),
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _request_timeout=self._request_timeout,
            )
        except Exception as exc:  # the package, its websocket library and sockets each have their own
            path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
            raise KubeError(int(getattr(exc, "status", 0) or 0), "Exec", str(getattr(exc, "reason", None) or exc), path) from exc
        return str(output)

    # -- carrying out

    def _write_query(self, dry_run: bool) -> dict[str, t.Any]:
        query: dict[str, t.Any] = {"fieldValidation": self._field_validation, "fieldManager": FIELD_MANAGER}
        if dry_run:
            query["dryRun"] = "All"
        return query

    def _retry(
        self, method: str, path: str, query: Query | None = None, body: t.Any = None, content_type: str = "application/json", repeatable: bool = True
    ) -> dict[str, t.Any]:
        """Again while the server is busy, until C(request_timeout) has passed, or while it is away, until C(AWAY_FACTOR) times as much has.

        What is not C(repeatable) is tried again only when there was no connection, so that it cannot have been carried out.
        """
        begin = time.monotonic()
        refused: float | None = None
        pause = 0.2
        while True:
            try:
                return self._request(method, path, query, body, content_type)
            except (Unreachable, TooManyRequests) as exc:
                if not repeatable and not (isinstance(exc, Unreachable) and exc.not_sent):
                    raise
                patience = self._request_timeout * (AWAY_FACTOR if exc.status == 0 else 1.0)
                wait = max(pause, getattr(exc, "retry_after", 0.0))
                if time.monotonic() + wait >= begin + patience:
                    raise
            except Forbidden as exc:  # it was not carried out, so that it can be sent again whatever it was
                if isinstance(exc, Unauthorized) or self._never_ready or self._ready():
                    raise
                wait = pause
                refused = time.monotonic() if refused is None else refused
                if time.monotonic() + wait >= refused + STARTING_SECONDS:
                    self._never_ready = True
                    raise
            time.sleep(wait)
            pause = min(pause * 2, 3.0)

    def _ready(self) -> bool:
        """Whether the server has started wholly; until then its authorizer may know no rule, and refuses administrators too.

        See kubernetes/kubernetes:pkg/registry/rbac/rest/storage_rbac.go (the hook C(rbac/bootstrap-roles)). Everybody may ask for it
        (ClusterRole C(system:public-info-viewer)), unless somebody took that away.
        """
        try:
            self._request("GET", "/readyz")
        except KubeError as exc:
            return exc.status == 200  # its answer is no JSON
        return True

    def _request(
        self, method: str, path: str, query: Query | None = None, body: t.Any = None, content_type: str = "application/json"
    ) -> dict[str, t.Any]:
        from urllib3.exceptions import HTTPError, NewConnectionError

        self.calls += 1
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        for setting in self._configuration.auth_settings().values():
            if setting.get("value"):
                headers[setting["key"]] = setting["value"]
        if body is not None:
            headers["Content-Type"] = content_type
        url = self._configuration.host + path + ("?" + urlencode(sorted((query or {}).items())) if query else "")
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=self._request_timeout,
                retries=False,
            )
        except (HTTPError, OSError) as exc:
            reason = no_answer.reason_of(exc, self._configuration.host, self._request_timeout)
            if reason.lasting:
                raise Untrusted(0, "Untrusted", reason.text, path) from exc
            not_sent = isinstance(exc, (NewConnectionError, ConnectionRefusedError))
            raise Unreachable(0, "Unreachable", reason.text, path, not_sent) from exc
        self.clock_offset = clock_offset(answer.headers.get("Date"), time.time())
        if not 200 <= answer.status < 300:
            raise self._refusal(answer, path)
        try:
            return t.cast("dict[str, t.Any]", json.loads(answer.data)) if answer.data else {}
        except ValueError as exc:
            message = (
                f"{self._configuration.host} answers, but not as the API of a cluster (no JSON); correct the server of the cluster in {self._source}"
            )
            raise KubeError(answer.status, "NoAPI", message, path) from exc

    def _refusal(self, answer: t.Any, path: str) -> KubeError:
        """The server's C(Status) as an error; who is not known to it is told which credentials were not accepted."""
        error = _error_from(answer, path)
        if not isinstance(error, Unauthorized) and not (error.status == 403 and "system:anonymous" in error.message):
            return error
        message = (
            f"{self._configuration.host} does not accept the credentials of {self._source}: {error.message}. Its token or client certificate may "
            "have expired, or is of another cluster: renew it, or name another kubeconfig (podnet_kubeconfig) or context (podnet_context)"
        )
        return Unauthorized(error.status, error.reason, message, path)


def clock_offset(date: str | None, now: float) -> float:
    """Seconds by which the clock of a server that sent a C(Date) header (RFC 9110, section 6.6.1) is ahead of C(now), seconds since 1970.

    The header has whole seconds, and the answer took its time, so that a difference of a few seconds counts as none.
    """
    try:
        offset = email.utils.parsedate_to_datetime(date or "").timestamp() - now
    except (TypeError, ValueError):
        return 0.0
    return offset if abs(offset) > LEAST_OFFSET else 0.0


def _inside_cluster() -> bool:
    """Whether there is no kubeconfig but a service account, as in an execution environment that runs in a pod."""
    return not os.path.exists(os.path.expanduser("~/.kube/config")) and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _error_from(answer: t.Any, path: str) -> KubeError:
    """The server's C(Status) as an error."""
    try:
        status = json.loads(answer.data or "{}")
    except ValueError:
        status = {}
    if not isinstance(status, dict):
        status = {}
    try:
        retry_after: float | None = float(answer.headers.get("Retry-After"))
    except (TypeError, ValueError):
        retry_after = None
    message = status.get("message") or bytes(answer.data or b"").decode(errors="replace")[:1000] or str(answer.reason or "")
    if answer.status == 429:  # an eviction: which budget forbids it, and how many pods it wants
        causes = (status.get("details") or {}).get("causes") or []
        message = " ".join([message, *(str(cause["message"]) for cause in causes if cause.get("message"))])
    return error_of(answer.status, status.get("reason") or str(answer.reason or ""), message, path, retry_after)
