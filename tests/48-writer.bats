#!/usr/bin/env bats
# A primary that is demoted, a standby that is promoted: CDRs find the writer.
# shellcheck disable=SC2154,SC2030,SC2031

load helper
load cluster

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export PGHOST=$cluster_base/one PGDATABASE=voip_platform
	cluster_init one
	cluster_start one
	VOIP_DATABASE=dbname=voip_platform voip-schema init >/dev/null
	cluster_copy two one
	cluster_start two hot_standby=on
	hosts="dbname=voip_platform host=$cluster_base/one,$cluster_base/two"
	export VOIP_CDR_SPOOL_DIR=$BATS_TEST_TMPDIR/spool
	export VOIP_CDR_DEADLINE=60s VOIP_DATABASE_BACKOFF=100ms
	export VOIP_CDR_DURABILITY=local VOIP_CDR_BATCH_TIMEOUT=200ms
	now=$(date +%s)
	started=()
}

teardown() {
	local process
	for process in "${started[@]}"; do
		stop_process "$process"
	done
	cluster_remove
}

start() { # NAME ROLE COMMAND...
	VOIP_DATABASE="$hosts user=$2" "${@:3}" 3>&- 4>&- </dev/null \
		>"$BATS_TEST_TMPDIR/$1" 2>&1 &
	started+=($!)
}

post() { # UUID
	curl -sS -d '{"variables":{"uuid":"'"$1"'","start_uepoch":"'"$now"'000000"}}' \
		"http://$address/fs/cdr?uuid=$1"
}

is_queued() { # UUID
	[ "$(post "$1")" = '{"status":"queued"}' ]
}

stored() { # LEG...
	[ "$(sql "select string_agg(leg_uuid, ' ' order by leg_uuid)
		from voip.cdr")" = "$*" ]
}

on_two() {
	PGHOST=$cluster_base/two "$@"
}

# On the first, of the two programs.
sessions() {
	sql "select count(*) from pg_stat_activity
		where usename in ('voip_cdr_ingest', 'voip_cdr_flush')"
}

is_read_only() {
	[ "$(sql 'show default_transaction_read_only')" = on ]
}

no_sessions() {
	[ "$(sessions)" -eq 0 ]
}

has_replayed() {
	[ "$(on_two sql "select pg_last_wal_replay_lsn() >= '$1'")" = t ]
}

@test "after a demotion that keeps its connections CDRs go to the new writer" {
	start ingest voip_cdr_ingest voip-cdr-ingest --listen 127.0.0.1:0
	start flush voip_cdr_flush voip-cdr-flush --follow
	wait_for grep -q 'listening on' "$BATS_TEST_TMPDIR/ingest"
	address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p' \
		"$BATS_TEST_TMPDIR/ingest" | head -n 1)
	run -0 post a
	[ "$output" = '{"status":"queued"}' ]
	wait_for stored a

	# Read-only and still there: each statement is answered with 25006.
	[ "$(sessions)" -ge 2 ]
	sql 'alter system set default_transaction_read_only = on'
	sql 'select pg_reload_conf()' >/dev/null
	# A new session that has it means that the others were told.
	wait_for is_read_only
	wait_for has_replayed "$(sql 'select pg_current_wal_lsn()')"
	run -0 post b
	[ "$output" = '{"status":"spooled"}' ]
	grep -q 'CDRs go to the spool: .*read-only' "$BATS_TEST_TMPDIR/ingest"

	on_two sql 'select pg_promote()' >/dev/null
	wait_for is_queued c
	wait_for on_two stored a b c
	wait_for no_sessions
	kill -0 "${started[@]}"
}

@test "when the primary is lost for good the standby's rows and the spool make one" {
	start ingest voip_cdr_ingest voip-cdr-ingest --listen 127.0.0.1:0
	start flush voip_cdr_flush voip-cdr-flush --follow
	wait_for grep -q 'listening on' "$BATS_TEST_TMPDIR/ingest"
	address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p' \
		"$BATS_TEST_TMPDIR/ingest" | head -n 1)
	run -0 post a
	wait_for stored a
	wait_for has_replayed "$(sql 'select pg_current_wal_lsn()')"
	cluster_stop one immediate
	run -0 post a
	[ "$output" = '{"status":"spooled"}' ]
	run -0 post b
	[ "$output" = '{"status":"spooled"}' ]
	on_two sql 'select pg_promote()' >/dev/null
	wait_for is_queued c
	wait_for on_two stored a b c
}
