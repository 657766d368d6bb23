#!/bin/bash
# Builds the packages: build.sh FOLDER [ARCH...] puts *.deb, *.rpm, their bills of
# materials and SHA256SUMS into the folder. The same sources with the same VERSION
# and SOURCE_DATE_EPOCH give the same bytes, wherever and whenever.
#
# Each package is staged, file by file as it will be installed, under
# build/packages/ARCH-FORMAT/root, and packed by nfpm from there (nfpm.yaml).
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC GOFLAGS=
[ -z "${SIGN_KEY:-}" ] || SIGN_KEY=$(realpath "$SIGN_KEY")
[ -z "${SIGN_SSH_KEY:-}" ] || SIGN_SSH_KEY=$(realpath "$SIGN_SSH_KEY")
[ -z "${SIGN_PASSPHRASE_FILE:-}" ] || SIGN_PASSPHRASE_FILE=$(realpath "$SIGN_PASSPHRASE_FILE")

out=$(realpath -m "${1:?the folder for the packages}")
shift
archs=("$@")
[ ${#archs[@]} -gt 0 ] || archs=(amd64 arm64)

root=$(realpath "$(dirname "$0")/..")
cd "$root"
: "${GO:=go}" "${NFPM:=$root/build/tools/nfpm-v2.45.2}"
export VERSION=${VERSION:-$(packaging/version.sh)}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
work=${WORK:-$root/build/packages}
# The standard library is in the programs: theirs is one without known holes ("make
# vuln"), whatever Go this machine has. The module proxy has it.
GOTOOLCHAIN=${TOOLCHAIN:-$(cat packaging/toolchain)}
export GOTOOLCHAIN

triplet() {
	case $1 in
	amd64) echo x86_64-linux-gnu ;;
	arm64) echo aarch64-linux-gnu ;;
	*) echo "build.sh: unknown architecture $1" >&2 && return 1 ;;
	esac
}

# foreign tells whether programs of an architecture do not run here.
foreign() { [ "$1" != "$(dpkg --print-architecture)" ]; }

# compile builds the programs and the module for an architecture. Of libpam it
# takes for a foreign one what Debian's packages hold.
compile() {
	local arch=$1 to=$work/$1 cc sys= flags=
	cc=$(triplet "$arch")-gcc
	if foreign "$arch"; then
		sys=${SYSROOTS:-$root/build}/sysroot-$arch
		packaging/sysroot.sh "$arch" "$sys" libpam0g libpam0g-dev libaudit1 libcap-ng0
		flags="-L$sys/usr/lib/$(triplet "$arch") -Wl,-rpath-link,$sys/usr/lib/$(triplet "$arch")"
	fi
	mkdir -p "$to"
	CGO_ENABLED=1 GOOS=linux GOARCH=$arch CC=$cc \
		CGO_CFLAGS="-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 ${sys:+-I$sys/usr/include}" CGO_LDFLAGS=$flags \
		"$GO" build -trimpath -buildvcs=false -buildmode=pie -o "$to/" \
		-ldflags "-s -w -buildid= -linkmode=external -extldflags '-Wl,-z,relro,-z,now,--build-id=none' -X mfa/internal/mfa.Version=$VERSION" \
		./mfad ./mfactl
	make -s -B -f pam_mfa/module.mk CC="$cc" MODULE_OUT="$to/pam_mfa.so" MODULE_VERSION="$VERSION" \
		MODULE_EXTRA="${sys:+-I$sys/usr/include} $flags"
	"$(triplet "$arch")-strip" --strip-unneeded "$to/pam_mfa.so"
}

# completions lets the mfactl of this machine write those of every shell.
completions() {
	local mfactl=$work/$(dpkg --print-architecture)/mfactl to=$work/completions
	[ -x "$mfactl" ] || compile "$(dpkg --print-architecture)"
	mkdir -p "$to"
	"$mfactl" completion bash >"$to/mfactl"
	"$mfactl" completion zsh >"$to/_mfactl"
	"$mfactl" completion fish >"$to/mfactl.fish"
}

