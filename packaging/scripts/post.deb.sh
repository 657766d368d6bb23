
case $1 in
configure)
	prepare
	selinux_module load
	deb-systemd-helper unmask mfad.socket mfad.service >/dev/null || true
	for unit in mfad.socket mfad.service; do
		if deb-systemd-helper --quiet was-enabled "$unit"; then
			deb-systemd-helper enable "$unit" >/dev/null || true
		else
			deb-systemd-helper update-state "$unit" >/dev/null || true
		fi
	done
	if [ -z "${2:-}" ] || [ -e "$anew" ]; then
		if booted; then
			systemctl daemon-reload
			deb-systemd-invoke start mfad.socket mfad.service || true
		fi
		next_step
		rm -f "$anew"
	else
		restart
	fi
	;;
abort-remove | abort-deconfigure)
	# prerm has switched everything off, or refused before it did.
	selinux_module load
	if booted; then deb-systemd-invoke start mfad.socket mfad.service || true; fi
	if [ -z "$(pam_lines)" ]; then
		echo "mfa: not removed, and no login asks for a second factor now; mfactl setup switches it on again" >&2
	fi
	;;
abort-upgrade) ;;
*)
	echo "mfa: postinst called with an unknown argument: $1" >&2
	exit 1
	;;
esac
