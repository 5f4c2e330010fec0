#!/usr/bin/env bats
# What an operator does with the pair: real keepalived and real PostgreSQL in
# network namespaces; see ha.bash.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # a test is a subshell; ha.bash

bats_require_minimum_version 1.5.0

setup_file() {
	load helper
	load ha.bash
	# A busy machine is late, and nobody who is late is dead.
	export ha_settings='peer_timeout=3s
		witness_timeout=3s'
	ha_build
}

teardown_file() {
	load ha.bash
	ha_remove
}

setup() {
	load helper
	load ha.bash
	load ha/fault.bash
	load ha/client.bash
	p=1 s=2 ha_writers=()
	ha_up
	ha_await ha_is_well 1 2
}

teardown() {
	ha_stop_writing
	[ -n "${BATS_TEST_COMPLETED:-}" ] || ha_tell
	for n in 1 2; do
		grep -v '^sync_mode=' "$ha/n$n/voip.conf" >"$ha/conf"
		cat "$ha/conf" >"$ha/n$n/voip.conf"
	done
	ha_down
}

failover() { # N ARGUMENT...
	ha_node "$1" "$ha/bin/voip-failover" "${@:2}"
}

find_primary() {
	p=1 s=2
	ha_has_vip 1 || p=2 s=1
}

# Nothing is done by itself on either node, and again.
pauses() {
	failover 1 maintenance on --reason test --for 10m
	failover 2 maintenance on --reason test --for 10m
}

goes_on() {
	failover 1 maintenance off
	failover 2 maintenance off
}

# The peer's keepalived has said BACKUP, its standby streams.
ready() {
	failover 1 switchover --dry-run
}

# row N KIND FIELDS: of the status
row() {
	failover "$1" status -f jsonl |
		jq -r "select(.kind == \"$2\") | [$3] | join(\" \")"
}

@test "status shows both nodes, keepalived's word and what follows" {
	ha_await ready
	[ "$(row 1 vrrp .state,.detail)" = "MASTER has the address" ]
	[ "$(row 1 peer .name,.role,.state)" = "node2 standby streaming" ]
	[ "$(row 1 next .state)" = hold ]
	[ "$(row 2 peer .name,.role,.state)" = "node1 primary writable" ]
	[ "$(row 2 next .state,.detail)" = \
		"nothing well, and the address is not ours" ]
	run -0 failover 2 maintenance on --reason 'new disk' --for 1m
	[ "$(row 2 maintenance .name,.detail)" = "postgres new disk" ]
	[ "$(row 2 next .state)" = nothing ]
}

@test "a switchover is looked at first, and says what would stop it" {
	ha_await ready
	run -0 failover 1 switchover --dry-run -f jsonl
	[ "$(jq -rs 'map(select(.state == "failed")) | length' <<<"$output")" = 0 ]
	[ "$(jq -rs 'length' <<<"$output")" -ge 12 ]
	run -1 failover 2 switchover
	[[ "$output" == *"no switchover: role: not a primary: run this on the primary"* ]]
	ha_sql 2 'select pg_wal_replay_pause()'
	run -1 failover 1 switchover
	[[ "$output" == *"no switchover: peer replay: paused: select pg_wal_replay_resume()"* ]]
	[[ "$(row 1 pair .state,.detail)" == "degraded "*"paused on the peer"* ]]
	[[ "$(row 2 pair .state,.detail)" == "degraded "*"paused here"* ]]
	[ "$(ha_primaries)" = 1 ]
}