# bill writes an architecture's bill of materials, and the texts of the licences in it.
bill() {
	"$GO" run ./packaging/sbom -name mfa -version "$VERSION" -time "$SOURCE_DATE_EPOCH" -notices "$work/third-party-$1" \
		"$work/$1"/{mfad,mfactl,pam_mfa.so} >"$out/mfa_${VERSION}_$1.cdx.json"
}

# selinux compiles the policy module, on a machine with what that needs.
selinux() {
	mkdir -p "$work/selinux"
	cp packaging/selinux/mfa.* "$work/selinux"
	make -s -C "$work/selinux" -f /usr/share/selinux/devel/Makefile mfa.pp >"$work/selinux.log" 2>&1 ||
		{ cat "$work/selinux.log" >&2; return 1; }
}

# put SOURCE... FOLDER installs files that are read, not run, into the stage.
put() { install -m 0644 -D -t "$stage/${*: -1}" "${@:1:$#-1}"; }

# stage lays out a package. The folder of modules and the papers are all in which
# the two formats differ.
stage() {
	local arch=$1 format=$2 docs=usr/share/doc/mfa security
	stage=$work/$arch-$format/root
	rm -rf "$work/$arch-$format"
	mkdir -p "$stage"

	install -m 0755 -D -t "$stage/usr/sbin" "$work/$arch/mfad"
	install -m 0755 -D -t "$stage/usr/bin" "$work/$arch/mfactl"
	case $format in
	deb) security=usr/lib/$(triplet "$arch")/security ;;
	rpm) security=usr/lib64/security ;;
	esac
	put "$work/$arch/pam_mfa.so" "$security"

	put packaging/systemd/mfad.socket usr/lib/systemd/system
	mkdir -p "$stage/usr/lib/systemd/system"
	sed 's|/usr/local|/usr|' packaging/systemd/mfad.service >"$stage/usr/lib/systemd/system/mfad.service"
	install -m 0644 -D packaging/systemd/mfa.sysusers "$stage/usr/lib/sysusers.d/mfa.conf"
	install -m 0644 -D packaging/systemd/mfa.tmpfiles "$stage/usr/lib/tmpfiles.d/mfa.conf"
	put packaging/mfa.toml etc/mfa
	put packaging/logrotate/mfa etc/logrotate.d
	put packaging/metrics/{alerts.yml,grafana.json} $docs/metrics
	put packaging/audit-schema.json $docs

	put "$work/completions/mfactl" usr/share/bash-completion/completions
	put "$work/completions/_mfactl" usr/share/zsh/vendor-completions
	put "$work/completions/mfactl.fish" usr/share/fish/vendor_completions.d
	put "$work/selinux/mfa.pp" usr/share/selinux/packages
	put packaging/selinux/mfa.{te,fc,if} $docs/selinux
	put mfa.toml.example README.md SECURITY.md packaging/doc/*.md $docs
	stage_pages "$docs"
	put packaging/systemd/local-only.conf internal/deliver/mail/mail.{txt,html} $docs
	gzip -9nc NEWS.md >"$stage/$docs/NEWS.gz"
	gzip -9nc "$work/third-party-$arch" >"$stage/$docs/third-party.gz"
	stage_manual
	stage_fail2ban
	stage_ansible "$docs"
	"stage_$format" "$docs"
}

# stage_pages takes the pages that README.md leads to, where it looks for them, but those of
# developers and pictures. What they name of the sources lies beside README.md, too.
stage_pages() {
	local page
	put docs/transcripts/*.md "$1/docs/transcripts"
	for page in docs/*.md; do
		case $page in docs/soak.md | docs/strings.md) continue ;; esac
		sed -E 's#\]\(\.\./packaging/(metrics/|audit-schema)#](../\1#g' "$page" >"$stage/$1/$page"
	done
}

# stage_manual takes whatever manual pages there are.
stage_manual() {
	local page to
	for page in packaging/man/*.[1-8]; do
		[ -e "$page" ] || continue
		to=$stage/usr/share/man/man${page##*.}
		mkdir -p "$to"
		gzip -9nc "$page" >"$to/${page##*/}.gz"
	done
}

