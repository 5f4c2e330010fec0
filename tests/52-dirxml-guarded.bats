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

# Nothing is kept: each lookup is a question.
no_cache=(--set dirxml_directory_ttl=1ms --set dirxml_negative_ttl=0
	--set dirxml_stale_for=0)

# A frozen server cannot be stopped, a stopped one is wanted back.
teardown() {
	cluster_thaw node 2>/dev/null || :
	[ -z "${dirxml_pid:-}" ] || dirxml_stop
	[ -e "$cluster_base/node/postmaster.pid" ] || cluster_start node
	: >"$VOIP_CONFIG"
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
	dirxml_start --set database_backoff=50ms "${no_cache[@]}"
	run -0 post /fs/xml <"$golden/domain-unknown.in"
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
	dirxml_start "${no_cache[@]}" --set database_backoff=50ms \
		--set dirxml_deadline=300ms --set database_connect_timeout=300ms
	wait_for answers_200
	cluster_freeze node
	run -0 post /fs/xml -m 20 <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	run -0 post /fs/xml -m 20 <"$golden/sip_auth.in"
	[ "${lines[0]}" = 503 ]
	cluster_thaw node
	wait_for answers_200
}

@test "a client that goes away while the database hangs harms nobody" {
	local _
	dirxml_start "${no_cache[@]}" --set database_backoff=50ms \
		--set dirxml_deadline=8s
	run -0 post /fs/xml <"$golden/sip_auth.in"
	cluster_freeze node
	for _ in {1..20}; do
		run -28 post /fs/xml -m 0.05 <"$golden/sip_auth.in"
	done
	cluster_thaw node
	wait_for answers_200
}

@test "SIGTERM while the database hangs: the lookup gets its 503, the end is 0" {
	dirxml_start "${no_cache[@]}" --set dirxml_deadline=700ms
	run -0 post /fs/xml <"$golden/sip_auth.in"
	cluster_freeze node
	post /fs/xml -m 20 <"$golden/sip_auth.in" >"$dirxml_dir/last" 3>&- &
	wait_for busy
	kill -TERM "$dirxml_pid"
	wait "$dirxml_pid"
	wait $!
	cluster_thaw node
	[ "$(head -n 1 "$dirxml_dir/last")" = 503 ]
	dirxml_pid=
}

# A client is connected to our socket, or was answered already.
busy() {
	[ -s "$dirxml_dir/last" ] || [ "$(grep -c "$dirxml_socket" /proc/net/unix)" -gt 1 ]
}

# The table of users belongs to another session until it is unlocked.
lock_users() {
	coproc psql -Xq 2>&1 3>&-
	locker_pid=$COPROC_PID locker=${COPROC[1]}
	echo 'begin; lock table voip.users in access exclusive mode;' >&"$locker"
	wait_for users_are_locked
}

users_are_locked() {
	[ "$(sql "select count(*) from pg_locks where granted and
		mode = 'AccessExclusiveLock' and
		relation = 'voip.users'::regclass")" -eq 1 ]
}

unlock_users() {
	echo 'rollback;' >&"$locker"
	exec {locker}>&-
	wait "$locker_pid"
}

# So many sessions of voip-dirxml wait for a lock.
waiting_for_lock() {
	[ "$(sql "select count(*) from pg_stat_activity
		where usename = 'voip_dirxml' and wait_event_type = 'Lock'")" \
		-eq "$1" ]
}

@test "behind a locked table lookups get 503, and no session is left waiting" {
	local _
	# not by its timeouts: they are longer than our patience
	VOIP_DATABASE+=" options='-c statement_timeout=0 -c lock_timeout=0'"
	dirxml_start --set dirxml_deadline=100ms
	lock_users
	for _ in {1..5}; do
		run -0 post /fs/xml <"$golden/sip_auth.in"
		[ "${lines[0]}" = 503 ]
	done
	wait_for waiting_for_lock 0
	users_are_locked
	unlock_users
	wait_for answers_200
}

@test "a lookup under way at SIGHUP keeps its answer" {
	dirxml_start --set dirxml_deadline=20s
	lock_users
	post /fs/xml -m 20 <"$golden/sip_auth.in" >"$dirxml_dir/first" 3>&- &
	local first=$!
	wait_for waiting_for_lock 1
	kill -HUP "$dirxml_pid"
	wait_for grep -q 'settings reloaded' "$dirxml_dir/log"
	curl -sS -m 20 -o "$dirxml_dir/second" --unix-socket "$dirxml_socket" \
		--data-binary "@$golden/user_call.in" http://localhost/fs/xml \
		3>&- &
	local second=$!
	unlock_users
	wait "$first"
	[ "$(head -n 1 "$dirxml_dir/first")" = 200 ]
	wait "$second"
	sed -i '2s/ generation="[0-9]*">$/>/' "$dirxml_dir"/{first,second}
	cmp "$dirxml_dir/second" "$golden/user_call.out"
	# and the connection is a new one
	run -0 get /metrics ''
	[[ $output =~ $'\nvoip_database_connects_total '([2-9]|[1-9][0-9]+)$'\n' ]]
}

@test "a connection string that is no good leaves the connection as it is" {
	local database=$VOIP_DATABASE
	unset VOIP_DATABASE
	echo "database='$database'" >"$VOIP_CONFIG"
	dirxml_start
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 200 ]
	echo "database=dbnme=x" >"$VOIP_CONFIG"
	kill -HUP "$dirxml_pid"
	wait_for grep -q "setting 'database' is wrong: .*: the connection stays" \
		"$dirxml_dir/log"
	run -0 post /fs/xml <"$golden/sip_auth.in"
	[ "${lines[0]}" = 200 ]
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
}

answers_with() {
	post /fs/xml <"$golden/sip_auth.in" | grep -qF "fs_path=sip:$1\""
}

@test "FreeSWITCH asks this node, then its peer, with a time limit for each" {
	local conf=etc/freeswitch/autoload_configs/xml_curl.conf.xml

	cd "$BATS_TEST_DIRNAME/.." || return
	[ "$(xmllint --xpath 'count(//binding)' "$conf")" -eq 2 ]
	[ "$(xmllint --xpath 'count(//binding[param/@name="timeout"])' "$conf")" -eq 2 ]
	run -0 xmllint --xpath 'string(//binding[1]/param/@value)' "$conf"
	[ "$output" = http://127.0.0.1:8081/fs/xml ]
	# What a binding asks for is asked of the other, too.
	[ "$(xmllint --xpath 'string(//binding[1]/param/@bindings)' "$conf")" = \
		"$(xmllint --xpath 'string(//binding[2]/param/@bindings)' "$conf")" ]
}
