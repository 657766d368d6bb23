
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
abort-upgrade | abort-remove | abort-deconfigure) ;;
*)
	echo "mfa: postinst called with an unknown argument: $1" >&2
	exit 1
	;;
esac