# A switchover that waits for a call, and then for its record.
drain() {
	local switch

	mkdir -p "$ha/n1/spool"
	echo 1 >"$ha/n1/calls"
	echo record >"$ha/n1/spool/1"
	chown -R postgres "$ha/n1/spool" "$ha/n1/calls"
	run -0 failover 1 switchover --dry-run -f tsv
	[[ "$output" == *$'call records\twarning\t1 wait on this node'* ]]
	failover 1 --set drain_time=1h \
		--set drain_command="touch $ha/n1/state/paused" \
		--set drain_count="cat $ha/n1/calls" switchover \
		>"$ha/switch.log" 2>&1 &
	switch=$!
	ha_await test -e "$ha/n1/state/paused"
	[ "$(ha_primaries)" = 1 ]
	echo 0 >"$ha/n1/calls"
	[ "$(ha_primaries)" = 1 ]
	rm "$ha/n1/spool/1"
	wait "$switch"
}

@test "a switchover is done when both nodes say so, and loses nothing" {
	ha_await ready
	ha_write
	drain
	output=$(<"$ha/switch.log")
	[[ "$output" == *"node2: primary on timeline 2, with the address"* ]]
	[[ "$output" == *"node1: its standby, streams"* ]]
	ha_await ha_written_by 2
	ha_stop_writing
	[ "$(ha_primaries)" = 2 ]
	[ "$(ha_lost 2)" -eq 0 ]
	[ "$(row 1 node .role,.state,.timeline)" = "standby streaming 2" ]
}

@test "a node comes back as a clone, and the old directory is kept" {
	ha_await ready
	pauses
	run -1 failover 1 rejoin
	[[ "$output" == *"there is nobody"* ]]
	ha_ctl 2 -m fast stop
	run -0 failover 2 rejoin --policy reclone
	[[ "$output" == *"node2: standby again, timeline 1, receives from"* ]]
	run -0 --separate-stderr failover 2 rejoin --policy reclone -f json
	[ "$(jq -r '.[0] | .name, .role' <<<"$output" | paste -sd' ')" = \
		'node2 standby' ]
	[[ "$output" == *"a standby already"* ]]
	[ "$(find "$ha/disk2" -maxdepth 1 -name 'data.*' | wc -l)" = 1 ]
	ha_ctl 2 -m fast stop
	run -1 failover 2 --set rejoin_copies=1 rejoin --policy reclone
	[[ "$output" == *"no room for another copy"* ]]
	[ "$(find "$ha/disk2" -maxdepth 1 -name 'data.*' | wc -l)" = 1 ]
}

has_replayed() { # N LSN
	[ "$(ha_sql "$1" "select pg_last_wal_replay_lsn() >= '$2'")" = t ]
}

has_no_more() { # N
	[ "$(ha_sql "$1" "select count(*) from w where src = 'more'")" = 0 ]
}

# What a snapshot of yesterday does, or a disk that lied: node 1 is a primary
# that lacks what node 2 has.  A word is done on node 2 before it has that, and
# one when it has.
goes_back() { # COMMAND COMMAND
	local n

	ha_await ready
	pauses
	for n in 2 1; do
		kill -TERM "$(ha_pid $n keepalived)"
		ha_await grep -q '"vrrp":"STOP"' "$ha/n$n/state/state.json"
	done
	ha_ctl 1 -m fast stop
	cp -a "$ha/disk1/data" "$ha/disk1/yesterday"
	ha_start_server 1
	"$1"
	ha_sql 1 "insert into w select 'more', generate_series(1, 1000)"
	has_all 2
	"$2"
	ha_ctl 1 -m immediate stop
	rm -r "$ha/disk1/data"
	mv "$ha/disk1/yesterday" "$ha/disk1/data"
	ha_node 1 touch "$ha/disk1/data/standby.signal"
	ha_start_server 1
	failover 1 promote
}

has_all() { # N
	ha_await has_replayed "$1" "$(ha_sql 1 'select pg_current_wal_lsn()')"
}

keeps_its_wal() {
	ha_sql 1 checkpoint
	has_all 2
	ha_sql 2 checkpoint
	cp -a "$ha/disk2/data/pg_wal" "$ha/disk2/kept"
}

