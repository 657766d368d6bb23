#!/bin/bash
# Signs packages: sign.sh FOLDER signs every *.deb and *.rpm of the folder and its
# SHA256SUMS, which is written anew.
#
#	SIGN_KEY             file with an OpenPGP secret key: each deb gets a signature that
#	                     debsig-verify(1) checks, each rpm one that rpmkeys(8) checks,
#	                     and SHA256SUMS.asc one for gpgv(1)
#	SIGN_PASSPHRASE_FILE file with its passphrase, if it has one
#	SIGN_SSH_KEY         file with an OpenSSH secret key: SHA256SUMS.sig is for
#	                     ssh-keygen -Y verify -n file
#
# It is a step of its own, behind build.sh: what is signed can be built anew by anybody
# and compared before, and the keys need not be where compilers run. Needs binutils,
# gnupg, rpm and openssh-client.
set -euo pipefail
umask 022
export LC_ALL=C

cd "${1:?the folder with the packages}"
: "${SIGN_KEY:?a file with an OpenPGP secret key}"
key=$(realpath "$SIGN_KEY")
here=$PWD

home=$(mktemp -d)
leave() {
	gpgconf --homedir "$home" --kill all || true
	rm -rf "$home"
}
trap leave EXIT
trap 'exit 1' HUP INT TERM
chmod 700 "$home"
export GNUPGHOME=$home GPG_TTY=

pass=()
[ -z "${SIGN_PASSPHRASE_FILE:-}" ] || pass=(--pinentry-mode loopback --passphrase-file "$(realpath "$SIGN_PASSPHRASE_FILE")")
gpg --batch --quiet "${pass[@]}" --import "$key"
id=$(gpg --batch --with-colons --list-secret-keys | awk -F: '$1 == "fpr" { print $10; exit }')
: "${id:?sign.sh: no secret key in $SIGN_KEY}"

# sign writes a detached signature of its input.
sign() { gpg --batch --quiet "${pass[@]}" --local-user "$id" --digest-algo SHA256 --armor --detach-sign; }

for deb in *.deb; do
	part=$home/parts
	rm -rf "$part" && mkdir "$part"
	(cd "$part" && ar x "$here/$deb")
	rm -f "$part"/_gpg*
	[ "$(ar t "$deb" | grep -vc '^_gpg')" = 3 ] || { echo "sign.sh: $deb has other members than it should" >&2; exit 1; }
	( # in the order of deb(5)
		cd "$part"
		members=(debian-binary control.tar* data.tar*)
		cat "${members[@]}" | sign >_gpgorigin
	)
	ar dD "$deb" _gpgorigin
	ar qD "$deb" "$part/_gpgorigin"
done
for rpm in *.rpm; do
	rpmsign --addsign --define "__gpg $(command -v gpg)" --define "_gpg_name $id" \
		--define "_gpg_digest_algo sha256" --define "_gpg_sign_cmd_extra_args ${pass[*]}" "$rpm" >/dev/null
done

sha256sum -- *.deb *.rpm *.json >SHA256SUMS
sign <SHA256SUMS >SHA256SUMS.asc
if [ -n "${SIGN_SSH_KEY:-}" ]; then
	rm -f SHA256SUMS.sig
	ssh-keygen -q -Y sign -f "$SIGN_SSH_KEY" -n file SHA256SUMS
fi
