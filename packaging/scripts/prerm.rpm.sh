
# 1 and more: an upgrade, the package stays.
if [ "$1" -eq 0 ]; then
	undo_setup
	refuse_removal
	systemctl --no-reload disable mfad.socket mfad.service || true
	if booted; then systemctl stop mfad.socket mfad.service || true; fi
	selinux_module remove
fi
