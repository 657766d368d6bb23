#!/bin/sh
# Makes the folder given: a small Debian of the release given (bookworm, trixie)
# with what people log in by and what a build needs, and the packages that follow, so that whatever depends on the
# release is tested on both that people run, whichever this machine has. Quick and
# silent when it is there; otherwise it takes some minutes and about 200 MB from the
# Debian mirror.
set -eu

release=${1:?the release}
folder=${2:?the folder to make}
shift 2

# What the folder holds; a changed list makes it anew.
packages=openssh-server,openssh-client,sudo,pamtester,libpam-google-authenticator,mandoc
packages=$packages,oathtool,zbar-tools,procps,iproute2,perl-base,make,gcc,libc6-dev,libpam0g-dev
packages=$packages,gcc-aarch64-linux-gnu,libc6-dev-arm64-cross
packages=$packages,selinux-policy-dev,checkpolicy,semodule-utils,git,ca-certificates
for package; do
	packages=$packages,$package
done

mkdir -p "$(dirname "$folder")"
# Tests of several packages ask for it at once.
exec 9>"$folder.lock"
flock 9
[ "$(cat "$folder/.packages" 2>/dev/null)" != "$packages" ] || exit 0

# The mirror that this machine's apt uses.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/*$' | head -n 1)}

part=$folder.part
rm -rf "$part" "$folder"
# A root that can be made anew needs no sync of every file.
mkdir -p "$part/etc/dpkg/dpkg.cfg.d"
echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/unsafe-io"
# No service of a package is started.
mkdir -p "$part/usr/sbin"
printf '#!/bin/sh\nexit 101\n' >"$part/usr/sbin/policy-rc.d"
chmod 755 "$part/usr/sbin/policy-rc.d"
echo "fetching a Debian $release into $folder" >&2
if ! debootstrap --variant=minbase --include="$packages" "$release" "$part" "$mirror" >"$part.log" 2>&1; then
	tail -n 20 "$part.log" >&2
	exit 1
fi
rm -rf "$part"/var/cache/apt/archives/*.deb "$part.log"
echo "$packages" >"$part/.packages"
mv "$part" "$folder"
