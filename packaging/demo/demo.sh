#!/bin/sh
# make demo: from a fresh Debian machine to a real ssh login with a second factor.
#
# Run as root. It installs what is missing, builds, and then works in mount and
# process namespaces of its own, with private copies of /etc, /run and /var/log:
# a user "demo" (password "demo"), mfad that writes its mails into a folder, and
# Debian's sshd on a free port of 127.0.0.1. Nothing of the machine's own logins
# changes, and all of it ends with this script.
#
# On a terminal you log in yourself. Without one the script types the answers and
# shows everything. It exits with 0 only if sshd let the login in.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=/run/mfa-demo
control=$work/run/control.sock
export outbox=$work/outbox

say() { printf '\n== %s\n' "$*"; }

die() {
	echo "demo: $*" >&2
	exit 1
}

# outside prepares the machine and goes on inside the namespaces.
outside() {
	[ "$(id -u)" -eq 0 ] || die "run as root: a private sshd needs it"
	say "what is missing is installed, and built"
	"$root/e2e/install.sh" gcc libc6-dev libpam0g-dev make perl-base openssh-server openssh-client util-linux
	gobin=$("$here/go.sh")
	PATH=$gobin:$PATH make -s -C "$root" build
	exec unshare --mount --pid --ipc --fork --kill-child --mount-proc --propagation private \
		/bin/sh "$here/demo.sh" inside
}

# private_machine hides the folders that a login reads and writes behind copies.
private_machine() {
	mount -t tmpfs -o mode=0755 tmpfs /run
	mkdir -p /run/sshd /run/lock "$work/run" "$work/home"
	cp -a /etc "$work/etc"
	mount --bind "$work/etc" /etc
	mount -t tmpfs -o mode=0755 tmpfs /var/log
}

# demo_user makes the user, in the copy of /etc.
demo_user() {
	sed -i '/^demo:/d' /etc/passwd /etc/shadow /etc/group
	hash=$(perl -e 'print crypt("demo", q($6$mfademo$))')
	echo "demo:x:64999:" >>/etc/group
	echo "demo:x:64999:64999:demo:$work/home:/bin/sh" >>/etc/passwd
	echo "demo:$hash:19000:0:99999:7:::" >>/etc/shadow
	chown 64999:64999 "$work/home"
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

# start_mfad starts the daemon and enrolls the user.
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
	"$root/build/mfactl" --socket "$control" enroll demo --email demo@example.com --no-message
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

# show_mail prints each mail as it arrives, in one piece, and then moves it to
# cur, which in a maildir means that it was seen.
show_mail() {
	rule=$(printf -- '-%.0s' $(seq 55))
	while sleep 0.1; do
		for mail in "$outbox"/new/*; do
			[ -f "$mail" ] || continue
			text=$(tr -d '\r' <"$mail" | sed 's/^/| /; s/$/\r/')
			printf '\n\n\r+-- a mail arrives %s\r\n%s\n+%s------------------\r\n\n' "$rule" "$text" "$rule"
			mkdir -p "$outbox/cur"
			mv "$mail" "$outbox/cur/"
		done
	done
}

# log_in runs a real ssh: for the person at the terminal, or with the answers of
# askpass.sh.
log_in() {
	set -- -F none -p "$port" -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no \
		-o LogLevel=ERROR -o PreferredAuthentications=keyboard-interactive demo@127.0.0.1
	if [ -t 0 ] && [ -t 1 ]; then
		say "log in: the password is \"demo\", the code comes by mail; leave with \"exit\""
		echo "\$ ssh -p $port demo@127.0.0.1"
		ssh "$@" || true
	else
		say "no terminal: the answers are typed for you"
		echo "\$ ssh -p $port demo@127.0.0.1 id"
		SSH_ASKPASS=$here/askpass.sh SSH_ASKPASS_REQUIRE=force \
			ssh -o NumberOfPasswordPrompts=1 "$@" id </dev/null 2>&1 || true
	fi
}

# inside runs in the namespaces, where it is process 1.
inside() {
	private_machine
	demo_user
	pam_stack
	say "mfad runs, and the administrator enrolls the user"
	start_mfad
	start_sshd
	show_mail &
	log_in
	say "what sshd says"
	grep -E 'Accepted|Failed|PAM' "$work/sshd.log" || true
	say "what mfad wrote into its audit file"
	cat "$work/audit.jsonl" 2>/dev/null || true
	if ! grep -q '^Accepted keyboard-interactive/pam for demo ' "$work/sshd.log"; then
		die "the login was not let in"
	fi
	say "logged in with a second factor; nothing of this machine was changed"
}

if [ "${1-}" = inside ]; then
	inside
else
	outside
fi
