# make demo | make check | make check-chaos | make check-ha | make check-ha-long | make lint | make bench | make fuzz | make install | make uninstall
# V=1 shows the commands; DEVELOPER=1 makes warnings errors; SANITIZE=address,undefined builds and
# tests in a folder of its own; check PG=18 tests on a PostgreSQL from npm.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
DATADIR    ?= $(PREFIX)/share/voip
UNITDIR    ?= $(PREFIX)/lib/systemd/system
COMPDIR    ?= $(PREFIX)/share/bash-completion/completions
DESTDIR    ?=
PKG_CONFIG ?= pkg-config
comma      := ,
BUILD      ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
VERSION    ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),0.0)
FUZZ_SECONDS ?= 30
CHAOS_SECONDS ?= 300

# `deps` may have to install what the rest needs: it runs first, alone, and
# the flags are asked for after it.
NEEDS_DEPS := $(filter check check-chaos check-ha check-ha-long demo bench fuzz lint,$(MAKECMDGOALS))
ifneq ($(and $(NEEDS_DEPS),$(if $(DEPS_DONE),,1)),)
.PHONY: $(MAKECMDGOALS)
$(MAKECMDGOALS): after-deps ;
.PHONY: after-deps
after-deps:
	@tests/deps build $(patsubst check-%,check,$(NEEDS_DEPS)) $(if $(filter 18,$(PG)),pg18)
	@+$(MAKE) --no-print-directory DEPS_DONE=1 $(MAKECMDGOALS)
else

PKGS     := popt jansson libpq libxml-2.0 libcurl libcrypto zlib
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2

# The caller's CFLAGS, CPPFLAGS and LDFLAGS come last and lose nothing of ours.
CFLAGS   ?= -O2 -g
CFLAGS_  := -std=c11 $(WARNINGS) -fstack-protector-strong -fPIE
CPPFLAGS_ := -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -Ilib $(shell $(PKG_CONFIG) --cflags $(PKGS))
LDFLAGS_ := -pie -Wl,-z,relro,-z,now
LDLIBS_  := $(shell $(PKG_CONFIG) --libs $(PKGS))
ifdef DEVELOPER
CFLAGS_  += -Werror
endif
ifdef SANITIZE
CFLAGS_  += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
CPPFLAGS_ += -D_FORTIFY_SOURCE=2
endif
Q        := $(if $(V),,@)
COMPILE   = $(Q)$(if $(V),,echo '  CC    $@' &&) $(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS)
LINK      = $(Q)$(if $(V),,echo '  LINK  $@' &&) $(CC) $(CFLAGS_) $(CFLAGS) $(LDFLAGS_) $(LDFLAGS)

objects   = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
binaries  = $(patsubst $(1)/%.c,$(BUILD)/$(2)/%,$(wildcard $(1)/*.c))
LIB      := $(BUILD)/libvoip.a
LIBOBJS  := $(call objects,lib/*.c) $(BUILD)/sql.o
PROGRAMS := $(call binaries,bin,bin)
TESTBINS := $(call binaries,tests/unit,unit) $(call binaries,tests/tool,tool)
FUZZERS  := $(call binaries,tests/fuzz,fuzz)
SOURCES  := $(wildcard lib/*.[ch] bin/*.c tests/unit/*.[ch] tests/tool/*.c tests/tool/lib/*.[ch] tests/fuzz/*.c)
SHELL_SCRIPTS := etc/freeswitch/static-files tests/deps tests/check/pg18 .ci/run $(wildcard tests/*/run tests/*.bash tests/ha/*.bash)

.PHONY: lint-format lint-cppcheck lint-shell lint-manuals lint-clang
.PHONY: all tests check check-chaos check-ha check-ha-long demo bench fuzz lint install uninstall clean deps
all: $(PROGRAMS)
tests: all $(TESTBINS)
deps:
	@tests/deps build

$(BUILD)/bin/%: $(BUILD)/bin/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LDLIBS_) $(LDLIBS)

# tests/unit/unit.h lets any allocation fail.
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc strdup) -o $@ $^ $(LDLIBS_) $(LDLIBS)

$(BUILD)/tool/%: $(BUILD)/tests/tool/%.o $(call objects,tests/tool/lib/*.c) $(LIB)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LDLIBS_) $(LDLIBS)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_) $(LDLIBS)

$(LIB): $(LIBOBJS)
	@rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# The SQL files travel inside the programs (lib/sqlfiles.h).  One that is removed
# makes nothing newer, so their list is a file of its own.
SQL      := $(sort $(wildcard sql/*.sql))
$(BUILD)/sql.list: always
	@mkdir -p $(@D)
	@echo '$(SQL)' | cmp -s - $@ || echo '$(SQL)' >$@
.PHONY: always

$(BUILD)/sql.c: $(SQL) $(BUILD)/sql.list Makefile
	@{ echo '#include "sqlfiles.h"'; echo 'const struct sql_file sql_files[] = {'; \
	for f in $(SQL); do echo "{ \"$${f##*/}\","; \
	sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' "$$f"; echo '},'; done; \
	echo '{ 0 } };'; } >$@

