#!/bin/sh
# Runs a command in the root given, in mounts and processes of its own, with this
# machine's Go and its caches, and with the folders of this machine that are named, at
# the same paths there: within.sh ROOT FOLDER... -- COMMAND...
set -eu

if [ "${1:?the root}" != inside ]; then
	exec unshare --mount --pid --fork --kill-child --propagation private sh "$0" inside "$@"
fi
root=$2
shift 2
mount --bind "$root" "$root"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"

# show shows a folder of this machine at the same path within the root.
show() {
	mkdir -p "$root$1"
	mount --bind "$1" "$root$1"
}
for folder in "$(go env GOROOT)" "$(go env GOMODCACHE)" "$(go env GOCACHE)"; do
	show "$folder"
done
while [ "$1" != -- ]; do
	show "$1"
	shift
done
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
PATH=$(go env GOROOT)/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp exec chroot "$root" "$@"
