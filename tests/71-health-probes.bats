#!/usr/bin/env bats
# voip-health: the probes of PostgreSQL, Kamailio, FreeSWITCH, the machine and
# the pair, and what they mean for the verdict.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 # a test is a subshell; service.bash

setup_file() {
	load helper
	# shellcheck source=tests/cluster.bash
	. "$BATS_TEST_DIRNAME/cluster.bash"
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	cluster_init one
	cluster_start one
	cluster_copy two one
	cluster_start two
	export PAIR=$cluster_base
}

teardown_file() {
	# shellcheck source=tests/cluster.bash
	. "$BATS_TEST_DIRNAME/cluster.bash"
	cluster_base=${PAIR:?}
	cluster_remove
}

setup() {
	load helper
	load service.bash
	# shellcheck source=tests/cluster.bash
	. "$BATS_TEST_DIRNAME/cluster.bash"
	cluster_base=$PAIR
	load health.bash
	health_setup
	health_alone
	mkdir "$dir/spool" "$dir/state"
	export VOIP_CDR_SPOOL_DIR=$dir/spool VOIP_HEALTH_DISKS=/
	export VOIP_FAILOVER_STATE_DIR=$dir/state
	on one
}

teardown() {
	service_teardown
}

# The node whose voip-health runs now.
on() {
	export VOIP_NODE_DATABASE="host=$PAIR/$1 dbname=postgres user=postgres"
}

row_is() { # PROBE PATTERN
	# shellcheck disable=SC2053 # a pattern
	[[ "$(row "$1")" == $2 ]]
}

# With its first verdict.
serve_settled() {
	serve
	wait_for test -e "$dir/run/verdict"
}

code_is() {
	[ "$(code "$1")" = "$2" ]
}

pg() { # NODE SQL
	psql -XqAt -h "$PAIR/$1" -U postgres -d postgres -c "$2"
}

@test "a primary is written to, and knows its standby" {
	row_is write 'ok: written'
	wait_for row_is replication 'ok: primary of timeline 1, 1 standby'
	on two
	row_is write 'ok: a standby, not tried'
}

@test "an idle standby is not behind" {
	on two
	wait_for row_is replication 'ok: standby of *, streaming, 0 bytes and 0 ms behind'
}

@test "a standby that is paused or disconnected says so" {
	on two
	pg two 'select pg_wal_replay_pause()'
	pg one 'create table t as select generate_series(1, 1000)'
	wait_for row_is replication 'warning: standby, replay is paused, [1-9]* bytes behind'
	pg two 'select pg_wal_replay_resume()'
	pg one 'drop table t'
	pg two "alter system set primary_conninfo = ''"
	pg two 'select pg_reload_conf()'
	wait_for row_is replication 'failed: standby, disconnected; how far behind is unknown'
	pg two 'alter system reset primary_conninfo'
	pg two "alter system set primary_conninfo =
		'host=$PAIR/one user=postgres application_name=two'"
	pg two 'select pg_reload_conf()'
	wait_for row_is replication 'ok: standby of *'
}

@test "Patroni's words are answered for a primary" {
	serve_settled
	wait_for code_is /primary 200
	for path in / /leader /read-write /read-only /readiness /patroni \
		/cluster /history /health /live /livez /liveness /readyz; do
		code_is $path 200
	done
	for path in /replica /standby-leader /sync /async /quorum; do
		code_is $path 503
	done
	for path in / /health /liveness /readiness /cluster /history /metrics; do
		[ "$(ask $path -X OPTIONS -o /dev/null -w '%{http_code}')" = 200 ]
		[ "$(ask $path -I -o /dev/null -w '%{http_code}')" = 200 ]
	done
	[ "$(ask /replica -X OPTIONS -o /dev/null -w '%{http_code}')" = 503 ]
	wait_for eval '[ "$(ask /patroni | jq -r .timeline)" = 1 ]'
	[ "$(ask /cluster | jq -r '.members[0].role')" = leader ]
	[ "$(ask /history | jq -c .)" = '[]' ]
}

