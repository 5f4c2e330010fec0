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
	load health.bash
	health_setup
	mkdir "$dir/spool"
	export VOIP_CDR_SPOOL_DIR=$dir/spool
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

@test "a table tells each probe, its class and its state" {
	run -0 voip-health
	[[ "${lines[0]}" == probe*class*state*ms*detail ]]
	[[ "${lines[1]}" == database*"local fatal"*ok*"primary, writable" ]]
	[ "${#lines[@]}" -gt 20 ]
	run -0 voip-health status --format json
	[ "$(jq -r '.[0].state' <<<"$output")" = ok ]
}

@test "check is silent and true while the node is fit" {
	serve
	wait_for verdict_is fit
	run -0 voip-health check
	[ -z "$output" ]
	[ "$(cat "$dir/run/health")" = 0 ]
}

@test "check for a primary wants the virtual address as well" {
	serve
	wait_for verdict_is fit
	run -1 voip-health check --role=primary
	[ "$output" = "voip-health: a primary without the virtual address" ]
}

@test "check without a service is false, and says so" {
	run -1 voip-health check
	[[ "$output" == "voip-health: no verdict: cannot read '$dir/run/verdict': "* ]]
	[[ "$output" == *"hint: is voip-healthd running?" ]]
}

@test "a verdict that is old or damaged is none" {
	echo "1 1000 3000 fit primary 1 " >"$dir/run/verdict"
	run -1 voip-health check
	[[ "$output" == "voip-health: the verdict is "*" ms old"* ]]
	echo "fit" >"$dir/run/verdict"
	run -1 voip-health check
	[[ "$output" == *"is damaged" ]]
}

@test "a service that ends takes its verdict along, and moves nothing" {
	serve
	wait_for verdict_is fit
	stop_process "${started[-1]}"
	[ ! -e "$dir/run/verdict" ]
	[ "$(cat "$dir/run/health")" = 0 ]
}

@test "status and the verdict name the database that does not answer" {
	export VOIP_NODE_DATABASE="host=$dir"
	run -1 voip-health
	[[ "$output" == *"voip-health: unfit: database: "* ]]
	serve
	wait_for verdict_is unfit
	wait_for grep -q 'database: cannot connect' "$dir/run/verdict"
	run -1 voip-health check
	[[ "$output" == "voip-health: unfit: database: "* ]]
	[ "$(cat "$dir/run/health")" = 1 ]
}

@test "status names the endpoint that does not answer" {
	VOIP_DIRXML_LISTEN=unix:$dir/nobody run -1 voip-health
	[[ "$output" == *"unfit: dirxml: no answer from 'unix:$dir/nobody'"* ]]
	VOIP_CDR_LISTEN=unix:$dir/nobody run -1 voip-health
	[[ "$output" == *"unfit: cdr-ingest: "* ]]
}

@test "an endpoint that is not configured is off, which is well" {
	VOIP_DIRXML_LISTEN='' run -0 voip-health
	[[ "$output" == *"dirxml"*"off"*"setting dirxml_listen is empty"* ]]
}

@test "an endpoint that accepts and says nothing is a failure in the end" {
	start_process socat "UNIX-LISTEN:$dir/silent,fork" EXEC:'sleep 30'
	wait_for test -S "$dir/silent"
	VOIP_CDR_LISTEN=unix:$dir/silent run -1 voip-health
	[[ "$output" == *"unfit: cdr-ingest: "* ]]
}

@test "a database that takes no writes is told" {
	PGOPTIONS='-c default_transaction_read_only=on' run -1 voip-health
	[[ "$output" == *"voip-health: unfit: database: primary, read-only" ]]
}

@test "a failure can be simulated" {
	run -1 voip-health --simulate database=failed
	[[ "$output" == *"unfit: database: simulated" ]]
	run -0 voip-health --simulate cdr-spool=failed
	run -64 voip-health --simulate cdr-spool=ill
	[[ "$output" == *"'cdr-spool=ill' is no probe with a state"* ]]
}

@test "a row in a default partition is a warning, and no reason to move" {
	[ "$(state cdr-partitions)" = ok ]
	sql "insert into voip.cdr (leg_uuid, start_time, direction, received_at)
		values ('lost', '2019-01-01', 'inbound', now())"
	[ "$(state cdr-partitions)" = warning ]
	[[ "$(detail cdr-partitions)" == '1 rows without a partition, since 2019-01-01 '* ]]
	run -0 voip-health status
	sql 'truncate voip.cdr'
	[ "$(state cdr-partitions)" = ok ]
	[ "$(VOIP_NODE_DATABASE="dbname=postgres" state cdr-partitions)" = off ]
}

@test "CDRs that wait in the spool are counted, old ones are a warning" {
	[ "$(detail cdr-spool)" = empty ]
	touch "$dir/spool/1700000000-1" "$dir/spool/.lock"
	[[ "$(detail cdr-spool)" == "1 waiting, oldest "*" s" ]]
	[ "$(state cdr-spool)" = ok ]
	touch -d '10 minutes ago' "$dir/spool/1700000000-2"
	[[ "$(detail cdr-spool)" == "2 waiting, oldest 60"*" s" ]]
	[ "$(state cdr-spool)" = warning ]
	run -0 voip-health
	rm -r "$dir/spool"
	[ "$(detail cdr-spool)" = empty ]
}

@test "the results are served over HTTP" {
	serve
	wait_for verdict_is fit
	for path in /health /readyz /livez /primary /metrics; do
		[ "$(code $path)" = 200 ]
	done
	[ "$(code /replica)" = 503 ]
	[ "$(ask /health | jq -r '.status, .probes[0].state')" = $'healthy\nok' ]
	ask /metrics | grep -qx 'voip_health_probe_state{probe="database"} 0'
	ask /metrics | grep -qx 'voip_health_healthy 1'
}

@test "an unhealthy node is 503, and the program itself stays alive" {
	VOIP_NODE_DATABASE="host=$dir" serve
	wait_for grep -q 'database: cannot connect' "$dir/run/verdict"
	[ "$(code /health)" = 503 ]
	[ "$(code /readyz)" = 503 ]
	[ "$(code /primary)" = 503 ]
	[ "$(code /livez)" = 200 ]
	ask /metrics | grep -qx 'voip_health_probe_state{probe="database"} 3'
	grep -q 'probe name=database state=failed' "$dir/log"
}

@test "an unknown command is a usage error" {
	run -64 voip-health heal
	[[ "$output" == "voip-health: unknown command 'heal'"* ]]
}
