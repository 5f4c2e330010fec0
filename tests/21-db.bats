#!/usr/bin/env bats
# The database module, through db-tool.
# shellcheck disable=SC2154,SC2030,SC2031 # each test is a subshell

load helper
load cluster

setup_file() {
	clone_db
	cluster_base
	export cluster_base
}

teardown_file() {
	drop_db
	cluster_remove
}

# A listener whose backlog is full: connections to it are never answered.
black_hole() {
	port=$(free_port)
	black-hole 127.0.0.1 "$port" &
	hole=$!
	wait_for bash -c "grep -q ':$(printf %04X "$port") .* 0A ' /proc/net/tcp"
}

teardown() {
	[ -z "${hole:-}" ] || stop_process "$hole"
}

@test "binary arrays carry NULs, backslashes and nulls" {
	run -0 db-tool array
	[ "$output" = "same -1 null 1099511627776" ]
}

@test "a first host that never answers is walked past, waiting or with a loop" {
	cluster_init tcp
	second=$(free_port)
	cluster_start tcp listen_addresses=127.0.0.1 "port=$second"
	black_hole
	export VOIP_DATABASE_CONNECT_TIMEOUT=1500ms
	export VOIP_DATABASE="host=127.0.0.1,127.0.0.1 port=$port,$second dbname=postgres"
	run -0 db-tool server
	[[ $output == *" primary read-write 127.0.0.1:$second" ]]
	run -0 db-tool send 3 'select 1'
	[[ $output == *"good 3 bad 0"* ]]
}

@test "when no host will do, the message names each and why" {
	black_hole
	export VOIP_DATABASE_CONNECT_TIMEOUT=300ms
	export VOIP_DATABASE="host=127.0.0.1,127.0.0.1 port=$port,1 dbname=postgres"
	run -75 db-tool server
	[[ $output == *"'127.0.0.1' port $port: no answer within database_connect_timeout"* ]]
	[[ $output == *'"127.0.0.1", port 1 failed: Connection refused'* ]]
	run -75 db-tool send 1 'select 1'
	[[ $output == *"good 0 bad 1"* ]]
}

@test "a read-only server is passed over where a writer is wanted" {
	sql "alter database $PGDATABASE set default_transaction_read_only = on"
	run -75 db-tool --attrs=read-write server
	[[ $output == *"it is read-only"* ]]
	run -0 db-tool --attrs=read-only server
	psql -Xq -d postgres -c "alter database $PGDATABASE
		reset default_transaction_read_only"
	run -0 db-tool --attrs=read-write server
	run -0 db-tool --attrs=prefer-standby server
	run -75 db-tool --attrs=standby server
}

@test "the SQLSTATE decides the exit status" {
	run -65 db-tool query 'select 1/0'
	run -70 db-tool query 'selec'
	run -78 db-tool query 'select * from voip.nothing'
	PGUSER=voip_dirxml run -78 db-tool query 'delete from voip.users'
	run -1 db-tool query "insert into voip.domains (domain)
		values ('default.local') returning id"
	[[ $output == *"[23505, domains_domain_key]"* ]]
}

@test "a role that does not exist is a matter of configuration" {
	PGUSER=nobody_there run -78 db-tool server
	[[ $output == *'role "nobody_there" does not exist'* ]]
}

@test "an answer that does not come in time is a temporary failure" {
	run -75 db-tool --timeout=200 query 'select pg_sleep(30)'
	[[ $output == *"the database did not answer within 200 ms"* ]]
	run -75 db-tool --timeout=200 --window=3 send 3 'select pg_sleep(30)'
	[[ $output == *"good 0 bad 3"* ]]
}

@test "session settings hold from the first request on" {
	local setting="set application_name = 'settled'"
	run -0 db-tool --session="$setting" query 'show application_name'
	[ "$output" = settled ]
	run -0 db-tool --session="$setting" --window=5 send 5 \
		"select 1 / (current_setting('application_name') = 'settled')::int"
	[[ $output == *"good 5 bad 0"* ]]
}

@test "a connection that refuses its session settings is never used" {
	run -70 db-tool --session='set nonsense = 1' query 'select 7'
	[[ $output == *'unrecognized configuration parameter "nonsense"'* ]]
	run -70 db-tool --session='set nonsense = 1' --window=5 send 5 'select 7'
	[[ $output == *"good 0 bad 5"* ]]
	[[ $output != *"database up"* ]]
}

