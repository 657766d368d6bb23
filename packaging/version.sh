#!/bin/sh
# Prints the version of the packages: that of the tag, or one before the release
# that NEWS.md is about, with the date and the commit.
set -eu
cd "$(dirname "$0")/.."

tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || true)
if [ -n "$tag" ]; then
	echo "${tag#v}"
	exit
fi
next=$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' NEWS.md | head -n 1)
commit=$(git log -1 --date=format-local:%Y%m%d%H%M%S --format='%cd.%h' --abbrev=10)
echo "${next:?NEWS.md names no version}~git$commit"
