#!/usr/bin/env bash
# Brings the npm programs that read openapi.json, and prints their folder; exits 77 when they cannot be had.
set -euo pipefail
modules=$("$(dirname "$0")/../npm.sh" openapi openapi.json 'redocly, spectral and prism come from npm')
printf '%s\n' "$modules/.bin"
