# make build    the three programs into build/
# make demo     real ssh logins with a second factor, changing nothing here
# make pages-test  what the pages of docs say, done on whole systems (root)
# make transcripts  the installation on a just-made Debian 12 and 13, as it was seen (root)
# make pictures the pictures of the README, of logins that the demo holds
# make test     everything that is checked; installs what it needs, and names at the
#               end what failed
# make e2e      only the tests over real sshd, sudo and su (root)
# make torture  crashes at every write of what people do, minutes instead of seconds, and an
#               hour of what many people do at once (root); "make test" runs a part of both
#               and every pair of calls of the module failing, hours more
# make c-coverage  which lines of the module's C no test reaches
# make fleet-test  what a fleet does while members of etcd die, hang and are cut off, of which
#               "make test" runs a part; and docs/fleet.md from its first line to its last (root)
# make etcd     a newer etcd than Debian's, for ETCD_BIN=... make fleet-test
# make soak     two hours of logins of every kind: what grew, and which login has no line in the
#               audit file, into docs/soak.md; FOR=10m is shorter, and only says (root)
# make bench    speed, side by side with what people use now, into docs/bench (root);
#               USERS=100000 enrolls so many, RUN=serial measures one group (build/bench -list)
# make bench-go the Go benchmarks of the rooms, COUNT times, for benchstat
# make lint     vet, staticcheck, gofumpt and their like, and no code that no program reaches
# make mutants  turns each "if" of ROOMS around, and tells which no test of the room notices, nor
#               those of ALSO=internal/login,internal/app (hours)
# make fuzz     each fuzz target for 20 minutes, one after another: a day (fuzz/README.md);
#               EACH=1m is shorter, TARGETS=pam_mfa chooses
# make vuln     no program calls what Go's database of vulnerabilities knows of
# make install  DESTDIR= PREFIX=
# make packages deb and rpm for amd64 and arm64, into dist/; signed with SIGN_KEY=FILE
#               (packaging/sign.sh)
# make packages-test  those packages on whole systems of Debian 12 and 13 (root)
SHELL := /bin/bash

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)
PREFIX  ?= /usr/local
DESTDIR ?=
GO      ?= go
TOOLS   := build/tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
DEADCODE_VERSION := v0.51.0
DEADCODE := $(TOOLS)/deadcode-$(DEADCODE_VERSION)
GOVULNCHECK_VERSION := v1.8.0
GOVULNCHECK := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)

# The Go that builds the packages, and that govulncheck looks at them with: what is in
# the standard library is in the programs. packaging/build.sh has it, too.
TOOLCHAIN := $(shell cat packaging/toolchain)

GOFLAGS_BUILD := -trimpath -ldflags '-s -w -X mfa/internal/mfa.Version=$(VERSION)'

# A program with the detector of races rests a second when it ends; hundreds of them end here.
export GORACE := atexit_sleep_ms=0

.PHONY: all build demo pictures pages-test transcripts test e2e torture c-coverage soak fleet-test etcd bench bench-go fuzz lint vuln mutants install deps clean packages packages-deps packages-test

all: build

MODULE_VERSION := $(VERSION)
include pam_mfa/module.mk

build: build/mfad build/mfactl build/pam_mfa.so

# What the pages of docs say, done on whole systems of Debian 12 and 13, two at once, and what
# the role for Ansible does there; PAGES= has flags for the test, as -pages-on trixie.
pages-test: packages packages-deps
	$(PAGES_TEST) -v ./packaging/test -pages $(PAGES)

PAGES_TEST = $(GO) test -count=1 -timeout 60m -parallel 2 -run "^Test(Pages|Ansible)$$"

# The README's installation, recorded on a just-made Debian 12 and 13, into docs/transcripts.
transcripts:
	began=$$(date +%s) && $(MAKE) --no-print-directory packages && took=$$(($$(date +%s) - began))s && \
	$(GO) test -count=1 -timeout 30m -parallel 1 -run '^TestPages$$' ./packaging/test -pages -built $$took -transcripts $(abspath docs/transcripts)

# Go knows best what changed.
.PHONY: build/mfad build/mfactl
build/mfad build/mfactl: build/%:
	$(GO) build $(GOFLAGS_BUILD) -o $@ ./$*

# What the tests and the demo need of Debian; quick when all is there.
deps:
	@e2e/install.sh

demo:
	@packaging/demo/demo.sh

