#!/bin/sh
# Makes the folder given: Debian's SELinux policy, compiled in a store of its own,
# so that a module can be linked to it on a machine without SELinux. Quick and
# silent when it is there; otherwise it takes a minute.
set -eu

folder=${1:?the folder to make}
[ ! -d "$folder" ] || exit 0

part=$folder.part
rm -rf "$part"
# Of this machine's architecture: its index, which every apt reads, has what is for all.
"$(dirname "$0")/../sysroot.sh" "$(dpkg --print-architecture)" "$part" selinux-policy-default
mkdir -p "$part/etc/selinux" "$part/var/lib/selinux/default"
printf 'SELINUX=disabled\nSELINUXTYPE=default\n' >"$part/etc/selinux/config"
: >"$part/etc/selinux/semanage.conf"
set --
for module in "$part"/usr/share/selinux/default/*.pp.bz2; do
	set -- "$@" -i "$module"
done
semodule -p "$part" -s default -n -N -X 100 "$@" 2>"$part.log" || {
	cat "$part.log" >&2
	exit 1
}
rm -f "$part.log"
mv "$part" "$folder"
