#!/bin/sh
# make demo: from a fresh Debian machine to real ssh logins with a second factor.
#
# Run as root. It installs what is missing, builds, and then works in mount and
# process namespaces of its own, with private copies of /etc, /run and /var/log:
# users "demo" and "newcomer" (password "demo"), mfad that writes its mails into a
# folder, and Debian's sshd on a free port of 127.0.0.1. Nothing of the machine's own
# logins changes, and all of it ends with this script.
#
# With DEMO_PICTURES=FOLDER it shows nothing: it writes the screens of the logins that are
# in the README there (make pictures).
#
# What is seen is the program stage's: a menu on a terminal; without one every scene
# is played, and the script exits with 0 only if each came to its good end.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=/run/mfa-demo
control=$work/run/control.sock
outbox=$work/outbox

say() { printf '\n== %s\n' "$*"; }

die() {
	echo "demo: $*" >&2
	exit 1
}

# outside prepares the machine and goes on inside the namespaces.
outside() {
	[ "$(id -u)" -eq 0 ] || die "run as root (sudo make demo): a private sshd needs it"
	can_separate
	[ "${DEMO_BUILT-}" = yes ] || prepare
	if [ "$separation" = private ]; then
		exec unshare $namespaces --mount-proc --propagation private /bin/sh "$here/demo.sh" inside
	fi
	exec unshare $namespaces --propagation unchanged /bin/sh "$here/demo.sh" own_root
}

# prepare installs what is missing, and builds. DEMO_BUILT=yes says that it was done.
prepare() {
	say "what is missing is installed, and built"
	"$root/e2e/install.sh" gcc libc6-dev libpam0g-dev make perl-base openssh-server openssh-client util-linux
	gobin=$("$here/go.sh")
	PATH=$gobin:$PATH make -s -C "$root" build
	(cd "$root" && PATH=$gobin:$PATH CGO_ENABLED=0 go build -o build/demo-stage ./packaging/demo/stage)
}

namespaces="--mount --pid --ipc --fork --kill-child"

# can_separate finds out how to have mounts and processes of our own, and sets
# separation: "private" is the usual way, "chroot" that of a folder which is no mount
# and can therefore not be cut off from the machine's mounts. Where there is none it
# says what to do.
can_separate() {
	if said=$(unshare $namespaces --mount-proc --propagation private true 2>&1); then
		separation=private
		return
	fi
	if unshare $namespaces --propagation unchanged /bin/sh "$here/demo.sh" own_root_try 2>/dev/null; then
		separation=chroot
		return
	fi
	echo "demo: this place does not allow mounts and processes of one's own:" >&2
	echo "  $said" >&2
	if [ "$(stat -c %i /proc/. 2>/dev/null || echo 0)" != 1 ]; then
		cat >&2 <<END
There is no /proc here. In a chroot, first:
  mount -t proc proc /proc
END
		exit 1
	fi
	cat >&2 <<END
It needs root with the capability SYS_ADMIN, and a seccomp filter and an AppArmor
profile that let it mount. In a container:
  docker run --privileged ...      (podman likewise), or
  docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined \\
             --security-opt apparmor=unconfined ...
  LXC, Incus: security.nesting=true. systemd-nspawn: --capability=all.
On a plain Debian 12 or 13, a virtual machine too, root is enough.
END
	exit 1
}

# own_root goes on with a root that can be cut off. In a chroot "/" is no mount of its
# own: it cannot be made private, and what is mounted below it could be seen by the
# machine. But /proc is one: it is made private, covered, and "/" shown below it.
own_root() {
	mount --make-private /proc
	mount -t tmpfs -o mode=0755 tmpfs /proc
	mkdir /proc/root
	mount --rbind / /proc/root
	mount --make-rprivate /proc/root
	mount -t proc proc /proc/root/proc
	exec chroot /proc/root "$@"
}

# private_machine hides the folders that a login reads and writes behind copies.
private_machine() {
	mount -t tmpfs -o mode=0755 tmpfs /run
	mkdir -p /run/sshd /run/lock "$work/run"
	cp -a /etc "$work/etc"
	mount --bind "$work/etc" /etc
	mount -t tmpfs -o mode=0755 tmpfs /var/log
	private_terminals
}

