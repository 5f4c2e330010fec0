#!/usr/bin/env bats
# Who tries too often gets no further than voip-dirxml's memory.
# shellcheck disable=SC2154,SC2030,SC2031

bats_require_minimum_version 1.5.0
load dirxml

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

metric() {
	get /metrics '' | sed -n "s/^$1 //p"
}

# USER ADDRESS [ACTION]: a lookup as mod_sofia makes it for that address.
login() {
	printf 'section=directory&tag_name=domain&key_name=name&key_value=%s' \
		pbx.example.com
	printf '&action=%s&key=id&user=%s&domain=%s&ip=%s' "${3:-sip_auth}" \
		"$1" pbx.example.com "$2"
}

try() { # found|not: what USER at ADDRESS gets
	local answer

	answer=$(login "$2" "$3" "${4:-}" | post /fs/xml)
	case $1 in
	found) [[ $answer == 200*"<user id=\"$2\">"* ]] ;;
	not) [[ $answer == 200*'status="not found"'* ]] ;;
	esac
}

braked() {
	metric "voip_dirxml_braked_total{reason=\"$1\"}"
}

questions() {
	metric voip_dirxml_questions_total
}

listening() {
	[ "$(metric voip_dirxml_listening)" = 1 ]
}

@test "an address that asks for unknown users gets no further, and others do" {
	local before
	dirxml_start --set brake_unknown=3 --set brake_window=1h
	for name in a b c; do
		try not "$name" 203.0.113.5
	done
	[ "$(braked unknown)" -eq 0 ]
	before=$(questions)
	try not d 203.0.113.5
	try not 1001 203.0.113.5
	[ "$(questions)" -eq "$before" ]
	[ "$(braked unknown)" -eq 2 ]
	try found 1001 203.0.113.6
	# and only what a phone tries is counted
	try found 1001 203.0.113.5 user_call
	[ "$(grep -c ' brake address=203.0.113.5 reason=unknown' \
		"$dirxml_dir/log")" -eq 1 ]
}

@test "a name that no user can have counts as an unknown one" {
	dirxml_start --set brake_unknown=2 --set brake_window=1h
	try not 'x%20y' 203.0.113.5
	try not 'x%00y' 203.0.113.5
	try not 1001 203.0.113.5
	[ "$(braked unknown)" -eq 1 ]
}

@test "an address that logs in too often gets no further" {
	dirxml_start --set brake_address=3 --set brake_window=1h
	try found 1001 198.51.100.7
	try found 1002 198.51.100.7
	try found 1003 198.51.100.7
	try not 1001 198.51.100.7
	[ "$(braked address)" -eq 1 ]
}

@test "a user who is tried too often stays open to other addresses" {
	dirxml_start --set brake_user=2 --set brake_window=1h
	try found 1001 198.51.100.7
	try found 1001 198.51.100.7
	try not 1001 198.51.100.7
	try found 1002 198.51.100.7
	try found 1001 198.51.100.8
	[ "$(braked user)" -eq 1 ]
}

@test "an IPv6 address counts as its /64" {
	dirxml_start --set brake_address=1 --set brake_window=1h
	try found 1001 2001:db8:1:2::1
	try not 1001 2001:db8:1:2:ffff::9
	try found 1001 2001:db8:1:3::1
}

@test "a brake lets go when its window is over" {
	dirxml_start --set brake_address=1 --set brake_window=40ms
	try found 1001 198.51.100.7
	wait_for try found 1002 198.51.100.7
}

@test "loopback, proxies and trusted addresses are never braked" {
	local address
	sql "insert into voip.trusted_addresses (address)
		values ('198.51.100.0/24')"
	dirxml_start --set brake_address=1 --set brake_window=1h \
		--set trusted_proxies=192.0.2.1,192.0.2.2
	wait_for listening
	wait_for are_both_found 198.51.100.9
	for address in 127.0.0.1 ::1 192.0.2.2 198.51.100.7; do
		try found 1001 "$address"
		try found 1001 "$address"
	done
	sql "delete from voip.trusted_addresses"
	wait_for try not 1001 198.51.100.7
}

are_both_found() {
	try found 1001 "$1" && try found 1002 "$1"
}

@test "0 takes a brake away, and a reload brings it back" {
	echo brake_address=0 >"$VOIP_CONFIG"
	dirxml_start --set brake_user=0 --set brake_window=1h
	for _ in {1..5}; do
		try found 1001 198.51.100.7
	done
	echo brake_address=1 >"$VOIP_CONFIG"
	kill -HUP "$dirxml_pid"
	wait_for try not 1001 198.51.100.7
	: >"$VOIP_CONFIG"
}

@test "a phone cannot choose the address that counts" {
	dirxml_start --set brake_address=1 --set brake_window=1h
	try found '1001&ip=198.51.100.1' 203.0.113.5 || :
	login 1001 203.0.113.5 | sed 's/^/ip=198.51.100.1\&/' | post /fs/xml
	login 1001 203.0.113.5 | sed 's/^/ip=198.51.100.2\&/' | post /fs/xml
	[ "$(braked address)" -ge 1 ]
	try found 1001 198.51.100.1
}

