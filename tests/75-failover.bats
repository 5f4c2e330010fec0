#!/usr/bin/env bats
# voip-failover against a real primary and a real streaming standby.
# shellcheck disable=SC2154

bats_require_minimum_version 1.5.0
load cluster

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export cluster_base
	cluster_init node1
	echo "cluster_name = 'node1'" >>"$cluster_base/node1/postgresql.conf"
	cluster_start node1
	PGHOST=$cluster_base/node1 cluster_load voip_platform
}

teardown_file() {
	cluster_remove
}

# Every test has a new standby, and speaks as the program's own role.
setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	export VOIP_CONFIG=/dev/null PGUSER=voip_failover
	cluster_copy node2 node1
	cluster_start node2
	eventually streaming
}

teardown() {
	[ ! -e "$cluster_base/node2/postmaster.pid" ] ||
		cluster_stop node2 immediate
	rm -rf "$cluster_base/node2"
	[ -e "$cluster_base/node1/postmaster.pid" ] || cluster_start node1
	on node1 -U postgres -c "alter system reset all"
	on node1 -U postgres -c "select pg_reload_conf()"
	# A slot is in use until its sender has noticed that node2 is gone.
	eventually on node1 -U postgres -c "select
		pg_drop_replication_slot(slot_name) from pg_replication_slots"
}

on() {
	psql -XqAt -v ON_ERROR_STOP=1 -h "$cluster_base/$1" -d voip_platform \
		"${@:2}"
}

failover_on() {
	PGHOST=$cluster_base/$1 voip-failover "${@:2}"
}

# The command succeeds within a minute.
eventually() {
	for _ in {1..1200}; do
		! "$@" || return 0
		sleep 0.05
	done
	echo "never: $*"
	return 1
}

streaming() {
	[ "$(on node1 -U postgres -c "select count(*) from pg_stat_replication
		where state = 'streaming' and application_name = 'node2'
		and replay_lsn = pg_current_wal_lsn()")" = 1 ]
}

