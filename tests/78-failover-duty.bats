#!/usr/bin/env bats
# voip-failover: what runs besides PostgreSQL, whom it tells, what it keeps of a
# fault, and a node whose PostgreSQL is Patroni's.  No server, no peer.
# shellcheck disable=SC2030,SC2031,SC2154 # a test is a subshell; service.bash

setup() {
	load helper
	load service.bash
	service_setup
	mkdir "$dir/run" "$dir/state" "$dir/data" "$dir/up"
	chmod 700 "$dir/data"
	echo 15 >"$dir/data/PG_VERSION"
	printf '%064d\n' 7 >"$dir/key"
	chmod 600 "$dir/key"
	export VOIP_HEALTH_DIR=$dir/run VOIP_FAILOVER_STATE_DIR=$dir/state
	export VOIP_FAILOVER_FIFO=$dir/run/fifo VOIP_PEER_KEY_FILE=$dir/key
	export VOIP_POSTGRESQL_DATA_DIRECTORY=$dir/data VOIP_NODE_NAME=node1
	export VOIP_NODE_DATABASE="host=$dir dbname=none"
	export VOIP_SERVICE_POSTGRESQL_KILL=true VOIP_PEER_LISTEN=127.0.0.1:0
	for name in a b c; do
		service_is "$name"
	done
	export VOIP_FAILOVER_SERVICES='a b' VOIP_STANDBY_SERVICES='b c'
	: >"$dir/done"
}

teardown() {
	service_teardown
}

# A service is a file in $dir/up; what is done to it is told in $dir/done.
service_is() {
	local upper=${1^^}

	export "VOIP_SERVICE_${upper}_START=sh -c 'echo start $1 >>$dir/done; touch $dir/up/$1'"
	export "VOIP_SERVICE_${upper}_STOP=sh -c 'echo stop $1 >>$dir/done; rm -f $dir/up/$1'"
	export "VOIP_SERVICE_${upper}_STATUS=test -e $dir/up/$1"
}

told() {
	printf 'INSTANCE "voip" %s 200\n' "$@" >"$dir/run/fifo"
}

services() {
	jq -rc "$1" "$dir/run/services"
}

duty_is() {
	[ "$(services .duty)" = "$1" ]
}

# The web server that alerts go to, or a Patroni; see the test.
web() {
	start_process python3 "$dir/web.py" "$dir"
	wait_for test -s "$dir/port"
}

@test "a node that is stopped keeps what a standby runs, and stops the rest" {
	touch "$dir/up/a" "$dir/up/b"
	run -0 voip-failover demote
	[ "$(cat "$dir/done")" = 'stop a' ]
	[ "$(services .duty)" = none ]
	[ -e "$dir/up/b" ]
}

counted() { # TIMES
	[ "$(wc -l <"$dir/counted")" -ge "$1" ]
}

@test "without the address services go on until calls and records have left" {
	export VOIP_DRAIN_COMMAND="sh -c 'echo pause >>$dir/done'"
	export VOIP_DRAIN_COUNT="sh -c 'echo >>$dir/counted; cat $dir/calls'"
	export VOIP_DRAIN_TIME=1h VOIP_CDR_SPOOL_DIR=$dir/spool
	export VOIP_PEER_ADDRESS=127.0.0.1:9
	mkdir "$dir/spool"
	touch "$dir/up/a" "$dir/spool/1" "$dir/spool/.tmp-2"
	echo 2 >"$dir/calls"
	: >"$dir/counted"
	: >"$dir/log"
	echo '{"duty":"primary"}' >"$dir/run/services"
	run -0 voip-failover demote
	start_process voip-failover follow
	wait_for counted 2
	echo 0 >"$dir/calls"
	wait_for counted $(($(wc -l <"$dir/counted") + 2))
	[ "$(cat "$dir/done")" = pause ]
	rm "$dir/spool/1"
	wait_for test ! -e "$dir/up/a"
	[ "$(cat "$dir/done")" = $'pause\nstop a' ]
	wait_for duty_is none
}