pictures:
	@rm -rf build/pictures && mkdir -p build/pictures
	@DEMO_PICTURES=$(abspath build/pictures) packaging/demo/demo.sh </dev/null
	$(GO) run ./packaging/demo/pictures -out docs/pictures build/pictures/*.screen

# One part after another, on behind what failed; what did is named at the end (e2e/parts says
# how). The tests over sshd run beside them, since many wait, and behind those the tests of the
# packages: three at once is more than two cores carry. "make e2e" looks for races in those over
# sshd. Lint vets all of it.
test:
	@$(GO) run ./e2e/parts \
		'what the tests need!' '$(MAKE) --no-print-directory deps packages-deps' \
		'build!' '$(MAKE) --no-print-directory build' \
		'end to end&' '$(GO) test -json -vet=off -timeout 40m -skip "$(LONGER)" ./e2e' \
		'packages' '$(MAKE) --no-print-directory packages' \
		'tests of the packages&' '$(PACKAGES_TEST) -vet=off -json' \
		'lint' '$(MAKE) --no-print-directory lint' \
		'known vulnerabilities' '$(MAKE) --no-print-directory vuln' \
		'tests' '$(GO) test -json -vet=off -race -p 3 -timeout 40m -skip "$(LONGER)" $(addprefix mfa/,$(LONGEST)) $$($(GO) list ./... | grep -v -e /packaging/test -e mfa/e2e$$)' \
		$(IN_CI)

# CI does what the pages of docs say, too, and runs each fuzz target for a moment.
IN_CI = $(if $(filter true,$(CI)),\
	'pages of docs' '$(PAGES_TEST) -vet=off -json ./packaging/test -pages' \
	'docs/fleet.md' '$(MACHINES_TEST) -vet=off -json' \
	'fuzzing' '$(GO) run ./fuzz -for 2s')

# Tests that have a target of their own, c-coverage, pages-test and fleet-test: where "make test"
# does not start them they must not be skipped, for in CI a skipped test is a failed one.
MACHINES := FleetGuide|HostMoves
LONGER := ^Test(Coverage|Pages|Ansible|$(MACHINES))$$
MACHINES_TEST = $(GO) test -count=1 -timeout 30m -run "^Test($(MACHINES))$$" ./e2e

# The rooms whose tests take longest: they begin first, so that none is alone at the end.
LONGEST := pam_mfa e2e/histories internal/app internal/server internal/login

e2e: deps build
	$(GO) test -race -count=1 -v ./e2e

# What takes too long for "make test". CRASH= has flags for e2e/crash, as -replay app/41/7,
# HISTORIES= says how long e2e/histories runs.
HISTORIES ?= 1h
torture: build
	$(GO) build -o build/ ./e2e/crash ./e2e/histories
	build/crash $(CRASH)
	build/histories -for $(HISTORIES)
	$(GO) test -count=1 -v -timeout 24h -run '^TestEachCallFails|^TestThreads|^TestSignals|^TestForks' ./pam_mfa -torture

c-coverage: deps
	$(GO) test -count=1 -v -run '^TestCoverage$$' ./pam_mfa -c-coverage

# FLEET= has flags for go test, as -run TestGuesses; ETCD_BIN= names another etcd than Debian's.
# Then the machines of docs/fleet.md, as its commands make them.
fleet-test: deps build
	$(GO) test -count=1 -v -timeout 90m ./e2e/fleet $(FLEET) -args -whole
	$(MACHINES_TEST) -v

# An etcd newer than Debian's, out of its modules, and what restores its snapshots.
ETCD_VERSION ?= v3.7.3
etcd: build/etcd-$(ETCD_VERSION)/etcd

build/etcd-%/etcd:
	@mkdir -p $(@D)
	cd $(@D) && printf '%s\n' 'package main' 'import ("os"; "go.etcd.io/etcd/server/v3/etcdmain")' 'func main() { etcdmain.Main(os.Args) }' >main.go && \
		{ [ -e go.mod ] || $(GO) mod init etcd; } && $(GO) get go.etcd.io/etcd/server/v3@$* go.etcd.io/etcd/etcdutl/v3@$* && \
		$(GO) build -trimpath -o etcdutl go.etcd.io/etcd/etcdutl/v3 && $(GO) build -trimpath -o etcd .

FOR ?= 2h
soak: build
	$(GO) build -o build/soak-test ./e2e/soak
	build/soak-test -for $(FOR) -out build/soak $(if $(filter 2h,$(FOR)),-docs docs)

bench: build
	$(GO) build -o build/bench ./bench
	build/bench $(if $(USERS),-users $(USERS)) $(if $(RUN),-run '$(RUN)') $(if $(ROUNDS),-rounds $(ROUNDS))

COUNT ?= 6
bench-go:
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./internal/...

# Each fuzz target for as long as EACH= says; TARGETS= chooses some.
EACH ?= 20m
fuzz:
	$(GO) run ./fuzz -for $(EACH) -keep $(if $(TARGETS),-run '$(TARGETS)')

ROOMS ?= internal/factor internal/factor/otp internal/seal internal/wire internal/account internal/challenge internal/login
ALSO ?=
mutants:
	$(GO) run ./e2e/mutants -may e2e/mutants/may $(if $(ALSO),-also '$(ALSO)') $(ROOMS)

lint: $(GOLANGCI) $(DEADCODE)
	$(GO) vet ./...
	$(GOLANGCI) run --allow-parallel-runners
	@echo $(notdir $(DEADCODE)); $(DEAD)

# A function that no program reaches is dead, exported or not. Packages for tests (their
# names end so) are alive by tests alone, and so are e2e/history and the Go of pam_mfa, which
# drives the module's C: a test file cannot import "C".
DEAD = packages=$$($(GO) list ./... | grep -Ev '(test|/pam_mfa|/e2e/history)$$') && \
	dead=$$(set -o pipefail; $(DEADCODE) -f '{{range .Funcs}}{{printf "%s: %s is unreachable: delete it or move it into a test file\n" .Position .Name}}{{end}}' $$packages | \
		sed '/^[^:]*test\/[^/:]*:/d') && \
	{ [ -z "$$dead" ] || { echo "$$dead"; exit 1; }; }

# A finding is mended, or stands with its reason in packaging/vuln/accepted. Where no
# database can be reached, the program says so and nothing fails.
vuln: $(GOVULNCHECK)
	GOTOOLCHAIN=$(TOOLCHAIN) $(GO) run ./packaging/vuln -govulncheck $(abspath $(GOVULNCHECK)) \
		-accepted packaging/vuln/accepted ./mfad ./mfactl

# It reads sources only of the Go that built it, or of an older one.
$(GOVULNCHECK):
	@mkdir -p $(TOOLS)
	GOTOOLCHAIN=$(TOOLCHAIN) GOBIN=$(abspath $(TOOLS)) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@mv $(TOOLS)/govulncheck $@

$(GOLANGCI):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/golangci-lint $@

$(DEADCODE):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install golang.org/x/tools/cmd/deadcode@$(DEADCODE_VERSION)
	@mv $(TOOLS)/deadcode $@

# The folder where this distribution's libpam looks for modules.
PAMDIR ?= $(shell for d in /lib/$$(gcc -dumpmachine)/security /usr/lib64/security /lib/security; do \
	[ -d $$d ] && echo $$d && exit; done; echo /lib/security)

install: build
	install -D -m 0755 build/mfad $(DESTDIR)$(PREFIX)/sbin/mfad
	install -D -m 0755 build/mfactl $(DESTDIR)$(PREFIX)/bin/mfactl
	install -D -m 0644 build/pam_mfa.so $(DESTDIR)$(PAMDIR)/pam_mfa.so
	install -D -m 0644 mfa.toml.example $(DESTDIR)/etc/mfa/mfa.toml.example
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 packaging/man/*.1
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 packaging/man/*.5
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man7 packaging/man/*.7
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 packaging/man/*.8
	install -D -m 0644 packaging/logrotate/mfa $(DESTDIR)/etc/logrotate.d/mfa
	install -D -m 0644 packaging/fail2ban/filter.d/mfa.conf $(DESTDIR)/etc/fail2ban/filter.d/mfa.conf
	install -D -m 0644 packaging/fail2ban/jail.d/mfa.conf $(DESTDIR)/etc/fail2ban/jail.d/mfa.conf
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	build/mfactl completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/mfactl
	build/mfactl completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mfactl
	build/mfactl completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mfactl.fish
	install -D -m 0644 packaging/systemd/mfad.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/mfad.socket
	install -D -m 0644 packaging/systemd/mfa.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/mfa.conf
	install -D -m 0644 packaging/systemd/mfa.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mfa.conf
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' packaging/systemd/mfad.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/mfad.service

clean:
	rm -rf build dist

# Packages: build.sh says how, packaging/test how they are tested.
NFPM_VERSION := v2.45.2
NFPM := $(TOOLS)/nfpm-$(NFPM_VERSION)

packages: $(NFPM)
	@e2e/install.sh git gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross libpam0g-dev make \
		selinux-policy-dev checkpolicy semodule-utils
	GO=$(GO) NFPM=$(abspath $(NFPM)) packaging/build.sh dist

$(NFPM):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	@mv $(TOOLS)/nfpm $@

packages-deps:
	@e2e/install.sh debootstrap systemd-container lintian rpm rpmlint qemu-user-static policycoreutils setools \
		binutils debsig-verify faketime gnupg gpgv openssh-client

PACKAGES_TEST = $(GO) test -count=1 -timeout 45m -skip "$(LONGER)" ./packaging/test

packages-test: packages packages-deps
	$(PACKAGES_TEST) -v