# The fields $3... of the rows of kind $2 that $1 shows.
fields() {
	failover_on "$1" status -f jsonl | jq -r "select(.kind == \"$2\") |
		[$3] | map(if . == null then \"-\" else tostring end) |
		join(\" \")"
}

# shows NODE KIND FIELDS TEXT
shows() {
	[ "$(fields "$1" "$2" "$3")" = "$4" ]
}

state_is() {
	shows "$1" node .state "$2"
}

@test "status shows a primary, its standby and the slot" {
	run -0 fields node1 node .name,.role,.state,.timeline,.lag_bytes,.lag_ms
	[ "$output" = 'node1 primary writable 1 - -' ]
	eventually shows node1 standby \
		.name,.state,.lag_bytes,.lag_ms,.detail \
		'node2 streaming 0 0 async'
	run -0 fields node1 slot .name,.state,.detail
	[ "$output" = 'node2 active physical reserved' ]
	run -0 failover_on node1 status
	[[ ${lines[0]} =~ ^kind\ +name\ +role\ +state\ +timeline ]]
	[ "${#lines[@]}" -ge 4 ]
}

@test "status of an idle standby shows no lag, and where it receives from" {
	eventually shows node2 node \
		.name,.role,.state,.timeline,.lag_bytes,.lag_ms \
		'node2 standby streaming 1 0 0'
	run -0 fields node2 node .detail
	[[ $output == "system "*" from $cluster_base/node1:5432" ]]
}

@test "status shows how far a paused standby is behind" {
	local bytes ms
	on node1 -U postgres -c 'create table before (); drop table before'
	eventually streaming
	on node2 -U postgres -c 'select pg_wal_replay_pause()'
	on node1 -U postgres -c 'create table lag as
		select generate_series(1, 10000); drop table lag'
	eventually received_all
	eventually state_is node2 paused
	read -r bytes ms <<<"$(fields node2 node .lag_bytes,.lag_ms)"
	[ "$bytes" -gt 100000 ]
	[ "$ms" -gt 0 ]
}

received_all() {
	[ "$(on node1 -U postgres -c "select count(*) from pg_stat_replication
		where flush_lsn = pg_current_wal_lsn()")" = 1 ]
}

@test "status says that a standby is disconnected, and claims no lag" {
	cluster_stop node1
	eventually state_is node2 disconnected
	run -0 fields node2 node .role,.timeline,.lag_ms
	[ "$output" = 'standby 1 -' ]
}

@test "status without a server is 75, and tells what the data directory says" {
	cluster_stop node2
	run -75 --separate-stderr failover_on node2 \
		--set "postgresql_data_directory=$cluster_base/node2" \
		status -f tsv
	[ "${lines[1]}" = $'node\t'"$cluster_base/node2"$'\tstandby\tdown\t\t\t\t\tno process' ]
	[[ $stderr == *'cannot tell the state of this node: '* ]]
	run -75 --separate-stderr failover_on node2 status -f tsv
	[ "${#lines[@]}" -eq 1 ]
}

@test "status sees a server that hangs as a process that does not answer" {
	local pid
	pid=$(head -n 1 "$cluster_base/node2/postmaster.pid")
	kill -STOP "$pid"
	run --separate-stderr failover_on node2 --set database_timeout=300ms \
		--set database_connect_timeout=300ms \
		--set "postgresql_data_directory=$cluster_base/node2" \
		status -f tsv
	kill -CONT "$pid"
	[ "$status" -eq 75 ]
	[[ ${lines[1]} == *$'\tstandby\tready\t'*"process $pid does not answer" ]]
}

@test "explain tells a server that starts, or takes no sessions, from one that hangs" {
	cluster_stop node2
	cluster_start node2 hot_standby=off
	run -0 --separate-stderr failover_on node2 \
		--set "postgresql_data_directory=$cluster_base/node2" \
		--set "failover_state_dir=$cluster_base/node2" explain
	[[ $output == *"postgresql  starting: "*"not accepting connections"* ]]
	[[ $output == *"PostgreSQL is starting or recovering here and answers nobody yet: wait"* ]]
}

@test "promote makes a standby writable on the next timeline, once" {
	cluster_stop node1
	# Until then it still receives, and promote would warn.
	eventually state_is node2 disconnected
	run -0 --separate-stderr failover_on node2 promote
	[[ $output =~ ^node2:\ promoted,\ timeline\ 2,\ writable\ after\ [0-9.]+\ s$ ]]
	[ -z "$stderr" ]
	on node2 -U postgres -c "insert into voip.domains (domain)
		values ('written.example.com')"
	run -0 fields node2 node .role,.state,.timeline
	[ "$output" = 'primary writable 2' ]
	run -0 failover_on node2 promote
	[ "$output" = 'node2: primary already, timeline 2' ]
	run -0 failover_on node2 promote --format json
	[ "$(jq -c . <<<"$output")" = '[{"name":"node2","role":"primary","timeline":2,"detail":"node2: primary already, timeline 2"}]' ]
}

@test "promote warns when the old primary still sends" {
	run -0 --separate-stderr failover_on node2 promote
	[[ $stderr == *"'node2' still receives from "*"/node1:5432: stop that primary"* ]]
}

@test "promote is not held up by a synchronous standby that is away" {
	on node1 -U postgres -c "alter system set synchronous_standby_names
		= 'ANY 1 (node9)'"
	echo "synchronous_standby_names = 'ANY 1 (node1)'" \
		>>"$cluster_base/node2/postgresql.auto.conf"
	cluster_stop node1
	on node2 -U postgres -c 'select pg_reload_conf()'
	run -0 --separate-stderr failover_on node2 promote --wait 20
	[[ $output == *'promoted, timeline 2'* ]]
	[[ $stderr == *"commits wait for synchronous_standby_names 'ANY 1 (node1)'"* ]]
}

@test "promote with --wait 0 only asks" {
	cluster_stop node1
	run -0 failover_on node2 promote --wait 0
	[ "$output" = 'node2: asked to promote' ]
	eventually state_is node2 writable
}

@test "promote of a primary that is read-only is 1 and says so" {
	on node1 -U postgres -c 'alter system set
		default_transaction_read_only = on' \
		-c 'select pg_reload_conf()'
	eventually state_is node1 read-only
	run -1 failover_on node1 promote
	[[ $output == *"'node1' is primary already, but not writable: default_transaction_read_only is on"* ]]
}

@test "promote without a server is 75" {
	cluster_stop node2
	run -75 failover_on node2 promote
	[[ $output == *'cannot promote this node: '* ]]
}

@test "promote as a role that may not is 78, and the standby stays" {
	PGUSER=voip_health run -78 failover_on node2 promote
	[[ $output == *"cannot promote 'node2': "* ]]
	state_is node2 streaming
}

@test "what cannot be tried is refused with --dry-run, and not done" {
	local command
	for command in promote demote rejoin fence unfence \
		'maintenance on --reason x' 'notify INSTANCE voip STOP 0'; do
		# shellcheck disable=SC2086 # words
		run -64 failover_on node2 --set peer_address= $command --dry-run
		[[ $output == *"--dry-run is for switchover, not for ${command%% *}"* ]]
	done
	state_is node2 streaming
}

@test "wrong arguments are 64" {
	run -64 failover_on node2 promote --wait -1
	[[ $output == *'--wait takes 0 to 86400 seconds, not -1'* ]]
	run -64 failover_on node2 promote node2
	run -64 failover_on node2 rejoin --policy guess
	run -64 failover_on node2 status -f xml
}
