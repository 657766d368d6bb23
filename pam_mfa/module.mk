# The module that is shipped: the C of this folder without the Go runtime.
# Include it from a Makefile, or build one elsewhere with
#
#	make -f pam_mfa/module.mk MODULE_OUT=/tmp/pam_mfa.so
#
# MODULE_EXTRA is for sanitizers; MODULE_VERSION is what the module calls itself.

MODULE_DIR     := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
MODULE_OUT     ?= build/pam_mfa.so
MODULE_VERSION ?= dev
MODULE_EXTRA   ?=

MODULE_SRC     := $(addprefix $(MODULE_DIR)/,pam_mfa.c options.c relay.c frame.c connect.c split.c)
MODULE_MAP     := $(MODULE_DIR)/pam_mfa.map
MODULE_CFLAGS  := -std=gnu11 -O2 -fPIC -fvisibility=hidden -fstack-protector-strong \
                  -fstack-clash-protection -Wall -Wextra -Werror -Wformat -Werror=format-security
MODULE_FORTIFY ?= -D_FORTIFY_SOURCE=2
MODULE_LDFLAGS := -shared -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack \
                  -Wl,--version-script=$(MODULE_MAP)
MODULE_DEFS    ?= -Wl,-z,defs

$(MODULE_OUT): $(MODULE_OUT).version $(MODULE_SRC) $(wildcard $(MODULE_DIR)/*.h) $(MODULE_MAP) $(MODULE_DIR)/module.mk
	@mkdir -p $(@D)
	$(CC) $(MODULE_CFLAGS) $(MODULE_FORTIFY) -DPAM_MFA_VERSION='"$(MODULE_VERSION)"' $(MODULE_EXTRA) \
		$(MODULE_LDFLAGS) $(MODULE_DEFS) -o $@ $(MODULE_SRC) -lpam

# The version stands in the file: with another one it is built anew.
.PHONY: module-version
$(MODULE_OUT).version: module-version
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(MODULE_VERSION)' ] || echo '$(MODULE_VERSION)' >$@
