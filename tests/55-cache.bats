#!/usr/bin/env bats
# What voip-dirxml keeps in memory: when it asks the database, and when not.
# shellcheck disable=SC2154,SC2030,SC2031

bats_require_minimum_version 1.5.0
load dirxml

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

# A stopped server is wanted back.
teardown() {
	[ -z "${dirxml_pid:-}" ] || dirxml_stop
	[ -e "$cluster_base/node/postmaster.pid" ] || cluster_start node
	rm -rf "$dirxml_dir/state"
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

generation() { # USER
	user "$1" | curl -sS --unix-socket "$dirxml_socket" --data-binary @- \
		http://localhost/fs/xml |
		sed -n '2s/.* generation="\([0-9]*\)">$/\1/p'
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

# With the database gone, and noticed to be.
stop_database() {
	cluster_stop node
	wait_for database_is_away
}

database_is_away() {
	[ "$(metric voip_dirxml_listening)" = 0 ]
}

status_of() { # USER [DOMAIN]
	lookup "$@" | head -n 1
}

is_served() { # STATUS USER
	[ "$(status_of "$2")" = "$1" ]
}

health() {
	get /health ''
}

with_state() {
	dirxml_start --set dirxml_state_dir="$dirxml_dir/state" \
		--set database_backoff=50ms "$@"
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

@test "an answer says its generation, which grows when something changed" {
	local first again
	dirxml_start
	wait_for listening
	first=$(generation 1001)
	[ "$first" -gt 0 ]
	[ "$(generation 1001)" = "$first" ]
	sql "update voip.users set full_name = 'Grown' where username = '1001'"
	wait_for shows Grown 1001
	again=$(generation 1001)
	[ "$again" -gt "$first" ]
	# "not found" has one, too: from the database, from memory, of nothing
	[ "$(generation nobody)" -ge "$again" ]
	[ "$(generation nobody)" -ge "$again" ]
	[ "$(generation 'no user')" -ge "$again" ]
	sql "update voip.users set full_name = 'Alice Liddell'
		where username = '1001'"
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

@test "while the database is away who is known is served, and who is not gets 503" {
	dirxml_start --set database_backoff=50ms --set dirxml_directory_ttl=1ms
	wait_for listening
	run -0 lookup 1001
	run -0 lookup nobody
	run -0 health
	[[ $output == *'"ok"'* ]]
	stop_database
	run -0 lookup 1001
	[ "${lines[0]}" = 200 ]
	[[ $output == *'<user id="1001">'* ]]
	[ "$(status_of 1002)" = 503 ]
	[ "$(metric 'voip_dirxml_cache_total{result="stale"}')" -eq 1 ]
	run -0 health
	[ "${lines[0]}" = 200 ]
	[[ $output == *'"degraded"'* ]]
	cluster_start node
	wait_for is_served 200 1002
	wait_for listening
}

# Lookups without a pause, until there were enough; each must be answered.
storm() {
	local files=tests/data/freeswitch/lookups
	for _ in {1..500}; do
		[ ! -e "$BATS_TEST_TMPDIR/enough" ] || return 0
		fsplay -s -c 8 -n 200 --target /fs/xml "unix:$dirxml_socket" \
			"$files/directory-sip-auth-invite--answered.http" \
			"$files/directory-user-call--answered.http" \
			>"$BATS_TEST_TMPDIR/storm" || return
		[ "$(awk 'NR == 2 { print $2 }' "$BATS_TEST_TMPDIR/storm")" \
			-eq 200 ] || return
	done
}

many_are_stale() { # LEAST
	[ "$(metric 'voip_dirxml_cache_total{result="stale"}')" -ge "$1" ]
}

@test "PostgreSQL stops during a storm of lookups: no known user fails" {
	local who storm
	dirxml_start --set database_backoff=50ms
	wait_for listening
	for who in 1001 1002; do
		run -0 lookup "$who"
		[[ $output == *'<user id='* ]]
	done
	storm 3>&- &
	storm=$!
	# Old answers, so that the database is needed; then none is there.
	kill -HUP "$dirxml_pid"
	cluster_stop node immediate
	kill -HUP "$dirxml_pid"
	wait_for many_are_stale 1000 || {
		touch "$BATS_TEST_TMPDIR/enough"
		false
	}
	touch "$BATS_TEST_TMPDIR/enough"
	wait "$storm"
	run -0 lookup 1001
	[[ $output == *'<user id="1001">'* ]]
	cluster_start node
}

# One more asks for the figure.
requests_are_taken() { # N
	[ "$(metric voip_http_connections)" -gt "$1" ]
}

# The first of them wait for the lock, one at each connection; what comes then
# is one statement for them all.
@test "lookups that meet are one statement, and each gets its own answer" {
	local before i pids=()
	sql "insert into voip.users (domain_id, username, ha1, ha1b)
		select id, i, md5(i::text), md5(i::text) from voip.domains,
		generate_series(7001, 7040) as i where domain = 'pbx.example.com'"
	dirxml_start --set dirxml_deadline=60s --set database_timeout=60s
	wait_for listening
	before=$(questions)
	mkfifo "$BATS_TEST_TMPDIR/hold"
	psql -Xq <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/held" 3>&- &
	pids+=($!)
	exec 8>"$BATS_TEST_TMPDIR/hold"
	echo "begin; lock table voip.users; select 'held';" >&8
	wait_for grep -q held "$BATS_TEST_TMPDIR/held"
	for i in {7001..7042}; do
		user "$i" | curl -sS --unix-socket "$dirxml_socket" \
			--data-binary @- http://localhost/fs/xml \
			>"$BATS_TEST_TMPDIR/answer.$i" 3>&- 8>&- &
		pids+=($!)
	done
	wait_for requests_are_taken 42
	echo 'commit;' >&8
	exec 8>&-
	wait "${pids[@]}"
	for i in {7001..7040}; do
		grep -q "<user id=\"$i\">" "$BATS_TEST_TMPDIR/answer.$i"
		grep -q "$(printf %s "$i" | md5sum | cut -c1-32)" \
			"$BATS_TEST_TMPDIR/answer.$i"
	done
	for i in 7041 7042; do
		grep -q 'status="not found"' "$BATS_TEST_TMPDIR/answer.$i"
	done
	[ "$(questions)" -eq $((before + 42)) ]
	[ "$(sql "select count(*) from pg_stat_activity
		where usename = 'voip_dirxml' and query like '%ordinality%'")" \
		-ge 1 ]
}

@test "an answer older than dirxml_stale_for is no answer" {
	dirxml_start --set database_backoff=50ms --set dirxml_directory_ttl=1ms \
		--set dirxml_stale_for=1ms
	wait_for listening
	run -0 lookup 1001
	stop_database
	wait_for is_served 503 1001
}

@test "what changed before the database went away is no answer" {
	dirxml_start --set database_backoff=50ms
	wait_for listening
	run -0 lookup 1001
	run -0 lookup 1002
	sql "update voip.users set accountcode = accountcode || 'x'
		where username = '1002'"
	wait_for changes_were_told
	stop_database
	[ "$(status_of 1001)" = 200 ]
	[ "$(status_of 1002)" = 503 ]
	cluster_start node
	sql "update voip.users set accountcode = rtrim(accountcode, 'x')
		where username = '1002'"
}

changes_were_told() {
	[ "$(metric voip_dirxml_changes_total)" -ge 1 ]
}

@test "when the connection that listens is back everything is asked anew" {
	local before

	dirxml_start --set database_backoff=50ms
	wait_for listening
	run -0 lookup 1001
	before=$(metric voip_dirxml_resyncs_total)
	sql "select pg_terminate_backend(pid) from pg_stat_activity
		where usename = 'voip_dirxml'"
	wait_for resynced "$before"
	wait_for asks_again 1001
	grep -q 'the database does not tell its changes' "$dirxml_dir/log"
}

resynced() {
	[ "$(metric voip_dirxml_resyncs_total)" -gt "$1" ]
}

@test "known users survive a restart without the database" {
	with_state
	wait_for listening
	run -0 lookup 1001
	run -0 lookup nobody
	dirxml_stop
	[ "$(stat -c %a "$dirxml_dir/state")" = 700 ]
	[ "$(stat -c %a "$dirxml_dir/state/snapshot")" = 600 ]
	cluster_stop node
	with_state
	grep -q '1 answers from snapshot' "$dirxml_dir/log"
	run -0 lookup 1001
	[ "${lines[0]}" = 200 ]
	[[ $output == *'<user id="1001">'* ]]
	[ "$(status_of nobody)" = 503 ]
	[ "$(metric voip_dirxml_snapshot_age_seconds)" -ge 0 ]
	# and of another restart too
	dirxml_stop
	with_state
	[ "$(status_of 1001)" = 200 ]
	# what is in the file is asked anew when it can be
	cluster_start node
	wait_for listening
	run -0 lookup 1001
	[ "$(metric 'voip_dirxml_cache_total{result="miss"}')" -eq 1 ]
}

@test "a snapshot is written from time to time, and outlives kill -9" {
	with_state --set dirxml_snapshot_interval=50ms
	wait_for listening
	run -0 lookup 1001
	wait_for [ -s "$dirxml_dir/state/snapshot" ]
	kill -KILL "$dirxml_pid"
	wait "$dirxml_pid" || :
	cluster_stop node
	with_state
	[ "$(status_of 1001)" = 200 ]
}

@test "a snapshot that is damaged, or of somebody else, is ignored" {
	local snapshot=$dirxml_dir/state/snapshot

	with_state
	wait_for listening
	run -0 lookup 1001
	dirxml_stop
	cp "$snapshot" "$dirxml_dir/good"
	cluster_stop node
	truncate -s -1 "$snapshot"
	with_state
	wait_for grep -q "snapshot .* is ignored: it is damaged" "$dirxml_dir/log"
	[ "$(status_of 1001)" = 503 ]
	dirxml_stop
	# nothing better has taken its place
	[ -e "$snapshot" ]
	sed 's/1001/1009/' "$dirxml_dir/good" >"$snapshot"
	with_state
	wait_for grep -q "is ignored: it is damaged" "$dirxml_dir/log"
	dirxml_stop
	echo 'something else' >"$snapshot"
	with_state
	wait_for grep -q "is ignored: it is no snapshot" "$dirxml_dir/log"
	dirxml_stop
	: >"$snapshot"
	with_state
	wait_for grep -q "is ignored: it is no snapshot" "$dirxml_dir/log"
	dirxml_stop
	cp "$dirxml_dir/good" "$snapshot"
	chmod 666 "$snapshot"
	with_state
	wait_for grep -q "is ignored: it is no file of our own" "$dirxml_dir/log"
	dirxml_stop
	rm "$snapshot"
	ln -s "$dirxml_dir/good" "$snapshot"
	with_state
	wait_for grep -q "is ignored: it cannot be opened" "$dirxml_dir/log"
	[ "$(status_of 1001)" = 503 ]
}
