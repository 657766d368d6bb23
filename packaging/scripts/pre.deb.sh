
case $1 in
install)
	if [ -n "${2:-}" ]; then : >"$anew" || true; fi
	;;
esac
