#!/usr/bin/env bats
# The promise: a CDR that got a 2xx is never lost and is there exactly once,
# whatever is killed.  fsync is on; fsplay repeats each CDR until it is taken.
# CHAOS_SECONDS (make check-chaos) makes it go on for so long, with database
# and spools on a small disk that becomes full at times.
# shellcheck disable=SC2154,SC2030,SC2031

load helper
load cluster

legs=400   # in a round
rounds=6   # at least
kills_wanted=12
fill_after= # so many kills the disk is full

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	small_disk
	export PGHOST=$cluster_base/node PGDATABASE=voip_platform
	cluster_init node
	start_postgres
	VOIP_DATABASE=dbname=voip_platform voip-schema init >/dev/null
	export VOIP_DATABASE=dbname=voip_platform VOIP_DATABASE_BACKOFF=50ms
	export VOIP_CDR_SPOOL_DIR=$cluster_base/spool VOIP_CDR_DEADLINE=1s
	export VOIP_CDR_BATCH_TIMEOUT=200ms VOIP_CDR_KEEP=36500d
	over=$BATS_TEST_TMPDIR/over enough=$BATS_TEST_TMPDIR/enough
	echo 0 >"$BATS_TEST_TMPDIR/kills"
	port=$(free_port)
	second_port=$(free_port)
	supervisors=()
}

teardown() {
	touch "$over" "$enough"
	[ -z "${monkey:-}" ] || wait "$monkey" || :
	stop_supervisors
	cluster_stop node immediate || :
	! mountpoint -q "$cluster_base" || umount -l "$cluster_base"
	cluster_remove
}

# In the long form only: not everybody may mount.
small_disk() {
	[ -n "${CHAOS_SECONDS:-}" ] || return 0
	fill_after=12
	mount -t tmpfs -o "size=${CHAOS_DISK:-1g}" chaos "$cluster_base"
	chmod 755 "$cluster_base"
	chown "$(id -u postgres 2>/dev/null || id -u nobody)" "$cluster_base"
}

# Also what a supervisor started in the same moment.
stop_supervisors() {
	: >"$over"
	for supervisor in "${supervisors[@]}"; do
		while kill -0 "$supervisor" 2>/dev/null; do
			pkill -KILL -P "$supervisor" || :
			read -rt 0.02 <> <(:) || :
		done
		wait "$supervisor" || :
	done
	supervisors=()
}

# Start it again whenever it ends, as systemd does.
supervise() {
	while [ ! -e "$over" ]; do
		"$@" >>"$BATS_TEST_TMPDIR/log" 2>&1 || :
		read -rt 0.02 <> <(:) || :
	done
}

start_postgres() {
	cluster_start node fsync=on full_page_writes=on max_wal_size=128MB
}

kill_postgres() {
	local postmaster

	if read -r postmaster <"$cluster_base/node/postmaster.pid"; then
		pkill -KILL -P "$postmaster" || :
		kill -KILL "$postmaster" || :
		wait_for bash -c "! kill -0 $postmaster"
	fi
	wait_for start_postgres
}

# The database cannot write, not even its log, and neither can the spools.
fill_disk() {
	head -c 4G /dev/zero >"$cluster_base/ballast" || :
	read -rt 2 <> <(:) || :
	rm -f "$cluster_base/ballast"
	kill_postgres
	echo >>"$BATS_TEST_TMPDIR/fills"
}

# Kill one of the three at a random moment, again and again.
chaos() {
	local kills=0

	RANDOM=$1
	while [ ! -e "$enough" ]; do
		read -rt "0.$((RANDOM % 5))$((RANDOM % 10))" <> <(:) || :
		case $((RANDOM % 6)) in
		0 | 1) pkill -KILL -P "${supervisors[0]}" ;;
		2 | 3) pkill -KILL -P "${supervisors[1]}" ;;
		4) pkill -KILL -P "${supervisors[2]}" ;;
		5) kill_postgres ;;
		esac || :
		kills=$((kills + 1))
		echo "$kills" >"$BATS_TEST_TMPDIR/kills"
		[ -z "$fill_after" ] || [ $((kills % fill_after)) -ne 0 ] ||
			fill_disk
	done
}