# It has noted how far it must get.
loses_its_wal() {
	ha_sql 2 checkpoint
	ha_ctl 2 -m immediate stop
	rm -r "$ha/disk2/data/pg_wal"
	mv "$ha/disk2/kept" "$ha/disk2/data/pg_wal"
}

# A source of pg_rewind that is killed in the same moment leaves one, too.
@test "a directory that needs WAL which nobody has is replaced by a copy" {
	goes_back keeps_its_wal loses_its_wal
	cp -a "$ha/disk1/data/pg_wal/00000002.history" "$ha/disk2/data/pg_wal"
	run -1 failover 2 --set rejoin_salvage=0 rejoin --policy rewind
	[[ "$output" == *"waits for WAL that the peer never had"*"rejoin --policy reclone"* ]]
	run -0 failover 2 --set rejoin_salvage=0 --set rejoin_policy=reclone \
		rejoin
	[[ "$output" == *"node2: standby again, timeline 2"* ]]
	has_no_more 2
}

# Its receiver streams for moments, until it is told where the primary forked.
explains_stray() {
	[[ $(failover 2 explain) == *"postgresql  stray standby"* ]]
}

@test "a standby that has more than its primary comes back by itself" {
	goes_back true true
	ha_await grep -q 'forked off current database system timeline' \
		"$ha/n2/pg.log"
	ha_await explains_stray
	goes_on
	ha_await has_no_more 2
	ha_await ha_is_standby 2
	[ "$(ha_primaries)" = 1 ]
}

explains_what_helps() {
	[[ $(failover 1 explain) == *"half rewound"*"run 'voip-failover rejoin --policy reclone'"* ]]
}

# When the address has come to node 2.
tells_what_helps_there() {
	[[ $(row 2 pair .detail) == *"run 'voip-failover rejoin --policy reclone' there"* ]]
}

drops_slot() { # N: its peer cannot stream
	ha_sql "$1" "select pg_drop_replication_slot('node2')"
	[ "$(ha_sql "$1" 'select count(*) from pg_replication_slots')" = 0 ]
}

waits_for_stream() {
	tail -n 1 "$ha/n2/state/journal.jsonl" | grep -q '"step":"stream"'
}

@test "a node does not wait for a primary that is none any more" {
	local n pid

	ha_await ready
	pauses
	ha_ctl 2 -m fast stop
	ha_await drops_slot 1
	failover 2 rejoin >"$ha/rejoin.out" 2>&1 &
	pid=$!
	ha_await waits_for_stream
	failover 1 demote
	n=0
	wait "$pid" || n=$?
	[ "$n" -eq 75 ]
	grep -q 'the peer is a stopped standby by now' "$ha/rejoin.out"
}