@test "Patroni's words are answered for a standby, and its lag" {
	on two
	serve_settled
	wait_for code_is /replica 200
	wait_for code_is '/replica?lag=16MB' 200
	code_is /read-only 200
	code_is /async 200
	code_is /primary 503
	# no size is no limit, less than nothing is none that holds
	for lag in '' garbage nan inf 1XB 0x 1e400 9999999999999999999999TB; do
		code_is "/replica?lag=$lag" 200
	done
	code_is '/replica?lag=-1' 503
	wait_for code_is '/replica?replication_state=streaming' 200
	code_is '/replica?replication_state=in+archive+recovery' 503
	code_is '/replica?tag_zone=a' 503
	code_is '/read-only?lag=1TB&tag_zone=a' 503
	code_is '/replica?nonsense&=&&%00&lag' 200
	pg two 'select pg_wal_replay_pause()'
	pg one 'create table t as select generate_series(1, 10000)'
	wait_for code_is '/replica?lag=1kB' 503
	code_is /replica 200
	code_is '/replica?receive_lag=1&lag=1kB' 503
	code_is '/readiness?lag=1kB' 503
	code_is /readiness 200
	wait_for code_is '/readiness?lag=1kB&mode=write' 200
	pg two 'select pg_wal_replay_resume()'
	pg one 'drop table t'
}

@test "the metrics are well formed and have the names that others know" {
	event_socket ok
	serve_settled
	wait_for eval 'ask /metrics | grep -q "^patroni_primary{name=.*} 1$"'
	wait_for eval 'ask /metrics | grep -q "^freeswitch_up 1$"'
	wait_for eval 'ask /metrics | grep -q "^freeswitch_sofia_gateway_call_in"'
	ask /metrics >"$dir/metrics"
	grep -qx 'voip_cluster_writers 1' "$dir/metrics"
	grep -qx 'patroni_failover_priority{.*} 1' "$dir/metrics"
	grep -qx 'freeswitch_uptime_seconds 93784.005006' "$dir/metrics"
	grep -qx 'freeswitch_sofia_gateway_call_in{name="carrier1"} 17' "$dir/metrics"
	grep -qx 'freeswitch_exporter_failed_scrapes 0' "$dir/metrics"
	grep -qx 'voip_health_probe_runs_total{probe="database"} [1-9][0-9]*' "$dir/metrics"
	# each name is declared once, before its samples, which stand together
	awk '/^# TYPE/ { if (declared[$3]++) exit 1; now = $3; next }
		/^#/ { next }
		{ name = $1; sub(/{.*/, "", name)
		  if (name != now || seen[$1]++) { print; exit 1 } }' \
		"$dir/metrics"
}

@test "health.json tells all, with what to do" {
	VOIP_HEALTH_UNITS=sick VOIP_SERVICE_SICK_STATUS=false serve_settled
	wait_for eval '[ "$(jq -r ".probes[] | select(.name == \"units\").state" "$dir/run/health.json")" = failed ]'
	[ "$(jq -r .verdict "$dir/run/health.json")" = fit ]
	[ "$(jq -r '.probes[] | select(.name == "units").remedy' "$dir/run/health.json")" = 'systemctl status, then start it' ]
	[ "$(jq .valid_for "$dir/run/health.json")" = 3000 ]
}

# --- FreeSWITCH ------------------------------------------------------------

event_socket() { # MODE
	cat >"$dir/status" <<-'END'
	UP 0 years, 1 day, 2 hours, 3 minutes, 4 seconds, 5 milliseconds, 6 microseconds
	FreeSWITCH (Version 1.10.12 -release 64bit) is ready
	100 session(s) since startup
	7 session(s) - peak 9, last 5min 8
	1 session(s) per Sec out of max 30, peak 3, last 5min 2
	1000 session(s) max
	min idle cpu 0.00/97.33
	END
	printf '\n12 total.\n' >"$dir/calls"
	printf '\n345 total.\n' >"$dir/registrations"
	printf '%s\t%s\t%s\t%s\n' internal profile sip:mod_sofia@192.0.2.1:5080 \
		'RUNNING (0)' 192.0.2.1 alias internal ALIASED >"$dir/profiles"
	cat >"$dir/gateways" <<-'END'
	<gateways><gateway><name>carrier1</name><ping>1</ping><status>UP</status><calls-in>17</calls-in></gateway>
	<gateway><name>carrier2</name><status>DOWN</status></gateway></gateways>
	END
	: >"$dir/log"
	start_process esl-peer 0 "$dir" "$@"
	wait_for grep -q 'listening on' "$dir/log"
	VOIP_FREESWITCH_EVENT_SOCKET=$(sed -n 's/listening on //p' "$dir/log")
	export VOIP_FREESWITCH_EVENT_SOCKET
}

@test "FreeSWITCH is asked for its state, profiles, calls and registrations" {
	event_socket ok
	export VOIP_HEALTH_PROFILES=internal
	row_is freeswitch 'ok: ready, 7 of 1000 sessions'
	row_is calls 'ok: 12 calls'
	row_is registrations 'ok: 345 registrations'
	row_is profiles 'ok: all of them run'
	row_is gateways "warning: gateway 'carrier2' is DOWN"
	VOIP_HEALTH_PROFILES='internal external' row_is profiles \
		"failed: profile 'external' does not run"
}

@test "FreeSWITCH that refuses, is silent or away is a failure that moves nothing" {
	event_socket refusing
	row_is freeswitch 'failed: *'
	event_socket silent
	row_is freeswitch 'failed: *'
	export VOIP_FREESWITCH_EVENT_SOCKET=127.0.0.1:1
	row_is freeswitch 'failed: *'
	run -0 voip-health
	VOIP_HEALTH_FATAL='calls, freeswitch' run -1 voip-health
	[[ "$output" == *"voip-health: unfit: freeswitch: "* ]]
}

# --- the machine -------------------------------------------------------------

@test "disks, inodes and tmpfs need room" {
	VOIP_HEALTH_ROOM=99 row_is disks "@(warning|failed): * % of the bytes free on '/'"
	VOIP_HEALTH_DISKS=/proc row_is disks 'ok: *'
	VOIP_HEALTH_DISKS="$dir/none" row_is disks 'warning: cannot look at *'
	VOIP_HEALTH_DISKS="$dir" VOIP_HEALTH_ROOM=1 row_is inodes '* % of the inodes free *'
	VOIP_HEALTH_TMPFS=/proc row_is tmpfs "warning: '/proc' is no tmpfs"
	VOIP_HEALTH_CLOCK=0 row_is clock 'off: setting health_clock is 0'
}

@test "a certificate that ends soon, has ended, or is none is told" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/key" \
		-subj /CN=x -days 90 -out "$dir/good.pem" 2>/dev/null
	openssl req -x509 -key "$dir/key" -subj /CN=x -days 5 \
		-out "$dir/soon.pem"
	echo none >"$dir/none.pem"
	VOIP_HEALTH_CERTIFICATES=$dir/good.pem row_is certificates "ok: * expires in [89]* days"
	VOIP_HEALTH_CERTIFICATES="$dir/good.pem $dir/soon.pem" row_is certificates \
		"warning: '$dir/soon.pem' expires in * days"
	VOIP_HEALTH_CERTIFICATES=$dir/none.pem row_is certificates "warning: '$dir/none.pem' is no certificate"
}

