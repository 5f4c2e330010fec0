#!/usr/bin/env bats
# voip-health: probes, verdict, and what it serves.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # a test is a subshell; service.bash

setup_file() {
	load helper
	clone_db
}

teardown_file() {
	load helper
	drop_db
}

setup() {
	load helper
	load service.bash
	dir=$(mktemp -d /tmp/voip-health.XXXXXX)
	started=()
	mkdir "$dir/spool"
	export VOIP_CONFIG=/dev/null VOIP_CDR_SPOOL_DIR=$dir/spool
	# Stand-ins for the endpoints, which answer 404: they live.
	service_start
	export VOIP_DIRXML_LISTEN=$address
	service_start --listen "unix:$dir/cdr"
	export VOIP_CDR_LISTEN=$address
}

teardown() {
	service_teardown
}

# The state and detail of one probe.
state() {
	voip-health --format tsv | awk -F '\t' -v p="$1" '$1 == p { print $3 }'
}

detail() {
	voip-health --format tsv | awk -F '\t' -v p="$1" '$1 == p { print $5 }'
}

serve() {
	: >"$dir/log"
	start_process voip-health --listen 127.0.0.1:0
	wait_for grep -q 'listening on' "$dir/log"
	address=$(sed -n 's/.*listening on //p' "$dir/log")
}

code() {
	ask "$1" -o /dev/null -w '%{http_code}'
}

@test "a table tells each probe, its class and its state" {
	run -0 voip-health
	[[ "${lines[0]}" == probe*class*state*ms*detail ]]
	[[ "${lines[1]}" == database*"local fatal"*ok*"primary, writable" ]]
	[ "${#lines[@]}" -eq 5 ]
	run -0 voip-health status --format json
	[ "$(jq -r '.[0].state' <<<"$output")" = ok ]
}

@test "check is silent and true while the node is well" {
	run -0 voip-health check
	[ -z "$output" ]
}

@test "check names the database that does not answer" {
	VOIP_DATABASE="host=$dir" run -1 voip-health check
	[[ "$output" == "voip-health: unhealthy: database: "* ]]
}

@test "check names the endpoint that does not answer" {
	VOIP_DIRXML_LISTEN=unix:$dir/nobody run -1 voip-health check
	[[ "$output" == "voip-health: unhealthy: dirxml: no answer from 'unix:$dir/nobody'"* ]]
	VOIP_CDR_LISTEN=unix:$dir/nobody run -1 voip-health check
	[[ "$output" == "voip-health: unhealthy: cdr-ingest: "* ]]
}

@test "an endpoint that accepts and says nothing is unhealthy in the end" {
	start_process socat "UNIX-LISTEN:$dir/silent,fork" EXEC:'sleep 30'
	wait_for test -S "$dir/silent"
	VOIP_CDR_LISTEN=unix:$dir/silent run -1 voip-health check
	[[ "$output" == *"unhealthy: cdr-ingest: "* ]]
}

@test "a database that takes no writes is told" {
	PGOPTIONS='-c default_transaction_read_only=on' \
		run -1 voip-health check
	[ "$output" = "voip-health: unhealthy: database: primary, read-only" ]
}

@test "CDRs that wait in the spool are counted, old ones are a warning" {
	[ "$(detail cdr-spool)" = empty ]
	touch "$dir/spool/1700000000-1" "$dir/spool/.lock"
	[[ "$(detail cdr-spool)" == "1 waiting, oldest "*" s" ]]
	[ "$(state cdr-spool)" = ok ]
	touch -d '10 minutes ago' "$dir/spool/1700000000-2"
	[[ "$(detail cdr-spool)" == "2 waiting, oldest 60"*" s" ]]
	[ "$(state cdr-spool)" = warning ]
	run -0 voip-health check
	rm -r "$dir/spool"
	[ "$(detail cdr-spool)" = empty ]
}

@test "the results are served over HTTP" {
	serve
	for path in /health /readyz /livez /primary /metrics; do
		[ "$(code $path)" = 200 ]
	done
	[ "$(code /replica)" = 503 ]
	[ "$(ask /health | jq -r '.status, .probes[0].state')" = $'healthy\nok' ]
	ask /metrics | grep -qx 'voip_health_probe_state{probe="database"} 0'
	ask /metrics | grep -qx 'voip_health_healthy 1'
}

@test "an unhealthy node is 503, and the program itself stays alive" {
	VOIP_DATABASE="host=$dir" serve
	[ "$(code /health)" = 503 ]
	[ "$(code /readyz)" = 503 ]
	[ "$(code /primary)" = 503 ]
	[ "$(code /livez)" = 200 ]
	ask /metrics | grep -qx 'voip_health_probe_state{probe="database"} 2'
	grep -q 'probe name=database state=failed' "$dir/log"
}

@test "an unknown command is a usage error" {
	run -64 voip-health heal
	[[ "$output" == "voip-health: unknown command 'heal'"* ]]
}
