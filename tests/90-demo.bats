#!/usr/bin/env bats
# `make demo` and `make install`, as a newcomer uses them.

setup() {
	bats_require_minimum_version 1.5.0
	cd "$BATS_TEST_DIRNAME/.." || return
	short=$(mktemp -d /tmp/vd.XXXXXX)
	chmod 1777 "$short"
	export DEMO_RUN=$$.$RANDOM SERVERS_TMP=$short
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}
}

teardown() {
	if [ -n "${terminal:-}" ]; then
		kill "$terminal" 2>/dev/null || :
		wait "$terminal" || :
	fi
	for _ in {1..600}; do # the demo removes its own folder
		[ -n "$(ls -A "$short")" ] || break
		sleep 0.1
	done
	rm -rf "$short" "${long:-}"
}

# Processes that the demo started and that still run.
left_over() {
	grep -lzsx "DEMO_RUN=$DEMO_RUN" /proc/[0-9]*/environ |
		grep -vE "^/proc/($$|$BASHPID|self)/" |
		while IFS=/ read -r _ _ pid _; do
			{ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null || : # gone
		done | grep -E '[p]ostgres|[s]ystemd-socket|[v]oip-' || :
}

# What the demo needs of the tree, copied to $1.
copy_tree() {
	mkdir -p "$1/tests" "$1/build"
	cp -R tests/demo tests/servers.bash tests/cluster.bash tests/port.bash \
		tests/data "$1/tests/"
	cp -R "$BUILD/bin" "$BUILD/tool" "$1/build/"
}

assert_demo_output() {
	[[ $output == *'name="a1-hash"'* ]]
	[[ $output == *'inbound   | 1001'*'| NORMAL_CLEARING |'* ]]
	[[ $output == *'outbound  | 1001'*'| NORMAL_CLEARING |'* ]]
	[ -z "$(left_over)" ]
	[ -z "$(ls -A "$short")" ]
}

@test "the demo runs below a 0700 folder in a long path, twice, and leaves nothing" {
	long=$(mktemp -d)
	local deep
	deep=$long/$(printf '%0100d' 0)/tree
	copy_tree "$deep"
	chmod 700 "$long"
	for _ in 1 2; do
		run -0 env BUILD="$deep/build" "$deep/tests/demo/run" </dev/null
		assert_demo_output
	done
	[ -s "$deep/build/demo/sip_auth.xml" ]
	[ -s "$deep/build/demo/postgres-pg.log" ]
}

@test "the demo runs as an ordinary user" {
	long=$(mktemp -d)
	chmod 755 "$long"
	copy_tree "$long/tree"
	if [ "$(id -u)" -eq 0 ]; then
		chown -R nobody "$long/tree"
		run -0 setpriv --reuid=nobody --regid=nogroup --clear-groups \
			env BUILD="$long/tree/build" HOME=/nonexistent \
			"$long/tree/tests/demo/run" </dev/null
	else
		run -0 env BUILD="$long/tree/build" \
			"$long/tree/tests/demo/run" </dev/null
	fi
	assert_demo_output
}

@test "on a terminal the demo stays until Ctrl-C, and then leaves nothing" {
	long=$(mktemp -d)
	copy_tree "$long/tree"
	mkfifo "$long/keys"
	# a shell starts its background jobs without Ctrl-C; exec, since one that
	# waits for the demo would be ended by the key itself
	env --default-signal=INT,QUIT BUILD="$long/tree/build" \
		script -qefc "exec $long/tree/tests/demo/run" "$long/seen" <"$long/keys" >/dev/null 2>&1 &
	terminal=$!
	exec 7>"$long/keys"
	for _ in {1..1800}; do
		! grep -qs 'until Ctrl-C' "$long/seen" || break
		kill -0 "$terminal" || break
		sleep 0.1
	done
	grep -q 'until Ctrl-C' "$long/seen"
	[ -n "$(left_over)" ]
	printf '\003' >&7
	wait "$terminal" || { tail -n 20 "$long/seen"; false; }
	terminal=''
	exec 7>&-
	[ -z "$(left_over)" ]
	[ -z "$(ls -A "$short")" ]
}

@test "the demo leaves nothing when its reader goes away" {
	long=$(mktemp -d)
	copy_tree "$long/tree"
	run env BUILD="$long/tree/build" bash -c \
		"'$long/tree/tests/demo/run' </dev/null 2>&1 | head -n 3"
	[[ ${lines[2]} == ' 2. voip-schema init'* ]]
	[ -z "$(left_over)" ]
	[ -z "$(ls -A "$short")" ]
}

@test "make install honours DESTDIR and PREFIX" {
	command -v make >/dev/null
	long=$(mktemp -d)
	run -0 make install DESTDIR="$long" PREFIX=/opt/voip BUILD="$BUILD" V=1
	local program page
	for program in bin/*.c; do
		program=$(basename "$program" .c)
		page=$(find man -name "$program.[18]")
		if [ "${page##*.}" = 8 ]; then
			[ -x "$long/opt/voip/sbin/$program" ]
		else
			[ -x "$long/opt/voip/bin/$program" ]
		fi
		[ -s "$long/opt/voip/share/man/man${page##*.}/$program.${page##*.}" ]
	done
	[ -s "$long/opt/voip/share/man/man7/voip.7" ]
	[ -s "$long/opt/voip/share/voip/etc/voip.conf" ]
	# a program may hold the folder that it was built in
	[ -z "$(grep -rlI /usr/local "$long" || :)" ]
	[ "$(ls "$long")" = opt ]
}

@test "make uninstall takes away what make install has put there, and nothing else" {
	command -v make >/dev/null
	long=$(mktemp -d)
	make install DESTDIR="$long" BUILD="$BUILD" >/dev/null
	mkdir -p "$long/etc/voip"
	touch "$long/etc/voip/voip.conf" "$long/usr/local/share/voip/etc/own"
	run -0 make uninstall DESTDIR="$long" BUILD="$BUILD"
	run -0 diff <(printf '%s\n' etc/voip/voip.conf usr/local/share/voip/etc/own) \
		<(find "$long" ! -type d -printf '%P\n' | sort)
	rm "$long/usr/local/share/voip/etc/own"
	run -0 make uninstall DESTDIR="$long" BUILD="$BUILD"
	[ ! -e "$long/usr/local/share/voip" ]
}

@test "deps is silent when nothing is missing, and knows its groups" {
	run -0 tests/deps build check demo
	[ -z "$output" ]
	run -64 tests/deps nonsense
	[ "$output" = "deps: unknown group 'nonsense'" ]
}