$(BUILD)/sql.o: $(BUILD)/sql.c
	$(COMPILE) -MMD -MP -c -o $@ $<

check: tests
	@BUILD='$(abspath $(BUILD))' PG='$(PG)' tests/check/run $(TESTS)

# Minutes of killing: each CDR that was taken is there, once.
check-chaos: tests
	@CHAOS_SECONDS='$(CHAOS_SECONDS)' BUILD='$(abspath $(BUILD))' PG='$(PG)' tests/check/run tests/44-crash.bats

# FAULT=kill9 does one fault once, RUNS=3 each of them so often.
check-ha: tests
	@RUNS='$(or $(RUNS),1)' BUILD='$(abspath $(BUILD))' tests/ha/run $(FAULT)

check-ha-long: tests
	@BUILD='$(abspath $(BUILD))' RESULT='$(CURDIR)/tests/ha/RESULTS.md' tests/ha/run long

demo: all $(BUILD)/tool/fsplay
	@BUILD='$(abspath $(BUILD))' tests/demo/run

bench: all $(BUILD)/tool/fsplay $(BUILD)/tool/fsload
	@BUILD='$(abspath $(BUILD))' tests/bench/run $(BENCH)

fuzz:
	@+$(MAKE) --no-print-directory CC=clang BUILD=build/fuzzing \
	    SANITIZE=fuzzer-no-link,address,undefined DEPS_DONE=1 fuzz-run
