#!/usr/bin/env bats
# voip-failover killed at each step of a rejoin: the old primary, which has a
# row of its own, comes back, the row is in a file, and no data directory is
# removed.
# shellcheck disable=SC2154

bats_require_minimum_version 1.5.0
load cluster

setup_file() {
	local row="insert into voip.cdr_queue (body) values ('{}')"

	load helper
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export cluster_base
	cluster_run mkdir "$cluster_base/s1" "$cluster_base/s2"
	cluster_init node1
	echo "cluster_name = 'node1'" >>"$cluster_base/node1/postgresql.conf"
	cluster_start node1 wal_log_hints=on \
		unix_socket_directories="$cluster_base/node1,$cluster_base/s1"
	PGHOST=$cluster_base/s1 cluster_load voip_platform
	cluster_copy node2 node1
	cluster_start node2 wal_log_hints=on \
		unix_socket_directories="$cluster_base/s2"
	as_postgres 1 "select pg_switch_wal()" >/dev/null
	wait_for streams 1
	as_postgres 2 'select pg_promote()' >/dev/null
	as_postgres 2 "select pg_create_physical_replication_slot('node1');
		checkpoint" >/dev/null
	as_postgres 1 "$row"
	cluster_stop node1 immediate
	rm -f "$cluster_base"/node1/.s.* "$cluster_base"/s1/.s.*
	touch "$cluster_base/node1/mark"
	mv "$cluster_base/node1" "$cluster_base/old"
}

teardown_file() {
	cluster_remove
}

as_postgres() { # N SQL
	psql -XqAt -h "$cluster_base/s$1" -U postgres -d voip_platform \
		-v ON_ERROR_STOP=1 -c "$2"
}

streams() { # N
	[ "$(as_postgres "$1" "select count(*) from pg_stat_replication
		where state = 'streaming'")" = 1 ]
}

# shellcheck disable=SC2034 # for cut.bash
setup() {
	load service.bash
	cut_socket=s
	load cut.bash
	cp -a "$cluster_base/old" "$cluster_base/node1"
	cut_setup
	load port.bash
	port1=$(free_port) port2=$(free_port)
	echo '{"vrrp":"MASTER","held":true,"generation":2}' \
		>"$dir/2/state/state.json"
	settings=(VOIP_PEER_TIMEOUT=20s)
	peer=127.0.0.1:$port1 listen=127.0.0.1:$port2 follow 2
	peer=127.0.0.1:$port2 listen=127.0.0.1:$port1
	replication="host=$cluster_base/s2 user=postgres dbname=voip_platform"
}

teardown() {
	cut_teardown
	[ ! -e "$cluster_base/node1/postmaster.pid" ] ||
		cluster_stop node1 immediate
	rm -rf "$cluster_base"/node1*
}

# The old primary as it was stopped.
begin_again() {
	[ ! -e "$cluster_base/node1/postmaster.pid" ] ||
		cluster_stop node1 immediate
	rm -rf "$cluster_base"/node1* "$dir"/1/{state,run}
	cp -a "$cluster_base/old" "$cluster_base/node1"
	cluster_run mkdir "$dir"/1/{state,run}
	echo '{"vrrp":"FAULT","fenced":true,"generation":1}' \
		>"$dir/1/state/state.json"
	chown --reference="$dir/1/state" "$dir/1/state/state.json"
}

copies() {
	find "$cluster_base" -maxdepth 1 -name 'node1*' -not -name '*.log'
}

came_back() {
	is_following 1 && [ "$(as_postgres 1 'select count(*) from
		pg_stat_wal_receiver where received_tli = 2')" = 1 ] &&
		[ "$(as_postgres 1 'select count(*) from voip.cdr_queue')" = 0 ]
}

# What was cut off is done by the service or by an operator, in turns.
goes_on() { # K
	if [ $(($1 % 2)) = 0 ]; then
		wait_for as_node 1 "$BUILD/bin/voip-failover" rejoin
		came_back
	else
		follow 1
		wait_for came_back || wait_for came_back || wait_for came_back
		stop_following
	fi
}

# Its own row is in a file, and in no other.
is_saved() {
	[ "$(find "$dir/1/state/salvage" -name 'cdr_queue.cdr.jsonl' \
		-not -path '*.part/*' | wc -l)" = 1 ]
}

@test "killed in a rewind: it is done, and the row of its own is in a file" {
	local k

	for k in 2 4 8 {11..20}; do
		begin_again
		cut 1 "$k" "$BUILD/bin/voip-failover" rejoin --policy rewind ||
			break
		goes_on "$k"
		is_saved
		[ "$(copies)" = "$cluster_base/node1" ]
	done
	[ "$k" -gt 8 ]
	came_back
	is_saved
	met_all rejoin || [ "$(cat "$dir/missing")" = 'rejoin reclone' ]
}

# shellcheck disable=SC2034 # for cut.bash
@test "killed in a reclone: it is done, and the old directory is kept" {
	local k

	policy=reclone
	settings+=(VOIP_REJOIN_SALVAGE=0)
	# Before the two directories change places, between that and the old
	# one's new name, and after both.
	for k in renameat2:1 rename:3 rename:4; do
		begin_again
		calls=${k%:*} cut 1 "${k#*:}" "$BUILD/bin/voip-failover" \
			rejoin --policy reclone
		goes_on "${k#*:}"
		[ "$(find "$cluster_base" -path '*/node1.*/mark' | wc -l)" = 1 ]
		[ "$(copies | wc -l)" -le 3 ]
		[ ! -e "$cluster_base/node1.new" ]
	done
	[ "$(sort -u "$dir/steps")" = 'rejoin reclone' ]
}