# private_terminals gives a place without terminals its own, as a chroot is.
private_terminals() {
	[ ! -c /dev/pts/ptmx ] || return 0
	mount -t tmpfs -o mode=0755 tmpfs /dev
	mkdir /dev/pts /dev/shm
	for node in null:3 zero:5 full:7 random:8 urandom:9; do
		mknod -m 666 "/dev/${node%:*}" c 1 "${node#*:}"
	done
	mknod -m 666 /dev/tty c 5 0
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
	ln -s pts/ptmx /dev/ptmx
	ln -s /proc/self/fd /dev/fd
}

# demo_user makes a user with that uid, in the copy of /etc.
demo_user() {
	sed -i "/^$1:/d" /etc/passwd /etc/shadow /etc/group
	hash=$(perl -e 'print crypt("demo", q($6$mfademo$))')
	echo "$1:x:$2:" >>/etc/group
	echo "$1:x:$2:$2:demo:$work/home/$1:/bin/sh" >>/etc/passwd
	echo "$1:$hash:19000:0:99999:7:::" >>/etc/shadow
	mkdir -p "$work/home/$1"
	chown "$2:$2" "$work/home/$1"
}

# pam_stack asks for the password, then for the code.
pam_stack() {
	cat >/etc/pam.d/sshd <<END
auth     requisite pam_unix.so nodelay
auth     required  $root/build/pam_mfa.so socket=$work/run/pam.sock
account  required  pam_unix.so
account  required  $root/build/pam_mfa.so socket=$work/run/pam.sock
session  required  pam_permit.so
END
}

# start_mfad starts the daemon.
start_mfad() {
	cat >"$work/mfa.toml" <<END
[server]
pam_socket = "$work/run/pam.sock"
control_socket = "$control"
[store]
path = "$work/store"
[secrets]
key_file = "$work/key"
[email]
transport = "outbox"
[email.outbox]
path = "$outbox"
[audit]
file = "$work/audit.jsonl"
[lockout]
failures = 3
[totp]
issuer = "server"
END
	chmod 600 "$work/mfa.toml"
	"$root/build/mfad" --config "$work/mfa.toml" 2>"$work/mfad.log" &
	mfad=$!
	tries=0
	until "$root/build/mfactl" --socket "$control" status >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ "$tries" -gt 100 ] || ! kill -0 "$mfad" 2>/dev/null; then
			cat "$work/mfad.log" >&2
			die "mfad did not start"
		fi
		sleep 0.1
	done
}

# start_sshd starts sshd on the first free port from 2222 on and sets port.
start_sshd() {
	ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
	for port in $(seq 2222 2321); do
		: >"$work/sshd.log"
		cat >"$work/sshd_config" <<END
ListenAddress 127.0.0.1
Port $port
HostKey $work/host_key
PidFile none
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication yes
PrintMotd no
PrintLastLog no
UseDNS no
END
		/usr/sbin/sshd -D -f "$work/sshd_config" -E "$work/sshd.log" &
		sshd=$!
		while kill -0 "$sshd" 2>/dev/null; do
			if grep -q 'Server listening' "$work/sshd.log"; then return; fi
			sleep 0.05
		done
	done
	cat "$work/sshd.log" >&2
	die "sshd did not start"
}

# inside runs in the namespaces, where it is process 1.
inside() {
	private_machine
	demo_user demo 64999
	demo_user newcomer 64998
	if [ -n "${DEMO_PICTURES-}" ]; then
		demo_user alice 64997
		demo_user bob 64996
	fi
	pam_stack
	say "mfad and a private sshd run"
	start_mfad
	start_sshd
	if [ -n "${DEMO_PICTURES-}" ]; then
		exec "$root/build/demo-stage" -pictures "$DEMO_PICTURES" -port "$port" -outbox "$outbox" \
			-mfactl "$root/build/mfactl" -control "$control" -sshd-log "$work/sshd.log"
	fi
	if ! "$root/build/demo-stage" -port "$port" -outbox "$outbox" -mfactl "$root/build/mfactl" -control "$control" \
		-sshd-log "$work/sshd.log"; then
		die "not every login came to its good end"
	fi
	say "nothing of this machine was changed"
}

case ${1-} in
inside) inside ;;
own_root) own_root /bin/sh "$here/demo.sh" inside ;;
own_root_try) own_root true ;;
*) outside ;;
esac
