#!/usr/bin/env bash
# s3.sh ROOT: the documents of dr's buckets are requests as AWS describes them, and say what dr can live with: where it writes
# nothing goes by age; where copies are kept the names are those that dr gives.
set -euo pipefail
cd "$1/deploy/s3"
bad=0
complain() {
    printf '%s\n' "$*"
    bad=1
}
# Debian's own python3: the one that has python3-botocore.
fits() { # DOCUMENT OPERATION MEMBER
    /usr/bin/python3 -B - "$@" <<'EOS' || complain "$1 is no $3"
import json, sys
import botocore.session
from botocore.validate import ParamValidator

file, operation, member = sys.argv[1:]
shape = botocore.session.get_session().get_service_model("s3").operation_model(operation).input_shape
problems = ParamValidator().validate({"Bucket": "b", member: json.load(open(file))}, shape)
if problems.has_errors():
    sys.exit(problems.generate_report())
EOS
}
fits lifecycle.json PutBucketLifecycleConfiguration LifecycleConfiguration
fits lifecycle-archive.json PutBucketLifecycleConfiguration LifecycleConfiguration
fits replication.json PutBucketReplication ReplicationConfiguration
for file in *.json; do
    jq -e '[.Rules[] | .Status == "Enabled" and has("Filter")] | all and length > 0' "$file" >/dev/null ||
        complain "$file: a rule that is not as the others"
    jq -e '([.Rules[].ID] | unique | length) == (.Rules | length)' "$file" >/dev/null || complain "$file: two rules of one name"
    grep -qF "($file)" README.md || complain "README.md does not name $file"
done

# Where dr writes: nothing that is the newest version of its name.
jq -e '[.Rules[] | has("Transitions") or has("NoncurrentVersionTransitions") or
    ((.Expiration // {}) | has("Days") or has("Date"))] | any | not' lifecycle.json >/dev/null ||
    complain "lifecycle.json moves or expires what dr may need"
jq -e '[.Rules[].NoncurrentVersionExpiration.NoncurrentDays // 0] | max >= 1' lifecycle.json >/dev/null ||
    complain "lifecycle.json lets versions that were deleted stay for ever"
jq -e '[.Rules[].DeleteMarkerReplication.Status == "Disabled"] | all' replication.json >/dev/null ||
    complain "replication.json deletes in the archive what dr deletes"

# Where copies are kept: bases and streams after 90 days, by the names of services/dr/core/keys.h, and nothing else.
jq -e '[.Rules[] | .Transitions == [{"Days": 90, "StorageClass": "GLACIER"}] and (has("Expiration") | not) and
    .Filter.And.ObjectSizeGreaterThan == 131072] | all' lifecycle-archive.json >/dev/null ||
    complain "lifecycle-archive.json: a rule that is not 90 days to GLACIER of what is large"
cold=$(jq -r '.Rules[].Filter.And.Prefix' lifecycle-archive.json | sort)
[ "$cold" = $'CLUSTER/base/\nCLUSTER/log/' ] || complain "lifecycle-archive.json is about $cold"
for prefix in $cold; do
    grep -qF " *   <cluster>/${prefix#CLUSTER/}" ../../services/dr/core/keys.h || complain "dr gives no name $prefix"
done
exit "$bad"