# The uuids follow from the seed and the times from the capture, so a round can
# be repeated.
play() { # ROUND [PORT LEDGER]
	fsplay -s -n "$legs" -c 2 --seed "$1" -r --delay 20 --give-up 120 \
		-t /fs/cdr -l "$BATS_TEST_TMPDIR/${3:-ledger.$1}" \
		"127.0.0.1:${2:-$port}" \
		tests/data/freeswitch/cdr-json-rawvalues/*.http
}

# The same legs to both nodes.
play_twice() {
	play "$1" "$second_port" "second.$1" 3>&- 4>&- &
	play "$1"
	wait $!
}

# A node whose spool is full after a few CDRs: then it refuses.
second_node() {
	VOIP_CDR_SPOOL_DIR=$cluster_base/second VOIP_CDR_SPOOL_LIMIT=1M \
		supervise voip-cdr-ingest --listen "127.0.0.1:$second_port"
}

goes_on() {
	[ "$round" -lt "$rounds" ] || [ "$SECONDS" -lt "${CHAOS_SECONDS:-0}" ] ||
		[ "$(cat "$BATS_TEST_TMPDIR/kills")" -lt "$kills_wanted" ]
}

flush_all() {
	wait_for voip-cdr-ingest drain
	VOIP_CDR_SPOOL_DIR=$cluster_base/second wait_for \
		voip-cdr-ingest drain
	wait_for voip-cdr-flush
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 0 ]
}

# Every leg that was acknowledged, once, and nothing else.
check_ledger() {
	tail -qn +2 "$BATS_TEST_TMPDIR"/ledger.* | cut -f1 | sort \
		>"$BATS_TEST_TMPDIR/sent"
	[ "$(uniq "$BATS_TEST_TMPDIR/sent" | wc -l)" -eq $((legs * round)) ]
	sql 'select leg_uuid from voip.cdr
		union all select coalesce(leg_uuid, query_uuid) from voip.cdr_dead' |
		sort >"$BATS_TEST_TMPDIR/stored"
	run -0 diff "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/stored"
}

@test "CDRs survive kill -9 of ingest, flush and PostgreSQL, each exactly once" {
	supervise voip-cdr-ingest --listen "127.0.0.1:$port" 3>&- 4>&- &
	supervisors+=($!)
	supervise voip-cdr-flush --follow 3>&- 4>&- &
	supervisors+=($!)
	second_node 3>&- 4>&- &
	supervisors+=($!)
	chaos 20261121 3>&- 4>&- &
	monkey=$!
	round=0
	SECONDS=0
	while goes_on; do
		round=$((round + 1))
		play_twice "$round"
	done
	: >"$enough"
	wait "$monkey"
	[ -z "$fill_after" ] || [ -e "$BATS_TEST_TMPDIR/fills" ]
	echo "$(cat "$BATS_TEST_TMPDIR/kills") kills, $((legs * round)) legs"
	stop_supervisors
	flush_all
	check_ledger

	# The same again: nothing is new, and nothing is there twice.
	rm "$over"
	supervise voip-cdr-ingest --listen "127.0.0.1:$port" 3>&- 4>&- &
	supervisors+=($!)
	for ((i = 1; i <= round; i++)); do
		play "$i"
	done
	stop_supervisors
	flush_all
	check_ledger
}

@test "one CDR that comes a thousand times over two nodes is one row" {
	local one=tests/data/freeswitch/cdr-json-rawvalues/answered-aleg.http
	local files=() node

	supervise voip-cdr-ingest --listen "127.0.0.1:$port" 3>&- 4>&- &
	supervisors+=($!)
	second_node 3>&- 4>&- &
	supervisors+=($!)
	for ((i = 0; i < 500; i++)); do
		files+=("$one")
	done
	for node in "$port" "$second_port"; do
		fsplay -s -c 4 -r --delay 20 --give-up 120 -t /fs/cdr \
			"127.0.0.1:$node" "${files[@]}"
	done
	stop_supervisors
	flush_all
	[ "$(sql 'select count(*) from voip.cdr')" -eq 1 ]
	[ "$(sql 'select count(*) from voip.cdr_dead')" -eq 0 ]
}
