#!/bin/sh
# Makes the folder given: a small Debian 13 with its sshd and ssh, so that the
# tests log in over both releases that people run. Quick and silent when it is
# there; otherwise it takes a minute and about 60 MB from the Debian mirror.
set -eu

folder=${1:?the folder to make}
[ ! -x "$folder/usr/sbin/sshd" ] || exit 0

# The mirror that this machine's apt uses.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/*$' | head -n 1)}

part=$folder.part
rm -rf "$part"
mkdir -p "$part"
echo "fetching the sshd of Debian 13 into $folder" >&2
if ! debootstrap --variant=minbase --include=openssh-server,openssh-client \
	trixie "$part" "$mirror" >"$part.log" 2>&1; then
	tail -n 20 "$part.log" >&2
	exit 1
fi
rm -rf "$part"/var/cache/apt/archives/*.deb "$part"/var/lib/apt/lists/* "$part.log"
mv "$part" "$folder"
