#!/bin/sh
# Makes the folder given: a small Debian of the release given, with systemd, sshd
# and sudo, and more packages that are named, that systemd-nspawn can boot. Quick and silent when it is there;
# otherwise it takes a minute or two and about 120 MB from the Debian mirror.
set -eu

release=${1:?the release}
folder=${2:?the folder to make}
shift 2
more=$(for name; do printf ',%s' "$name"; done)
[ ! -d "$folder" ] || exit 0
# One makes it, others wait for that.
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
[ ! -d "$folder" ] || exit 0

# The mirror that this machine's apt uses.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/*$' | head -n 1)}

part=$folder.part
rm -rf "$part"
# A root that can be made anew needs no sync of every file.
mkdir -p "$part/etc/dpkg/dpkg.cfg.d"
echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/unsafe-io"
echo "fetching a Debian $release into $folder" >&2
if ! debootstrap --variant=minbase \
	--include=systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,sudo,libnss-systemd"$more" \
	"$release" "$part" "$mirror" >"$part.log" 2>&1; then
	tail -n 20 "$part.log" >&2
	exit 1
fi
rm -rf "$part"/var/cache/apt/archives/*.deb "$part"/var/lib/apt/lists/* "$part.log"
mv "$part" "$folder"
