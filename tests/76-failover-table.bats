#!/usr/bin/env bats
# voip-failover: its decisions, told and drawn, and commands without a pair.
# The promises of the table are held by the unit program haplan.
# shellcheck disable=SC2154 # service.bash
# shellcheck disable=SC2030,SC2031 # each test has an environment of its own

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

# What keepalived says to a node that keeps the address after a split.
@test "a lower priority heard by the one with the address is MASTER again" {
	run -1 voip-failover notify INSTANCE voip MASTER_RX_LOWER_PRI 200
	is_told MASTER
	[ "$(state .vrrp)" = MASTER ]
	grep -q 'notify_master_rx_lower_pri ".* notify INSTANCE voip MASTER_RX_LOWER_PRI 0"' \
		ha/keepalived-notify.conf
}

# keepalived starts them at the same time and does not wait.
@test "of two that notify the one that was started last is right" {
	printf 'BACKUP\n9000000000000000000\n' >"$dir/run/vrrp"
	run -0 voip-failover notify INSTANCE voip MASTER 200
	[[ "$output" == *"keepalived has said something else since"* ]]
	[ ! -e "$dir/state/state.json" ]
	printf 'BACKUP\n1\n' >"$dir/run/vrrp"
	run -1 voip-failover notify INSTANCE voip MASTER 200
	[ "$(head -n 1 "$dir/run/vrrp")" = MASTER ]
	[ "$(state .vrrp)" = MASTER ]
}

is_told() {
	[ "$(head -n 1 "$dir/run/vrrp")" = "$1" ]
}

@test "what keepalived said while another one had the lock is what counts" {
	local lock
	exec {lock}>"$dir/state/lock"
	flock "$lock"
	voip-failover notify INSTANCE voip MASTER 200 {lock}>&- 3>&- &
	wait_for is_told MASTER
	printf 'BACKUP\n9000000000000000000\n' >"$dir/run/vrrp"
	exec {lock}>&-
	wait $!
	[ "$(state .vrrp)" = BACKUP ]
	[ ! -e "$dir/state/journal.jsonl" ]
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
		rm -rf "$dir"/state/*
		cat >"$dir/state/state.json" <<-JSON
		{"vrrp":"MASTER","held":true,"fenced":false,"base":0,
		 "generation":1,"doing":"$action","step":"$step","id":"cut"}
		JSON
		run -0 voip-failover notify INSTANCE voip FAULT 200
		[[ "$(journal ".action == \"resume\"" .why)" == "$action was cut off at "* ]]
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

@test "maintenance has a reason and an end, and nothing is done meanwhile" {
	run -64 voip-failover maintenance on
	[[ "$output" == *"needs --reason"* ]]
	run -64 voip-failover maintenance on --reason x --for 3w
	[[ "$output" == *"--for takes a time such as 30m, 1h or 2d"* ]]
	run -64 voip-failover maintenance on --reason x --for 31d
	run -64 voip-failover maintenance pause
	run -0 voip-failover maintenance on --reason 'new "disk"' --for 30m
	[[ "$output" == *"maintenance for 1800 s: "* ]]
	[ "$(jq -r .reason "$dir/run/maintenance")" = 'new "disk"' ]
	run -0 voip-failover notify INSTANCE voip MASTER 200
	[ ! -e "$dir/data/standby.signal" ]
	run -0 voip-failover explain
	[[ "$output" == *"at master   nothing: maintenance"* ]]
	run -0 voip-failover maintenance off
	[ "${lines[-1]}" = "maintenance ends" ]
	run -0 voip-failover maintenance off
	[ "$output" = "there was no maintenance" ]
	run -0 voip-failover maintenance off --format jsonl
	[ "$output" = '{"name":null,"role":null,"timeline":null,"detail":"there was no maintenance"}' ]
	[ "$(journal '.event == "note"' .action)" = \
		$'maintenance on\nmaintenance off' ]
}

@test "maintenance that has run out is none, one that is damaged is one" {
	echo '{"until":1,"reason":"long ago"}' >"$dir/run/maintenance"
	run -0 voip-failover explain
	[[ "$output" == *"pause       running"* ]]
	echo 'on' >"$dir/run/maintenance"
	run -0 voip-failover explain
	[[ "$output" == *"pause       maintenance"* ]]
}

@test "PostgreSQL of a single node may start, and so may a standby" {
	run -0 voip-failover may-start
	[ -z "$output" ]
	touch "$dir/data/standby.signal"
	VOIP_PEER_ADDRESS=127.0.0.1:9 run -0 voip-failover may-start
}

@test "a former primary may not start before it knows its peer" {
	printf '%064d\n' 7 >"$dir/key"
	chmod 600 "$dir/key"
	export VOIP_PEER_ADDRESS=127.0.0.1:9 VOIP_PEER_KEY_FILE=$dir/key
	run -1 voip-failover may-start
	[[ "$output" == *"PostgreSQL may not start here: a former primary does not start before it knows its peer"* ]]
	[[ "$output" == *"hint: "*"voip-failover unfence"* ]]
	run -0 voip-failover unfence --reason 'the other one burnt'
	[[ "$output" == *"may start as a primary, unless the peer is one" ]]
	run -0 voip-failover may-start
	[ "$(journal '.action == "unfence"' .why)" = 'the other one burnt' ]
}

@test "a fenced node may not start until an operator says so" {
	printf '%064d\n' 7 >"$dir/key"
	chmod 600 "$dir/key"
	export VOIP_PEER_ADDRESS=127.0.0.1:9 VOIP_PEER_KEY_FILE=$dir/key
	voip-failover demote
	rm "$dir/data/standby.signal"
	run -1 voip-failover may-start
	voip-failover unfence
	[ "$(state .fenced)" = false ]
	run -0 voip-failover may-start
	# What the operator said does not outlive the next demotion.
	voip-failover demote
	rm "$dir/data/standby.signal"
	run -1 voip-failover may-start
}

@test "rejoin needs a peer that writes, and a policy that exists" {
	run -1 voip-failover rejoin
	[[ "$output" == *"there is nobody to come back to: the peer is 'none'"* ]]
	run -64 voip-failover rejoin --policy guess
}

@test "fence takes the peer's word, else the command's" {
	run -78 voip-failover fence
	[[ "$output" == *"there is no peer to fence"* ]]
	printf '%064d\n' 7 >"$dir/key"
	chmod 600 "$dir/key"
	export VOIP_PEER_ADDRESS=127.0.0.1:9 VOIP_PEER_KEY_FILE=$dir/key
	run -75 voip-failover fence
	[[ "$output" == *"the peer may still write"*"set 'fence_command'"* ]]
	VOIP_FENCE_COMMAND="sh -c 'exit 3'" run -75 voip-failover fence
	[[ "$output" == *"fence_command: status 3"* ]]
	VOIP_FENCE_COMMAND="touch $dir/off" run -0 voip-failover fence
	[ -e "$dir/off" ]
	[[ "$output" == *"the fence command says that the peer is stopped" ]]
}
