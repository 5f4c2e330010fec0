#!/usr/bin/env bats
# voip-watch: changes as lines, in order, and resync when some were missed.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell

load helper
load cluster

setup_file() {
	clone_db
	cluster_base
	export cluster_base VOIP_DATABASE_BACKOFF=50ms
	sql "insert into voip.domains (domain) values ('a.example'), ('b.example')"
}

teardown_file() {
	drop_db
	cluster_remove
}

setup() {
	dir=$BATS_TEST_TMPDIR
	started=()
}

teardown() {
	local pid
	cluster_thaw cold 2>/dev/null || :
	for pid in "${started[@]}"; do
		stop_process "$pid"
	done
}

# watch ARGUMENT...: in the background, and wait until it listens; its lines
# are in $dir/lines, what it says in $dir/log.
watch() {
	: >"$dir/lines"
	PGUSER=${WATCH_ROLE:-voip_watch} voip-watch "$@" \
		>"$dir/lines" 2>"$dir/log" 3>&- &
	watch=$!
	started+=("$watch")
	wait_for grep -q resync "$dir/lines"
}

# What came after the first resync.
news() {
	sed '0,/resync/d' "$dir/lines"
}

# lines COUNT: that many are there.
lines() {
	[ "$(news | wc -l)" -ge "$1" ]
}

# The end of the watch; $status is its exit status.
watch_ends() {
	status=0
	wait "$watch" || status=$?
}

# shows TEXT: these lines, and no others.
shows() {
	wait_for lines "$(wc -l <<<"$1")"
	run -0 diff <(news) - <<<"$1"
}

# The lines' operations and keys.
short() {
	news | jq -r '[.op, .entity, .key] | join(" ")'
}

shows_short() {
	wait_for lines "$(wc -l <<<"$1")"
	run -0 diff <(short) - <<<"$1"
}

@test "a change of every entity arrives with its key" {
	watch --format tsv
	sql "begin;
	insert into voip.domains (domain) values ('c.example');
	create temporary table ids on commit drop as
		select id as d from voip.domains where domain = 'c.example';
	insert into voip.users (domain_id, username) select d, '1001' from ids;
	insert into voip.groups (domain_id, name) select d, 'all' from ids;
	insert into voip.group_members (domain_id, group_id, user_id)
		select d, g.id, u.id from ids, voip.groups g, voip.users u
		where g.domain_id = d and u.domain_id = d;
	insert into voip.queues (domain_id, name) select d, 'help' from ids;
	insert into voip.queue_members (domain_id, queue_id, user_id)
		select d, q.id, u.id from ids, voip.queues q, voip.users u
		where q.domain_id = d and u.domain_id = d;
	insert into voip.ivr_menus (domain_id, name) select d, 'main' from ids;
	insert into voip.ivr_entries (domain_id, ivr_id, digit, action,
		action_data) select d, i.id, '#', 'queue', 'help'
		from ids, voip.ivr_menus i where i.domain_id = d;
	insert into voip.voicemail_boxes (domain_id, number)
		select d, '2001' from ids;
	insert into voip.conferences (domain_id, number)
		select d, '3001' from ids;
	insert into voip.trunks (name, domain_id, host)
		select 'tenant', d, 'sip.example' from ids;
	insert into voip.trunks (name, host) values ('all', 'sip.example');
	insert into voip.recording_policies (name, storage_path)
		values ('never', '/rec');
	insert into voip.extensions (domain_id, extension, type, user_id)
		select d, '1001', 'user', u.id from ids, voip.users u
		where u.domain_id = d;
	insert into voip.media_nodes (destination)
		values ('sip:10.0.0.1:5080');
	insert into voip.trusted_addresses (address) values ('10.0.0.0/24');
	insert into voip.emergency_numbers (number) values ('112');
	insert into voip.api_keys (key_name, hash)
		values ('billing', repeat('ab', 32));
	commit"
	shows "$(sed 's/ /\t/g; s/\^//' <<-'LINES'
		insert domain c.example c.example
		insert user 1001@c.example c.example
		insert group all@c.example c.example
		insert groupmember all/1001@c.example c.example
		insert queue help@c.example c.example
		insert member help/1001@c.example c.example
		insert ivr main@c.example c.example
		insert entry main/#@c.example c.example
		insert voicemail 2001@c.example c.example
		insert conference 3001@c.example c.example
		insert trunk tenant c.example
		insert trunk all ^
		insert policy never ^
		insert extension 1001@c.example c.example
		insert node sip:10.0.0.1:5080 ^
		insert address 10.0.0.0/24 ^
		insert emergency 112 ^
		insert key billing ^
	LINES
	)"
}

