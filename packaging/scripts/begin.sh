#!/bin/sh
# A script of the package mfa. Installing and upgrading never touch a login: the
# module is named in no file of /etc/pam.d by any of this.
set -e

# The file that says that the deb comes back after it was removed, not purged. Only preinst
# is told: to postinst dpkg names the version that was removed, as at an upgrade.
anew=/run/mfa.anew

# pam_lines prints, with file and number, the lines that send logins to the module.
# A login whose module is missing fails.
pam_lines() {
	grep -Hn '^[^#]*pam_mfa\.so' /etc/pam.conf /etc/pam.d/* 2>/dev/null || true
}

# by_hand prints those lines that undo_setup will not take out.
by_hand() {
	pam_lines | while IFS= read -r line; do
		file=${line%%:*}
		case $file in
		/etc/pam.d/common-*) command -v pam-auth-update >/dev/null && continue ;;
		esac
		# sudo-i is changed, and taken back, together with sudo.
		grep -qsF "\"$file\"" /var/backups/mfa/*/manifest.json || echo "$line"
	done
}

# undo_setup takes back what mfactl setup and pam-auth-update have switched on.
undo_setup() {
	if mfactl setup --help >/dev/null 2>&1; then
		for kept in /var/backups/mfa/*/manifest.json; do
			[ -e "$kept" ] || continue
			kept=${kept%/*}
			mfactl setup "${kept##*/}" --undo --yes || true
		done
	fi
	if command -v pam-auth-update >/dev/null && pam_lines | grep -q '^/etc/pam\.d/common-'; then
		pam-auth-update --package --remove mfa || true
	fi
}

# refuse_removal ends the script with an error while logins need the module by lines
# that the command given prints.
refuse_removal() {
	left=$("$1")
	[ -n "$left" ] || return 0
	if [ "${MFA_REMOVE_ANYWAY:-}" = yes ]; then
		echo "mfa: removed although these logins name pam_mfa.so and will fail:" >&2
		echo "$left" >&2
		return 0
	fi
	cat >&2 <<-EOF
		mfa: not removed: these lines name pam_mfa.so, and without it their logins fail:

		$left

		Take them out ("mfactl setup SERVICE --undo", pam-auth-update, authselect, or an
		editor) and remove mfa again. To remove it in any case: MFA_REMOVE_ANYWAY=yes in
		the environment of the package manager.
	EOF
	exit 1
}

# booted tells whether systemd runs this machine.
booted() { [ -d /run/systemd/system ]; }

# next_step says what to do after the package came.
next_step() {
	cat <<-EOF
		mfa: installed; no login has changed. Next, as root:
		  1. say in /etc/mfa/mfa.toml how mail is sent, and try it: mfactl send-test email YOU@EXAMPLE.COM
		  2. set up your own second factor: mfactl enroll
		  3. switch it on, with a way back: mfactl setup sshd
		mfactl doctor says what is missing.
	EOF
}

# prepare makes users and folders.
prepare() {
	systemd-sysusers mfa.conf
	systemd-tmpfiles --create mfa.conf || true # no /run in an image that is being built
}

# restart gives the daemon's place to the new one, while the sockets keep logins
# waiting. One whose configuration the new daemon refuses stays with the old one.
restart() {
	booted || return 0
	systemctl daemon-reload
	systemctl is-active --quiet mfad.service || return 0
	# 2: it would not start. 1: it says what to mend, and starts.
	said=$(mfad --check 2>&1) && status=0 || status=$?
	if [ "$status" -eq 2 ]; then
		echo "mfa: the new mfad refuses the configuration, so the old one goes on running:" >&2
		echo "$said" >&2
		return 0
	fi
	if ! systemctl restart mfad.service; then
		echo "mfa: mfad did not start, and logins are refused until it does:" >&2
		journalctl --no-pager --quiet -u mfad.service -n 5 -o cat >&2 || true
	fi
}

# selinux_module loads or removes the policy module where SELinux is in use.
selinux_module() {
	if command -v selinuxenabled >/dev/null && command -v semodule >/dev/null && selinuxenabled; then
		case $1 in
		load)
			semodule -i /usr/share/selinux/packages/mfa.pp ||
				echo "mfa: the policy module does not fit; build it as /usr/share/doc/mfa/selinux.md says" >&2
			restorecon -R /usr/sbin/mfad /run/mfa /var/lib/mfa /var/log/mfa /etc/mfa 2>/dev/null || true
			;;
		remove) semodule -r mfa || true ;;
		esac
	fi
}
