
# 1 and more: an upgrade, the package stays.
if [ "$1" -eq 0 ]; then
	refuse_removal by_hand # before anything is switched off
	undo_setup
	refuse_removal pam_lines
	systemctl --no-reload disable mfad.socket mfad.service || true
	if booted; then systemctl stop mfad.socket mfad.service || true; fi
	selinux_module remove
fi
