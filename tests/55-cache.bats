#!/usr/bin/env bats
# What voip-dirxml keeps in memory: when it asks the database, and when not.
# shellcheck disable=SC2154,SC2030,SC2031

bats_require_minimum_version 1.5.0
load dirxml

golden=tests/data/dirxml

setup_file() {
	dirxml_setup
}

teardown_file() {
	dirxml_teardown
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

teardown() {
	[ -z "${dirxml_pid:-}" ] || dirxml_stop
}

# A gauge or counter by the beginning of its line.
metric() {
	get /metrics '' | sed -n "s/^$1 //p"
}

questions() {
	metric voip_dirxml_questions_total
}

listening() {
	[ "$(metric voip_dirxml_listening)" = 1 ]
}

user() { # USER [DOMAIN]: the form of a sip_auth lookup
	printf 'section=directory&tag_name=domain&key_name=name&key_value=%s' \
		"${2:-pbx.example.com}"
	printf '&action=sip_auth&key=id&user=%s&domain=%s' "$1" \
		"${2:-pbx.example.com}"
}

lookup() { # USER [DOMAIN]
	user "$@" | post /fs/xml
}

shows() { # TEXT USER [DOMAIN]
	lookup "${@:2}" | grep -qF "$1"
}

@test "an answer is asked for once, whatever the spelling of the domain" {
	dirxml_start
	wait_for listening
	run -0 lookup 1001
	[[ $output == *'<user id="1001">'* ]]
	run -0 lookup 1001 PBX.Example.COM
	[[ $output == *'<domain name="PBX.Example.COM">'* ]]
	run -0 post /fs/xml <"$golden/sip_auth.in"
	cmp "$BATS_TEST_TMPDIR/body" "$golden/sip_auth.out"
	[ "$(questions)" -eq 1 ]
	[ "$(metric 'voip_dirxml_cache_total{result="hit"}')" -eq 2 ]
	[ "$(metric 'voip_dirxml_cache_total{result="miss"}')" -eq 1 ]
	[ "$(metric voip_dirxml_cache_entries)" -eq 1 ]
}

@test "that there is no such user is remembered too" {
	dirxml_start
	wait_for listening
	run -0 lookup nobody
	run -0 lookup nobody
	[[ $output == *'not found'* ]]
	[ "$(questions)" -eq 1 ]
	[ "$(metric 'voip_dirxml_cache_total{result="negative"}')" -eq 1 ]
	[ "$(metric voip_dirxml_cache_negative_entries)" -eq 1 ]
}

@test "after its time to live an answer is asked for again" {
	dirxml_start --set dirxml_directory_ttl=1ms --set dirxml_negative_ttl=0
	wait_for listening
	run -0 lookup 1001
	run -0 lookup nobody
	run -0 lookup nobody
	[ "$(questions)" -eq 3 ]
	wait_for asks_again 1001
}

asks_again() {
	local before

	before=$(questions)
	lookup "$1" >"$BATS_TEST_TMPDIR/again"
	[ "$(questions)" -gt "$before" ]
}

@test "a change of a user is in the next answer, and leaves the others alone" {
	dirxml_start
	wait_for listening
	run -0 lookup 1001
	run -0 lookup 1002
	run -0 lookup carol
	run -0 lookup 2001
	sql "update voip.users set full_name = 'Carla' where username = 'carol'"
	wait_for shows Carla carol
	wait_for shows Carla 2001
	[ "$(questions)" -eq 6 ]
	run -0 lookup 1001
	run -0 lookup 1002
	[ "$(questions)" -eq 6 ]
	sql "update voip.users set full_name = 'Žluťoučký kůň ☎'
		where username = 'carol'"
}

@test "a user who is added is found though it was remembered that there is none" {
	dirxml_start --set dirxml_negative_ttl=1h
	wait_for listening
	run -0 lookup late
	[[ $output == *'not found'* ]]
	sql "insert into voip.users (domain_id, username)
		select id, 'late' from voip.domains
		where domain = 'pbx.example.com'"
	wait_for shows '<user id="late">' late
	sql "delete from voip.users where username = 'late'"
	wait_for shows 'not found' late
}

@test "a change of a domain is a change of its users, and of no other's" {
	dirxml_start
	wait_for listening
	run -0 lookup 1001
	run -0 lookup nologin other.example
	sql "update voip.domains set caller_id_name = 'Sample'
		where domain = 'pbx.example.com'"
	wait_for shows Sample 1001
	run -0 lookup nologin other.example
	[ "$(questions)" -eq 3 ]
	sql "update voip.domains set caller_id_name = 'Example Ltd'
		where domain = 'pbx.example.com'"
	wait_for shows 'Example Ltd' 1001
}

@test "a change of many rows at once is one of them all" {
	dirxml_start
	wait_for listening
	run -0 lookup 1001
	sql "insert into voip.users (domain_id, username)
		select id, 'u' || n from voip.domains,
			generate_series(1, 1100) as n
		where domain = 'pbx.example.com'"
	wait_for asks_again 1001
	sql "delete from voip.users where username ~ '^u[0-9]+$'"
}
