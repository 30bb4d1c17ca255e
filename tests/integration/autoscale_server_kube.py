"""Kubernetes' scale subresource, Deployments' conditions and pods, as far as they are used."""
import json
import time
from urllib.parse import parse_qs, urlsplit

from autoscale_server import Provider


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Kubernetes(Provider):
    """State: tokens; forbidden ["GET pods", ...]; objects {"deployments/redis-a": {replicas,
    runs, version, conditions, pods [{name, node, phase, ready, deleting, unschedulable, waiting,
    restarts, ended, ran, phase, started, ready_since}]}}; ended: the container's run before, so many
    seconds ago, and it ran so long;
    page: pods a page."""

    def __init__(self):
        super().__init__()
        self.state = {"tokens": ["first"], "forbidden": [], "objects": {}, "page": 500}

    @staticmethod
    def name(request):
        """"GET scale", "PATCH scale", "GET pods", "PATCH pod", "GET object"."""
        part = urlsplit(request.path).path.strip("/").split("/")
        if part[0] == "api":
            kind = "pods" if len(part) == 5 else "pod"
        else:
            kind = "scale" if part[-1] == "scale" else "object"
        return "%s %s" % (request.method, kind)

    def describe(self, request):
        path = urlsplit(request.path).path
        text = "%s %s" % (self.name(request), path.split("/namespaces/", 1)[-1])
        return text + (" " + request.body.decode() if request.body else "")

    @staticmethod
    def refusal(fault):
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": fault.get("message", ""), "reason": fault.get("code", ""),
                "code": fault.get("status", 500)}
        if "details" in fault:
            body["details"] = fault["details"]
        return body["code"], {"Content-Type": "application/json"}, json.dumps(body)

    def no(self, status, code, message):
        return self.refusal({"status": status, "code": code, "message": message})

    def answer(self, request):
        url = urlsplit(request.path)
        part = url.path.strip("/").split("/")
        bearer = request.headers.get("Authorization", "")
        if bearer not in ["Bearer " + t for t in self.state["tokens"]]:
            return self.no(401, "Unauthorized", "Unauthorized")
        if self.name(request) in self.state["forbidden"]:
            return self.no(403, "Forbidden", 'User "system:serviceaccount:prism:autoscale" cannot '
                           "do that in the namespace \"prism\"")
        if request.method == "PATCH":
            if request.headers.get("Content-Type") != "application/merge-patch+json":
                return self.no(415, "UnsupportedMediaType", "not a merge patch")
        elif request.method != "GET":
            return self.no(405, "MethodNotAllowed", "only GET and PATCH")
        if part[:3] == ["api", "v1", "namespaces"] and part[3] == "prism" and part[4] == "pods":
            return self.pods(request, part, parse_qs(url.query))
        if part[:4] != ["apis", "apps", "v1", "namespaces"] or part[4] != "prism":
            return self.no(404, "NotFound", "the server could not find the requested resource")
        key = "/".join(part[5:7])
        if key not in self.state["objects"]:
            return self.no(404, "NotFound", '%s.apps "%s" not found' % (part[5], part[6]))
        o = self.state["objects"][key]
        if part[7:] == ["scale"]:
            return self.scale(request, part[6], o)
        return self.ok({"kind": "Deployment", "spec": {"replicas": o["replicas"]},
                        "status": {"conditions": o.get("conditions", [])}})

    @staticmethod
    def ok(value):
        return 200, {"Content-Type": "application/json"}, json.dumps(value)

    def scale(self, request, name, o):
        if request.method == "PATCH":
            patch = json.loads(request.body)
            assert set(patch) <= {"metadata", "spec"} and set(patch["spec"]) == {"replicas"}
            seen = patch.get("metadata", {}).get("resourceVersion")
            if seen is not None and seen != str(o["version"]):
                return self.no(409, "Conflict", 'Operation cannot be fulfilled on "%s": the object '
                               "has been modified" % name)
            o["replicas"] = o.get("forces", patch["spec"]["replicas"])
            o["version"] += 1
        # spec.replicas of 0 is left out, as Kubernetes does.
        spec = {"replicas": o["replicas"]} if o["replicas"] != 0 else {}
        status = {"replicas": o.get("runs", len(o.get("pods", [])))}
        if "pods" in o:
            status["selector"] = "app=%s,tier in (a b)" % name
        return self.ok({"kind": "Scale", "apiVersion": "autoscaling/v1",
                        "metadata": {"name": name, "namespace": "prism",
                                     "resourceVersion": str(o["version"])},
                        "spec": spec, "status": status})

    def pods(self, request, part, query):
        every = [(k, p) for k, o in self.state["objects"].items() for p in o.get("pods", [])]
        if len(part) == 6:
            for _, p in every:
                if p["name"] == part[5]:
                    patch = json.loads(request.body)
                    notes = p.setdefault("annotations", {})
                    notes.update(patch["metadata"]["annotations"])
                    for key in [key for key, value in notes.items() if value is None]:
                        del notes[key] # as a merge patch says
                    return self.ok({"kind": "Pod", "metadata": {"name": p["name"]}})
            return self.no(404, "NotFound", 'pods "%s" not found' % part[5])
        selector = query["labelSelector"][0]
        mine = [p for k, p in every if selector == "app=%s,tier in (a b)" % k.split("/")[1]]
        begin = int(query.get("continue", ["0="])[0].rstrip("="))
        page = min(self.state["page"], int(query["limit"][0]))
        meta = {"resourceVersion": "1"}
        if begin + page < len(mine):
            meta["continue"] = "%d=" % (begin + page)
        return self.ok({"kind": "PodList", "metadata": meta,
                        "items": [self.pod(p) for p in mine[begin:begin + page]]})

    @staticmethod
    def pod(p):
        meta = {"name": p["name"], "annotations": p.get("annotations", {})}
        if p.get("deleting"):
            meta["deletionTimestamp"] = "2025-01-01T00:00:00Z"
        conditions = [{"type": "Ready", "status": "True" if p.get("ready", True) else "False"}]
        if "ready_since" in p:
            conditions[0]["lastTransitionTime"] = p["ready_since"]
        times = {"startTime": p["started"]} if "started" in p else {}
        if p.get("unschedulable"):
            conditions.insert(0, {"type": "PodScheduled", "status": "False",
                                  "reason": "Unschedulable", "message": p["unschedulable"]})
        last = {}
        if "ended" in p:
            at = time.time() - p["ended"]
            last = {"terminated": {"exitCode": 1, "startedAt": stamp(at - p.get("ran", 1)),
                                   "finishedAt": stamp(at)}}
        waiting = {"waiting": {"reason": p["waiting"]}} if "waiting" in p else {"running": {}}
        return {"metadata": meta, "spec": {"nodeName": p.get("node", "node-1")},
                "status": {**times, "phase": p.get("phase", "Running"), "conditions": conditions,
                           "containerStatuses": [{"state": waiting, "ready": p.get("ready", True),
                                                  "lastState": last, "restartCount": p.get("restarts", 0)}]}}

    def tick(self):
        """What controllers and kubelets do: pods as many as wanted, and all of them ready."""
        for key, o in self.state["objects"].items():
            pods = [p for p in o.get("pods", []) if not p.get("deleting")]
            pods.sort(key=lambda p: p.get("annotations", {}).get(
                "controller.kubernetes.io/pod-deletion-cost", "0") == "0", reverse=True)
            while len(pods) < o["replicas"]:
                pods.append({"name": "%s-%d" % (key.split("/")[1], len(pods))})
            for p in pods[:o["replicas"]]:
                p.update(phase="Running", ready=True)
            o["pods"] = pods[:o["replicas"]]