@test "while no host will do, requests fail at once instead of waiting" {
	black_hole
	export VOIP_DATABASE_CONNECT_TIMEOUT=300ms
	export VOIP_DATABASE="host=127.0.0.1 port=$port dbname=postgres"
	run -75 db-tool --window=1 send 20 'select 1'
	[[ $output == *"good 0 bad 20"* ]]
	[[ $output == *"the database is away: "*"'127.0.0.1' port $port: no answer"* ]]
}

@test "a statement that once failed may be sent again" {
	run -78 db-tool --window=1 send 100 'select 1 from voip.not_there'
	[[ $output != *"prepared statement"* ]]
}

@test "one bad request does not touch those beside it in the pipeline" {
	sql 'create sequence voip.bad_seq'
	run -65 db-tool --window=10 send 10 \
		"select 1 / (nextval('voip.bad_seq') % 5)"
	[[ $output == *"good 8 bad 2"* ]]
}

@test "the server ends every connection: what was under way fails, the rest goes on" {
	db-tool --window=4 send 20000 'select 1' >"$BATS_TEST_TMPDIR/out" 2>&1 &
	pid=$!
	wait_for sql "select pg_terminate_backend(pid) or true
		from pg_stat_activity where application_name = 'db-tool'
		and query = 'select 1' limit 1"
	[ -n "$(sql "select pg_terminate_backend(pid) from pg_stat_activity
		where application_name = 'db-tool'")" ] || :
	wait "$pid" || :
	[ "$(awk '/^good/ { print $2 + $4 }' "$BATS_TEST_TMPDIR/out")" -eq 20000 ]
	[ "$(awk '/^good/ { print ($2 > 10000) }' "$BATS_TEST_TMPDIR/out")" -eq 1 ]
}

@test "notifications arrive with channel and payload" {
	db-tool listen news >"$BATS_TEST_TMPDIR/out" 2>/dev/null &
	pid=$!
	wait_for bash -c "[ \"\$(psql -XqAtc \"select count(*) from pg_stat_activity
		where application_name = 'db-tool' and query = 'listen news'\")\" = 1 ]"
	sql "notify news, 'first'"
	sql "notify news, 'end'"
	wait "$pid"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = $'news first\nnews end' ]
}

@test "a password file is read, and no password shows in a message" {
	cluster_init secret
	cluster_start secret
	export PGHOST=$cluster_base/secret PGDATABASE=postgres
	export VOIP_DATABASE=dbname=postgres
	sql "create role keeper login password 's3cr3t'"
	cluster_run sed -i '1i local all keeper scram-sha-256' \
		"$PGHOST/pg_hba.conf"
	sql 'select pg_reload_conf()'
	export PGUSER=keeper PGPASSFILE=$BATS_TEST_TMPDIR/pass
	wait_for bash -c "! psql -Xwqc 'select 1'"
	(umask 077 && echo '*:*:*:keeper:s3cr3t' >"$PGPASSFILE")
	run -0 db-tool query 'select session_user'
	[ "$output" = keeper ]
	VOIP_DATABASE='dbname=postgres password=wr0ng' run -78 db-tool server
	[[ $output == *'password authentication failed for user "keeper"'* ]]
	[[ $output != *wr0ng* ]]
}

@test "a service file is libpq's own" {
	printf '[here]\nhost=%s\ndbname=%s\n' "$PGHOST" "$PGDATABASE" \
		>"$BATS_TEST_TMPDIR/service"
	env -u PGHOST -u PGDATABASE PGSERVICEFILE="$BATS_TEST_TMPDIR/service" \
		VOIP_DATABASE=service=here db-tool query 'select current_database()' \
		>"$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = "$PGDATABASE" ]
}

@test "a wrong connection string says so" {
	VOIP_DATABASE='host=x nonsense=1' run -78 db-tool server
	[[ $output == *"setting 'database' is wrong: invalid connection option \"nonsense\""* ]]
}

@test "a program has a role of its own, unless something names another" {
	run -0 env -u PGUSER voip-ext domain add role.example.com
	[ "$(sql "select role from voip.change
		join voip.audit as a on a.change_id = change.id where a.key = 'role.example.com'")" = voip_ext ]
	VOIP_DATABASE="dbname=$PGDATABASE user=voip_dirxml" run -78 voip-ext domain add x.example.com
	PGUSER=voip_dirxml run -78 voip-ext domain add x.example.com
}
