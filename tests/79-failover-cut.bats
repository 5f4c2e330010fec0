#!/usr/bin/env bats
# voip-failover killed at each step of what it does, on a real PostgreSQL: it
# goes on, or takes it back.  strace kills it when a step is about to be
# recorded, so what the step before did has been done.
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
	service_setup
	local n

	printf '%064d\n' 7 >"$dir/key"
	chmod 755 "$dir"
	for n in 1 2; do
		mkdir -p "$dir/$n/run" "$dir/$n/state"
	done
	[ "$(id -u)" -ne 0 ] || chown -R "$(stat -c %U "$cluster_base/node1")" "$dir"
	chmod 600 "$dir/key"
}

teardown() {
	service_teardown
}

as_node() { # N COMMAND...: with the settings of that node
	local n=$1 ctl

	shift
	ctl="$cluster_bin/pg_ctl -D $cluster_base/node$n -s -w"
	cluster_run env VOIP_CONFIG=/dev/null VOIP_NODE_NAME="node$n" \
		ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
		VOIP_HEALTH_DIR="$dir/$n/run" \
		VOIP_FAILOVER_STATE_DIR="$dir/$n/state" \
		VOIP_FAILOVER_FIFO="$dir/$n/run/fifo" \
		VOIP_PEER_KEY_FILE="$dir/key" VOIP_PEER_LISTEN=127.0.0.1:0 \
		VOIP_PEER_ADDRESS="${peer:-}" VOIP_PEER_TIMEOUT=5s \
		VOIP_PEER_REPLICATION="${replication:-}" \
		VOIP_OWN_SLOT="node$n" VOIP_SYNC_MODE="${sync_mode:-async}" \
		VOIP_POSTGRESQL_DATA_DIRECTORY="$cluster_base/node$n" \
		VOIP_POSTGRESQL_BIN_DIR="$cluster_bin" \
		VOIP_NODE_DATABASE="host=$cluster_base/node$n dbname=voip_platform user=voip_failover" \
		VOIP_SERVICE_POSTGRESQL_START="$ctl -l $cluster_base/node$n.log -o '-k $cluster_base/node$n -c listen_addresses= -c fsync=off -c wal_log_hints=on -c shared_buffers=16MB' start" \
		VOIP_SERVICE_POSTGRESQL_STOP="$ctl -m fast stop" \
		VOIP_SERVICE_POSTGRESQL_KILL=true \
		VOIP_SERVICE_POSTGRESQL_STATUS="$ctl status" \
		VOIP_FAILOVER_SERVICES=web VOIP_DRAIN_UNDO=true \
		VOIP_SERVICE_WEB_START="touch $dir/$n/web" \
		VOIP_SERVICE_WEB_STOP="rm -f $dir/$n/web" \
		VOIP_SERVICE_WEB_STATUS="test -e $dir/$n/web" "$@"
}

# cut N STATE COUNT: voip-failover hears STATE on node N and is killed when it is
# about to make the COUNTth file whole, which is its state at each step; false
# when there are not so many.
cut() {
	local calls=rename,renameat,renameat2

	as_node "$1" strace -qq -o /dev/null -e trace=$calls \
		-e inject=$calls:signal=KILL:when="$3" \
		"$BUILD/bin/voip-failover" notify INSTANCE voip "$2" 200 \
		>"$dir/cut.log" 2>&1 3>&- && return 1
	jq -r '"\(.doing) \(.step)"' "$dir/$1/state/state.json" \
		>>"$dir/steps" 2>/dev/null || :
}

follow() { # N: in the background
	: >"$dir/log"
	start_function as_node "$1" "$BUILD/bin/voip-failover" follow
	wait_for grep -q 'listening on' "$dir/log"
}

# setsid cannot run a function.
start_function() {
	set -m
	"$@" 3>&- 4>&- </dev/null >>"$dir/log" 2>&1 &
	pid=$!
	set +m
	started+=("$pid")
}

stop_following() {
	kill -TERM -- "-$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
}

state() { # N FILTER
	jq -r "$2" "$dir/$1/state/state.json"
}

recovery() { # N
	psql -XqAt -h "$cluster_base/node$1" -U postgres -d postgres \
		-c 'select pg_is_in_recovery()' 2>/dev/null
}

is_primary() { # N: held, its services run, nothing is at work
	[ "$(recovery "$1")" = f ] && [ -e "$dir/$1/web" ] &&
		[ "$(state "$1" '[.held, .fenced, .doing] | join(" ")')" = \
			'true false ' ] &&
		[ "$(jq -r .duty "$dir/$1/run/services")" = primary ]
}

is_stopped() { # N: fenced, without its services
	[ ! -e "$cluster_base/node$1/postmaster.pid" ] && [ ! -e "$dir/$1/web" ] &&
		[ -e "$cluster_base/node$1/standby.signal" ] &&
		[ "$(state "$1" '[.held, .fenced, .doing] | join(" ")')" = \
			'false true ' ]
}

is_following() { # N
	[ "$(psql -XqAt -h "$cluster_base/node$1" -U postgres -d postgres \
		-c 'select status from pg_stat_wal_receiver' 2>/dev/null)" = \
		streaming ] && [ "$(state "$1" '[.fenced, .doing] | join(" ")')" = \
			'false ' ]
}

# Every step of the actions $@ was met.
met_all() {
	voip-failover table --steps -f jsonl | jq -r --arg a " $* " \
		'select($a | contains(" \(.action) ")) |
		"\(.action) \(.step)"' | grep -vx 'promote recover calls' |
		sort >"$dir/wanted"
	sort -u "$dir/steps" | comm -23 "$dir/wanted" - >"$dir/missing"
	cat "$dir/missing"
	[ ! -s "$dir/missing" ]
}

@test "killed in a promotion it is done, killed in a demotion it is done" {
	local n more=true
	cluster_stop node2
	sed -i /primary_conninfo/d "$cluster_base/node2/postgresql.auto.conf"
	for n in {2..20}; do
		rm -rf "$dir"/2/state/* "$dir"/2/run/* "$dir/2/web"
		cluster_start node2
		cut 2 MASTER "$n" || more=false
		$more || [ "$n" -gt 6 ]
		$more || break
		follow 2
		wait_for is_primary 2
		stop_following
		cut 2 FAULT "$n" || as_node 2 "$BUILD/bin/voip-failover" \
			notify INSTANCE voip FAULT 200 >/dev/null 2>&1
		follow 2
		wait_for is_stopped 2
		stop_following
	done
	[ "$more" = false ]
	met_all promote demote
}
