PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
DATADIR    ?= $(PREFIX)/share/voip
DESTDIR    ?=
PKG_CONFIG ?= pkg-config
comma      := ,
BUILD      ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
VERSION    ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),0.0)

PKGS     := popt jansson libpq libxml-2.0 libmicrohttpd libcurl libcrypto
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2

CFLAGS   ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -Ilib $(shell $(PKG_CONFIG) --cflags $(PKGS))
CFLAGS   += -std=c11 -MMD -MP $(WARNINGS) -fstack-protector-strong -fPIE
LDFLAGS  += -pie -Wl,-z,relro,-z,now
LDLIBS   += $(shell $(PKG_CONFIG) --libs $(PKGS))
ifdef DEVELOPER
CFLAGS   += -Werror
endif
ifdef SANITIZE
CFLAGS   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=$(SANITIZE)
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif

LIB      := $(BUILD)/libvoip.a
LIBOBJS  := $(patsubst lib/%.c,$(BUILD)/lib/%.o,$(wildcard lib/*.c)) $(BUILD)/sql.o
PROGRAMS := $(patsubst bin/%.c,$(BUILD)/bin/%,$(wildcard bin/*.c))
TESTBINS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c)) \
            $(patsubst tests/tool/%.c,$(BUILD)/tool/%,$(wildcard tests/tool/*.c))

.PHONY: all tests
all: $(PROGRAMS)
tests: all $(TESTBINS)

$(LIB): $(LIBOBJS)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/bin/%: $(BUILD)/bin/%.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tool/%: $(BUILD)/tests/tool/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The SQL files travel inside the programs (lib/sqlfiles.h).
$(BUILD)/sql.c: $(wildcard sql/*.sql) Makefile
	@mkdir -p $(@D)
	{ echo '#include "sqlfiles.h"'; echo 'const struct sql_file sql_files[] = {'; \
	for f in $(sort $(wildcard sql/*.sql)); do echo "{ \"$${f##*/}\","; \
	sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' "$$f"; echo '},'; done; \
	echo '{ 0 } };'; } >$@

$(BUILD)/sql.o: $(BUILD)/sql.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

.SECONDARY:
-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d)
