
case $1 in
remove)
	refuse_removal by_hand # before anything is switched off
	undo_setup
	refuse_removal pam_lines
	if booted; then
		deb-systemd-invoke stop mfad.socket mfad.service || true
	fi
	selinux_module remove
	;;
esac
