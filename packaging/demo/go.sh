#!/bin/sh
# Prints the folder of a Go that can build this module, and gets one when there is
# none: Debian's golang-go, and where that is older than Go 1.21, which cannot
# fetch a newer toolchain by itself, the toolchain of go.mod through the module
# proxy, checked against the checksum database like every module.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
wanted=$(sed -n 's/^go \([0-9.]*\)$/\1/p' "$root/go.mod")

# fetches tells whether a go is new enough to get the toolchain of go.mod.
fetches() {
	minor=$("$1" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge 21 ]
}

# look prints the folder of the first go that will do.
look() {
	for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go*/bin/go; do
		if [ -x "$go" ] && (cd / && fetches "$go"); then
			dirname "$go"
			return
		fi
	done
	return 1
}

if look; then exit 0; fi
command -v go >/dev/null || "$root/e2e/install.sh" golang-go ca-certificates
if look; then exit 0; fi

machine=$(cd / && go env GOOS)-$(cd / && go env GOARCH)
module=golang.org/toolchain@v0.0.1-go$wanted.$machine
cd /
GO111MODULE=on GOFLAGS= go mod download "$module" >&2
folder=$(go env GOMODCACHE)/$module
# A module's files are not executable; go 1.21 and later mend that themselves.
chmod 0755 "$folder"/bin/* "$folder"/pkg/tool/*/*
echo "$folder/bin"
