"""AWS Auto Scaling's Query API, instance metadata, a container's credentials endpoint and STS.

Signatures are recomputed, and requests and answers checked against AWS's own description of
the API, by botocore: neither shares anything with what is tested.
"""
import datetime
import json
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.loaders
import botocore.model
import botocore.parsers

from autoscale_server import Provider

MODEL = botocore.model.ServiceModel(
    botocore.loaders.Loader().load_service_model("autoscaling", "service-2"))
STS = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("sts", "service-2"))
NOT_ENOUGH = ("We currently do not have sufficient r6i.4xlarge capacity in the Availability Zone "
              "you requested (%s). InsufficientInstanceCapacity. Launching EC2 instance failed.")


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def now():
    return datetime.datetime.utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")


def element(name, value):
    if isinstance(value, dict):
        inner = "".join(element(k, v) for k, v in value.items())
    elif isinstance(value, list):
        inner = "".join(element("member", v) for v in value)
    else:
        inner = escape(str(value))
    return "<%s>%s</%s>" % (name, inner, name)


class Aws(Provider):
    """State: access, secret, token, region, expired; groups {name: {desired, min, max, zone,
    instances [{id, state, health}], suspended, status, activities, raw}}; page: groups a page;
    capacity: launches that still succeed, null: all; metadata {role, keys...}; container
    {authorization, keys...}; identity {role, session, token, keys...}."""

    def __init__(self):
        super().__init__()
        self.launched = 0
        self.state = {"access": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                      "token": "", "region": "eu-central-1", "groups": {}, "page": 50}

    # --- requests ---------------------------------------------------------------
    @staticmethod
    def form(request):
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True,
                              strict_parsing=bool(request.body)))

    def name(self, request):
        if request.method != "POST":
            return "%s %s" % (request.method, request.path)
        return self.form(request).get("Action", "?")

    def describe(self, request):
        if request.method != "POST":
            return self.name(request)
        form = self.form(request)
        form.pop("Version", None)
        return " ".join([form.pop("Action", "?")] + sorted(
            "%s=%s" % (k, v) for k, v in form.items() if not k.startswith("AutoScalingGroupNames")))

    def answer(self, request):
        try:
            if request.method != "POST":
                return self.keys(request)
            form = self.form(request)
            if form.get("Action") == "AssumeRoleWithWebIdentity":
                return 200, {"Content-Type": "text/xml"}, self.assume_role(request, form)
            self.check_signature(request)
            operation = self.check_form(form, MODEL)
            xml = getattr(self, operation.name)(form)
            self.check_answer(operation, xml)
            return 200, {"Content-Type": "text/xml"}, xml
        except Refused as r:
            return self.refusal({"status": r.status, "code": r.code, "message": r.message})

    @staticmethod
    def refusal(fault):
        body = element("ErrorResponse", {
            "Error": {"Type": "Sender", "Code": fault.get("code", ""),
                      "Message": fault.get("message", "")},
            "RequestId": "b25f48e8-84fd-11e6-80d9-574e0c664dcb"})
        return fault.get("status", 400), {"Content-Type": "text/xml"}, body

    # --- checks -------------------------------------------------------------------
    def check_signature(self, request):
        s = self.state
        header = request.headers.get("Authorization", "")
        if not header.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "MissingAuthenticationToken", "Missing Authentication Token")
        part = dict(p.strip().split("=", 1) for p in header.split(" ", 1)[1].split(","))
        access, date, region, service, _ = part["Credential"].split("/")
        stamp = request.headers.get("X-Amz-Date", "")
        signed = part["SignedHeaders"].split(";")
        if access in s.get("expired", []):
            raise Refused(403, "ExpiredToken", "The security token included in the request is "
                          "expired")
        if access != s["access"] or request.headers.get("X-Amz-Security-Token", "") != s["token"]:
            raise Refused(403, "InvalidClientTokenId", "The security token included in the request "
                          "is invalid.")
        if region != s["region"] or service != "autoscaling":
            raise Refused(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid "
                          "region and service.")
        skew = abs((datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ") -
                    datetime.datetime.utcnow()).total_seconds())
        if skew > 300 or not stamp.startswith(date):
            raise Refused(403, "RequestExpired", "Request has expired.")
        for needed in ["host", "x-amz-date"] + ["x-amz-security-token"] * bool(s["token"]):
            if needed not in signed:
                raise Refused(403, "SignatureDoesNotMatch", "%s is not signed" % needed)
        copy = botocore.awsrequest.AWSRequest(
            method=request.method, url="http://127.0.0.1:%d%s" % (request.port, request.path),
            data=request.body, headers={h: request.headers[h] for h in signed})
        copy.context["timestamp"] = stamp
        auth = botocore.auth.SigV4Auth(
            botocore.credentials.Credentials(s["access"], s["secret"]), service, region)
        want = auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)), copy)
        if want != part["Signature"]:
            raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated does "
                          "not match the signature you provided.")

    @staticmethod
    def check_form(form, model):
        if form.pop("Version", None) != model.api_version:
            raise Refused(400, "InvalidAction", "Could not find operation")
        operation = model.operation_model(form.pop("Action"))
        shape = operation.input_shape
        for key in form:
            if key.split(".")[0] not in shape.members:
                raise Refused(400, "ValidationError", "unknown parameter %s" % key)
        for key in shape.required_members:
            if not any(k.split(".")[0] == key for k in form):
                raise Refused(400, "ValidationError", "1 validation error detected: %s" % key)
        return operation

    @staticmethod
    def check_answer(operation, xml):
        """What we answer is what AWS would: its own parser must find all of it."""
        shape = operation.output_shape
        if shape is None:
            return
        parsed = botocore.parsers.create_parser("query").parse(
            {"status_code": 200, "headers": {}, "body": xml.encode()}, shape)
        if operation.name == "DescribeAutoScalingGroups":
            for group in parsed["AutoScalingGroups"]:
                assert group["DesiredCapacity"] >= 0 and group["MaxSize"] >= group["MinSize"]
                assert all(i["LifecycleState"] for i in group["Instances"])
            assert len(parsed["AutoScalingGroups"]) == xml.count("</AutoScalingGroupName>")
        elif operation.name == "DescribeScalingActivities":
            assert len(parsed["Activities"]) == xml.count("</StatusCode>")
        else:
            assert parsed["Activity"]["StatusCode"] == "InProgress"

    @staticmethod
    def result(action, value):
        return ('<%sResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">%s'
                "<ResponseMetadata><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId>"
                "</ResponseMetadata></%sResponse>") % (
                    action, element(action + "Result", value) if value is not None else "", action)

    # --- actions --------------------------------------------------------------------
    def group(self, name):
        if name not in self.state["groups"]:
            raise Refused(400, "ValidationError", "AutoScalingGroup name not found - " + name)
        return self.state["groups"][name]

    def DescribeAutoScalingGroups(self, form):
        names = [v for k, v in form.items() if k.startswith("AutoScalingGroupNames.member.")]
        found = [n for n in sorted(self.state["groups"]) if not names or n in names]
        begin = int(form.get("NextToken", "0").strip("= "))
        page = min(self.state["page"], int(form.get("MaxRecords", 50)))
        value = {"AutoScalingGroups": [self.shown(n) for n in found[begin:begin + page]]}
        if begin + page < len(found):
            value["NextToken"] = "%d ==" % (begin + page)
        return self.result("DescribeAutoScalingGroups", value)

    def shown(self, name):
        g = self.state["groups"][name]
        out = {
            "AutoScalingGroupName": name,
            "AutoScalingGroupARN": "arn:aws:autoscaling:eu-central-1:1:autoScalingGroup:" + name,
            "MinSize": g.get("min", 0), "MaxSize": g.get("max", 500),
            "DesiredCapacity": g.get("claims", g["desired"]),
            "DefaultCooldown": 300, "AvailabilityZones": [g.get("zone", "eu-central-1a")],
            "HealthCheckType": "EC2", "CreatedTime": "2025-01-01T00:00:00Z",
            "SuspendedProcesses": [{"ProcessName": p, "SuspensionReason": "User suspended"}
                                   for p in g.get("suspended", [])],
            "Instances": [{"InstanceId": i["id"],
                           "AvailabilityZone": g.get("zone", "eu-central-1a"),
                           "LifecycleState": i["state"], "HealthStatus": i.get("health", "Healthy"),
                           "ProtectedFromScaleIn": "false"} for i in g["instances"]],
        }
        if g.get("status"):
            out["Status"] = g["status"]
        return out

    def SetDesiredCapacity(self, form):
        g, n = self.group(form["AutoScalingGroupName"]), int(form["DesiredCapacity"])
        for over, word, limit in ((n > g.get("max", 500), "above max", g.get("max", 500)),
                                  (n < g.get("min", 0), "below min", g.get("min", 0))):
            if over:
                raise Refused(400, "ValidationError", "New SetDesiredCapacity value %d is %s value "
                              "%d for the AutoScalingGroup." % (n, word, limit))
        g["desired"] = n
        self.launch(g)
        return self.result("SetDesiredCapacity", None)

    def launch(self, g):
        missing = g["desired"] - sum(i["state"] in ("Pending", "InService") for i in g["instances"])
        for _ in range(max(missing, 0)):
            capacity = self.state.get("capacity")
            if capacity == 0:
                g.setdefault("activities", []).insert(0, {
                    "status": "Failed", "start": now(), "message": NOT_ENOUGH % g.get("zone", "")})
                continue
            if capacity is not None:
                self.state["capacity"] = capacity - 1
            self.launched += 1
            g["instances"].append({"id": "i-%017x" % self.launched, "state": "Pending"})
            g.setdefault("activities", []).insert(0, {
                "status": "InProgress", "start": now(), "message": ""})

    def TerminateInstanceInAutoScalingGroup(self, form):
        for g in self.state["groups"].values():
            for i in g["instances"]:
                if i["id"] == form["InstanceId"] and i["state"] != "Terminating":
                    lower = form["ShouldDecrementDesiredCapacity"] == "true"
                    if lower and g["desired"] - 1 < g.get("min", 0):
                        raise Refused(400, "ValidationError", "Currently, desiredSize equals "
                                      "minSize. Terminating instance without replacement will "
                                      "violate group's min size constraint.")
                    i["state"] = "Terminating"
                    g["desired"] -= lower
                    self.launch(g)
                    return self.result("TerminateInstanceInAutoScalingGroup", {"Activity": {
                        "ActivityId": "1", "AutoScalingGroupName": "g", "Cause": "user request",
                        "StartTime": now(), "StatusCode": "InProgress", "Progress": 0}})
        raise Refused(400, "ValidationError", "Instance Id not found - No managed instance found "
                      "for instance ID: " + form["InstanceId"])

    def DescribeScalingActivities(self, form):
        g = self.group(form["AutoScalingGroupName"])
        return self.result("DescribeScalingActivities", {"Activities": [
            {"ActivityId": str(n), "AutoScalingGroupName": form["AutoScalingGroupName"],
             "Cause": "a difference between desired and actual capacity",
             "Description": "Launching a new EC2 instance", "StartTime": a["start"],
             "StatusCode": a["status"], "StatusMessage": a["message"], "Progress": 100}
            for n, a in enumerate(g.get("activities", [])[:int(form["MaxRecords"])])]})

    def tick(self):
        for g in self.state["groups"].values():
            g["instances"] = [i for i in g["instances"] if i["state"] != "Terminating"]
            for i in g["instances"]:
                if i["state"] == "Pending":
                    i["state"] = "InService"

    # --- where keys come from ---------------------------------------------------------
    def assume_role(self, request, form):
        """Not signed: who has no keys yet asks for them."""
        identity = self.state.get("identity")
        operation = self.check_form(form, STS)
        if request.headers.get("Authorization") is not None:
            raise Refused(400, "ValidationError", "it is signed")
        if not identity or form["RoleArn"] != identity["role"]:
            raise Refused(403, "AccessDenied", "Not authorized to perform "
                          "sts:AssumeRoleWithWebIdentity")
        if form["RoleSessionName"] != identity["session"]:
            raise Refused(400, "ValidationError", "another session: %s" % form["RoleSessionName"])
        if form["WebIdentityToken"] != identity["token"]:
            raise Refused(400, "ExpiredTokenException", "Token expired: current date/time must be "
                          "before the expiration date/time")
        xml = ('<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/'
               '">%s</AssumeRoleWithWebIdentityResponse>') % element(
                   "AssumeRoleWithWebIdentityResult", {
                       "SubjectFromWebIdentityToken": "system:serviceaccount:prism:autoscale",
                       "AssumedRoleUser": {"Arn": identity["role"], "AssumedRoleId": "A:x"},
                       "Credentials": {"SessionToken": identity["token_out"],
                                       "SecretAccessKey": identity["secret"],
                                       "Expiration": identity["expires"],
                                       "AccessKeyId": identity["access"]}})
        parsed = botocore.parsers.create_parser("query").parse(
            {"status_code": 200, "headers": {}, "body": xml.encode()}, operation.output_shape)
        assert parsed["Credentials"]["AccessKeyId"] == identity["access"]
        return xml

    def keys(self, request):
        meta, container = self.state.get("metadata"), self.state.get("container")
        token = request.headers.get("X-aws-ec2-metadata-token", "")
        path = request.path
        if path == "/container" and container:
            if request.headers.get("Authorization") != container["authorization"]:
                return 401, {}, "unauthorized"
            return self.shown_keys(container)
        if not meta:
            return 404, {}, "not found"
        if request.method == "PUT" and path == "/latest/api/token":
            if request.headers.get("X-aws-ec2-metadata-token-ttl-seconds") != "21600":
                return 400, {}, "no ttl"
            return 200, {}, "imds-token=="
        if token != "imds-token==":
            return 401, {}, "unauthorized"
        base = "/latest/meta-data/iam/security-credentials/"
        if path == base and meta.get("role"):
            return 200, {}, meta["role"]
        if meta.get("role") and path == base + meta["role"]:
            return self.shown_keys(meta)
        return 404, {}, "not found"

    @staticmethod
    def shown_keys(k):
        return 200, {}, json.dumps({"Code": "Success", "Type": "AWS-HMAC",
                                    "AccessKeyId": k["access"], "SecretAccessKey": k["secret"],
                                    "Token": k["token"], "Expiration": k["expires"]})
