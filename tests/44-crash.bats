#!/usr/bin/env bats
# The promise: a CDR that got a 2xx is never lost and is there exactly once,
# whatever is killed.  fsync is on; fsplay repeats each CDR until it is taken.
# shellcheck disable=SC2154

load helper
load cluster

legs=2400

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export PGHOST=$cluster_base/node PGDATABASE=voip_platform
	cluster_init node
	cluster_start node fsync=on full_page_writes=on
	VOIP_DATABASE=dbname=voip_platform voip-schema init >/dev/null
	export VOIP_DATABASE=dbname=voip_platform VOIP_DATABASE_BACKOFF=50ms
	export VOIP_CDR_SPOOL_DIR=$BATS_TEST_TMPDIR/spool VOIP_CDR_DEADLINE=1s
	export VOIP_CDR_BATCH_TIMEOUT=200ms
	over=$BATS_TEST_TMPDIR/over
	port=$(free_port)
	supervisors=()
}

teardown() {
	: >"$over"
	pkill -KILL -f "voip-cdr-ingest --listen 127.0.0.1:$port" || :
	for supervisor in "${supervisors[@]}"; do
		pkill -KILL -P "$supervisor" || :
		wait "$supervisor" || :
	done
	cluster_remove
}

# Start it again whenever it ends, as systemd does.
supervise() {
	while [ ! -e "$over" ]; do
		"$@" >>"$BATS_TEST_TMPDIR/log" 2>&1 || :
		read -rt 0.02 <> <(:) || :
	done
}

kill_postgres() {
	local postmaster

	read -r postmaster <"$cluster_base/node/postmaster.pid" || return 0
	pkill -KILL -P "$postmaster" || :
	kill -KILL "$postmaster" || :
	wait_for bash -c "! kill -0 $postmaster"
	wait_for cluster_start node fsync=on full_page_writes=on
}

# Kill one of the three at a random moment, again and again.
chaos() {
	RANDOM=$1
	while kill -0 "$player" 2>/dev/null; do
		read -rt "0.$((RANDOM % 5))$((RANDOM % 10))" <> <(:) || :
		case $((RANDOM % 5)) in
		0 | 1) pkill -KILL -P "${supervisors[0]}" ;;
		2 | 3) pkill -KILL -P "${supervisors[1]}" ;;
		4) kill_postgres ;;
		esac || :
		kills=$((kills + 1))
	done
}

play() {
	fsplay -s -n "$legs" -c 2 --now -r --delay 20 --give-up 120 \
		-t /fs/cdr -l "$1" "127.0.0.1:$port" \
		tests/data/freeswitch/cdr-json-rawvalues/*.http \
		>"$BATS_TEST_TMPDIR/played" 2>&1
}

flush_all() {
	wait_for voip-cdr-ingest drain
	wait_for voip-cdr-flush
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 0 ]
}

# Every leg that was acknowledged, once, and nothing else.
check_ledger() {
	tail -n +2 "$BATS_TEST_TMPDIR/ledger" | cut -f1 | sort \
		>"$BATS_TEST_TMPDIR/sent"
	[ "$(uniq "$BATS_TEST_TMPDIR/sent" | wc -l)" -eq "$legs" ]
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
	kills=0
	play "$BATS_TEST_TMPDIR/ledger" 3>&- 4>&- &
	player=$!
	chaos 20261121
	wait "$player"
	echo "$kills kills"
	cat "$BATS_TEST_TMPDIR/played"
	[ "$kills" -ge 5 ]
	: >"$over"
	for supervisor in "${supervisors[@]}"; do
		pkill -KILL -P "$supervisor" || :
		wait "$supervisor" || :
	done
	supervisors=()
	flush_all
	check_ledger

	# The same again: nothing is new, and nothing is there twice.
	rm "$over"
	supervise voip-cdr-ingest --listen "127.0.0.1:$port" 3>&- 4>&- &
	supervisors+=($!)
	play "$BATS_TEST_TMPDIR/again"
	: >"$over"
	pkill -KILL -P "${supervisors[0]}" || :
	flush_all
	check_ledger
}
