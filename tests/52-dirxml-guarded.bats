#!/usr/bin/env bats
# voip-dirxml with credentials, and with a database that is away.
# shellcheck disable=SC2154,SC2030,SC2031

bats_require_minimum_version 1.5.0
load dirxml

captured=tests/data/freeswitch
golden=tests/data/dirxml

setup_file() {
	dirxml_setup cluster
}

teardown_file() {
	dirxml_teardown
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

frozen=()
freeze() {
	local postmaster

	read -r postmaster <"$cluster_base/node/postmaster.pid"
	mapfile -t frozen < <(pgrep -P "$postmaster")
	frozen+=("$postmaster")
	kill -STOP "${frozen[@]}"
}

thaw() {
	[ ${#frozen[@]} -eq 0 ] || kill -CONT "${frozen[@]}"
	frozen=()
}

# A frozen server cannot be stopped, a stopped one is wanted back.
teardown() {
	thaw
	[ -z "${dirxml_pid:-}" ] || dirxml_stop
	[ -e "$cluster_base/node/postmaster.pid" ] || cluster_start node
}

@test "credentials are asked for, and those of FreeSWITCH are taken" {
	local file
	VOIP_DIRXML_CREDENTIALS=xmluser:xmlpass dirxml_start
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 401 ]
	[[ $output != *a1-hash* ]]
	run -0 post /fs/xml -u xmluser:wrong <"$golden/sip_auth.in"
	[ "${lines[0]}" = 401 ]
	run -0 post /fs/xml -u xmluser:xmlpass <"$golden/sip_auth.in"
	[ "${lines[0]}" = 200 ]
	cmp "$BATS_TEST_TMPDIR/body" "$golden/sip_auth.out"
	run -0 get /health ''
	[ "${lines[0]}" = 200 ]
	for file in "$captured"/lookups-basic-auth/*.http; do
		echo "$file"
		run -0 fsplay -t /fs/xml "unix:$dirxml_socket" "$file"
	done
}

@test "an empty request without credentials gets 401, and its connection stays" {
	VOIP_DIRXML_CREDENTIALS=xmluser:xmlpass dirxml_start
	run -0 curl -sS -o /dev/null -w '%{http_code} %{num_connects}\n' \
		--unix-socket "$dirxml_socket" -X POST -d '' \
		http://localhost/fs/xml/directory \
		--next -sS -o /dev/null -w '%{http_code} %{num_connects}\n' \
		--unix-socket "$dirxml_socket" -u xmluser:xmlpass \
		--data-binary "@$golden/sip_auth.in" \
		http://localhost/fs/xml/directory
	[ "${lines[0]}" = '401 1' ]
	[ "${lines[1]}" = '200 0' ]
}

@test "a digest-only binding gets 401 for each of its requests" {
	local file
	VOIP_DIRXML_CREDENTIALS=xmluser:xmlpass dirxml_start
	for file in "$captured"/lookups-digest-auth/directory*.http; do
		run -1 fsplay -t /fs/xml/directory "unix:$dirxml_socket" "$file"
		[[ $output == *401* ]]
	done
}

@test "while the database is stopped a lookup gets 503, and 200 when it is back" {
	dirxml_start --set database_backoff=50ms
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 200 ]
	cluster_stop node
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	run -0 post /fs/xml <"$golden/user_call-unknown-user.in"
	[ "${lines[0]}" = 503 ]
	run -0 get /health ''
	[ "${lines[0]}" = 503 ]
	[ "$(counter sip_auth unavailable)" -ge 1 ]
	# what needs no database is still answered
	run -0 post /fs/xml <"$golden/dialplan.in"
	[ "${lines[0]}" = 200 ]
	run -0 post /fs/xml <"$golden/injection.in"
	[ "${lines[0]}" = 200 ]
	cluster_start node
	wait_for answers_200
	cmp "$BATS_TEST_TMPDIR/body" "$golden/sip_auth.out"
}

answers_200() {
	[ "$(post /fs/xml <"$golden/sip_auth.in" | head -n 1)" = 200 ]
}

@test "a server that starts without its database serves when it comes" {
	cluster_stop node
	dirxml_start --set database_backoff=50ms
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	cluster_start node
	wait_for answers_200
}

@test "while the database hangs a lookup gets 503 after its deadline" {
	dirxml_start --set database_backoff=50ms --set dirxml_deadline=300ms \
		--set database_connect_timeout=300ms
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 200 ]
	freeze
	run -0 post /fs/xml -m 20 <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	run -0 post /fs/xml -m 20 <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	thaw
	wait_for answers_200
}

@test "a client that goes away while the database hangs harms nobody" {
	local _
	dirxml_start --set database_backoff=50ms --set dirxml_deadline=8s
	run -0 post /fs/xml <"$golden/sip_auth.in"
	freeze
	for _ in {1..20}; do
		run -28 post /fs/xml -m 0.05 <"$golden/sip_auth.in"
	done
	thaw
	wait_for answers_200
}

@test "SIGTERM while the database hangs: the lookup gets its 503, the end is 0" {
	dirxml_start --set dirxml_deadline=700ms
	run -0 post /fs/xml <"$golden/sip_auth.in"
	freeze
	post /fs/xml -m 20 <"$golden/sip_auth.in" >"$dirxml_dir/last" 3>&- &
	wait_for busy
	kill -TERM "$dirxml_pid"
	wait "$dirxml_pid"
	wait $!
	thaw
	[ "$(head -n 1 "$dirxml_dir/last")" = 503 ]
	dirxml_pid=
}

# A client is connected to our socket.
busy() {
	[ "$(grep -c "$dirxml_socket" /proc/net/unix)" -gt 1 ]
}

@test "a database that refuses the question is 503, and says why in the log" {
	VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_ingest" dirxml_start
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	wait_for grep -q 'cannot answer a lookup: .*permission denied' \
		"$dirxml_dir/log"
}

@test "the filter says that the database is away and ends with 75" {
	cluster_stop node
	run -75 --separate-stderr voip-dirxml --user 1001@pbx.example.com
	[ -z "$output" ]
	[ -n "$stderr" ]
}

@test "new settings are taken at SIGHUP, and wrong ones are not" {
	echo proxy=192.0.2.9 >"$VOIP_CONFIG"
	dirxml_start
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[[ $output == *'fs_path=sip:192.0.2.9"'* ]]
	echo proxy=192.0.2.10 >"$VOIP_CONFIG"
	kill -HUP "$dirxml_pid"
	wait_for answers_with 192.0.2.10
	echo proxy='a,b' >"$VOIP_CONFIG"
	kill -HUP "$dirxml_pid"
	wait_for grep -q "setting 'proxy' is not an address" \
		"$dirxml_dir/log"
	answers_with 192.0.2.10
	: >"$VOIP_CONFIG"
}

answers_with() {
	post /fs/xml <"$golden/sip_auth.in" | grep -qF "fs_path=sip:$1\""
}
