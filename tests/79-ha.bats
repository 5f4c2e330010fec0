#!/usr/bin/env bats
# The pair: real keepalived and real PostgreSQL in network namespaces, and what
# a client at the virtual address sees of each fault.  What is held is safety:
# how long it takes is measured by `make check-ha-long`.
# shellcheck disable=SC2154,SC2034,SC2153 # ha.bash

bats_require_minimum_version 1.5.0

setup_file() {
	load helper
	cd "$BATS_TEST_DIRNAME/.." || return
	export top=$PWD build=$BUILD
	load ha.bash
	# A busy machine is late, and nobody who is late is dead.
	ha_settings='peer_timeout=3s
		witness_timeout=3s'
	ha_build
	export ha
}

teardown_file() {
	load ha.bash
	ha_remove
}

# The pair of the test before serves, if it is well: p is the primary, s the
# other.
setup() {
	load helper
	load ha.bash
	load ha/fault.bash
	ha_turn=$BATS_TEST_NUMBER ha_writers=()
	ha_settle
	ha_write
}

teardown() {
	ha_stop_writing
	[ -n "${BATS_TEST_COMPLETED:-}" ] || ha_tell
	[ -n "${BATS_TEST_COMPLETED:-}" ] || ha_down
	rm -f "$ha"/writer.*
}

# The other node takes over.
moves() {
	ha_fault "$1" "$p"
	ha_await ha_written_by "$s"
}

# The former primary comes back by itself as a standby.  On a machine that
# stands still for a second the address may have moved more than once.
comes_back() {
	ha_await ha_is_settled
	ha_stop_writing
	ha_one_writer
}

synchronous() {
	[ "$(ha_sql "$1" 'show synchronous_standby_names')" = 'ANY 1 (*)' ]
}

only() {
	[ "$(ha_primaries)" = "$1" ]
}

primary() {
	ha_has_vip 1 && echo 1 || echo 2
}

@test "a killed postmaster: the other writes, this one comes back" {
	moves kill9
	comes_back
}

@test "a frozen postmaster: the other writes, this one comes back" {
	moves freeze
	comes_back
}

@test "PostgreSQL stopped: the other writes, nothing is lost" {
	moves stop
	comes_back
	[ "$(ha_lost "$(primary)")" -eq 0 ]
}

@test "keepalived stopped: the other writes; started again it is BACKUP" {
	moves keepalived-stop
	ha_await ha_is_standby "$p"
	ha_start_keepalived "$p"
	comes_back
	[ "$(ha_lost "$(primary)")" -eq 0 ]
}

@test "a dead node: the other writes; switched on it is the standby" {
	moves death
	ha_boot "$p"
	comes_back
}

@test "a cable out: the node stops by itself, in again it is the standby" {
	moves cable
	ha_await only "$s"
	ha_heal
	comes_back
}

@test "a switch that drops all: the node stops, healed it is the standby" {
	moves silent
	ha_await grep -q 'isolated state=yes' "$ha/n$p/failover.log"
	ha_heal
	comes_back
}

@test "keepalived killed: the address is on both, only one writes" {
	moves keepalived-kill
	ha_await ha_is_standby "$p"
	ha_start_keepalived "$p"
	comes_back
}

@test "voip-healthd killed: its last word does not count for long" {
	moves health-kill
	ha_start_health "$p"
	comes_back
}

@test "voip-healthd frozen: its last word does not count for long" {
	moves health-freeze
	kill -CONT "$(ha_pid "$p" health)"
	comes_back
}

@test "both dead at once: switched on they are a pair" {
	ha_fault both "$p"
	ha_boot 1
	ha_boot 2
	comes_back
}

@test "switched on without voip-healthd a node does not take the address" {
	ha_fault death "$p"
	ha_await ha_written_by "$s"
	ha_boot "$p" blind
	ha_await ha_is_standby "$p"
	ha_await grep -q 'Entering FAULT STATE' "$ha/n$p/keepalived.log"
	run -1 ha_has_vip "$p"
	ha_start_health "$p"
	comes_back
}

@test "the line between the nodes cut, commits synchronous: none is lost" {
	ha_sql "$p" "alter system set synchronous_standby_names = 'ANY 1 (*)'"
	ha_sql "$p" 'select pg_reload_conf()'
	ha_await synchronous "$p"
	moves between
	ha_heal
	comes_back
	[ "$(ha_lost "$(primary)")" -eq 0 ]
	ha_sql "$(primary)" 'alter system reset synchronous_standby_names'
	ha_sql "$(primary)" 'select pg_reload_conf()'
}
