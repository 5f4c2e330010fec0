#!/usr/bin/env bats
# voip-failover: its decisions, told and drawn, and commands without a pair.
# The promises of the table are held by the unit program haplan.
# shellcheck disable=SC2154 # service.bash

setup() {
	load helper
	load service.bash
	service_setup
	mkdir "$dir/run" "$dir/state" "$dir/data"
	chmod 700 "$dir/data"
	echo 15 >"$dir/data/PG_VERSION"
	export VOIP_HEALTH_DIR=$dir/run VOIP_FAILOVER_STATE_DIR=$dir/state
	export VOIP_POSTGRESQL_DATA_DIRECTORY=$dir/data VOIP_NODE_NAME=node1
	export VOIP_NODE_DATABASE="host=$dir dbname=none"
	export VOIP_SERVICE_POSTGRESQL_START="touch $dir/started"
	export VOIP_SERVICE_POSTGRESQL_KILL=true
}

teardown() {
	service_teardown
}

journal() {
	jq -r "select($1) | $2" "$dir/state/journal.jsonl"
}

state() {
	jq -r "$1" "$dir/state/state.json"
}

@test "the table lists each decision with its reason" {
	run -0 voip-failover table --format jsonl
	[ "${#lines[@]}" -gt 25 ]
	run -0 jq -rs '[.[] | select(.why == null or .action == null)] | length' \
		<<<"$output"
	[ "$output" = 0 ]
	run -0 voip-failover table
	[[ ${lines[0]} == action*event*pause*address*postgresql*marker*peer*why ]]
	[[ "$output" == *"maintenance: nothing is done by itself"* ]]
}

@test "the table can be drawn, each row a question and an answer" {
	local rows
	rows=$(voip-failover table --format jsonl | wc -l)
	run -0 voip-failover table --dot
	[ "${lines[0]}" = "digraph failover {" ]
	[ "${lines[-1]}" = "}" ]
	[ "$(grep -c 'shape=ellipse' <<<"$output")" = "$rows" ]
	[ "$(grep -c 'style=dashed' <<<"$output")" = $((rows - 1)) ]
}

@test "explain tells every fact, and what each event would lead to" {
	run -0 voip-failover explain
	[[ "$output" == *"postgresql  stopped primary"* ]]
	[[ "$output" == *"peer        none"* ]]
	[[ "$output" == *"at tick     start: a single node"* ]]
	[[ "$output" == *"at master   refuse: the address is ours, but PostgreSQL does not answer"* ]]
}

@test "notify acts upon instances only, and knows keepalived's states" {
	run -0 voip-failover notify GROUP all MASTER 200
	[ ! -e "$dir/state/journal.jsonl" ]
	run -64 voip-failover notify INSTANCE voip SLEEPING 200
	[[ "$output" == *"'SLEEPING' is no state of keepalived"* ]]
	run -64 voip-failover notify INSTANCE
}

@test "the address without a server is refused, and that is in the history" {
	run -1 voip-failover notify INSTANCE voip MASTER 200
	[[ "$output" == *"refused: the address is ours, but PostgreSQL does not answer"* ]]
	[ "$(state .vrrp)" = MASTER ]
	[ "$(state .held)" = false ]
	run -0 voip-failover history
	[[ "$output" == *refuse*"the address is ours"* ]]
}

@test "BACKUP at keepalived's start stops nothing" {
	run -0 voip-failover notify INSTANCE voip BACKUP 200
	[ "$(state .vrrp)" = BACKUP ]
	[ "$(state .fenced)" = false ]
	[ ! -e "$dir/data/standby.signal" ]
}

@test "a demoted node is marked on disk before anything else is done" {
	run -0 voip-failover demote
	[ "$(state .fenced)" = true ]
	[ -e "$dir/data/standby.signal" ]
	[ "$(journal '.event == "intent"' .action)" = demote ]
	[ "$(journal '.event == "done"' .action)" = demote ]
}

# The state that a kill -9 leaves at each step; see ha_journal_step().
@test "a transition that was cut off is noted, and planned anew" {
	local action step
	while read -r action step; do
		rm -f "$dir"/state/*
		cat >"$dir/state/state.json" <<-JSON
		{"vrrp":"MASTER","held":true,"fenced":false,"base":0,
		 "generation":1,"doing":"$action","step":"$step","id":"cut"}
		JSON
		run -0 voip-failover notify INSTANCE voip FAULT 200
		[ "$(journal '.action == "resume"' .why)" = "$action" ]
		[ "$(state .doing)" = "" ]
		# The server is stopped and was a primary: it must not come back.
		[ "$(state .fenced)" = true ]
		[ "$(state .held)" = false ]
		[ -e "$dir/data/standby.signal" ]
		rm "$dir/data/standby.signal"
	done <<-END
	promote begin
	promote promote postgresql
	promote start services
	demote begin
	demote stop postgresql
	demote stop services
	hold begin
	fence begin
	END
}

@test "a damaged state is told, and nothing is done" {
	echo '{"held":' >"$dir/state/state.json"
	run -78 voip-failover notify INSTANCE voip MASTER 200
	[[ "$output" == *"'$dir/state/state.json' is damaged"* ]]
	[ ! -e "$dir/started" ]
}

@test "two at the same time wait for each other" {
	local i pids=()
	for i in 1 2 3 4; do
		voip-failover notify INSTANCE voip BACKUP 200 3>&- &
		pids+=($!)
		voip-failover notify INSTANCE voip FAULT 200 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	run -0 jq -e . "$dir/state/state.json"
}
