#!/usr/bin/env bats
# voip-failover follow: what it answers its peer, and whom it does not believe.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # a test is a subshell; service.bash

setup() {
	load helper
	load service.bash
	service_setup
	mkdir "$dir/run" "$dir/state" "$dir/data"
	chmod 700 "$dir/data"
	echo 15 >"$dir/data/PG_VERSION"
	printf '%064d\n' 7 >"$dir/key"
	printf '%064d\n' 8 >"$dir/other"
	chmod 600 "$dir/key" "$dir/other"
	export VOIP_HEALTH_DIR=$dir/run VOIP_FAILOVER_STATE_DIR=$dir/state
	export VOIP_FAILOVER_FIFO=$dir/run/fifo VOIP_PEER_KEY_FILE=$dir/key
	export VOIP_POSTGRESQL_DATA_DIRECTORY=$dir/data VOIP_NODE_NAME=node1
	export VOIP_NODE_DATABASE="host=$dir dbname=none"
	export VOIP_SERVICE_POSTGRESQL_START=true
	export VOIP_SERVICE_POSTGRESQL_KILL=true VOIP_PEER_TIMEOUT=10s
	export VOIP_PEER_LISTEN=127.0.0.1:0
}

teardown() {
	service_teardown
}

# A peer that is nobody: the node must know that it is one of a pair.
follow() {
	: >"$dir/log"
	VOIP_PEER_ADDRESS=127.0.0.1:9 start_process voip-failover follow
	wait_for grep -q 'listening on' "$dir/log"
	address=$(sed -n 's/.*listening on \([^" ]*\).*/\1/p' "$dir/log" |
		head -n 1)
}

# post QUESTION: standard input to the service; the status.
post() {
	ask "/peer/$1" -X POST --data-binary @- -o "$dir/answer" \
		-w '%{http_code}'
}

state() {
	jq -r "$1" "$dir/state/state.json"
}

@test "a signed question has a signed answer" {
	follow
	peer-ask "$dir/key" state 0 >"$dir/question"
	[ "$(post state <"$dir/question")" = 200 ]
	[ "$(sed -n 2p "$dir/answer" | jq -r .name,.pg)" = \
		$'node1\nstopped primary' ]
	[ "$(cut -d' ' -f4 "$dir/question" | head -n 1)" = \
		"$(cut -d' ' -f4 "$dir/answer" | head -n 1)" ]
}

@test "a question counts once" {
	follow
	peer-ask "$dir/key" demote 0 >"$dir/question"
	[ "$(post demote <"$dir/question")" = 200 ]
	[ "$(post demote <"$dir/question")" = 403 ]
	grep -q 'seen before' "$dir/log"
}

@test "whoever has not the key is told nothing, and nothing is done" {
	follow
	[ "$(peer-ask "$dir/other" demote 0 | post demote)" = 403 ]
	[ ! -s "$dir/answer" ]
	# A question is not another one.
	[ "$(peer-ask "$dir/key" state 0 | post demote)" = 403 ]
	[ "$(peer-ask "$dir/key" demote 0 | tr 1 2 | post demote)" = 403 ]
	[ "$(peer-ask "$dir/key" demote 0 | head -c 60 | post demote)" = 403 ]
	[ "$(post demote </dev/null)" = 403 ]
	[ "$(head -c 10000 /dev/zero | post demote)" = 403 ]
	[ "$(peer-ask "$dir/key" promote 0 | post promote)" = 404 ]
	[ ! -e "$dir/data/standby.signal" ]
	[ "$(peer-ask "$dir/key" state 0 | post state)" = 200 ]
}

@test "a question of another time is refused aloud, with our time, signed" {
	follow
	for seconds in 120 -120 1000000000; do
		[ "$(peer-ask "$dir/key" demote $seconds | post demote)" = 409 ]
		[ "$(sed -n 2p "$dir/answer")" = \
			"the clocks of the two nodes differ" ]
		local told
		told=$(cut -d' ' -f3 "$dir/answer" | head -n 1)
		[ $((told / 1000 - $(date +%s))) -lt 60 ]
	done
	[ ! -e "$dir/data/standby.signal" ]
}