in_transaction() {
	[ "$(sql "select count(*) from pg_stat_activity where datname =
		current_database() and state = 'idle in transaction'")" = 1 ]
}

@test "transactions come in the order of their commits, and each in its own" {
	watch user queue
	exec {first}> >(psql -XqAt >/dev/null 3>&-)
	echo "begin; insert into voip.users (domain_id, username)
		select id, '2001' from voip.domains where domain = 'a.example';" \
		>&"$first"
	wait_for in_transaction
	sql "insert into voip.users (domain_id, username)
		select id, '2002' from voip.domains where domain = 'a.example'"
	wait_for lines 1
	echo "update voip.users set full_name = 'x' where username = '2001';
		insert into voip.queues (domain_id, name) select id, 'late'
		from voip.domains where domain = 'a.example'; commit;" >&"$first"
	exec {first}>&-
	shows_short "insert user 2002@a.example
insert user 2001@a.example
update user 2001@a.example
insert queue late@a.example"
}

@test "what is rolled back is not told, and a new name is told with the old" {
	watch
	sql "begin; insert into voip.users (domain_id, username)
		select id, 'ghost' from voip.domains; rollback"
	sql "insert into voip.users (domain_id, username) select id, 'before'
		from voip.domains where domain = 'a.example'"
	sql "update voip.users set username = 'after' where username = 'before'"
	sql "update voip.users set username = username where username = 'after'"
	sql "delete from voip.users where username = 'after'"
	wait_for lines 4
	run -0 diff <(short | sort) - <<-'LINES'
		delete user after@a.example
		insert user before@a.example
		update user after@a.example
		update user before@a.example
	LINES
}

@test "a large transaction is one line for each tenant" {
	watch --format tsv --count 3
	sql "insert into voip.users (domain_id, username)
		select d.id, 'many' || n from voip.domains as d,
		generate_series(1, 600) as n
		where domain in ('a.example', 'b.example')"
	sql "delete from voip.users where username = 'many7'
		and domain_id in (select id from voip.domains
		where domain = 'a.example')"
	watch_ends
	[ "$status" -eq 0 ]
	[ "$(news | head -n 2 | sort)" = "$(printf 'many\tuser\t*\t%s.example\n' a b)" ]
	[ "$(news | tail -n 1)" = \
		$'delete\tuser\tmany7@a.example\ta.example' ]
}

@test "rows that leave with their parent are told before it" {
	sql "insert into voip.users (domain_id, username) select id, 'agent'
		from voip.domains where domain = 'a.example';
	insert into voip.queues (domain_id, name) select id, 'short'
		from voip.domains where domain = 'a.example';
	insert into voip.queue_members (domain_id, queue_id, user_id)
		select u.domain_id, q.id, u.id from voip.queues q, voip.users u
		where q.name = 'short' and u.username = 'agent'"
	watch queue member
	sql "delete from voip.queues where name = 'short'"
	wait_for lines 2
	run -0 diff <(short) - <<-'LINES'
		delete member short/agent@a.example
		delete queue short@a.example
	LINES
}

@test "entities and a domain choose what is printed" {
	watch --domain b.example user extension
	sql "insert into voip.users (domain_id, username)
		select id, 'chosen' from voip.domains;
	insert into voip.queues (domain_id, name)
		select id, 'chosen' from voip.domains;
	insert into voip.emergency_numbers (number) values ('110');
	delete from voip.users where username = 'chosen'"
	shows_short "insert user chosen@b.example
delete user chosen@b.example"
}

