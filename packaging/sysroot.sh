#!/bin/sh
# Makes the folder given: what Debian packages of another architecture hold, only
# unpacked, to link against and to run under qemu. Nothing of this machine's own
# package system is touched. Quick and silent when it is there.
set -eu

arch=${1:?the architecture}
folder=${2:?the folder to make}
shift 2
packages=${*:?the packages to unpack}

# The release and the mirror of this machine.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
stamp="$release, usr merged: $packages"
[ "$(cat "$folder/.packages" 2>/dev/null)" != "$stamp" ] || exit 0
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/*$' | head -n 1)}

part=$(realpath -m "$folder").part
rm -rf "$part" "$folder"
mkdir -p "$part/root" "$part/lists/partial" "$part/archives/partial"
: >"$part/status"
echo "deb $mirror $release main" >"$part/sources.list"

apt() {
	apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root \
		-o Dir::Etc::sourcelist="$part/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::status="$part/status" -o Dir::State::lists="$part/lists" \
		-o Dir::Cache::archives="$part/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

echo "fetching packages of $arch into $folder:" "$packages" >&2
apt update
# shellcheck disable=SC2086 # a list of words
(cd "$part/archives" && apt download $packages)
for deb in "$part"/archives/*.deb; do
	dpkg-deb -x "$deb" "$part/root"
done
# Packages of Debian 12 hold libraries under lib, those of 13 under usr/lib. As on
# every machine of both, one is a link to the other.
for dir in "$part"/root/lib "$part"/root/lib64; do
	merged=$part/root/usr/${dir##*/}
	mkdir -p "$merged"
	if [ -d "$dir" ] && [ ! -L "$dir" ]; then
		cp -a "$dir/." "$merged"
		rm -r "$dir"
	fi
	ln -sfn "usr/${dir##*/}" "$dir"
done
# What points to the root of a machine points to this folder's.
find "$part/root" -type l -lname '/*' | while IFS= read -r link; do
	target=$part/root$(readlink "$link")
	[ ! -e "$target" ] || ln -sfn "$(realpath --relative-to="$(dirname "$link")" "$target")" "$link"
done
echo "$stamp" >"$part/root/.packages"
mv "$part/root" "$folder"
rm -rf "$part"
