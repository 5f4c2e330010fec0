# cut.bash: voip-failover killed at each step of what it does, on PostgreSQL
# servers of cluster.bash.  strace kills it when a step is about to be recorded,
# so what the step before did has been done.
#
#   cut_setup             in setup: two nodes, their settings in as_node
#   cut_teardown          in teardown
#   as_node N COMMAND     with the settings of node N, whose data directory is
#                         $cluster_base/nodeN; $peer, $replication, $policy and
#                         $settings of the caller are among them
#   cut N K COMMAND...    on node N: killed when it is about to make the Kth
#                         file whole ($calls: at another call of the system);
#                         false when there are not so many.  Where it was is
#                         added to $dir/steps
#   follow N              voip-failover follow in the background
#   stop_following
#   met_all ACTION...     holds when every step of these was met

# $cut_socket, "node" or of the caller, with N is where the sockets are: beside
# the data directories when these are rewound.

# shellcheck shell=bash
# shellcheck disable=SC2154 # of service.bash and cluster.bash

cut_socket=${cut_socket:-node} settings=()

cut_setup() {
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

cut_teardown() {
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
		VOIP_PEER_KEY_FILE="$dir/key" \
		VOIP_PEER_LISTEN="${listen:-127.0.0.1:0}" \
		VOIP_PEER_ADDRESS="${peer:-}" VOIP_PEER_TIMEOUT=5s \
		VOIP_PEER_REPLICATION="${replication:-}" \
		VOIP_OWN_SLOT="node$n" VOIP_REJOIN_POLICY="${policy:-rewind}" \
		VOIP_POSTGRESQL_DATA_DIRECTORY="$cluster_base/node$n" \
		VOIP_POSTGRESQL_BIN_DIR="$cluster_bin" \
		VOIP_NODE_DATABASE="host=$cluster_base/$cut_socket$n dbname=voip_platform user=voip_failover" \
		VOIP_SERVICE_POSTGRESQL_START="$ctl -l $cluster_base/node$n.log -o '-k $cluster_base/$cut_socket$n -c listen_addresses= -c fsync=off -c wal_log_hints=on -c shared_buffers=16MB -c wal_retrieve_retry_interval=100ms' start" \
		VOIP_SERVICE_POSTGRESQL_STOP="$ctl -m fast stop" \
		VOIP_SERVICE_POSTGRESQL_KILL=true \
		VOIP_SERVICE_POSTGRESQL_STATUS="$ctl status" \
		VOIP_FAILOVER_SERVICES=web VOIP_DRAIN_UNDO=true \
		VOIP_SERVICE_WEB_START="touch $dir/$n/web" \
		VOIP_SERVICE_WEB_STOP="rm -f $dir/$n/web" \
		VOIP_SERVICE_WEB_STATUS="test -e $dir/$n/web" \
		"${settings[@]}" "$@"
}

cut() { # N K COMMAND...
	local n=$1 k=$2 calls=${calls:-rename}

	shift 2
	as_node "$n" strace -qq -o /dev/null -e trace="$calls" \
		-e inject="$calls:signal=KILL:when=$k" "$@" \
		>"$dir/cut.log" 2>&1 3>&- && return 1
	jq -r '"\(.doing) \(.step)"' "$dir/$n/state/state.json" \
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
	psql -XqAt -h "$cluster_base/$cut_socket$1" -U postgres -d postgres \
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
	[ "$(psql -XqAt -h "$cluster_base/$cut_socket$1" -U postgres -d postgres \
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