@test "lsyncd that has stopped or is behind is told" {
	export VOIP_LSYNCD_STATUS=$dir/lsyncd
	row_is lsyncd "failed: cannot read '$dir/lsyncd'*"
	printf 'Sync1 source=/a/\nThere are 3 delays\nSync2 source=/b/\nThere are 4 delays\n' >"$dir/lsyncd"
	row_is lsyncd 'ok: 7 changes wait'
	VOIP_HEALTH_LSYNCD_DELAYS=6 row_is lsyncd 'warning: 7 changes wait'
	touch -d '10 minutes ago' "$dir/lsyncd"
	row_is lsyncd 'failed: its status is * s old: it has stopped'
}

@test "units are asked as the settings say" {
	export VOIP_SERVICE_A_STATUS=true VOIP_SERVICE_B_STATUS=false
	VOIP_HEALTH_UNITS=a row_is units 'ok: all of them run'
	VOIP_HEALTH_UNITS='a b' row_is units "failed: 'b' does not run"
}

# --- the pair ------------------------------------------------------------------

# What the peer said: its health, and members of its state.
peer_says() { # HEALTH [MEMBERS]
	cat >"$dir/run/peer.new" <<-END
	{"at":$(now_ms),"answers":true,"why":"","state":{"name":"b",
	"pg":"standby","streaming":true,"timeline":1,"health":"$1"${2:+,$2}}}
	END
	mv "$dir/run/peer.new" "$dir/run/peer.json"
}

peer_is_silent() {
	echo "{\"at\":$(now_ms),\"answers\":false,\"why\":\"gone\",\"state\":null}" \
		>"$dir/run/peer.json"
}

@test "a service that fails makes a node unfit when the peer is well" {
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_DIRXML_LISTEN=unix:$dir/nobody
	peer_says fit
	run -1 voip-health
	[[ "$output" == *"unfit: dirxml: no answer"* ]]
	row_is peer 'ok: b: standby of timeline 1, fit'
	rm "$dir/run/peer.json"
	run -1 voip-health
}

