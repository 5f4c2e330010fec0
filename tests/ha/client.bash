# client.bash: what a client sees of the pair of tests/ha.bash.
#
#   ha_begin_turn       in setup: the pair of the test before serves, if it is
#                       well, and the client writes
#   ha_end_turn         in teardown
#   ha_write            it writes to the virtual address each 20 ms, and reads
#   ha_stop_writing     ends that
#   ha_one_writer       holds when no two nodes took writes in turns
#   ha_one_reader       holds when no stale primary answered after a later one
#   ha_lost N           how many acknowledged writes node N has not
#   ha_gap A B          ms from the last write that A took to the first of B

# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016 # of tests/ha.bash

ha_writer() { # NAME INTERVAL_MS [fresh|read]
	(cd / && exec ip netns exec "$(ha_ns cl)" "${ha_clean[@]}" \
		VOIP_CONFIG=/dev/null \
		VOIP_DATABASE="host=$ha_vip user=writer dbname=voip_platform" \
		VOIP_DATABASE_CONNECT_TIMEOUT=400ms \
		"$build/tool/ha-writer" "$@") >"$ha/writer.$1" \
		2>/dev/null </dev/null 3>&- &
	ha_writers+=($!)
}

ha_begin_turn() { # [fresh]
	ha_turn=$BATS_TEST_NUMBER ha_writers=()
	ha_settle
	ha_write "$@"
}

ha_end_turn() {
	ha_stop_writing
	[ -n "${BATS_TEST_COMPLETED:-}" ] || ha_tell
	[ -n "${BATS_TEST_COMPLETED:-}" ] || ha_down
	rm -f "$ha"/writer.*
}

ha_write() { # [fresh]
	ha_turn=$((${ha_turn:-0} + 1))
	ha_promoted=$(ha_promotions)
	ha_writers=()
	ha_writer "t$ha_turn-client" 20 "$@"
	ha_writer "t$ha_turn-reader" 20 read
	ha_client_log=$ha/writer.t$ha_turn-client
	ha_await ha_written_by "$p"
}

ha_stop_writing() {
	local pid

	for pid in "${ha_writers[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for pid in "${ha_writers[@]}"; do
		wait "$pid" || :
	done
	ha_writers=()
}

ha_written_by() { # N
	grep -q " OK node$1\$" "$ha_client_log"
}

ha_gap() { # A B
	awk -v a="node$1" -v b="node$2" '$4 == "OK" && $5 == a { last = $3 }
		$4 == "OK" && $5 == b { printf "%d\n", ($3 - last) * 1000
			exit }' "$ha_client_log"
}

# All that was acknowledged in this turn: TIME NAME ID NODE.
ha_acknowledged() {
	awk '$4 == "OK" { print $3, name, $1, $5 }' \
		name="${ha_client_log##*/writer.}" "$ha_client_log"
}

# Promotions that both journals tell; one that was cut off may have succeeded.
ha_promotions() {
	cat "$ha"/n?/state/journal.jsonl |
		grep -c '"action":"promote","event":"intent"' || :
}

# Who takes writes changes with a promotion; two that take them in turns change
# with each write.
ha_one_writer() {
	ha_acknowledged | awk -v most=$(($(ha_promotions) - ha_promoted)) '
		$4 != node { if (node) changes++; node = $4; where = where "\n" $0 }
		END { if (changes > most) {
			print changes " changes, " most " promotions:" where
			exit 1 } }'
}

# Standbys answer with 0: whoever has the address may not be promoted yet.
ha_one_reader() {
	awk '$4 == "OK" && $6 > 0 { if ($6 < latest) {
			print "timeline " latest ", then:", $0
			exit 1 }
		latest = $6 }' "$ha/writer.t$ha_turn-reader"
}

ha_lost() { # N
	ha_sql "$1" "select src || ' ' || id from public.w" |
		sort >"$ha/stored"
	ha_acknowledged | awk '{ print $2, $3 }' | sort |
		comm -23 - "$ha/stored" | wc -l
}

# What there is to know when a test has failed.
ha_tell() {
	local n

	for n in 1 2; do
		echo "node$n: $(ha_sql "$n" 'select pg_is_in_recovery(),
			setting from pg_settings
			where name = $$synchronous_standby_names$$' 2>&1)" \
			"vip: $(ha_has_vip "$n" && echo yes)" \
			"tracked: $(head -v -n 1 "$ha/n$n"/run/{health,isolated,timeline} |
				tr '\n' ' ')"
		cat "$ha/n$n/state/state.json"
		tail -n 15 "$ha/n$n"/{failover,health,keepalived,pg}.log
	done 2>&1
	tail -n 3 "$ha"/writer.*
}
