# The REST interface as Markdown tables, one a tag, from openapi.json.
. as $doc |
def known: if has("$ref") then . as $r | ($doc.components.parameters[$r["$ref"] | split("/")[-1]]) else . end;
def cell: gsub("\\|"; "\\|") | gsub("\n"; " ");
def schema: if . == null then "" else (.schema["$ref"] // "" | split("/")[-1]) end;
def arguments: [.parameters[]? | known | select(.in == "query") | "`" + .name + "`"] | join(" ");
def headers: [.parameters[]? | known | select(.in == "header") | "`" + .name + "`" + (if .required then " (must)" else "" end)]
    | join(" ");
def body: if .requestBody == null then ""
    else (.requestBody | if has("$ref") then $doc.components.requestBodies[.["$ref"] | split("/")[-1]] else . end
        | "`" + (.content | to_entries[0].value | schema) + "`") end;
def gives: [.responses | to_entries[] | select(.key | startswith("2")) | .value.content // {} | to_entries[0].value | schema
    | select(. != "" and . != null) | "`" + . + "`"] | unique | join(" ");
def words: (.summary | cell) as $s
    | if .security == [] then $s else $s + (if $s | test("[.?!]$") then " " else ". " end) + (.description // "" | cell) end;
def answers: .responses | keys | join(" ");
$doc.tags[] as $tag
| "## \($tag.name)\n\n\($tag.description | cell)\n\n| request | | arguments | headers | body | gives | answers |\n| --- | --- | --- | --- | --- | --- | --- |\n"
+ ([$doc.paths | to_entries[] as $p | $p.value | to_entries[]
    | select(.value.tags | index($tag.name))
    | "| `\(.key | ascii_upcase) \($p.key)` | \(.value | words) | \(.value | arguments) | \(.value | headers) | \(.value | body) | \(.value | gives) | \(.value | answers) |\n"]
   | join(""))