@test "a service that fails moves nothing when the peer is worse" {
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_DIRXML_LISTEN=unix:$dir/nobody
	for health in unfit held unknown; do
		peer_says $health
		run -0 voip-health
	done
	peer_says fit '"maintenance":true'
	run -0 voip-health
	peer_says fit '"streaming":false'
	run -0 voip-health
	peer_says fit '"kept":{"vrrp":"FAULT"}'
	run -0 voip-health
	peer_says fit '"kept":{"vrrp":"BACKUP"}'
	run -1 voip-health
	peer_says fit '"pg":"hung"'
	run -0 voip-health
	peer_is_silent
	run -0 voip-health
	row_is peer 'failed: no answer: gone'
}

# outcome_is PATTERN COMMAND...: what the end of PostgreSQL would mean when the
# peer says that; it says so again and again, since words grow old.
outcome_is() {
	local pattern=$1

	shift
	is_so() {
		"$@"
		# shellcheck disable=SC2053 # a pattern
		[[ "$(voip-health --simulate pg=down 2>&1)" == *$pattern* ]]
	}
	wait_for is_so "$@"
}

@test "a dead PostgreSQL takes the address along, unless the peer is worse" {
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_VIRTUAL_ADDRESS=127.0.0.1
	moves='unfit: keepalived goes to FAULT, the peer takes the address'
	outcome_is "$moves" peer_says fit
	# its stream ends with this server: that is no fault of its own
	outcome_is "$moves" peer_says fit '"streaming":false'
	# It waits for the address, to be promoted.
	outcome_is "$moves" \
		peer_says fit '"streaming":false,"kept":{"fenced":true}'
	outcome_is "held: it stays where it is (database: simulated; held: the peer's PostgreSQL does not answer" \
		peer_says fit '"pg":"stopped standby"'
	outcome_is 'held: the peer is unfit as well' peer_says unfit
	outcome_is 'held: the peer is in maintenance' \
		peer_says fit '"maintenance":true'
	outcome_is 'held: the peer does not answer' peer_is_silent
	outcome_is "$moves" rm -f "$dir/run/peer.json"
}

@test "a standby that lacks more than health_lag_bytes is worse" {
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_VIRTUAL_ADDRESS=127.0.0.1
	moves='unfit: *the peer takes the address'
	export VOIP_HEALTH_LAG_BYTES=1M
	outcome_is 'held: the peer lacks more than health_lag_bytes of what was written here' \
		peer_says fit '"lsn":"0/0"'
	VOIP_FAILOVER_POLICY=availability outcome_is "$moves" \
		peer_says fit '"lsn":"0/0"'
	VOIP_HEALTH_LAG_BYTES=1T outcome_is "$moves" peer_says fit '"lsn":"0/0"'
	outcome_is "$moves" peer_says fit '"lsn":"FFFF/0"'
}

@test "a node without PostgreSQL keeps the address, and never gets it" {
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_NODE_DATABASE=host=$dir
	peer_says unfit
	VOIP_VIRTUAL_ADDRESS=192.0.2.77 run -1 voip-health
	[[ "$output" == *"voip-health: unfit: database: "* ]]
	export VOIP_VIRTUAL_ADDRESS=127.0.0.1
	outcome_is 'voip-health: held: database: ' peer_says unfit
	serve
	while_unfit() { peer_says unfit; verdict_is held; }
	wait_for while_unfit
	still_held() {
		peer_says unfit
		voip-health check && [ "$(<"$dir/run/health")" = 0 ]
	}
	wait_for still_held
	run -1 voip-health check --role=primary
	for path in /health /readyz /primary /replica /read-only; do
		code_is $path 503
	done
	while_fit() { peer_says fit; verdict_is unfit; }
	wait_for while_fit
	[ "$(<"$dir/run/health")" = 1 ]
}

@test "the verdict is held while the peer is worse, and check is true" {
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_DIRXML_LISTEN=unix:$dir/nobody
	peer_says unfit
	serve_settled
	while_unfit() { peer_says unfit; verdict_is held; }
	wait_for while_unfit
	voip-health check
	[ "$(<"$dir/run/health")" = 0 ]
	while_fit() { peer_says fit; verdict_is unfit; }
	wait_for while_fit
	[ "$(<"$dir/run/health")" = 1 ]
}