@test "the names that a database can hold survive both formats" {
	local name names=("a/b@c.example" '*' 'back\slash\t' $'\xe2\x80\xa8x'
		"it's \"quoted\" \${x} <&>" 'déjà 電話 📞'
		"$(printf '\U1F4DE%.0s' {1..128})")
	watch --count ${#names[@]} queue
	voip-watch -f tsv -n ${#names[@]} >"$dir/tsv" 3>&- &
	started+=($!)
	wait_for grep -q resync "$dir/tsv"
	for name in "${names[@]}"; do
		psql -Xq -v name="$name" -v ON_ERROR_STOP=1 <<-'SQL'
			insert into voip.queues (domain_id, name, max_wait_time)
			select id, :'name', 77 from voip.domains
			where domain = 'a.example'
		SQL
	done
	watch_ends
	run -0 diff <(printf '%s@a.example\n' "${names[@]}") \
		<(news | jq -r .key)
	wait "${started[-1]}"
	run -0 diff <(news | jq -r .key) <(tail -n +3 "$dir/tsv" | cut -f 3 |
		sed 's/\\\\/\\/g')
}

@test "foreign notifications are a resync" {
	watch --count 1
	sql "select pg_notify('voip_changed', p) from unnest(array['', 'hello',
		'{}', '{\"table\":\"users\",\"op\":\"drop\",\"key\":\"1\"}',
		'{\"table\":1}']) as p"
	sql "select pg_notify('voip_changed', '{\"table\":\"later\",
		\"op\":\"update\",\"key\":\"x\",\"why\":[1]}')"
	watch_ends
	[ "$status" -eq 0 ]
	[ "$(grep -c 'a notification is not understood: ' "$dir/log")" -eq 5 ]
	[ "$(news | uniq)" = '{"op":"resync"}
{"op":"update","entity":"later","key":"x","domain":null}' ]
}

@test "a lost connection is a resync when there is a new one" {
	watch
	for i in 1 2; do
		sql "select pg_terminate_backend(pid) from pg_stat_activity
			where usename = 'voip_watch'"
		wait_for lines "$i"
	done
	sql "insert into voip.users (domain_id, username) select id, 'still'
		from voip.domains where domain = 'a.example'"
	shows '{"op":"resync"}
{"op":"resync"}
{"op":"insert","entity":"user","key":"still@a.example","domain":"a.example"}'
	grep -q 'the database connection is lost' "$dir/log"
	grep -q 'the database is back' "$dir/log"
}

@test "a server that answers no more is noticed" {
	export VOIP_DATABASE_TIMEOUT=300ms VOIP_WATCH_PROBE=50ms
	watch
	frozen=$(sql "select pid from pg_stat_activity
		where usename = 'voip_watch'")
	kill -STOP "$frozen"
	wait_for lines 1
	kill -CONT "$frozen"
	[ "$(news | head -n 1)" = '{"op":"resync"}' ]
}

@test "a reader that goes away ends it, also when nothing changes" {
	PGUSER=voip_watch timeout 60 voip-watch 3>&- 2>"$dir/log" |
		head -n 1 >"$dir/lines"
	[ "${PIPESTATUS[*]}" = "0 0" ]
	[ "$(cat "$dir/lines")" = '{"op":"resync"}' ]
	[ ! -s "$dir/log" ]
}

@test "SIGTERM and SIGINT are a clean end" {
	for signal in TERM INT; do
		watch
		kill -"$signal" "$watch"
		watch_ends
		[ "$status" -eq 0 ]
		[ ! -s "$dir/log" ]
	done
}

@test "a reader that is too slow gets a resync, and only whole lines" {
	mkfifo "$dir/fifo"
	PGUSER=voip_watch voip-watch >"$dir/fifo" 2>"$dir/log" 3>&- &
	started+=($!)
	exec {slow}<"$dir/fifo"
	read -r line <&"$slow"
	[ "$line" = '{"op":"resync"}' ]
	sql "select pg_notify('voip_changed', json_build_object('table',
		'users', 'op', 'update', 'key', 'user' || n,
		'domain', 'a.example')::text) from generate_series(1, 20000) n"
	wait_for grep -q 'the reader is too slow' "$dir/log"
	sql "select pg_notify('voip_changed', '{\"table\":\"users\",
		\"op\":\"update\",\"key\":\"last\"}')"
	timeout 60 sed '/"last"/q' <&"$slow" >"$dir/read"
	exec {slow}<&-
	[ "$(jq -r .op "$dir/read" | sort -u)" = $'resync\nupdate' ]
	[ "$(wc -l <"$dir/read")" -lt 20000 ]
	# The first ones were kept, and after the resync come the latest.
	run -0 diff <(sed '/resync/,$d' "$dir/read" | jq -r .key | cut -d@ -f1) \
		<(seq -f user%.0f "$(sed '/resync/,$d' "$dir/read" | wc -l)")
	[ "$(tail -n 2 "$dir/read" | head -n 1 | jq -r .key)" = \
		user20000@a.example ]
}

