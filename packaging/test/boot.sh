#!/bin/sh
# Boots the system in the folder given and ends when it is down again, in a
# container with no network but its own loopback. What else is given are options of
# systemd-nspawn. Each has control groups of its
# own: two systemds in one would take each other's services for theirs.
set -eu

folder=${1:?the folder of the system}
shift
name=mfa-test-$$

# groups prints the folders of our own control groups: of systemd's hierarchy and
# the unified one, wherever the machine has them.
groups() {
	while IFS=: read -r _ kind path; do
		case $kind in
		name=systemd) echo "/sys/fs/cgroup/systemd$path" ;;
		'') if [ -d /sys/fs/cgroup/unified ]; then echo "/sys/fs/cgroup/unified$path"; else echo "/sys/fs/cgroup$path"; fi ;;
		esac
	done </proc/self/cgroup
}

ours=$(groups)
leave() {
	for group in $ours; do
		echo $$ >"$group/cgroup.procs" || true
		find "$group/$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}
trap leave EXIT
trap 'exit 1' HUP INT TERM
for group in $ours; do
	mkdir "$group/$name"
	echo $$ >"$group/$name/cgroup.procs"
done
# From version 258 on systemd knows only the unified hierarchy.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --register=no --keep-unit --private-network --machine="$name" \
	--console=pipe --boot --directory="$folder" "$@"