@test "the virtual address must be where keepalived says" {
	export VOIP_VIRTUAL_ADDRESS=127.0.0.1/8
	row_is address 'ok: 127.0.0.1 is on lo'
	echo MASTER >"$dir/run/vrrp"
	row_is address 'ok: 127.0.0.1 is on lo'
	echo BACKUP >"$dir/run/vrrp"
	row_is address 'failed: 127.0.0.1 is on lo, but keepalived said BACKUP'
	export VOIP_VIRTUAL_ADDRESS=192.0.2.77
	row_is address 'ok: 192.0.2.77 is not here'
	export VOIP_KEEPALIVED_PID_FILE=$dir/keepalived.pid
	VOIP_PEER_ADDRESS=192.0.2.2:1 row_is keepalived 'ok: BACKUP'
	echo $$ >"$dir/keepalived.pid"
	VOIP_PEER_ADDRESS=192.0.2.2:1 row_is keepalived 'ok: BACKUP'
	true & gone=$!
	wait $gone
	echo $gone >"$dir/keepalived.pid"
	VOIP_PEER_ADDRESS=192.0.2.2:1 row_is keepalived \
		"failed: it was killed: '$dir/keepalived.pid' names no process, its last word was BACKUP"
	echo MASTER >"$dir/run/vrrp"
	row_is address 'failed: 192.0.2.77 is not here, but keepalived said MASTER'
}

@test "check for a primary is true only where the address is" {
	VOIP_VIRTUAL_ADDRESS=127.0.0.1 serve_settled
	wait_for voip-health check --role=primary
	[ "$(code /primary)" = 200 ]
	stop_process "${started[-1]}"
	VOIP_VIRTUAL_ADDRESS=192.0.2.77 serve_settled
	wait_for verdict_is fit
	run -1 voip-health check --role=primary
	wait_for code_is /replica 503
	[ "$(code /primary)" = 503 ]
}

# --- for people and others ----------------------------------------------------

@test "what would happen is told" {
	run -1 voip-health --simulate pg=down
	[[ "$output" == *"unfit: keepalived goes to FAULT, and there is no peer to take over"* ]]
	export VOIP_PEER_ADDRESS=192.0.2.2:8084 VOIP_VIRTUAL_ADDRESS=127.0.0.1
	peer_says fit
	run -1 voip-health --simulate pg=down
	[[ "$output" == *"the peer takes the address and is promoted"* ]]
	peer_says unfit
	run -0 voip-health --simulate kamailio=failed
	[[ "$output" == *"held: it stays where it is (kamailio: simulated; held: the peer is unfit as well)"* ]]
	run -0 voip-health --simulate freeswitch=failed
	[[ "$output" == *"fit: nothing moves" ]]
}

@test "Nagios has its line and its status" {
	export VOIP_HEALTH_CLOCK=0 VOIP_HEALTH_DISKS=
	wait_for row_is replication 'ok: *'
	run -0 voip-health --format nagios
	[[ "$output" == 'VOIP OK - primary, fit | bad=0;0 probes='* ]]
	touch -d '1 hour ago' "$dir/spool/1-1"
	run -1 voip-health --format nagios
	[[ "$output" == 'VOIP WARNING - primary, fit: cdr-spool: 1 waiting'* ]]
	VOIP_NODE_DATABASE=host=$dir run -2 voip-health --format nagios
	[[ "$output" == 'VOIP CRITICAL - none, unfit: database: '* ]]
	run -3 voip-health --format nagios --simulate nothing=failed
}

# The last of this file: there is no pair any more afterwards.
@test "a promotion is in the history as Patroni tells it" {
	on two
	serve_settled
	wait_for code_is /replica 200
	[ "$(ask /history | jq -c .)" = '[]' ]
	[ "$(ask /patroni | jq -r .replication_state)" = streaming ]
	pg two 'select pg_promote()'
	wait_for code_is /primary 200
	wait_for eval '[ "$(ask /history | jq -c ".[0][0, 2]" | paste -sd" ")" = "1 \"no recovery target specified\"" ]'
	[ "$(ask /history | jq -r '.[0][1] > 0 and .[0][3] > "2020-01-01T00:00:00"')" = true ]
	[ "$(ask /history | jq length)" = 1 ]
	[ "$(ask /patroni | jq -c '[.role, .timeline, .server_version > 150000]')" = '["primary",2,true]' ]
	ask /metrics | grep -q '^patroni_postgres_timeline{name=".*",scope="voip"} 2$'
	# who promoted, and when to the millisecond, is in the journal
	cat >"$dir/state/journal.jsonl" <<-'END'
	{"at":"2026-11-21T01:02:03.004Z","node":"n\"1","action":"promote","event":"done","timeline":2}
	END
	[ "$(ask /history | jq -c '.[0][3:]')" = '["2026-11-21T01:02:03.004Z","n\"1"]' ]
}
