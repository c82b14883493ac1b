# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import client as kube_client
from ansible_collections.podnet.cni.plugins.module_utils._kube import errors

pytest.importorskip("urllib3")


class Answer:
    def __init__(self, status=200, body=None, headers=None, data=None):
        self.status = status
        self.data = json.dumps({} if body is None else body).encode() if data is None else data
        self.headers = headers or {}
        self.reason = "reason"


class Pool:
    """A connection pool that gives prepared answers, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def request(self, method, url, body=None, headers=None, timeout=None, retries=None):
        parts = urlsplit(url)
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        self.requests.append((method, parts.path, query, json.loads(body) if body else None, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Configuration:
    host = "https://cluster:6443"

    def auth_settings(self):
        return {"BearerToken": {"key": "authorization", "value": "Bearer t"}}


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(kube_client.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(kube_client.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def make(*answers):
    pool = Pool(*answers)
    return kube_client.KubeClient(Configuration(), pool, 30.0, "Strict"), pool


def test_a_get_sends_the_token():
    kube, pool = make(Answer(body={"kind": "Node"}))
    assert kube.get("/api/v1/nodes/n1") == {"kind": "Node"}
    assert pool.requests[0][:3] == ("GET", "/api/v1/nodes/n1", {})
    assert pool.requests[0][4]["authorization"] == "Bearer t"
    assert kube.calls == 1


def test_lists_are_read_in_pages():
    kube, pool = make(
        Answer(body={"items": [{"n": 1}], "metadata": {"continue": "more"}}),
        Answer(body={"items": [{"n": 2}], "metadata": {}}),
    )
    assert list(kube.list("/api/v1/pods", field_selector="spec.nodeName=n1", limit=1)) == [{"n": 1}, {"n": 2}]
    assert pool.requests[1][2] == {"limit": "1", "fieldSelector": "spec.nodeName=n1", "continue": "more"}


def test_writes_are_validated_strictly_and_dry_runs_say_so():
    kube, pool = make(Answer())
    kube.create("/api/v1/namespaces", {"kind": "Namespace"}, dry_run=True)
    kube.merge_patch("/api/v1/nodes/n1", {"spec": {}}, dry_run=True)
    kube.apply("/api/v1/nodes/n1", {"spec": {}}, dry_run=True)
    kube.replace("/api/v1/nodes/n1", {"spec": {}}, dry_run=True)
    assert [request[2]["fieldValidation"] for request in pool.requests] == ["Strict"] * 4
    assert [request[2]["dryRun"] for request in pool.requests] == ["All"] * 4


def test_the_dry_run_of_a_delete_is_in_its_body():
    """The API server passes over the query of a DELETE with a body: with dryRun there the object would really be deleted."""
    kube, pool = make(Answer())
    kube.delete("/api/v1/nodes/n1", uid="u", grace_seconds=0, dry_run=True)
    kube.delete("/api/v1/nodes/n1")
    assert pool.requests[0][2] == {}
    assert pool.requests[0][3] == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
        "dryRun": ["All"],
    }
    assert "dryRun" not in pool.requests[1][3]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.KubeError),
        (422, errors.Invalid),
    ],
)
def test_errors_by_status_are_not_tried_again(status, kind):
    kube, pool = make(Answer(status, {"reason": "Why", "message": "told"}))
    with pytest.raises(kind) as caught:
        kube.get("/api/v1/nodes/n1")
    assert (caught.value.status, caught.value.reason) == (status, "Why")
    if status == 401:
        assert str(caught.value).startswith("/api/v1/nodes/n1: https://cluster:6443 does not accept the credentials of the kubeconfig: told. ")
    else:
        assert str(caught.value) == "/api/v1/nodes/n1: told"
    assert len(pool.requests) == 1


FORBIDDEN = Answer(403, {"reason": "Forbidden", "message": "pods is forbidden"})


def test_what_a_server_refuses_while_it_starts_is_sent_again(clock):
    """Its authorizer has not read the rules of RBAC yet; seen in the lab when an API server was started again."""
    kube, pool = make(
        FORBIDDEN, FORBIDDEN, FORBIDDEN, Answer(500, {"message": "[-]poststarthook/rbac/bootstrap-roles failed"}), Answer(body={"n": 1})
    )
    assert kube.create("/api/v1/namespaces/demo/pods/web-1/eviction", {}) == {"n": 1}
    assert [request[1] for request in pool.requests] == ["/api/v1/namespaces/demo/pods/web-1/eviction", "/readyz"] * 2 + [
        "/api/v1/namespaces/demo/pods/web-1/eviction"
    ]
    assert 0 < clock[0] < 2


def test_the_time_in_which_a_server_starts_does_not_begin_while_it_is_away(clock):
    away = [ConnectionRefusedError("refused")] * 12
    kube, dummy = make(*away, FORBIDDEN, FORBIDDEN, Answer(body={"n": 1}))
    assert kube.get("/api/v1/pods") == {"n": 1}
    assert kube_client.STARTING_SECONDS < clock[0] < 60


def test_what_a_server_refuses_that_is_ready_is_forbidden(clock):
    kube, pool = make(FORBIDDEN, Answer(data=b"ok"))
    with pytest.raises(errors.Forbidden, match="/api/v1/pods: pods is forbidden"):
        kube.get("/api/v1/pods")
    assert (len(pool.requests), clock[0]) == (2, 0.0)


def test_a_server_that_never_tells_whether_it_is_ready_is_waited_for_once(clock):
    kube, pool = make(FORBIDDEN)
    for expected in (20.0, 0.0):
        begin = clock[0]
        with pytest.raises(errors.Forbidden):
            kube.get("/api/v1/pods")
        assert expected - 4 < clock[0] - begin <= expected
    assert pool.requests[-1][1] == "/api/v1/pods"


def test_a_server_that_comes_back_is_waited_for(clock):
    kube, pool = make(OSError("refused"), Answer(503), Answer(429, headers={"Retry-After": "4"}), Answer(body={"n": 1}))
    assert kube.get("/version") == {"n": 1}
    assert len(pool.requests) == 4
    assert clock[0] >= 4


def test_a_server_that_stays_away_is_given_up(clock):
    kube, dummy = make(OSError("refused"))
    with pytest.raises(errors.Unreachable, match="no answer from https://cluster:6443: refused"):
        kube.get("/version")
    assert 50 < clock[0] <= 60


def test_a_server_that_stays_busy_is_given_up_sooner(clock):
    kube, dummy = make(Answer(503))
    with pytest.raises(errors.Unreachable):
        kube.get("/version")
    assert 20 < clock[0] <= 30


def test_what_was_not_sent_may_be_tried_again(clock):
    refused = ConnectionRefusedError("refused")
    kube, pool = make(refused, refused, Answer(body={"n": 1}))
    assert kube.create("/api/v1/nodes", {}) == {"n": 1}
    assert len(pool.requests) == 3
    assert clock[0] > 0


@pytest.mark.parametrize("status", [429, 500])
def test_what_was_answered_is_not_sent_twice(clock, status):
    kube, pool = make(Answer(status))
    with pytest.raises(errors.KubeError):
        kube.create("/api/v1/namespaces/demo/pods/web-1/eviction", {})
    assert (len(pool.requests), clock[0]) == (1, 0.0)


def test_what_must_not_happen_twice_is_not_tried_again():
    kube, pool = make(OSError("reset"))
    for call in (kube.create, kube.replace):
        with pytest.raises(errors.Unreachable):
            call("/api/v1/nodes/n1", {})
    assert len(pool.requests) == 2


def test_a_refused_eviction_tells_the_budget():
    causes = [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2 currently"}]
    kube, dummy = make(Answer(429, {"message": "Cannot evict pod as it would violate the pod's disruption budget.", "details": {"causes": causes}}))
    with pytest.raises(errors.TooManyRequests, match="disruption budget web needs 2 healthy pods"):
        kube.create("/api/v1/namespaces/demo/pods/web-1/eviction", {})


def test_served_asks_once():
    groups = {"groups": [{"versions": [{"groupVersion": "apps/v1"}, {"groupVersion": "apps/v1beta1"}]}]}
    kube, pool = make(Answer(body=groups))
    assert kube.served() == {"v1", "apps/v1", "apps/v1beta1"}
    kube.served()
    assert len(pool.requests) == 1


def test_an_answer_that_is_no_json_is_shown():
    kube, dummy = make(Answer(404))
    kube._pool.answers[0].data = b"404 page not found"
    with pytest.raises(errors.NotFound, match="404 page not found"):
        kube.get("/apis/none/v1")
    assert kube.get_or_none("/apis/none/v1") is None


class Module:
    def __init__(self, **params):
        self.params = {"kubeconfig": None, "context": None, "request_timeout": 30.0, "field_validation": "Strict", **params}

    def fail_json(self, **results):
        raise SystemExit(results["msg"])


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
current-context: here
"""


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        (None, {}, r"kubeconfig: .*/config. does not exist on .*Give the path of a kubeconfig"),
        ("hello", {}, "kubeconfig: .*/config. is no kubeconfig"),
        (KUBECONFIG, {"context": "there"}, "context: .there. is no context of .*/config., which has here"),
        (KUBECONFIG, {"request_timeout": 0}, "request_timeout: 0 is not a duration; give seconds greater than 0"),
    ],
)
def test_a_bad_kubeconfig_is_told_with_the_remedy(tmp_path, text, params, message):
    pytest.importorskip("kubernetes")
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match=message):
        kube_client.KubeClient.from_module(Module(kubeconfig=str(path), **params))


def test_a_good_kubeconfig_is_used(tmp_path):
    pytest.importorskip("kubernetes")
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    kube = kube_client.KubeClient.from_module(Module(kubeconfig=str(path), context="here", request_timeout=0.1))
    with pytest.raises(errors.Unreachable, match="no answer from http://127.0.0.1:1"):
        kube.get("/version")


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    with pytest.raises(SystemExit, match="kubernetes"):
        kube_client.KubeClient.from_module(Module())


def test_a_strategic_patch_says_what_it_is_and_is_repeated(clock):
    kube, pool = make(Answer(503), Answer())
    kube.strategic_patch("/api/v1/nodes/n1/status", {"status": {}}, dry_run=True)
    method, path, query, body, headers = pool.requests[1]
    assert (method, path, body) == ("PATCH", "/api/v1/nodes/n1/status", {"status": {}})
    assert headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert query["dryRun"] == "All"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Thu, 01 Jan 1970 01:00:10 GMT", 3600.0),
        ("Thu, 01 Jan 1970 00:00:12 GMT", 0.0),
        (None, 0.0),
        ("yesterday", 0.0),
    ],
)
def test_the_clock_of_the_server(date, expected):
    assert kube_client.clock_offset(date, 10.0) == expected
