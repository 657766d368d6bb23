
prepare
selinux_module load
if [ "$1" -gt 1 ]; then
	restart
	exit 0
fi
next_step
systemctl --no-reload preset mfad.socket mfad.service || true
if booted; then
	systemctl daemon-reload
	for unit in mfad.socket mfad.service; do
		if systemctl is-enabled --quiet "$unit"; then systemctl start "$unit" || true; fi
	done
fi