@test "a rewind that was cut off: nothing starts there, a copy replaces it" {
	local n

	ha_await ready
	pauses
	failover 1 demote
	failover 2 promote
	# As the real one does when the other server ends meanwhile.
	mkdir "$ha/cut"
	ln -s "$ha_bin"/* "$ha/cut"
	rm "$ha/cut/pg_rewind"
	# shellcheck disable=SC2016 # for the script
	printf '%s\n' '#!/bin/sh' 'for f in "$2"/pg_wal/0*; do : >"$f"; done' \
		'exit 1' >"$ha/cut/pg_rewind"
	chmod 755 "$ha/cut/pg_rewind"
	run -71 failover 1 --set postgresql_bin_dir="$ha/cut" rejoin
	for n in 'rejoin' 'rejoin --policy rewind' unfence may-start; do
		# shellcheck disable=SC2086 # words
		run -1 failover 1 $n
		[[ "$output" == *"left half rewound"*"rejoin --policy reclone"* ]]
	done
	goes_on
	[ "$(row 1 marker .state)" = 'half rewound' ]
	ha_await explains_what_helps
	ha_await tells_what_helps_there
	[ "$(row 2 peer .state)" = 'half rewound' ]
	run -0 failover 1 rejoin --policy reclone
	[[ "$output" == *"node1: standby again, timeline 2"* ]]
	[ -z "$(row 1 marker .state)" ]
	ha_await ha_is_well 2 1
}

@test "a switchover that is killed is taken back, or goes on" {
	local k

	# Before the stop of the services, that of PostgreSQL, and twice after
	# it.
	for k in 3 6 8 9; do
		find_primary
		ha_write
		ha_survive switchover-$k
		find_primary
		[ "$(ha_lost $p)" -eq 0 ]
	done
	cat "$ha"/n?/state/journal.jsonl | grep '"action":"resume"' >"$ha/resumed"
	grep -q "cut off at 'stop services': rolled back" "$ha/resumed"
	grep -q "cut off at 'stop postgresql': carried on" "$ha/resumed"
	grep -q "cut off at 'peer takes over': carried on" "$ha/resumed"
	[ "$(find "$ha/disk1" "$ha/disk2" -maxdepth 1 -name 'data*' | wc -l)" = 2 ]
}

@test "a switchover whose other side says nothing makes no second primary" {
	local pid

	ha_await ready
	pid=$(cat "$ha/n2/failover.pid")
	ha_await ha_try_switch 1 env VOIP_SWITCHOVER_TIME=4s \
		VOIP_DRAIN_COMMAND="sh -c 'kill -STOP $pid'"
	[ "$ha_status" = 75 ]
	grep -q 'whether the peer took over is not known' \
		"$ha/n1/state/journal.jsonl"
	[ -z "$(ha_primaries)" ]
	kill -CONT "$pid"
	ha_await ha_is_settled
}

# Both nodes have it.
mode_is() {
	local n pid

	for n in 1 2; do
		echo "sync_mode=$1" >>"$ha/n$n/voip.conf"
		pid=$(cat "$ha/n$n/failover.pid")
		kill -TERM "$pid"
		ha_await ha_is_gone "$pid"
		ha_start_failover $n
	done
}

ha_is_gone() { # PID
	! kill -0 "$1"
}

waits_for() { # N NAMES
	[ "$(ha_sql "$1" 'show synchronous_standby_names')" = "$2" ]
}

writes_on() { # N: more than it had
	[ "$(ha_acknowledged | grep -c " node$1\$")" -gt "$before" ]
}

@test "sync-or-degrade: commits wait for a standby that streams, and for no other" {
	ha_await ready
	mode_is sync-or-degrade
	ha_await waits_for 1 'ANY 1 (*)'
	ha_write
	ha_fault death 2
	ha_await waits_for 1 ''
	before=$(ha_acknowledged | wc -l)
	ha_await writes_on 1
	ha_boot 2
	ha_await ha_is_settled
	find_primary
	ha_await waits_for $p 'ANY 1 (*)'
	[ "$(grep -c '"action":"sync o[nf]*"' "$ha/n1/state/journal.jsonl")" -ge 2 ]
	# The roles change, and the other one waits as soon as it can.
	ha_survive kill9
	find_primary
	ha_await waits_for $p 'ANY 1 (*)'
	[ "$(ha_lost $p)" -eq 0 ]
}

@test "strict: a primary alone takes no write, and none is lost when one dies" {
	ha_await ready
	mode_is strict
	ha_await waits_for 1 'ANY 1 (*)'
	ha_await waits_for 2 'ANY 1 (*)'
	ha_write
	ha_fault death 1
	ha_await ha_only 2
	ha_await grep -q '"action":"promote","event":"done"' \
		"$ha/n2/state/journal.jsonl"
	run -1 ha_written_by 2
	ha_boot 1
	ha_await ha_written_by 2
	ha_await ha_is_settled
	ha_stop_writing
	ha_one_writer
	ha_one_reader
	find_primary
	[ "$(ha_lost $p)" -eq 0 ]
}

@test "a primary that cannot keep its state stops all the same, and comes back" {
	ha_await ready
	ha_write
	chmod 555 "$ha/n1/state"
	ha_fault keepalived-stop 1
	ha_await ha_written_by 2
	run -2 ha_answers 1
	grep -q 'PostgreSQL is stopped, and that cannot be kept' \
		"$ha/n1/failover.log"
	chmod 755 "$ha/n1/state"
	ha_end keepalived-stop 1
	ha_await ha_is_settled
	ha_stop_writing
	ha_one_writer
}

# A file system of 64 kB.
small_disk() { # DIRECTORY
	mkdir "$1"
	mount -t tmpfs -o size=64k,mode=755 voip-ha "$1"
	chown postgres:postgres "$1"
}

# Until there is no free byte.
fill() { # DIRECTORY
	until [ "$(stat -f -c %a "$1")" = 0 ]; do
		dd if=/dev/zero bs=4k count=1 >>"$1/fill" 2>/dev/null || :
	done
}

@test "a word of keepalived that finds no room leaves no older one" {
	local word

	ha_await ready
	small_disk "$ha/full"
	failover 2 --set health_dir="$ha/full" notify INSTANCE voip FAULT 100 ||
		:
	fill "$ha/full"
	failover 2 --set health_dir="$ha/full" notify INSTANCE voip BACKUP 100 ||
		:
	word=$(head -n 1 "$ha/full/vrrp")
	umount "$ha/full"
	rmdir "$ha/full"
	[ "$word" = BACKUP ]
}

@test "a demotion that was cut off asks the peer before an operator's word" {
	ha_await ready
	kill -KILL "$(ha_pid 2 failover)"
	ha_ctl 2 -m fast stop
	sed -i 's/"vrrp":"[A-Z]*"/"vrrp":"FAULT"/
		s/"held":false/"held":true/; s/"fenced":false/"fenced":true/' \
		"$ha/n2/state/state.json"
	chown postgres:postgres "$ha/n2/state/state.json"
	[ "$(row 2 next .state)" = demote ]
	[ "$(row 2 peer .name,.role,.state)" = "node1 primary writable" ]
	run -1 failover 2 unfence
	[[ "$output" == *"the peer is a primary, or may be one"* ]]
}

@test "a primary makes the slot anew that its standby lacks" {
	ha_await ready
	kill -KILL "$(ha_pid 2 failover)"
	ha_ctl 2 -m fast stop
	ha_await drops_slot 1
	ha_start_failover 2
	ha_await ha_is_settled
	[ "$(row 1 slot .name,.state)" = "node2 active" ]
}

@test "of two switchovers at once one is done, and the other does nothing" {
	local first=0 second=0

	ha_await ready
	failover 1 switchover >"$ha/first" 2>&1 &
	failover 1 switchover >"$ha/second" 2>&1 || second=$?
	wait $! || first=$?
	cat "$ha/first" "$ha/second"
	[ $((first + second)) = 1 ]
	ha_await ha_is_well 2 1
	[ "$(grep -c '"switchover","event":"intent"' \
		"$ha/n1/state/journal.jsonl")" = 1 ]
}

@test "status says when what a node keeps has no room" {
	ha_await ready
	small_disk "$ha/full"
	fill "$ha/full"
	run -0 failover 2 --set failover_state_dir="$ha/full" status -f tsv
	umount "$ha/full"
	rmdir "$ha/full"
	[[ "$output" == *$'degraded\t'*"the peer writes; failover_state_dir is full or read-only"* ]]
}

@test "a node whose name has spaces and quotes comes back" {
	ha_await ready
	pauses
	ha_ctl 2 -m fast stop
	run -0 failover 2 --set node_name="the 2nd one's" rejoin
	[[ "$output" == *"the 2nd one's: standby again, timeline 1"* ]]
	ha_await ha_streams 1
	[ "$(ha_sql 1 'select application_name from pg_stat_replication')" = \
		"the 2nd one's" ]
}
