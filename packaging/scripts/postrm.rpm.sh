
# /etc/mfa/mfa.toml.rpmsave, /var/lib/mfa and /var/log/mfa stay: an rpm has no
# purge, and they hold everybody's enrollments.
if [ "$1" -eq 0 ]; then rm -rf /run/mfa; fi
if booted; then systemctl daemon-reload || true; fi
