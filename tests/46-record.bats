#!/usr/bin/env bats
# What a record holds: legs that belong together, and the bodies kept beside.

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_flush"
	export captures=tests/data/freeswitch
	start=$(sql 'select (extract(epoch from now()) * 1000000)::bigint')
	export start
}

teardown_file() {
	drop_db
}

setup() {
	sql 'truncate voip.cdr_queue, voip.cdr, voip.cdr_dead, voip.cdr_raw'
}

# enqueue FILE...: captured requests, as ingest queues them.
enqueue() {
	local file
	for file; do
		echo "insert into voip.cdr_queue (body) values ('\\x$(
			sed '1,/^\r$/d' "$captures/$file.http" |
				od -An -v -tx1 | tr -d ' \n')');"
	done | psql -Xq
}

# leg JSON-MEMBERS: a queued leg with these variables, all of one start.
leg() {
	sql "insert into voip.cdr_queue (body) values (convert_to('{\"variables\":{
		\"start_uepoch\":\"$start\",$1}}', 'UTF8'))"
}

@test "no body is kept unless cdr_keep_raw says so" {
	leg '"uuid":"u"'
	run -0 voip-cdr-flush
	[ "$output" = 'stored 1, duplicate 0, dead 0' ]
	[ "$(sql 'select count(*) from voip.cdr_raw')" -eq 0 ]
}

@test "cdr_keep_raw keeps each leg's body once, in a partition of its day" {
	leg '"uuid":"u","direction":"inbound"'
	leg '"uuid":"u","direction":"inbound"'
	leg '"uuid":"v"'
	run -0 voip-cdr-flush --set cdr_keep_raw=7d
	[ "$output" = 'stored 2, duplicate 1, dead 0' ]
	run -0 sql "select leg_uuid, body::json #>> '{variables,uuid}',
		tableoid::regclass::text = to_char(start_time at time zone 'UTC',
			'\"voip.cdr_raw_\"YYYY\"_\"MM\"_\"DD')
		from voip.cdr_raw order by 1"
	[ "$output" = $'u\tu\tt\nv\tv\tt' ]
	run -0 sql "select count(*) from voip.cdr_raw join voip.cdr
		using (start_time, leg_uuid)"
	[ "$output" -eq 2 ]
}

@test "bodies of calls longer ago than cdr_keep_raw are not kept" {
	sql "insert into voip.cdr_queue (body) select convert_to(
		'{\"variables\":{\"uuid\":\"' || d || '\",\"start_uepoch\":\"' ||
		(extract(epoch from now() - d * interval '1 day')
			* 1000000)::bigint || '\"}}', 'UTF8')
		from generate_series(0, 30, 5) as d"
	run -0 voip-cdr-flush --set cdr_keep_raw=6d
	[ "$output" = 'stored 7, duplicate 0, dead 0' ]
	run -0 sql "select string_agg(leg_uuid, ' ' order by leg_uuid)
		from voip.cdr_raw"
	[ "$output" = '0 5' ]
}

@test "kept bodies hold no digits, session descriptions and credentials, in any encoding" {
	enqueue cdr-json-rawvalues/ivr-aleg cdr-json/queue_answered-aleg \
		cdr-form/answered-aleg cdr-base64/answered-bleg \
		cdr-form-rawvalues/latin1_name-aleg
	leg '"uuid":"u","account_pin":"4711","sip_h_Authorization":"x"'
	run -0 voip-cdr-flush --set cdr_keep_raw=3650d
	[ "$output" = 'stored 6, duplicate 0, dead 0' ]
	run -0 sql "select count(*), count(distinct leg_uuid),
		bool_and(body::json #>> '{variables,uuid}' = leg_uuid),
		count(*) filter (where body ~ 'rtpmap|\"4711\"|a%3D|sip_auth'
			and body::json #>> '{variables,sip_auth_username}'
			<> '(removed)'),
		count(*) filter (where body ~ 'm=audio|m%3Daudio|4711'),
		count(*) filter (where body::json #>> '{variables,digits_dialed}'
			= '(removed)')
		from voip.cdr_raw"
	[ "$output" = $'6\t6\tt\t0\t0\t5' ]
}

@test "a day that has no partition keeps its bodies in the default one, and gets them back" {
	run -0 sql "insert into voip.cdr_raw values
		('u', '2026-02-03 12:00Z', '{}');
	select tableoid::regclass from voip.cdr_raw"
	[ "$output" = voip.cdr_raw_default ]
	run -0 sql "select voip.cdr_raw_partition('2026-02-03 23:59Z');
	select tableoid::regclass from voip.cdr_raw;
	select coalesce(voip.cdr_raw_partition('2026-02-03'), 'there')"
	[ "$output" = $'cdr_raw_2026_02_03\nvoip.cdr_raw_2026_02_03\nthere' ]
	run -0 sql "select voip.cdr_raw_partitions_ahead(2) between 2 and 3;
	select voip.cdr_raw_partitions_ahead(2)"
	[ "$output" = $'t\n0' ]
}

@test "who may not read a body cannot, and nobody makes a partition of what he likes" {
	run -1 psql -XqAt -v ON_ERROR_STOP=1 -U voip_cdr_flush \
		-c 'select * from voip.cdr_raw'
	[[ $output == *'permission denied for table cdr_raw'* ]]
	run -1 psql -XqAt -v ON_ERROR_STOP=1 -U voip_cdr_flush \
		-c "select voip.attach_partition('users', 'x', now(), now())"
	[[ $output == *'permission denied for function attach_partition'* ]]
	psql -XqAt -v ON_ERROR_STOP=1 -U voip_cdr -c 'select * from voip.cdr_raw'
}