@test "output goes to a file too, and a full disk is a failure" {
	run -0 voip-watch --timeout 10ms
	run -71 bash -c "voip-watch >/dev/full"
	[[ $output == *"cannot write to standard output: No space left on device"* ]]
}

@test "too few changes in time are status 1" {
	run -1 --separate-stderr voip-watch --count 2 --timeout 300ms
	# shellcheck disable=SC2154 # run sets it
	[ "$stderr" = "voip-watch: 0 of 2 changes came in time" ]
	run -0 voip-watch --timeout 10ms
}

@test "wrong words on the command line are usage errors" {
	run -64 voip-watch --format csv
	[[ $output == *"changes are not printed as 'csv'"*"hint: jsonl or tsv"* ]]
	run -64 voip-watch usr
	[[ $output == *"there is no entity 'usr'"* ]]
	run -64 timeout 30 voip-watch --count 0
	[[ $output == *"--count is 1 or more"* ]]
	run -64 voip-watch --count -1
	[[ $output == *"--count is 1 or more"* ]]
	run -64 voip-watch --timeout soon
	[[ $output == *"--timeout"* ]]
	run -64 voip-watch --domain A.example
	[[ $output == *"'A'"* ]]
}

@test "without a database it says why" {
	PGUSER=nobody_there run -78 voip-watch
	[[ $output == *'role "nobody_there" does not exist'* ]]
	PGHOST=$dir run -75 voip-watch --set database_wait=100ms
	[[ $output == *"waiting for the database: "* ]]
	[[ $output == *"No such file or directory"* ]]
}

@test "systemd is told when it listens" {
	socat -u "UNIX-RECV:$dir/notify" "CREATE:$dir/told" 3>&- &
	started+=($!)
	wait_for test -S "$dir/notify"
	NOTIFY_SOCKET=$dir/notify watch
	wait_for grep -q READY=1 "$dir/told"
}

# --- servers of our own -------------------------------------------------

on() {
	psql -XqAt -v ON_ERROR_STOP=1 -h "$cluster_base/$1" -U postgres \
		-d postgres -c "$2"
}

tell() {
	on "$1" "select pg_notify('voip_changed', '{\"table\":\"trunks\",
		\"op\":\"update\",\"key\":\"$2\"}')"
}

# Two servers, of which $1 is the primary and $2 its standby.
servers() {
	export VOIP_DATABASE_CONNECT_TIMEOUT=300ms VOIP_WATCH_PROBE=50ms
	export VOIP_DATABASE="host=$cluster_base/$1,$cluster_base/$2 dbname=postgres"
	export WATCH_ROLE=postgres
	cluster_init "$1"
	cluster_start "$1"
	cluster_copy "$2" "$1"
	cluster_start "$2"
}

