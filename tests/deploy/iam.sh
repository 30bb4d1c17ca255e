#!/usr/bin/env bash
# iam.sh ROOT: the IAM documents are JSON, allow named actions alone, and what autoscale's may do is what the program asks
# for (docs/how-to/scale-the-fleet.md and its source).
set -euo pipefail
cd "$1"
bad=0
complain() {
    printf '%s\n' "$*"
    bad=1
}
for file in deploy/iam/*.json; do
    jq -e '.Version == "2012-10-17" and (.Statement | length > 0)' "$file" >/dev/null || complain "$file is no policy"
    jq -e '[.Statement[] | .Effect == "Allow" and (.Action | type == "array") and (.Sid | test("^[A-Za-z]+$"))] | all' "$file" \
        >/dev/null || complain "$file: a statement that is not as the others"
    jq -e '[.Statement[].Action[] | test("[*]")] | any | not' "$file" >/dev/null || complain "$file allows actions by a pattern"
    jq -e '[.Statement[] | select(.Resource == "*") | .Action[] | test(":(Describe|GetMetricData)")] | all' "$file" \
        >/dev/null || complain "$file changes things that it does not name"
    jq -e '[.Statement[] | select(.Action | any(startswith("kms:"))) | (.Resource | endswith(":key/KEY")) and
        (.Condition.StringEquals["kms:ViaService"] | endswith(".REGION.amazonaws.com"))] | all' "$file" >/dev/null ||
        complain "$file: a key that may be used by itself"
    grep -qF "($(basename "$file"))" deploy/iam/README.md || complain "README.md does not name $file"
done
for need in dr.json:kms:GenerateDataKey dr.json:kms:Decrypt placement.json:kms:Decrypt external-secrets.json:kms:Decrypt; do
    jq -e --arg action "${need#*:}" '[.Statement[].Action[]] | index($action)' "deploy/iam/${need%%:*}" >/dev/null ||
        complain "${need%%:*} lacks ${need#*:}: nothing can be read or written where the owner's key encrypts"
done
may=$(jq -r '.Statement[].Action[]' deploy/iam/autoscale.json | sort)
said=$(sed -n '/^### On AWS/,/^### On Kub/p' docs/how-to/scale-the-fleet.md | grep -oE '(autoscaling|cloudwatch):[A-Za-z]+' | sort)
[ "$may" = "$said" ] || complain "autoscale may do other things than docs/how-to/scale-the-fleet.md asks for"
for action in $may; do
    grep -rqE "\b${action#*:}\b" services/autoscale/io || complain "autoscale may do $action, and does not do it"
done
exit "$bad"
