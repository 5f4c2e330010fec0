#!/usr/bin/env bats
# What only an old primary has after a fault: saved before its directory is
# rewritten, and stored once when it is imported.  The pair of ha.bash without
# keepalived and in maintenance: nothing moves by itself.
# shellcheck disable=SC2154 # ha.bash

bats_require_minimum_version 1.5.0

setup_file() {
	local n

	load helper
	load ha.bash
	# A busy machine is late, and nobody who is late is dead.
	export ha_settings='peer_timeout=20s
		witness_timeout=20s
		self_fence_after=1h'
	ha_build
	cp "$build"/bin/voip-cdr-{ingest,flush} "$ha/bin"
	# shellcheck disable=SC2016 # for the script
	echo 'echo "$VOIP_ACTION $VOIP_RESULT: $VOIP_WHY" >>"$0.log"' \
		>"$ha/alert"
	: >"$ha/alert.log"
	chown postgres "$ha"/alert*
	for n in 1 2; do
		echo "alert_command='sh $ha/alert'" >>"$ha/n$n/voip.conf"
	done
}

teardown_file() {
	load ha.bash
	ha_remove
}

setup() {
	local n

	load helper
	load ha.bash
	p=1 s=2 blocker=
	first=$((BATS_TEST_NUMBER * 100))
	ha_network
	for n in 1 2; do
		rm -rf "$ha/disk$n/data" "$ha/n$n/run" "$ha/n$n/state"
		cp -a "$ha/golden/n$n" "$ha/disk$n/data"
		mkdir "$ha/n$n/run" "$ha/n$n/state"
		chown postgres:postgres "$ha/n$n/run" "$ha/n$n/state"
		rm -f "$ha/n$n"/*.log "$ha/n$n"/.s.PGSQL.*
		ha_start_server $n
		failover $n maintenance on --reason test --for 1h
		ha_start_failover $n
	done
	ha_await ha_streams 1
}

teardown() {
	[ -z "$blocker" ] || kill "$blocker" 2>/dev/null || :
	[ -n "${BATS_TEST_COMPLETED:-}" ] ||
		tail -n 20 "$ha"/n?/*.log "$ha"/n?/state/voip-alone/log || :
	ha_down
}

failover() { # N ARGUMENT...
	ha_node "$1" "$ha/bin/voip-failover" "${@:2}"
}

cdr() { # N NAME ARGUMENT...: at the server of node N
	local n=$1 name=$2

	shift 2
	ha_node "$n" "$ha/bin/voip-cdr-$name" \
		--set database="host=$ha/n$n dbname=voip_platform" "$@"
}

calls() { # FROM TO: records of the calls first + FROM to first + TO
	local i

	for ((i = first + $1; i <= first + $2; i++)); do
		printf '{"variables":{"uuid":"leg-%d","start_uepoch":"%d",' \
			$i $((1790000000000000 + i))
		printf '"billsec":"%d","direction":"inbound"},"callflow":' $i
		printf '[{"caller_profile":{"destination_number":"%d"}}]}\n' $i
	done
}

has_calls() { # N HOW_MANY
	[ "$(ha_sql "$1" "select count(*) from voip.cdr
		where billsec between $first and $((first + 99))")" = "$2" ]
}

# What is written from now on stays on node p: three calls before are on both,
# six and three that wait, a dead letter, a tenant and a recording are not.
write_here_only() {
	calls 1 3 | cdr "$p" ingest
	cdr "$p" flush
	ha_await has_calls "$s" 3
	kill -STOP "$(ha_sql "$p" 'select pid from pg_stat_replication')"
	calls 4 9 | cdr "$p" ingest
	cdr "$p" flush
	calls 10 12 | cdr "$p" ingest
	printf 'no call \xff' >"$ha/dead$first.cdr.json"
	cdr "$p" ingest "$ha/dead$first.cdr.json"
	ha_sql "$p" "insert into voip.domains (domain, tenant_name)
		values ('t$first.example', 'T')" >/dev/null
	ha_sql "$p" "insert into voip.recordings (leg_uuid, file_path)
		values ('leg-$((first + 4))', '/r/$first.wav')" >/dev/null
}

lose_the_primary() {
	write_here_only
	kill -KILL "$(head -n 1 "$ha/disk$p/data/postmaster.pid")"
	failover "$p" demote
	failover "$s" promote
}

back() {
	[ "$(ha_sql "$p" "select status from pg_stat_wal_receiver")" = \
		streaming ]
}

sets() { # the directories that were saved on node p
	find "$ha/n$p/state/salvage" -mindepth 1 -maxdepth 1 | sort
}

copies() {
	find "$ha/disk$p" -mindepth 1 -maxdepth 1 -name "data.[0-9]*" | sort
}

# The lines of FILE in the latest set are so many.
saved() { # FILE HOW_MANY
	[ "$(wc -l <"$(sets | tail -n 1)/$1")" -eq "$2" ]
}

# All of what is saved is stored, once, and what is there stays as it is.
comes_home() {
	local set

	set=$(sets | tail -n 1)
	saved cdr.cdr.jsonl 6
	saved cdr_queue.cdr.jsonl 3
	saved cdr_dead.cdr.jsonl 1
	saved recordings.jsonl 1
	grep -q "t$first.example" "$set/audit.jsonl"
	[ -z "$(find "$set" -type f ! -perm 600)" ]
	run -0 cdr "$s" ingest import "$set"
	cdr "$s" ingest "$set"/imported/*
	cdr "$s" flush
	has_calls "$s" 12
	[ "$(ha_sql "$s" "select count(*) from voip.cdr_dead
		where query_uuid = 'dead$first'")" = 1 ]
	[ "$(ha_sql "$s" "select encode(body, 'escape') from voip.cdr_dead
		where query_uuid = 'dead$first'")" = 'no call \377' ]
	run -0 as_the_manual_says "$set" '/^\$ PGDATABASE/,/audit.jsonl$/p'
	[ "${lines[2]}" = 'INSERT 0 1' ]
	[[ "${lines[-1]}" == *$'\tpostgres\t'*$'\tdomains\t'"t$first.example" ]]
	run -0 as_the_manual_says "$set" '/^\$ PGDATABASE/,/audit.jsonl$/p'
	[ "${lines[2]}" = 'INSERT 0 0' ]
	[ "$(ha_sql "$s" "select leg_uuid from voip.recordings
		where file_path = '/r/$first.wav'")" = "leg-$((first + 4))" ]
}

# The commands among these lines of the manual, in DIRECTORY.
as_the_manual_says() { # DIRECTORY LINES
	(cd "$1" && PGHOST=$ha/n$s PGUSER=postgres bash -c "$(sed -n "$2" \
		"$top/man/voip-failover.8" |
		sed -n '/^\$ /,/^\.Ed/{/^\.Ed/d; s/^\$ //; s/\\e/\\/g; p}
			s/^\.Dl \$ //p')") 3>&-
}

# Its words, on one node and then on the other.
verdicts() {
	failover "$p" split-brain show -f jsonl | jq -r \
		'select(.kind == "verdict").state'
	failover "$s" split-brain show -f jsonl | jq -r \
		'select(.kind == "verdict").state'
}

@test "rows that only the old primary has are saved, and come home once" {
	run -0 failover "$p" split-brain show
	[ "$(verdicts)" = $'together\ntogether' ]
	lose_the_primary
	run -1 failover "$p" split-brain show -f jsonl
	[[ $output = *'not the peer'*'any more'* ]]
	[[ $output = *'"state":"apart"'*'only here: '*' transactions, from '* ]]
	[ -z "$(sets 2>/dev/null)" ]
	# no room for the files: the directory stays as it is
	touch "$ha/n$p/state/salvage"
	run -78 failover "$p" rejoin --policy rewind
	[[ $output = *"'$ha/n$p/state/salvage'"* ]]
	rm "$ha/n$p/state/salvage"
	run -0 failover "$p" rejoin --policy rewind
	ha_await back
	grep -q '"action":"salvage".*3 cdr_queue, 6 cdr, 1 cdr_dead' \
		"$ha/n$p/state/journal.jsonl"
	ha_await grep -q '^salvage done: 3 cdr_queue, 6 cdr, 1 cdr_dead' \
		"$ha/alert.log"
	run -0 failover "$p" status
	[[ $output = *"voip-cdr-ingest import '$(sets)'"* ]]
	run -0 failover "$p" split-brain show
	[[ $output = *together*waits* ]]
	comes_home
	run -0 failover "$p" split-brain show
	[[ $output = *imported* ]]
}

@test "killed in the middle of it, it begins anew" {
	local worker

	lose_the_primary
	# the peer is asked what it has, and does not answer
	ha_sql "$s" "begin; lock table voip.recordings; select pg_sleep(60)" \
		>"$ha/blocker.log" 2>&1 3>&- &
	blocker=$!
	ha_await locked
	failover "$p" rejoin --policy rewind >"$ha/rejoin.log" 2>&1 3>&- &
	ha_await waits_for_lock
	worker=$(pgrep -u postgres -f "^$ha/bin/voip-failover rejoin")
	[ -n "$(ls -d "$ha/n$p/state/salvage/"*.part)" ]
	[ -S "$ha/n$p/state/voip-alone/.s.PGSQL.5432" ]
	# the peer does not take it for a server that hangs
	run -0 failover "$s" status
	[[ $output = *'stopped standby'* ]]
	kill -KILL "$worker"
	ha_await nothing_runs
	ha_sql "$s" "select pg_terminate_backend(pid) from pg_locks
		where relation = 'voip.recordings'::regclass and granted" \
		>/dev/null
	run -0 failover "$p" rejoin --policy rewind
	ha_await back
	[ -z "$(find "$ha/n$p/state/salvage" -name '*.part')" ]
	comes_home
}

locked() {
	[ "$(ha_sql "$s" "select count(*) from pg_locks where granted and
		relation = 'voip.recordings'::regclass")" = 1 ]
}

waits_for_lock() {
	[ "$(ha_sql "$s" "select count(*) from pg_locks where not granted and
		relation = 'voip.recordings'::regclass")" = 1 ]
}

nothing_runs() {
	! "$ha_bin/pg_isready" -q -h "$ha/n$p/state/voip-alone" &&
		[ -z "$(find /proc -maxdepth 2 -name cwd -lname \
			"$ha/disk$p/data" 2>/dev/null)" ]
}

@test "a directory that does not give its rows is kept; by hand they come" {
	local fork copy

	lose_the_primary
	fork=$(failover "$p" split-brain show -f jsonl 2>/dev/null | jq -r \
		'select(.kind == "fork").lsn')
	fork=$(ha_sql "$s" "select pg_walfile_name('$fork')")
	fork=$(printf '%08X' $((16#${fork:0:8} - 1)))${fork:8}
	mv "$ha/disk$p/data/pg_wal/$fork" "$ha/fork"
	run -65 failover "$p" split-brain salvage
	[[ $output = *'is not in '* ]]
	run -0 failover "$p" rejoin --policy rewind
	ha_await back
	grep -q '"action":"salvage failed".*is not in ' \
		"$ha/n$p/state/journal.jsonl"
	ha_await grep -q '^salvage failed: .*kept and not rewound' \
		"$ha/alert.log"
	copy=$(copies)
	[ -d "$copy" ]
	mv "$ha/fork" "$copy/pg_wal/$fork"
	run -65 failover "$p" --set rejoin_salvage=1ms split-brain salvage "$copy"
	run -0 failover "$p" split-brain salvage "$copy"
	[[ $output = *'cdr_queue '*3* ]]
	comes_home
	# nothing has run on it since
	run -0 failover "$p" split-brain salvage "$copy"
	[[ $output = *"$(sets | tail -n 1)"* ]]
	rm -r "$copy"
}

@test "what cannot be salvaged is refused with a reason" {
	run -64 failover "$p" split-brain
	run -64 failover "$p" split-brain heal
	run -64 failover "$p" split-brain show "$ha"
	run -1 failover "$p" split-brain salvage
	[[ $output = *'a server runs in '* ]]
	run -65 failover "$p" split-brain salvage "$ha"
	[[ $output = *'is no data directory'* ]]
	run -65 failover "$p" split-brain salvage "$ha/nowhere"
	ha_user "$ha_bin/initdb" -D "$ha/disk1/strange" -U postgres --no-sync \
		>/dev/null
	run -1 failover "$p" split-brain salvage "$ha/disk1/strange"
	[[ $output = *'system identifiers differ'* ]]
	rm -r "$ha/disk1/strange"
	run -78 failover "$p" --set peer_replication= split-brain show
	[[ $output = *unknown* ]]
	run -75 failover "$p" --set peer_replication="host=$ha" split-brain show
	[[ $output = *unknown* ]]
	[ -z "$(find "$ha/n$p/state" -name '*.part')" ]
}