@test "it follows the primary, fenced or gone" {
	servers one two
	watch --format tsv
	tell one first
	wait_for lines 1
	# Fenced by a setting it keeps its connections.
	on one "alter system set default_transaction_read_only = on"
	on one "select pg_reload_conf()" >/dev/null
	wait_for grep -q 'is read-only now: looking for the primary' "$dir/log"
	cluster_run "$cluster_bin/pg_ctl" -s -w -D "$cluster_base/two" promote
	wait_for lines 2
	tell two second
	wait_for lines 3
	cluster_stop one immediate
	tell two third
	shows "$(printf '%s\t%s\t%s\t\n' update trunk first resync '' '' \
		update trunk second update trunk third)"
	cluster_stop two
}

@test "a server that is frozen as a whole is a resync when it thaws" {
	export VOIP_DATABASE_TIMEOUT=2s VOIP_WATCH_PROBE=50ms
	export VOIP_DATABASE_CONNECT_TIMEOUT=300ms WATCH_ROLE=postgres
	export VOIP_DATABASE="host=$cluster_base/cold dbname=postgres"
	cluster_init cold
	cluster_start cold
	watch
	cluster_freeze cold
	wait_for grep -q 'database: the database did not answer within 2000 ms' \
		"$dir/log"
	cluster_thaw cold
	wait_for lines 1
	tell cold after
	shows '{"op":"resync"}
{"op":"update","entity":"trunk","key":"after","domain":null}'
	cluster_stop cold
}

@test "a pooler that forgets what is listened to is refused" {
	export WATCH_ROLE=postgres VOIP_WATCH_PROBE=50ms
	export VOIP_DATABASE="host=$cluster_base/pooled dbname=postgres"
	cluster_init pooled
	cluster_start pooled
	on pooled "alter function pg_listening_channels() rename to forgotten"
	on pooled "create function pg_catalog.pg_listening_channels()
		returns setof text language sql as 'select null where false'"
	watch
	watch_ends
	[ "$status" -eq 78 ]
	grep -q 'the connection does not keep what it listens to' "$dir/log"
	cluster_stop pooled
}

# --- the unit -----------------------------------------------------------

# What voip-reload.service runs, with the programs of $dir/bin.
unit_command() {
	sed -n "s|^ExecStart=/bin/bash -o pipefail -c '\(.*\)'\$|\1|p" \
		etc/systemd/voip-reload.service |
		sed "s|/usr/local/s\{0,1\}bin/|$dir/bin/|g"
}

# end NAME COMMAND: a program of that name.
end() {
	mkdir -p "$dir/bin"
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/bin/$1"
	chmod +x "$dir/bin/$1"
}

@test "the units are what systemd takes" {
	local unit
	for unit in etc/systemd/voip-*; do
		sed "s|/usr/local/s\{0,1\}bin/|$BUILD/bin/|g" "$unit" \
			>"$dir/${unit##*/}"
	done
	run -0 systemd-analyze verify --man=no "$dir"/*.service
	[ -z "$output" ]
}

@test "the unit fails when either end does, and both end" {
	end voip-watch "exec '$BUILD/bin/voip-watch'"
	# shellcheck disable=SC2016 # for the stand-in's shell
	end voip-reload 'read -r line; echo "$line"; exit 70'
	run -70 --separate-stderr timeout 60 bash -o pipefail -c "$(unit_command)"
	[ "$output" = '{"op":"resync"}' ]
	end voip-watch 'echo resync; exit 78'
	end voip-reload 'cat'
	run -78 timeout 60 bash -o pipefail -c "$(unit_command)"
	[ "$output" = resync ]
}

@test "the unit stops with a status that systemd takes for a success" {
	end voip-watch "exec '$BUILD/bin/voip-watch'"
	# shellcheck disable=SC2016 # for the stand-in's shell
	end voip-reload 'tee "$0.lines" >/dev/null'
	setsid bash -o pipefail -c "$(unit_command)" 3>&- &
	unit=$!
	wait_for grep -q resync "$dir/bin/voip-reload.lines"
	kill -TERM -- "-$unit"
	status=0
	wait "$unit" || status=$?
	[[ $status =~ ^(0|143)$ ]]
}
