#!/usr/bin/env bats
# What keepalived never said: both nodes of a real pair are told random states
# and then the truth, while a client writes and another one reads.  Held are
# safety and that the pair comes to rest; `make check-ha-long` plays 200.
# shellcheck disable=SC2154,SC2034,SC2153 # ha.bash

bats_require_minimum_version 1.5.0

setup_file() {
	load helper
	load ha.bash
	ha_settings=$ha_patient
	ha_hasty=yes
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
	ha_begin_turn
}

teardown() {
	ha_end_turn
}

writes_again() {
	tail -n "+$((lines_before + 1))" "$ha_client_log" | grep -q ' OK '
}

# What is printed is shown when it fails: the last seed is the one to look at.
survives() { # SEED...
	local seed lines_before

	for seed in "$@"; do
		echo "seed $seed"
		ha_play "$seed" 4
	done
	ha_await ha_is_settled
	lines_before=$(wc -l <"$ha_client_log")
	ha_await writes_again
	ha_stop_writing
	ha_one_writer
	ha_one_reader
}

@test "ten sequences of random states: one writes, nobody stale answers" {
	survives 1 2 3 4 5 6 7 8 9 10
}

@test "ten others, with the roles as the first ones left them" {
	survives 11 12 13 14 15 16 17 18 19 20
}