# stage_fail2ban takes the filter and, switched off, the jail.
stage_fail2ban() {
	local from=packaging/fail2ban
	for dir in filter.d jail.d; do
		if compgen -G "$from/$dir/*" >/dev/null; then put "$from/$dir"/* "etc/fail2ban/$dir"; fi
	done
	if compgen -G "$from/*.conf" >/dev/null; then put "$from"/*.conf etc/fail2ban/filter.d; fi
}

# stage_ansible takes the role and its example.
stage_ansible() {
	local path
	(cd packaging && find ansible -type f -printf '%P\n') | while read -r path; do
		put "packaging/ansible/$path" "$1/ansible/$(dirname "$path")"
	done
}

stage_deb() {
	put packaging/pam-configs/mfa usr/share/pam-configs
	install -m 0644 -D packaging/lintian/mfa "$stage/usr/share/lintian/overrides/mfa"
	install -m 0644 packaging/copyright "$stage/$1/copyright"
}

stage_rpm() {
	put packaging/systemd/50-mfa.preset usr/lib/systemd/system-preset
	put LICENSE usr/share/licenses/mfa
	mv "$stage/usr/share/zsh/vendor-completions" "$stage/usr/share/zsh/site-functions"
}

# contents lists a stage for nfpm: every file, and of folders only our own. Those
# under etc are left as they are by upgrades.
contents() {
	local path type
	(cd "$1" && find . -type f -printf '%P\n' | sort) | while read -r path; do
		case $path in
		etc/*) type='config|noreplace' ;;
		usr/share/doc/* | usr/share/man/*) type=doc ;;
		usr/share/licenses/*) type=license ;;
		*) type=file ;;
		esac
		# Only an rpm knows papers.
		[ "$format" = rpm ] || type=${type/doc/file}
		echo "  - {src: root/$path, dst: /$path, type: $type}"
	done
	for path in etc/mfa usr/share/doc/mfa usr/share/licenses/mfa; do
		[ ! -d "$1/$path" ] || echo "  - {dst: /$path, type: dir}"
	done
}

# pack stages and packs an architecture in a format.
pack() {
	local arch=$1 format=$2 here=$work/$1-$2
	stage "$arch" "$format"
	mkdir "$here/scripts"
	for script in pre post prerm postrm; do
		[ -e "packaging/scripts/$script.$format.sh" ] || continue # an rpm has no pre
		cat packaging/scripts/{begin.sh,"$script.$format.sh"} >"$here/scripts/$script"
	done
	cat >"$here/changelog.yaml" <<-END
		- semver: $VERSION-1
		  date: $(date -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
		  packager: The mfa authors <mfa@example.org>
		  deb: {urgency: medium, distributions: [unstable]}
		  changes:
		    - note: See /usr/share/doc/mfa/NEWS.gz for what is new.
	END
	{ cat packaging/nfpm.yaml && contents "$here/root"; } >"$here/nfpm.yaml"
	(cd "$here" && ARCH=$arch "$NFPM" package --packager "$format" --target "$out/" >/dev/null)
}

rm -rf "$out"
mkdir -p "$out" "$work"
for arch in "${archs[@]}"; do compile "$arch"; done
completions
selinux
for arch in "${archs[@]}"; do
	bill "$arch"
	pack "$arch" deb
	pack "$arch" rpm
done
(cd "$out" && sha256sum -- *.deb *.rpm *.json >SHA256SUMS)
[ -z "${SIGN_KEY:-}" ] || packaging/sign.sh "$out"
ls -1 "$out"
