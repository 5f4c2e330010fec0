#!/usr/bin/env bats
# The pair: real keepalived and real PostgreSQL in network namespaces, and what
# a client at the virtual address sees of each fault.  What is held is safety:
# how long it takes is measured by `make check-ha-long`.
# shellcheck disable=SC2154,SC2034,SC2153 # ha.bash

bats_require_minimum_version 1.5.0

setup_file() {
	load helper
	load ha.bash
	ha_settings=$ha_patient
	ha_build
}

teardown_file() {
	load ha.bash
	ha_remove
}

# p is the primary, s the other.
setup() {
	load helper
	load ha.bash
	load ha/fault.bash
	load ha/client.bash
	ha_begin_turn
}

teardown() {
	ha_end_turn
}

# A pair with other settings.
ha_anew() { # NAME=VALUE...
	ha_stop_writing
	ha_down
	declare -g "$@"
	ha_settle
	ha_write
}

# On a machine that stands still for a second the address may have moved more
# than once.
primary() {
	ha_has_vip 1 && echo 1 || echo 2
}

keeps_all() {
	ha_survive "$1"
	[ "$(ha_lost "$(primary)")" -eq 0 ]
}

synchronous() {
	[ "$(ha_sql "$1" 'show synchronous_standby_names')" = 'ANY 1 (*)' ]
}

@test "a killed postmaster: the other writes, this one comes back" {
	ha_survive kill9
}

@test "a frozen postmaster: the other writes, this one comes back" {
	ha_survive freeze
}

@test "PostgreSQL stopped: the other writes, nothing is lost" {
	keeps_all stop
}

@test "keepalived stopped: the other writes; started again it is BACKUP" {
	keeps_all keepalived-stop
	run -1 ha_has_vip "$p"
}

@test "keepalived killed: the address is on both, only one writes" {
	ha_survive keepalived-kill
}

@test "a dead node: the other writes; switched on it is the standby" {
	ha_survive death
}

@test "both dead at once: switched on they are a pair" {
	ha_survive both
}

@test "both postmasters killed: they are a pair again" {
	ha_survive both-kill9
}

@test "a cable out: the node stops by itself, in again it is the standby" {
	ha_survive cable
}

@test "a switch that drops all: the node stops, healed it is the standby" {
	ha_survive silent
}

@test "a node that is not heard: the other writes, one at a time" {
	ha_survive mute
}

@test "a node that does not hear: it goes on" {
	ha_survive deaf
}

@test "voip-healthd killed: its last word does not count for long" {
	ha_survive health-kill
}

@test "voip-healthd frozen: its last word does not count for long" {
	ha_survive health-freeze
}

@test "its files deleted: voip-healthd writes them again, nothing moves" {
	ha_survive health-delete
	[ "$(primary)" = "$p" ]
}

@test "a node that stood still: it takes no write, and is the standby" {
	ha_survive suspend
}

@test "switched on without voip-healthd a node does not take the address" {
	ha_survive blind
}

@test "voip-failover killed before it has promoted: it goes on" {
	ha_survive promote-5
}

@test "voip-failover killed when it has promoted: it goes on" {
	ha_survive promote-7
}

@test "voip-failover killed while it demotes: it goes on" {
	ha_survive demote-4
}

@test "the line between the nodes cut, commits synchronous: none is lost" {
	ha_sql "$p" "alter system set synchronous_standby_names = 'ANY 1 (*)'"
	ha_sql "$p" 'select pg_reload_conf()'
	ha_await synchronous "$p"
	keeps_all between
	ha_sql "$(primary)" 'alter system reset synchronous_standby_names'
	ha_sql "$(primary)" 'select pg_reload_conf()'
}

# The last ones: each has a pair of its own.
@test "a clock that jumps hides no demotion; a full disk moves the address" {
	ha_anew ha_clock=yes ha_small=yes
	ha_survive clock
	ha_settle
	ha_write
	ha_survive disk
	ha_down
}

@test "the plain template: a script each second and notify" {
	ha_anew ha_template=keepalived-notify.conf
	ha_survive kill9
	ha_down
}