@test "a node whose clock has jumped asks in the time of its peer" {
	follow
	# The other clock's library comes before the sanitizer's.
	ASAN_OPTIONS+=:verify_asan_link_order=0 \
		VOIP_PEER_ADDRESS=$address VOIP_FAILOVER_STATE_DIR=$dir/state \
		run -0 faketime -f +1h voip-failover explain
	[[ "$output" == *"clocks differ"* ]]
	[[ "$output" == *"peer        off"* ]]
}

@test "a peer that answers with another key is no peer" {
	follow
	VOIP_PEER_KEY_FILE=$dir/other VOIP_PEER_ADDRESS=$address \
		run -0 voip-failover explain
	[[ "$output" == *"is not signed with our key"* ]]
	[[ "$output" == *"peer        unclear: the answer 403 of peer '$address' is not signed with our key"* ]]
	VOIP_PEER_KEY_FILE=$dir/other VOIP_PEER_ADDRESS=$address \
		run -75 voip-failover status --format tsv
	[[ "$output" == *$'peer\t'"$address"$'\t\tunclear\t'*"the file '$dir/other' must be the same on both nodes"* ]]
	# The service tells voip-healthd, and refusals are not told each time.
	VOIP_PEER_KEY_FILE=$dir/other VOIP_FAILOVER_STATE_DIR=$dir/data \
		VOIP_FAILOVER_FIFO=$dir/run/other VOIP_PEER_ADDRESS=$address \
		start_process voip-failover follow
	wait_for eval '[[ "$(jq -r .why "$dir/run/peer.json")" == "the answer 403 of peer "* ]]'
	[ "$(jq -r .answers "$dir/run/peer.json")" = false ]
	wait_for grep -q 'untold=' "$dir/log"
}

# answers COMMAND: a peer that does that when it has read a question, and waits
# for the end of the connection; its address is in $address.
answers() {
	local port

	# shellcheck source=tests/port.bash
	. "$BATS_TEST_DIRNAME/port.bash"
	port=$(free_port)
	printf '%s\n' 'dd bs=64K count=1 of=/dev/null 2>/dev/null' "$1" \
		'exec cat >/dev/null' >"$dir/say.$port"
	start_process socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" \
		"EXEC:sh $dir/say.$port"
	wait_for listens "$port"
	address=127.0.0.1:$port
}

peer_is() { # WORD...: in explain
	VOIP_PEER_ADDRESS=$address run -0 voip-failover explain
	grep -q "^peer        $*" <<<"$output"
}

@test "rubbish, a refusal and too much of it are no silence" {
	answers 'echo SSH-2.0-OpenSSH_9.2'
	peer_is "unclear: no answer from '$address'"
	answers 'printf "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"'
	peer_is "unclear: the answer 503 of peer '$address' is not signed"
	answers 'printf "HTTP/1.1 200 OK\r\n\r\n"; cat /dev/zero'
	peer_is "unclear: the answer from '$address' is too long"
	# one that has not got the rights to its own state says so, signed
	follow
	echo '{' >"$dir/state/state.json"
	VOIP_FAILOVER_STATE_DIR=$dir peer_is \
		"unclear: peer '$address' refuses: '$dir/state/state.json' is damaged"
}

@test "a peer that accepts and says nothing, or hangs up, is silent" {
	VOIP_PEER_TIMEOUT=300ms
	answers :
	peer_is 'silent: no answer'
	answers exit
	peer_is 'silent: no answer'
	address=127.0.0.1:9
	peer_is 'silent: no answer'
}

@test "a peer that has not answered yet is not silent before its time" {
	local peer worker
	mkdir "$dir/peer"
	VOIP_FAILOVER_STATE_DIR=$dir/peer VOIP_FAILOVER_FIFO=$dir/peer/fifo \
		VOIP_HEALTH_DIR=$dir/peer follow
	peer=$pid
	kill -STOP "$peer"
	VOIP_PEER_ADDRESS=$address \
		VOIP_SERVICE_POSTGRESQL_START="touch $dir/begun" \
		start_process voip-failover follow
	wait_for pgrep -P "$pid"
	worker=$(pgrep -P "$pid")
	read -rt 0.3 <> <(:) || :
	kill -0 "$worker"
	[ ! -e "$dir/begun" ]
	kill -CONT "$peer"
	wait_for [ -e "$dir/begun" ]
}

# on WORD: as keepalived writes it.
told() {
	printf 'INSTANCE "voip" %s 200\n' "$@" >"$dir/run/fifo"
}

acted_upon() {
	[ "$(state .vrrp)" = "$1" ]
}