@test "each exit status that the manual names is what the commands end with" {
	local code
	for code in 0 1 64 65 70 71 75 78; do
		grep -Eqx "\\.It $code Pq [a-z]+" \
			"$BATS_TEST_DIRNAME/../man/voip-failover.8"
	done
	export VOIP_PEER_ADDRESS=127.0.0.1:9
	run -75 voip-failover status
	[[ "$output" == *'cannot tell the state of this node'* ]]
	run -0 voip-failover explain
	run -1 voip-failover switchover --dry-run
	[[ "$output" == *'no switchover: role: not a primary'* ]]
	run -1 voip-failover rejoin
	[[ "$output" == *"there is nobody to come back to: the peer is 'silent'"* ]]
	run -64 voip-failover rejoin --policy remove
	run -75 voip-failover fence
	run -1 voip-failover promote
	VOIP_PEER_ADDRESS='' run -78 voip-failover fence
	rm "$dir/data/PG_VERSION"
	run -78 voip-failover explain
	echo '{' >"$dir/state/state.json"
	run -78 voip-failover rejoin
}

@test "a fault is kept in a few small files, without a secret" {
	export VOIP_DIAGNOSTICS_KEPT=3 VOIP_ALERT_URL=http://127.0.0.1:9/hidden
	export VOIP_NODE_DATABASE="$VOIP_NODE_DATABASE password=hidden"
	echo '0 unfit: a test' >"$dir/run/verdict"
	for _ in 1 2 3 4 5; do
		run -0 voip-failover notify INSTANCE voip FAULT 200
	done
	set -- "$dir"/state/diagnostics/*-fault.txt
	[ $# -eq 3 ]
	grep -q '0 unfit: a test' "$3"
	grep -q '== journal' "$3"
	grep -q '== pg_controldata' "$3"
	grep -q '== processes of PostgreSQL' "$3"
	run -1 grep -rq hidden "$dir/state"
}

@test "an alert is posted once, with what was done and where to look" {
	cat >"$dir/web.py" <<-'PY'
	import http.server, os, sys
	class H(http.server.BaseHTTPRequestHandler):
	    def do_POST(self):
	        body = self.rfile.read(int(self.headers["Content-Length"]))
	        with open(sys.argv[1] + "/alerts", "ab") as f:
	            f.write(body + b"\n")
	        self.send_response(204)
	        self.end_headers()
	    def log_message(self, *a): pass
	s = http.server.HTTPServer(("127.0.0.1", 0), H)
	with open(sys.argv[1] + "/port.new", "w") as f:
	    f.write(str(s.server_port))
	os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
	s.serve_forever()
	PY
	web
	VOIP_ALERT_URL=http://127.0.0.1:$(cat "$dir/port")/hook
	export VOIP_ALERT_URL
	export VOIP_ALERT_COMMAND="sh -c 'env | grep ^VOIP_WHY >>$dir/ran'"
	run -1 voip-failover notify INSTANCE voip MASTER 200
	run -1 voip-failover notify INSTANCE voip MASTER 200
	run -0 voip-failover notify INSTANCE voip FAULT 200
	wait_for test "$(wc -l <"$dir/alerts")" = 2
	run -0 jq -r '[.node, .event, .action, .result] | join(" ")' \
		"$dir/alerts"
	[ "${lines[0]}" = 'node1 master refuse failed' ]
	[ "${lines[1]}" = 'node1 fault nothing done' ]
	[ -e "$(jq -r .diagnostics "$dir/alerts" | tail -n 1)" ]
	[ "$(wc -l <"$dir/ran")" = 2 ]
	grep -q 'the address is ours, but PostgreSQL does not answer' "$dir/ran"
}

@test "a refusal is one line of the history, however often it is looked at" {
	for _ in 1 2 3; do
		run -1 voip-failover notify INSTANCE voip MASTER 200
	done
	[ "$(grep -c refuse "$dir/state/journal.jsonl")" = 1 ]
	run -0 voip-failover history
	[[ ${lines[0]} == at*action*event*step*ms*why ]]
	[[ ${lines[1]} == 20*refuse*note*"the address is ours"* ]]
	run -0 voip-failover history -f json
	[ "$(jq length <<<"$output")" = 1 ]
	run -0 voip-failover history -f jsonl
	[ "$(jq -r .action <<<"$output")" = refuse ]
	run -0 voip-failover history -f tsv
	[ "${#lines[@]}" = 2 ]
}

@test "explain is for people and for pipes, and ends with what helps" {
	run -0 voip-failover explain
	[[ "${lines[-1]}" == down:* || "${lines[-1]}" == degraded:* ]]
	run -0 voip-failover explain -f json
	[ "$(jq -r '.[] | select(.name == "postgresql").value' <<<"$output")" = \
		'stopped primary' ]
	[ "$(jq -r 'last.kind' <<<"$output")" = pair ]
}

# A Patroni as its documentation has it: GET /primary is 200 with the leader's
# lock and 503 without, GET /patroni is 200.
patroni() {
	cat >"$dir/web.py" <<-'PY'
	import http.server, json, os, sys
	d = sys.argv[1]
	class H(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        leader = os.path.exists(d + "/leader")
	        status = {
	            "state": "running", "postmaster_start_time":
	            "2026-11-21 10:00:00.000+00:00",
	            "role": "primary" if leader else "replica",
	            "server_version": 150020, "timeline": 7,
	            "xlog": {"location": 67395656} if leader else
	            {"received_location": 67395656,
	             "replayed_location": 67395656, "paused": False},
	            "dcs_last_seen": 1692356928, "database_system_identifier":
	            "7268616322854375442",
	            "patroni": {"version": "3.0.2", "scope": "voip"},
	        }
	        code = 200
	        if self.path == "/primary" and not leader:
	            code = 503
	        body = json.dumps(status).encode()
	        self.send_response(code)
	        self.send_header("Content-Type", "application/json")
	        self.send_header("Content-Length", str(len(body)))
	        self.end_headers()
	        self.wfile.write(body)
	    def log_message(self, *a): pass
	s = http.server.HTTPServer(("127.0.0.1", 0), H)
	with open(d + "/port.new", "w") as f:
	    f.write(str(s.server_port))
	os.rename(d + "/port.new", d + "/port")
	s.serve_forever()
	PY
	web
	export VOIP_HA_ENGINE=patroni
	VOIP_PATRONI_ADDRESS=127.0.0.1:$(cat "$dir/port")
	export VOIP_PATRONI_ADDRESS
}

isolated_is() {
	[ "$(cat "$dir/run/isolated")" = "$1" ]
}

@test "with Patroni the address follows its leader, and services the address" {
	patroni
	: >"$dir/log"
	start_process voip-failover follow
	wait_for isolated_is 1
	[ ! -e "$dir/run/services" ]
	# The address alone makes nobody primary.
	told MASTER
	# shellcheck disable=SC2016 # for eval
	wait_for eval '[ "$(jq -r .vrrp "$dir/state/state.json")" = MASTER ]'
	[ ! -e "$dir/run/services" ]
	touch "$dir/leader"
	wait_for isolated_is 0
	wait_for duty_is primary
	[ "$(services .services)" = '{"a":"running","b":"running"}' ]
	rm "$dir/leader"
	wait_for isolated_is 1
	wait_for duty_is none
	[ ! -e "$dir/up/a" ]
	# PostgreSQL was not touched.
	[ ! -e "$dir/data/standby.signal" ]
}

@test "with Patroni the database's own commands name patronictl" {
	local command
	patroni
	for command in promote demote rejoin switchover fence unfence; do
		run -1 voip-failover "$command"
		[[ "$output" == *"ha_engine is patroni"*"hint: patronictl "* ]]
	done
	run -0 voip-failover may-start
	run voip-failover status -f jsonl
	[ "$(grep '^{' <<<"$output" | jq -r 'select(.kind == "patroni") |
		[.role, .state, .timeline, .detail] | join(" ")')" = \
		'replica running 7 not the leader' ]
	VOIP_PATRONI_ADDRESS=127.0.0.1:9 run voip-failover status -f jsonl
	[ "$(grep '^{' <<<"$output" | jq -r 'select(.kind == "patroni").state')" \
		= silent ]
}

@test "PostgreSQL does not start in a data directory that is being replaced" {
	local step
	touch "$dir/data/standby.signal"
	for step in begin rewind reclone follow; do
		echo "{\"doing\":\"rejoin\",\"step\":\"$step\",\"fenced\":true}" \
			>"$dir/state/state.json"
		run -1 voip-failover may-start
		[[ "$output" == *"its data directory is being replaced"* ]]
	done
	echo '{"doing":"rejoin","step":"start postgresql","fenced":true}' \
		>"$dir/state/state.json"
	run -0 voip-failover may-start
}

@test "the unit of PostgreSQL asks before it starts it" {
	grep -qx 'ExecCondition=.*/voip-failover may-start' \
		"$BATS_TEST_DIRNAME/../ha/postgresql@.service.d/voip.conf"
	# Whatever goes wrong, it is not started: 255 would be a failure of the
	# unit, which is started again.
	VOIP_FAILOVER_STATE_DIR=$dir/data/none VOIP_PEER_ADDRESS=127.0.0.1:9 \
		run -1 voip-failover may-start
	echo '{' >"$dir/state/state.json"
	VOIP_PEER_ADDRESS=127.0.0.1:9 run -78 voip-failover may-start
}
