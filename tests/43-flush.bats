#!/usr/bin/env bats
# voip-cdr-flush: from the queue to the table, exactly once.

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_flush"
}

teardown_file() {
	drop_db
}

setup() {
	sql 'truncate voip.cdr_queue, voip.cdr, voip.cdr_dead'
}

# queue COUNT [START-SQL]: that many legs, uuids leg-1 and so on.
queue() {
	sql "insert into voip.cdr_queue (node, query_uuid, body)
	select 'n', 'leg-' || i, convert_to(format('{\"variables\":{
		\"direction\":\"inbound\",\"uuid\":\"leg-%s\",
		\"start_uepoch\":\"%s\",\"sip_to_user\":\"%s\"}}', i,
		(extract(epoch from ${2:-now()}) * 1000000)::bigint, i), 'UTF8')
	from generate_series(1, $1) as i"
}

# enqueue TEXT: one body.
enqueue() {
	printf '%s' "$1" | body | sql "insert into voip.cdr_queue (body)
		values ('\\x$(cat)')"
}

body() {
	od -An -v -tx1 | tr -d ' \n'
}

count() {
	sql "select count(*) from voip.$1"
}

counted() {
	[ "$(count "$1")" -eq "$2" ]
}

@test "flush writes every captured CDR as its decoded document says" {
	local file
	sql 'create table if not exists public.documents (name text, doc bytea)'
	for file in tests/data/freeswitch/cdr-*/*.json; do
		echo "insert into public.documents values
			('$file', '\\x$(body <"$file")');"
		echo "insert into voip.cdr_queue (node, body) values
			('$file', '\\x$(sed '1,/^\r$/d' "${file%json}http" |
			body)');"
	done | psql -Xq
	run -0 voip-cdr-flush
	[ "$output" = 'stored 102, duplicate 0, dead 0' ]
	# valid JSON of our own making: bytes that are not UTF-8 are Latin-1
	run -0 sql "with documents as (
		select name, convert_from(doc, case when name ~ 'latin1'
			then 'LATIN1' else 'UTF8' end)::jsonb as doc
		from public.documents),
	legs as (select name, doc -> 'variables' as v,
		doc #> '{callflow,0,caller_profile}' as newest,
		doc #> '{callflow,-1,caller_profile}' as original
		from documents)
	select name, to_jsonb(c) from legs left join voip.cdr as c
		on c.leg_uuid = v ->> 'uuid'
	where (c.start_time, coalesce(c.answer_time, 'epoch'), c.end_time,
		c.billsec, c.duration, c.hangup_cause, c.hangup_cause_q850,
		c.direction, c.caller_number, coalesce(c.caller_name, ''),
		c.destination, c.destination_last, c.domain)
	is distinct from (
		'epoch'::timestamptz + (v ->> 'start_uepoch')::bigint
			* interval '1 microsecond',
		'epoch'::timestamptz + (v ->> 'answer_uepoch')::bigint
			* interval '1 microsecond',
		'epoch'::timestamptz + (v ->> 'end_uepoch')::bigint
			* interval '1 microsecond',
		(v ->> 'billsec')::int, (v ->> 'duration')::int,
		v ->> 'hangup_cause', (v ->> 'hangup_cause_q850')::int,
		v ->> 'direction', newest ->> 'caller_id_number',
		newest ->> 'caller_id_name', original ->> 'destination_number',
		newest ->> 'destination_number', coalesce(v ->> 'domain_name',
			v ->> 'dialed_domain', case when v ->> 'originator'
			is null then v ->> 'sip_from_host' end))"
	[ -z "$output" ]
	run -0 sql "select count(*) from voip.cdr where cc_side = 'agent'
		and member_session_uuid in (select leg_uuid from voip.cdr
		where cc_side = 'member' and cc_cause = 'answered')"
	[ "$output" -eq 5 ]
}

@test "flush names tenant, queue and agent by their rows where they exist" {
	sql "insert into voip.domains (domain) values ('pbx.example.com');
	insert into voip.users (domain_id, username)
		select id, '1002' from voip.domains where domain ~ 'pbx';
	insert into voip.queues (domain_id, name)
		select id, n from voip.domains, unnest('{support,a@b & c}'::text[])
		as n where domain ~ 'pbx'"
	enqueue '{"variables":{"uuid":"u","direction":"inbound",
		"start_uepoch":"1795227092281418","domain_name":"PBX.example.com",
		"cc_queue":"support@pbx.example.com","cc_agent":"1002"}}'
	enqueue '{"variables":{"uuid":"v","direction":"inbound",
		"start_uepoch":"1795227092281418","domain_name":"other.example",
		"cc_queue":"support","cc_agent":"1002@other.example"}}'
	enqueue '{"variables":{"uuid":"w","direction":"inbound",
		"start_uepoch":"1795227092281418",
		"cc_queue":"a%40b%20%26%20c@PBX.example.com"}}'
	run -0 voip-cdr-flush
	run -0 sql "select leg_uuid, (select domain from voip.domains as d
			where d.id = domain_id),
		(select name from voip.queues as q where q.id = queue_id),
		(select username from voip.users as u where u.id = agent_id),
		queue, agent from voip.cdr order by leg_uuid"
	[ "${lines[0]}" = "u	pbx.example.com	support	1002	support@pbx.example.com	1002" ]
	[ "${lines[1]}" = "v				support	1002@other.example" ]
	[ "${lines[2]}" = "w		a@b & c		a@b & c@PBX.example.com	" ]
	run -0 voip-cdr list --queue 'a@b & c@PBX.example.com' --since 2020-01-01 \
		--until 2099-01-01 --format jsonl
	[ "${#lines[@]}" -eq 1 ]
}

@test "flush stores a leg once, however often it is replayed" {
	queue 30 "timestamptz '2026-11-20 10:00Z'"
	queue 30 "timestamptz '2026-11-20 10:00Z'"
	run -0 voip-cdr-flush --set cdr_batch_size=7
	[ "$output" = 'stored 30, duplicate 30, dead 0' ]
	queue 30 "timestamptz '2026-11-20 10:00Z'"
	run -0 voip-cdr-flush
	[ "$output" = 'stored 0, duplicate 30, dead 0' ]
	counted cdr 30
	counted cdr_queue 0
}

@test "flush moves what is no CDR to the dead letters, once, with its bytes" {
	queue 3
	enqueue 'hello'
	enqueue 'hello'
	enqueue '{"variables":{"uuid":"u"}}'
	queue 2 "now() - interval '1 hour'"
	run -0 --separate-stderr voip-cdr-flush
	[ "$output" = 'stored 5, duplicate 0, dead 3' ]
	# shellcheck disable=SC2154 # set by run
	[[ "$stderr" == *'cdr_dead queue_id='*'reason="the CDR has no start time"'* ]]
	run -0 sql "select convert_from(body, 'UTF8'), reason, attempts,
		sqlstate is null, body_sha256 = sha256(body)
		from voip.cdr_dead order by id"
	[ "${#lines[@]}" -eq 2 ]
	[ "${lines[0]}" = "hello	the body is neither JSON nor a form's 'cdr' nor base64 of JSON	1	t	t" ]
	[ "${lines[1]}" = '{"variables":{"uuid":"u"}}	the CDR has no start time	1	t	t' ]
	counted cdr_queue 0
}

@test "flush refuses what started too long ago or more than a day ahead" {
	queue 1 "now() - interval '401 days'"
	queue 1 "now() + interval '25 hours'"
	queue 1 "now() - interval '399 days'"
	queue 1 "now() + interval '23 hours'"
	run -0 voip-cdr-flush
	[ "${lines[-1]}" = 'stored 2, duplicate 0, dead 2' ]
	run -0 sql "select regexp_replace(reason, '20.*00 ', 'T '), leg_uuid,
		start_time is not null from voip.cdr_dead order by id"
	[ "${lines[0]}" = 'start_time T is older than cdr_keep (400d)	leg-1	t' ]
	[ "${lines[1]}" = 'start_time T is more than a day ahead	leg-1	t' ]
	# each month got its partition
	counted cdr 2
	counted cdr_default 0
}

@test "flush isolates the rows that the table refuses and stores the others" {
	sql "alter table voip.cdr add constraint no_66
		check (destination not like '%66')"
	queue 200
	run -0 --separate-stderr voip-cdr-flush
	sql 'alter table voip.cdr drop constraint no_66'
	[ "$output" = 'stored 198, duplicate 0, dead 2' ]
	run -0 sql "select leg_uuid, sqlstate, reason ~ 'no_66',
		start_time is not null from voip.cdr_dead order by id"
	[ "$output" = "leg-66	23514	t	t
leg-166	23514	t	t" ]
	counted cdr 198
	counted cdr_queue 0
}

@test "flush buries a row whatever the words of the refusal" {
	sql "create function public.site() returns trigger language plpgsql as
		\$\$begin raise exception '%', new.destination ||
		repeat('é', 2000); end\$\$;
		create trigger site before insert on voip.cdr
		for each row execute function public.site()"
	queue 11
	run -0 --separate-stderr voip-cdr-flush
	sql 'drop function public.site() cascade'
	[ "$output" = 'stored 0, duplicate 0, dead 11' ]
	counted cdr_queue 0
}

@test "flush counts a uuid of the request that is not the body's; that counts" {
	queue 2
	sql "update voip.cdr_queue set query_uuid = 'a_' || query_uuid
		where query_uuid = 'leg-1';
		update voip.cdr_queue set query_uuid = 'x'
		where query_uuid = 'leg-2'"
	run -0 --separate-stderr voip-cdr-flush
	[[ "$stderr" == *'1 CDRs came under another uuid than their own'* ]]
	run -0 sql 'select leg_uuid from voip.cdr order by 1'
	[ "$output" = 'leg-1
leg-2' ]
}

# meanwhile STATEMENT: while leg-1 is stored.
meanwhile() {
	sql "create function public.meanwhile() returns trigger language plpgsql
		security definer as \$\$ begin $1; return new; end \$\$;
	create trigger meanwhile after insert on voip.cdr for each row
		when (new.leg_uuid = 'leg-1')
		execute function public.meanwhile()"
}

@test "what was read ahead and then taken by another flusher is left to it" {
	queue 30
	meanwhile "delete from voip.cdr_queue where query_uuid = 'leg-15'"
	run -0 voip-cdr-flush --set cdr_batch_size=10
	sql 'drop function public.meanwhile() cascade'
	[ "$output" = 'stored 29, duplicate 0, dead 0' ]
	[ "$(sql "select count(*) from voip.cdr
		where leg_uuid = 'leg-15'")" -eq 0 ]
	counted cdr_queue 0
}

@test "a row that is committed late is found behind what was read ahead" {
	queue 30
	meanwhile "insert into voip.cdr_queue (id, body) select -1,
		convert_to(replace(convert_from(body, 'UTF8'), 'leg-30', 'late'),
		'UTF8') from voip.cdr_queue where query_uuid = 'leg-30'"
	run -0 voip-cdr-flush --set cdr_batch_size=10
	sql 'drop function public.meanwhile() cascade'
	[ "$output" = 'stored 31, duplicate 0, dead 0' ]
	counted cdr_queue 0
}

@test "a batch that is refused in part does not lose the one read ahead" {
	queue 300
	enqueue 'no record'
	sql "create function public.site() returns trigger language plpgsql as
		\$\$begin raise exception 'not this one'; end\$\$;
		create trigger site before insert on voip.cdr for each row
		when (new.leg_uuid ~ '[37]\$')
		execute function public.site()"
	run -0 --separate-stderr voip-cdr-flush --set cdr_batch_size=20
	sql 'drop function public.site() cascade'
	[ "$output" = 'stored 240, duplicate 0, dead 61' ]
	counted cdr_queue 0
	counted cdr_dead 61
}

@test "flush steps over rows that another flusher has" {
	queue 10
	run -0 psql -XqAt <<-'SQL'
	begin;
	select count(*) from (select from voip.cdr_queue order by id limit 4
		for update) as taken;
	\! voip-cdr-flush
	rollback;
	\! voip-cdr-flush
	SQL
	[ "$output" = '4
stored 6, duplicate 0, dead 0
stored 4, duplicate 0, dead 0' ]
}

@test "two flushers at once store every leg once" {
	local one=$BATS_TEST_TMPDIR/one two=$BATS_TEST_TMPDIR/two pid
	queue 2000
	export VOIP_CDR_WORKERS=2 VOIP_CDR_BATCH_SIZE=20
	voip-cdr-flush >"$one" 3>&- &
	pid=$!
	voip-cdr-flush >"$two" 3>&-
	wait "$pid"
	# shellcheck disable=SC2016 # awk's own
	run -0 awk '{ gsub(",", ""); stored += $2; other += $4 + $6 }
		END { print stored, other }' "$one" "$two"
	[ "$output" = '2000 0' ]
	counted cdr 2000
	counted cdr_queue 0
}

@test "one more flusher than may be at work leaves the queue to the others" {
	queue 3
	# as flush.c has it: VFLU, and the number of the place
	run -0 psql -XqAt <<-'SQL'
	begin;
	select pg_advisory_xact_lock(1447447637, 1);
	\! voip-cdr-flush 2>&1 | sed 's/.*another/another/'
	\! voip-cdr-flush --set cdr_workers=2
	rollback;
	SQL
	[ "$output" = '
another flusher is at work
stored 0, duplicate 0, dead 0
stored 3, duplicate 0, dead 0' ]
}

@test "flush --follow waits until another flusher is done" {
	local pid holder
	queue 3
	mkfifo "$BATS_TEST_TMPDIR/hold"
	psql -XqAt <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/held" 3>&- &
	holder=$!
	exec 8>"$BATS_TEST_TMPDIR/hold"
	echo "select 'held', pg_advisory_lock(1447447637, 1);" >&8
	wait_for grep -q held "$BATS_TEST_TMPDIR/held"
	voip-cdr-flush --follow --set cdr_batch_timeout=50ms >"$BATS_TEST_TMPDIR/followed" 3>&- 8>&- &
	pid=$!
	wait_for following
	counted cdr 0
	exec 8>&-
	wait "$holder"
	wait_for stored_since 2
	kill "$pid"
	wait "$pid"
	[ "$(cat "$BATS_TEST_TMPDIR/followed")" = 'stored 3, duplicate 0, dead 0' ]
}

# The follower is connected and has tried.
following() {
	[ "$(sql "select count(*) from pg_stat_activity
		where usename = 'voip_cdr_flush' and query ilike 'rollback%'
			or usename = 'voip_cdr_flush' and query ilike 'commit%'")" -gt 0 ]
}

@test "the queue stays small while a forgotten transaction sees every dead row" {
	local holder round size=0
	mkfifo "$BATS_TEST_TMPDIR/hold"
	psql -XqAt <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/held" 3>&- &
	holder=$!
	exec 8>"$BATS_TEST_TMPDIR/hold"
	echo "begin isolation level repeatable read;
		select 'held', count(*) from voip.domains;" >&8
	wait_for grep -q held "$BATS_TEST_TMPDIR/held"
	for round in {1..9}; do
		# 6 MB that do not compress
		sql "insert into voip.cdr_queue (body)
		select convert_to(format('{\"variables\":{\"uuid\":\"r$round-%s\",
			\"start_uepoch\":\"%s\"},\"x\":\"%s\"}', i,
			(extract(epoch from now()) * 1000000)::bigint,
			(select string_agg(md5(random()::text || j), '')
				from generate_series(1, 190) as j)), 'UTF8')
		from generate_series(1, 1000) as i"
		run -0 voip-cdr-flush --set cdr_batch_size=500
		[ "$output" = 'stored 1000, duplicate 0, dead 0' ]
		size=$(sql "select sum(pg_table_size(relid)) from
			pg_partition_tree('voip.cdr_queue') where isleaf")
		[ "$size" -lt 40000000 ]
	done
	# the transaction did hold them: nothing is vacuumed away
	[ "$size" -gt 6000000 ]
	counted cdr 9000
	exec 8>&-
	wait "$holder"
}

@test "the queue's tables are not truncated while a row is left in them" {
	queue 10
	sql "update voip.cdr_queue set turn = 1 where id = (select min(id) from voip.cdr_queue)"
	for _ in 1 2 3; do
		sql 'select voip.cdr_queue_rotate(0)'
		counted cdr_queue 10
	done
	run -0 voip-cdr-flush
	[ "$output" = 'stored 10, duplicate 0, dead 0' ]
}

# stored_since COUNT: more legs than that are stored.
stored_since() {
	[ "$(count cdr)" -gt "$1" ]
}

@test "flush loses and doubles nothing when it is killed in the middle" {
	local pid rounds=0 before
	queue 3000
	while [ "$(count cdr_queue)" -gt 0 ]; do
		before=$(count cdr)
		# a killed one's place is free when the server has seen it
		voip-cdr-flush --set cdr_batch_size=2 --set cdr_workers=9 >/dev/null 3>&- &
		pid=$!
		[ "$rounds" -ge 8 ] || {
			wait_for stored_since "$before"
			kill -KILL "$pid" || : # it was quicker
		}
		wait "$pid" || :
		rounds=$((rounds + 1))
		[ "$rounds" -lt 20 ]
	done
	[ "$rounds" -ge 2 ]
	run -0 sql 'select count(*), count(distinct leg_uuid) from voip.cdr'
	[ "$output" = '3000	3000' ]
}

@test "flush --follow takes what comes, also after its connection was cut" {
	local pid
	voip-cdr-flush --follow --set cdr_batch_timeout=1h \
		--set database_backoff=10ms >"$BATS_TEST_TMPDIR/out" \
		2>"$BATS_TEST_TMPDIR/err" 3>&- &
	pid=$!
	queue 3
	wait_for counted cdr 3
	sql "select pg_terminate_backend(pid) from pg_stat_activity
		where usename = 'voip_cdr_flush'
		and datname = current_database()" >/dev/null
	queue 4 "now() + interval '1 hour'"
	wait_for counted cdr 7
	queue 5 "now() + interval '2 hours'"
	wait_for counted cdr 12
	kill -TERM "$pid"
	wait "$pid"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = 'stored 12, duplicate 0, dead 0' ]
}

@test "flush --dry-run says what would be done and changes nothing" {
	queue 3
	enqueue '{}'
	run -0 --separate-stderr voip-cdr-flush --dry-run --set cdr_batch_size=2
	[ "$output" = 'would be stored 3, duplicate 0, dead 1' ]
	[[ "$stderr" == *"the CDR has no 'variables'"* ]]
	counted cdr_queue 4
	counted cdr 0
	counted cdr_dead 0
}

@test "flush ends with 75 when the database is away, and loses nothing" {
	run -75 voip-cdr-flush --set "database=host=$BATS_TEST_TMPDIR"
	[[ "$output" == *'cannot flush the CDR queue: '* ]]
}

@test "flush takes no arguments and not both ways at once" {
	run -64 voip-cdr-flush now
	[[ "$output" == *'no arguments are taken'* ]]
	run -64 voip-cdr-flush --follow --dry-run
	[[ "$output" == *'--follow and --dry-run exclude each other'* ]]
}

@test "flush commits as cdr_durability says" {
	sql "create function public.durability() returns trigger language plpgsql
	as \$\$ begin
		new.accountcode := current_setting('synchronous_commit');
		return new;
	end \$\$;
	create trigger durability before insert on voip.cdr
		for each row execute function public.durability();
	grant usage on schema public to public"
	queue 1
	run -0 voip-cdr-flush
	queue 1
	run -0 voip-cdr-flush --set cdr_durability=local
	run -0 sql 'select accountcode from voip.cdr order by received_at'
	sql 'drop trigger durability on voip.cdr'
	[ "$output" = 'remote_write
local' ]
}

@test "partitions are made ahead by two at once, and take what lay elsewhere" {
	queue 1 "timestamptz '2027-09-30 23:59:59.999999Z' - interval '300 days'"
	sql "insert into voip.cdr (leg_uuid, start_time, direction, received_at)
		values ('x', '2031-05-31 23:59:59.999999Z', 'inbound', now()),
		('y', '2031-06-01Z', 'inbound', now())"
	counted cdr_default 2
	psql -XqAt -c "select voip.cdr_partition('2031-05-02')" >/dev/null &
	psql -XqAt -c "select voip.cdr_partition('2031-05-03')" >/dev/null
	wait
	counted cdr_default 1
	run -0 sql "select tableoid::regclass from voip.cdr order by start_time"
	[ "$output" = 'voip.cdr_2031_05
voip.cdr_default' ]
	run -0 sql 'select voip.cdr_partitions_ahead(2)'
	run -0 sql 'select voip.cdr_partitions_ahead(2)'
	[ "$output" -eq 0 ]
}
