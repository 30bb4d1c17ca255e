// dockerfile.cjs MODULES FILE SCRIPT: prints what dockerfile-utils says about FILE, and writes what its RUN instructions
// give to a shell into SCRIPT.
"use strict";
const fs = require("fs");
const path = require("path");
const [modules, file, script] = process.argv.slice(2);
const { validate } = require(path.join(modules, "dockerfile-utils"));
const { DockerfileParser } = require(path.join(modules, "dockerfile-ast"));
const text = fs.readFileSync(file, "utf8");
const said = validate(text, { deprecatedMaintainer: 2, directiveCasing: 2, emptyContinuationLine: 2, instructionCasing: 2,
    instructionCmdMultiple: 2, instructionEntrypointMultiple: 2, instructionHealthcheckMultiple: 2, instructionJSONInSingleQuotes: 2,
    instructionWorkdirRelative: 2 });
for (const d of said) console.error(`${file}:${d.range.start.line + 1}: ${d.message}`);
const runs = DockerfileParser.parse(text).getInstructions().filter((i) => i.getKeyword() === "RUN");
fs.writeFileSync(script, runs.map((i) => {
    const body = i.getRawArgumentsContent ? i.getRawArgumentsContent() : i.getArgumentsContent();
    return body.replace(/^(\s*--\S+(\s|\\\n)+)+/, "").trim();
}).filter((b) => !b.startsWith("[")).join("\n") + "\n");
process.exitCode = said.length ? 1 : 0;
