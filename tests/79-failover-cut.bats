#!/usr/bin/env bats
# voip-failover killed at each step of what it does, on a real PostgreSQL: it
# goes on, or takes it back.
# shellcheck disable=SC2154

bats_require_minimum_version 1.5.0
load cluster

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export cluster_base
	cluster_init node1
	echo "cluster_name = 'node1'" >>"$cluster_base/node1/postgresql.conf"
	cluster_start node1 wal_log_hints=on
	PGHOST=$cluster_base/node1 cluster_load voip_platform
	cluster_copy node2 node1
	cluster_start node2 wal_log_hints=on
}

teardown_file() {
	cluster_remove
}

setup() {
	load service.bash
	load cut.bash
	cut_setup
}

teardown() {
	cut_teardown
}

@test "killed in a promotion it is done, killed in a demotion it is done" {
	local n more=true
	cluster_stop node2
	sed -i /primary_conninfo/d "$cluster_base/node2/postgresql.auto.conf"
	for n in {2..20}; do
		rm -rf "$dir"/2/state/* "$dir"/2/run/* "$dir/2/web"
		cluster_start node2
		cut 2 "$n" "$BUILD/bin/voip-failover" \
			notify INSTANCE voip MASTER 200 || more=false
		$more || [ "$n" -gt 6 ]
		$more || break
		follow 2
		wait_for is_primary 2
		stop_following
		cut 2 "$n" "$BUILD/bin/voip-failover" \
			notify INSTANCE voip FAULT 200 ||
			as_node 2 "$BUILD/bin/voip-failover" \
				notify INSTANCE voip FAULT 200 >/dev/null 2>&1
		follow 2
		wait_for is_stopped 2
		stop_following
	done
	[ "$more" = false ]
	met_all promote demote
}

# node2 is promoted, with the event socket of tests/tool/esl-peer in MODE.
recover() { # MODE
	local pid socket

	mkdir -p "$dir/fs"
	: >"$dir/log"
	start_process esl-peer 0 "$dir/fs" "$1"
	wait_for grep -q 'listening on' "$dir/log"
	socket=$(sed -n 's/listening on //p' "$dir/log")
	settings=(VOIP_FREESWITCH_RECOVER=yes
		VOIP_FREESWITCH_EVENT_SOCKET="$socket"
		"VOIP_ALERT_COMMAND=sh -c 'echo \$VOIP_SERVICES >>$dir/2/alerts'")
	rm -rf "$dir"/2/state/* "$dir"/2/run/*
	cluster_start node2
	as_node 2 "$BUILD/bin/voip-failover" notify INSTANCE voip MASTER 200
	peer=127.0.0.1:9 as_node 2 "$BUILD/bin/voip-failover" status -f jsonl |
		jq -r 'select(.name == "sofia recover").state' >"$dir/recover"
	# shellcheck disable=SC2034 # for cut.bash
	settings=()
	as_node 2 "$BUILD/bin/voip-failover" notify INSTANCE voip FAULT 200
	stop_process "$pid"
}

@test "after a promotion FreeSWITCH takes over the calls, and says what came of it" {
	load helper
	[ ! -e "$cluster_base/node2/postmaster.pid" ] || cluster_stop node2
	touch "$cluster_base/node2/standby.signal"
	sed -i /primary_conninfo/d "$cluster_base/node2/postgresql.auto.conf"
	mkdir "$dir/fs"
	echo '+OK recovered 3 call(s)' >"$dir/fs/recover"
	recover ok
	grep -qx $'api\tsofia\trecover' "$dir/fs/log"
	[ "$(cat "$dir/recover")" = 'done' ]
	[ "$(tail -n 1 "$dir/2/alerts")" = \
		'web running, sofia recover done' ]

	# What it cannot do does not undo the promotion.
	rm "$dir/fs/recover"
	recover ok
	[ "$(cat "$dir/recover")" = \
		'sofia recover: FreeSWITCH: -ERR no such list' ]
	[[ "$(tail -n 1 "$dir/2/alerts")" == *'-ERR no such list' ]]
	recover silent

	[[ "$(cat "$dir/recover")" == 'sofia recover: '*answer* ]]
}
