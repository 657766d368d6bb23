
case $1 in
remove)
	undo_setup
	refuse_removal
	if booted; then
		deb-systemd-invoke stop mfad.socket mfad.service || true
	fi
	selinux_module remove
	;;
esac
