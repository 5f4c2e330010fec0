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
