# shellcheck shell=bash
# Where Debian packages come from: PRISM_MIRROR and PRISM_SECURITY_MIRROR, else what this machine's
# apt is set up with. Who sources this also has common.sh.

mirror_of() { # RELEASE-PATTERN
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -v wanted="^($1)\$" '$1 ~ wanted { sub(/\/$/, "", $2); print $2; exit }'
}
mirror() {
    local found=${PRISM_MIRROR:-$(mirror_of 'bookworm|trixie')}
    [ -n "$found" ] || die "no Debian mirror in apt's sources: set PRISM_MIRROR"
    printf '%s\n' "$found"
}
security_mirror() { printf '%s\n' "${PRISM_SECURITY_MIRROR:-$(mirror_of '(bookworm|trixie)-security')}"; }