@test "lines that come together collapse to the last state" {
	follow
	told BACKUP FAULT MASTER STOP BACKUP FAULT BACKUP
	wait_for acted_upon BACKUP
	[ ! -e "$dir/state/journal.jsonl" ]
}

@test "rubbish in the FIFO is passed over" {
	follow
	head -c 3000 /dev/zero >"$dir/run/fifo"
	printf '\n"\nINSTANCE "voip" SLEEPING 200\nINSTANCE voip\n\n' \
		>"$dir/run/fifo"
	told FAULT
	wait_for acted_upon FAULT
}

@test "a demand to stop is answered when nothing writes" {
	echo '{"vrrp":"MASTER","held":true}' >"$dir/state/state.json"
	follow
	[ "$(peer-ask "$dir/key" demote 0 | post demote)" = 200 ]
	[ "$(sed -n 2p "$dir/answer" | jq -r .writable)" = false ]
}

@test "a demand that waited for too long is not obeyed any more" {
	local lock peer
	echo '{"vrrp":"MASTER","held":true}' >"$dir/state/state.json"
	VOIP_FENCE_TIMEOUT=10ms follow
	exec {lock}>"$dir/state/lock"
	flock "$lock"
	told FAULT
	wait_for pgrep -P "$pid"
	peer-ask "$dir/key" demote 0 >"$dir/demand"
	exec {peer}<>"/dev/tcp/${address%:*}/${address#*:}"
	{
		printf 'POST /peer/demote HTTP/1.1\r\nHost: x\r\n'
		printf 'Connection: close\r\nContent-Length: %d\r\n\r\n' \
			"$(stat -c %s "$dir/demand")"
		cat "$dir/demand"
	} >&"$peer"
	[ "$(peer-ask "$dir/key" demote 0 | post demote)" = 409 ]
	[ "$(sed -n 2p "$dir/answer")" = "already asked" ]
	read -rt 0.05 <> <(:) || :
	exec {lock}>&-
	run -0 cat <&"$peer"
	[[ "$output" == *"asked too long ago"* ]]
	exec {peer}>&-
}

@test "the service ends at SIGTERM, and refuses to start without its key" {
	follow
	service_stop
	[ "$status" -eq 0 ]
	VOIP_PEER_KEY_FILE=$dir/none VOIP_PEER_ADDRESS=127.0.0.1:9 \
		run -78 voip-failover follow
	[[ "$output" == *"$dir/none"* ]]
}

@test "what stands in place of the FIFO is not read" {
	echo rubbish >"$dir/run/fifo"
	run -78 voip-failover follow
	[[ "$output" == *"'$dir/run/fifo' is no FIFO"* ]]
}

# row KIND: its state and its detail in status.
row() {
	VOIP_PEER_ADDRESS=127.0.0.1:9 voip-failover status --format jsonl 2>/dev/null |
		jq -r "select(.kind == \"$1\") | \"\\(.state): \\(.detail)\""
}

row_is() { # KIND PATTERN
	# shellcheck disable=SC2053 # a pattern
	[[ "$(row "$1")" == $2 ]]
}

@test "status tells a service that does not run, what failed, a maintenance" {
	row_is pair 'degraded: the service voip-failover does not run on this node, *systemctl start voip-failover*'
	row_is failed ''
	follow
	wait_for row_is pair 'down: PostgreSQL is stopped, and whether the peer was promoted since is not known: *'
	{
		echo '{"at":"T1","action":"promote","event":"failed","why":"x"}'
		echo '{"at":"T2","action":"hold","event":"done"}'
	} >"$dir/state/journal.jsonl"
	row_is failed ''
	printf '%s\n' '{"at":"T3","action":"rejoin","event":"failed","why":"no rights\nhint: grant them"}' \
		>>"$dir/state/journal.jsonl"
	row_is failed 'null: rejoin at T3: no rights;hint: grant them'
	run -0 voip-failover history
	[[ "$output" == *"no rights;hint: grant them"* ]]
	voip-failover maintenance on --reason test --for 1h
	wait_for row_is pair 'paused: maintenance until 20*Z: nothing is done by itself; *maintenance off* ends it; meanwhile down: PostgreSQL is stopped*'
	echo '{' >"$dir/state/state.json"
	row_is pair "unknown: '$dir/state/state.json' is damaged: *"
}