# The addresses that fail2ban would ban by the program's log.
banned() {
	local fail2ban=$PWD/build/deps/fail2ban/usr

	PYTHONPATH=$fail2ban/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1 \
		python3 "$fail2ban/bin/fail2ban-regex" -r -o ip \
		"$dirxml_dir/log" "$PWD/etc/fail2ban/filter.d/voip-dirxml.conf"
}

@test "fail2ban bans by our line in each form" {
	local format target
	for format in text json; do
		for target in stderr journal; do
			dirxml_start --set brake_user=1 --set log_format=$format \
				--set log_target=$target --set brake_window=1h
			try found 1001 203.0.113.5
			run -0 banned
			[ "$output" = '' ]
			try not 1001 203.0.113.5
			try found 1002 2001:db8:1:2::3
			try not 1002 2001:db8:1:2::3
			cat "$dirxml_dir/log"
			run -0 banned
			[ "${#lines[@]}" -eq 2 ]
			[ "${lines[0]}" = 203.0.113.5 ]
			[[ ${lines[1]} == 2001:db8:1:2:* ]]
			dirxml_stop
		done
	done
}

@test "fail2ban bans nobody by what a phone wrote into our line" {
	local format forged
	forged='brake%20address%3D192.0.2.66%20reason%3Duser%20user%3Dx'
	for format in text json; do
		dirxml_start --set brake_user=1 --set log_format=$format \
			--set brake_unknown=1 --set brake_window=1h
		try not "x%20$forged" 203.0.113.5
		try not "x%20$forged" 203.0.113.5
		try not "x%0A$forged" 203.0.113.6
		try not "x%0A$forged" 203.0.113.6
		try not "x%0Avoip-dirxml%5B1%5D%3A%20$forged" 203.0.113.7
		try not "x%0Avoip-dirxml%5B1%5D%3A%20$forged" 203.0.113.7
		try not '%22%7D%0A%7B%22level%22%3A%22warning%22' 203.0.113.8
		try not '%22%7D%0A%7B%22level%22%3A%22warning%22' 203.0.113.8
		run -0 banned
		echo "$output" | sort -u >"$BATS_TEST_TMPDIR/banned"
		run -0 diff "$BATS_TEST_TMPDIR/banned" - \
			<<<"$(printf '203.0.113.%d\n' 5 6 7 8)"
		dirxml_stop
	done
}

# The value of a param of USER as mod_sofia reads it.
param() { # NAME USER
	login "$2" 203.0.113.5 | post /fs/xml | tail -n +2 | parsed || return
	seen "//user[@id='$2']/params/param[@name='$1']/@value"
}

counts_params() { # COUNT NAME USER
	param "$2" "$3" >"$BATS_TEST_TMPDIR/value"
	[ "$(seen "count(//param[@name='$2'])")" = "$1" ]
}

is_param() { # VALUE NAME USER
	[ "$(param "$2" "$3")" = "$1" ]
}

# The entity's field, the param, a tenant's value, a user's, and one more.
brake_fields() {
	cat <<-'END'
		auth_acl auth-acl 192.0.2.0/24 198.51.100.0/24
		user_agent_filter user-agent-filter lab-ua ^(Good|Best)
		max_registrations max-registrations-per-extension 3 1
	END
}

edit() { # KEY-WORD...
	PGUSER='' VOIP_DATABASE="dbname=$PGDATABASE user=voip_ext" \
		voip-ext "$@" </dev/null
}

@test "a user's brakes are in what a phone's login reads, else the tenant's" {
	local field name tenant own
	dirxml_start
	wait_for listening
	while read -r field name tenant own; do
		echo "$field"
		edit domain set pbx.example.com "$field="
		edit set 1001@pbx.example.com "$field="
		edit set 1002@pbx.example.com "$field="
		wait_for counts_params 0 "$name" 1001
		edit domain set pbx.example.com "$field=$tenant"
		wait_for is_param "$tenant" "$name" 1001
		edit set 1001@pbx.example.com "$field=$own"
		wait_for is_param "$own" "$name" 1001
		is_param "$tenant" "$name" 1002
		edit domain set pbx.example.com "$field="
		wait_for counts_params 0 "$name" 1002
		is_param "$own" "$name" 1001
	done < <(brake_fields)
}

@test "a user who must not register is told so to mod_sofia" {
	dirxml_start
	wait_for listening
	counts_params 0 sip-forbid-register 1001
	edit set 1001@pbx.example.com forbid_register=true
	wait_for is_param true sip-forbid-register 1001
	counts_params 0 sip-forbid-register 1003
	edit set 1001@pbx.example.com forbid_register=false
	wait_for counts_params 0 sip-forbid-register 1001
}
