#!/bin/sh
# Installs the Debian packages that the tests and the demo need, and neither
# starts their services nor lets the next boot start them: a machine that had no
# sshd still has none that runs. Quick and silent when nothing is missing. With
# arguments it looks after those packages only.
set -eu

packages=${*:-"gcc libc6-dev libpam0g-dev make procps openssh-server openssh-client
	sudo pamtester exim4-daemon-light valgrind clang libclang-rt-dev llvm
	zbar-tools oathtool pskctool debootstrap libpam-google-authenticator libpam-oath
	binutils mandoc fail2ban prometheus dbus iproute2 strace
	systemd-journal-remote postgresql dovecot-imapd openvpn sasl2-bin
	freeradius freeradius-utils ansible-core cron at git
	pkexec polkitd vlock vsftpd apache2 libapache2-mod-authnz-pam
	cockpit-ws cockpit-bridge i3lock xvfb xdotool tinyproxy-bin slapd
	systemd-userdbd etcd-server etcd-client openssl"}

# runtime_of_clang names the package that holds the sanitizers of the clang that
# is, or will be, installed: before Debian 13 its name carries the version.
runtime_of_clang() {
	if apt-cache show libclang-rt-dev >/dev/null 2>&1; then
		echo libclang-rt-dev
		return
	fi
	version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
	echo "libclang-rt-${version:-14}-dev"
}

# present tells whether a package is installed.
present() {
	dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

# missing_packages prints the packages of the list that are not installed.
missing_packages() {
	for name in $packages; do
		if [ "$name" = libclang-rt-dev ]; then
			ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a >/dev/null 2>&1 ||
				echo "$name"
			continue
		fi
		present "$name" || echo "$name"
	done
}

missing=$(missing_packages)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "install.sh: run as root, or install these first:" $missing >&2
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	echo "install.sh: this is not Debian; install what holds these:" $missing >&2
	exit 1
fi

echo "installing" $missing >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update

names=
for name in $missing; do
	[ "$name" != libclang-rt-dev ] || name=$(runtime_of_clang)
	names="$names $name"
done

# A policy-rc.d that says 101 keeps every service of the new packages from
# starting. One that is already there is the administrator's: it comes back.
policy=/usr/sbin/policy-rc.d
kept=
restore() {
	rm -f "$policy"
	[ -z "$kept" ] || mv "$kept" "$policy"
}
if [ -e "$policy" ]; then
	kept=$policy.kept-by-install
	mv "$policy" "$kept"
fi
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

# installed prints every package that is installed, sorted.
installed() { dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  *//p' | sort -u; }

# services prints the units and init scripts of the packages on standard input.
services() {
	xargs -r dpkg -L | sed -n \
		-e 's#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)$#\2#p' \
		-e 's#^/etc/init\.d/\([^/]*\)$#\1.service#p' | sort -u
}

before=$(mktemp)
said=$(mktemp)
installed >"$before"
# shellcheck disable=SC2086 # a list of words
if ! apt-get -qq install -y --no-install-recommends $names >"$said" 2>&1; then
	cat "$said" >&2
	exit 1
fi
if command -v systemctl >/dev/null; then
	for unit in $(installed | comm -13 "$before" - | services); do
		systemctl --quiet disable "$unit" >/dev/null 2>&1 || true
	done
fi
rm -f "$before" "$said"
