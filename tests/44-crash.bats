#!/usr/bin/env bats
# The promise: a CDR that got a 2xx is never lost and is there exactly once,
# whatever is killed.  fsync is on; fsplay repeats each CDR until it is taken.
# shellcheck disable=SC2154

load helper
load cluster

legs=400   # in a round
rounds=6   # at least
kills_wanted=12

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export PGHOST=$cluster_base/node PGDATABASE=voip_platform
	cluster_init node
	cluster_start node fsync=on full_page_writes=on
	VOIP_DATABASE=dbname=voip_platform voip-schema init >/dev/null
	export VOIP_DATABASE=dbname=voip_platform VOIP_DATABASE_BACKOFF=50ms
	export VOIP_CDR_SPOOL_DIR=$BATS_TEST_TMPDIR/spool VOIP_CDR_DEADLINE=1s
	export VOIP_CDR_BATCH_TIMEOUT=200ms VOIP_CDR_KEEP=36500d
	over=$BATS_TEST_TMPDIR/over enough=$BATS_TEST_TMPDIR/enough
	echo 0 >"$BATS_TEST_TMPDIR/kills"
	port=$(free_port)
	supervisors=()
}

teardown() {
	touch "$over" "$enough"
	[ -z "${monkey:-}" ] || wait "$monkey" || :
	stop_supervisors
	cluster_remove
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
	local kills=0

	RANDOM=$1
	while [ ! -e "$enough" ]; do
		read -rt "0.$((RANDOM % 5))$((RANDOM % 10))" <> <(:) || :
		case $((RANDOM % 5)) in
		0 | 1) pkill -KILL -P "${supervisors[0]}" ;;
		2 | 3) pkill -KILL -P "${supervisors[1]}" ;;
		4) kill_postgres ;;
		esac || :
		kills=$((kills + 1))
		echo "$kills" >"$BATS_TEST_TMPDIR/kills"
	done
}

# The uuids follow from the seed and the times from the capture, so a round can
# be repeated.
play() {
	fsplay -s -n "$legs" -c 2 --seed "$1" -r --delay 20 --give-up 120 \
		-t /fs/cdr -l "$BATS_TEST_TMPDIR/ledger.$1" "127.0.0.1:$port" \
		tests/data/freeswitch/cdr-json-rawvalues/*.http
}

flush_all() {
	wait_for voip-cdr-ingest drain
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
	chaos 20261121 3>&- 4>&- &
	monkey=$!
	round=0
	while [ "$round" -lt "$rounds" ] ||
		[ "$(cat "$BATS_TEST_TMPDIR/kills")" -lt "$kills_wanted" ]; do
		round=$((round + 1))
		play "$round"
	done
	: >"$enough"
	wait "$monkey"
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