.PHONY: fuzz-run
fuzz-run: $(FUZZERS)
	@for f in $(FUZZERS); do name=$${f##*/}; mkdir -p $(BUILD)/corpus/$$name; \
	$$f -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/$$name- \
	    $(BUILD)/corpus/$$name tests/fuzz/corpus/$$name >$$f.log 2>&1 || \
	    { tail -n 40 $$f.log; echo "fuzz: $$name failed, see $$f.log"; exit 1; }; \
	echo "fuzz: $$name: $$(grep -o '^Done.*' $$f.log)"; done

lint: lint-format lint-cppcheck lint-shell lint-manuals lint-clang
lint-format:
	clang-format --dry-run -Werror $(SOURCES)
lint-cppcheck:
	cppcheck -q --error-exitcode=1 --inline-suppr --suppress=varFuncNullUB --enable=warning,performance,portability \
	    -Ilib lib bin tests/unit tests/tool
lint-shell:
	shellcheck -x $(SHELL_SCRIPTS) $(wildcard tests/*.bats)
lint-manuals:
	mandoc -Tlint -W warning $(wildcard man/*.[1-8])
lint-clang:
	@+$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j2) CC=clang \
	    BUILD=build/clang DEVELOPER=1 DEPS_DONE=1 tests analysed

# Some seconds a file: one whose preprocessed text is the one that passed is
# not analysed again.
.PHONY: analysed
analysed: $(patsubst %.c,$(BUILD)/%.analysed,$(wildcard lib/*.c bin/*.c))
$(BUILD)/%.analysed: %.c $(BUILD)/%.o
	$(Q)sum=$$($(CC) $(CPPFLAGS_) -std=c11 -E -P $< | sha256sum) && \
	if [ "$$sum" != "$$(cat $@ 2>/dev/null)" ]; then \
	$(if $(V),,echo '  CHECK $<' &&) timeout 600 $(CC) --analyze -Xclang -analyzer-werror \
	    --analyzer-output text $(CPPFLAGS_) -std=c11 $< -o /dev/null; \
	fi && echo "$$sum" >$@

# Samples and manuals name the places of this PREFIX, too.
RELOCATE := -e 's|/usr/local/sbin|$(SBINDIR)|g' -e 's|/usr/local/bin|$(BINDIR)|g' \
            -e 's|/usr/local/share/voip|$(DATADIR)|g' -e 's|/usr/local/lib/systemd/system|$(UNITDIR)|g'
SAMPLES   = $(shell find etc ha -type f)
UNITS    := $(wildcard etc/systemd/*.service etc/systemd/*.socket etc/systemd/*.timer)

install: all
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(SBINDIR) $(MANDIR)/man1 $(MANDIR)/man5 \
	    $(MANDIR)/man7 $(MANDIR)/man8 $(DATADIR) $(UNITDIR))
	for p in $(notdir $(PROGRAMS)); do if [ -e man/$$p.1 ]; then d='$(BINDIR)'; \
	else d='$(SBINDIR)'; fi; install -m 0755 $(BUILD)/bin/$$p "$(DESTDIR)$$d" || exit; done
	for m in $(notdir $(wildcard man/*.[1-8])); do f="$(DESTDIR)$(MANDIR)/man$${m##*.}/$$m"; \
	install -m 0644 man/$$m "$$f" && sed -i $(RELOCATE) "$$f" || exit; done
	install -d "$(DESTDIR)$(COMPDIR)"
	VOIP_CONFIG=/dev/null $(BUILD)/bin/voip-ext completion bash >"$(DESTDIR)$(COMPDIR)/voip-ext"
	for p in $(filter-out voip-ext,$(notdir $(PROGRAMS))); do \
	ln -sf voip-ext "$(DESTDIR)$(COMPDIR)/$$p" || exit; done
	cp -R etc ha "$(DESTDIR)$(DATADIR)"
	cd "$(DESTDIR)$(DATADIR)" && sed -i $(RELOCATE) $(SAMPLES)
	for d in sysusers.d tmpfiles.d; do install -d "$(DESTDIR)$(PREFIX)/lib/$$d" && \
	install -m 0644 etc/$$d/voip.conf "$(DESTDIR)$(PREFIX)/lib/$$d" || exit; done
	for u in $(UNITS); do sed $(RELOCATE) $$u >"$(DESTDIR)$(UNITDIR)/$${u##*/}" || exit; done
	install -d "$(DESTDIR)$(UNITDIR)/kamailio.service.d"
	install -m 0644 etc/systemd/kamailio.service.d/voip.conf \
	    "$(DESTDIR)$(UNITDIR)/kamailio.service.d"

# What install has put there, file by file; settings, keys, spool and state stay.
uninstall:
	rm -f $(addprefix $(DESTDIR),$(foreach p,$(notdir $(PROGRAMS)),$(BINDIR)/$p $(SBINDIR)/$p $(COMPDIR)/$p) \
	    $(foreach m,$(notdir $(wildcard man/*.[1-8])),$(MANDIR)/man$(patsubst .%,%,$(suffix $m))/$m) \
	    $(addprefix $(UNITDIR)/,$(notdir $(UNITS)) kamailio.service.d/voip.conf) \
	    $(PREFIX)/lib/sysusers.d/voip.conf $(PREFIX)/lib/tmpfiles.d/voip.conf $(addprefix $(DATADIR)/,$(SAMPLES)))
	@rmdir $(addprefix $(DESTDIR),$(UNITDIR)/kamailio.service.d \
	    $(addprefix $(DATADIR)/,$(shell find etc ha -depth -type d)) $(DATADIR)) 2>/dev/null || :

clean:
	rm -rf build build-*

.SECONDARY:
-include $(shell find $(BUILD)/lib $(BUILD)/bin $(BUILD)/tests -name '*.d' 2>/dev/null)
endif
