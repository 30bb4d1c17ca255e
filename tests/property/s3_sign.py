"""Signs the requests in a file (a JSON object a line) as botocore would: prints signatures.

It percent-encodes key and parameters itself: nothing is shared with what is tested.
"""
import json
import sys
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials


def signature(r):
    request = botocore.awsrequest.AWSRequest(
        method=r["method"], url="https://" + r["host"] + "/" + urllib.parse.quote(r["key"], "/"),
        params=r["query"], headers=r["headers"])
    request.context["timestamp"] = r["headers"]["x-amz-date"]
    auth = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials(r["access"], r["secret"]), "s3", r["region"])
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


with open(sys.argv[1], encoding="utf-8") as requests:
    for line in requests:
        print(signature(json.loads(line)))
