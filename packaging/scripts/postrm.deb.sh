
case $1 in
abort-install)
	rm -f "$anew"
	;;
remove)
	rm -rf /run/mfa "$anew"
	;;
purge)
	# The backups hold what mfactl setup replaced; it was put back at the removal.
	rm -rf /run/mfa "$anew" /etc/mfa /var/lib/mfa /var/log/mfa /var/backups/mfa
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper purge mfad.socket mfad.service >/dev/null || true
		deb-systemd-helper unmask mfad.socket mfad.service >/dev/null || true
	fi
	# Nothing is left that belongs to them. The group mfa goes with its user.
	if getent passwd mfa >/dev/null; then userdel mfa || true; fi
	if getent group mfa >/dev/null; then groupdel mfa || true; fi
	if getent group mfa-admin >/dev/null; then groupdel mfa-admin || true; fi
	;;
esac
if booted; then systemctl daemon-reload || true; fi
