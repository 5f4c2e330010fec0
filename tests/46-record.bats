#!/usr/bin/env bats
# What a record holds: legs that belong together, and the bodies kept beside.
# shellcheck disable=SC2030,SC2031 # run sets output, in functions too

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

@test "voip-cdr raw prints a kept body, and says when there is none" {
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr"
	leg '"uuid":"u","account_pin":"4711"'
	voip-cdr-flush --set cdr_keep_raw=1d \
		--set database="dbname=$PGDATABASE user=voip_cdr_flush"
	run -0 voip-cdr raw u
	[ "$output" = "{\"variables\":{
		\"start_uepoch\":\"$start\",\"uuid\":\"u\",\"account_pin\":\"(removed)\"}}" ]
	run -1 voip-cdr raw v
	[ "$output" = "voip-cdr: no body of leg 'v' is kept
hint: set cdr_keep_raw for voip-cdr-flush" ]
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

# flushed: no leg may be refused.
flushed() {
	run -0 voip-cdr-flush
	[[ $output == *', dead 0' ]]
}

@test "calls has one row for each conversation of the captures" {
	local files=("$captures"/cdr-json-rawvalues/*.http)
	files=("${files[@]#"$captures"/}")
	enqueue "${files[@]%.http}"
	flushed
	run -0 sql "select count(*), sum(legs), count(distinct call_uuid),
		count(*) filter (where legs = 2) from voip.calls"
	[ "$output" = $'20\t35\t20\t15' ]
	run -0 sql "select destination, direction, result, answered_by,
		hangup_cause, hangup_by, legs from voip.calls
		where domain = 'pbx.example.com'
		and call_uuid in (select leg_uuid from voip.cdr
			where channel_direction = 'inbound')
		group by 1, 2, 3, 4, 5, 6, 7 order by 1, 3, 6"
	[ "$output" = "1002	internal	answered	1002	NORMAL_CLEARING	callee	2
1002	internal	answered	1002	NORMAL_CLEARING	caller	2
1002	internal	busy		USER_BUSY	callee	2
1002	internal	cancelled		ORIGINATOR_CANCEL	caller	2
1002	internal	rejected		CALL_REJECTED	callee	2
1002	internal	unanswered		NO_ANSWER	system	2
1004	internal	failed		USER_NOT_REGISTERED	system	1
5000	internal	answered	1002	NORMAL_CLEARING	caller	2
5551234567	internal	failed		NO_ROUTE_DESTINATION	system	1
7002	internal	answered	1002	NORMAL_CLEARING	caller	2
8001	internal	answered	1002	NORMAL_CLEARING	callee	2
8001	internal	answered	1002	NORMAL_CLEARING	caller	2
9196	internal	service		NORMAL_CLEARING	caller	1
9197	internal	service		NORMAL_CLEARING	system	1
9486	internal	busy		USER_BUSY	system	1" ]
	run -0 sql "select queue, queue_seconds, agent, offers, talk_seconds,
		cardinality(recordings), mos from voip.calls
		where queue is not null order by start_time limit 1"
	[ "$output" = "support@pbx.example.com	1	1002@pbx.example.com	1	3	1	4.50" ]
}

# story LEG...: each of them tells of as many legs as are named.
story() {
	local leg
	for leg; do
		run -0 --separate-stderr voip-cdr show "$leg" -f tsv \
			--set database="dbname=$PGDATABASE user=voip_cdr"
		[ "$(cut -f2 <<<"$output" | sed 1d | sort -u | wc -l)" -eq $# ]
	done
}

@test "an attended transfer is one call of four legs, whichever is asked" {
	leg '"uuid":"a","direction":"inbound","user_name":"1001",
		"bridge_uuid":"c","bridge_uepoch":"'"$start"'",
		"transfer_history":"1795227611:p-1:uuid_br:c"'
	leg '"uuid":"b","direction":"outbound","originator":"a",
		"bridge_uuid":"a","bridge_uepoch":"'"$start"'",
		"end_uepoch":"'"$start"'","transfer_to":"att:c"'
	leg '"uuid":"b2","direction":"inbound","user_name":"1002"'
	leg '"uuid":"c","direction":"outbound","originator":"b2",
		"bridge_uuid":"a","bridge_uepoch":"'"$start"'"'
	leg '"uuid":"z","direction":"inbound"'
	flushed
	story a b b2 c
	[[ $output == *'transfers leg D (att)'* ]]
	story z
	run -0 sql "select call_uuid, legs, leg_uuids, transfers, result
		from voip.calls order by 1"
	[ "$output" = $'a\t4\t{a,b2,b,c}\t1\tanswered\nz\t1\t{z}\t0\tfailed' ]
}

@test "a caller who leaves a queue is an abandoned call, with the agents that rang" {
	leg '"uuid":"m","direction":"inbound","cc_side":"member",
		"cc_queue":"sales@a.example","domain_name":"a.example",
		"answer_uepoch":"'"$start"'","cc_queue_joined_epoch":"1795227600",
		"cc_queue_canceled_epoch":"1795227640","cc_cause":"cancel",
		"cc_cancel_reason":"BREAK_OUT"'
	for agent in 1 2; do
		leg '"uuid":"g'$agent'","direction":"outbound","cc_side":"agent",
			"cc_queue":"sales@a.example","cc_agent":"100'$agent'@a.example",
			"cc_member_session_uuid":"m","dialed_domain":"a.example"'
	done
	flushed
	story m g1 g2
	run -0 sql "select call_uuid, result, queue, queue_seconds, offers,
		agent is null, legs from voip.calls"
	[ "$output" = $'m\tabandoned\tsales@a.example\t40\t2\tt\t3' ]
	run -0 sql "select domain, queue, offered, answered, abandoned,
		timed_out, waited_seconds, longest_wait, talked_seconds
		from monitoring.queue_statistics"
	[ "$output" = $'a.example\tsales@a.example\t1\t0\t1\t0\t40\t40\t0' ]
	run -0 sql "select agent, offered, answered, missed
		from monitoring.agent_statistics order by 1"
	[ "$output" = $'1001@a.example\t1\t0\t1\n1002@a.example\t1\t0\t1' ]
}

@test "a call over a trunk has its gateway and the seconds to pay for" {
	leg '"uuid":"a","direction":"inbound","user_name":"1001",
		"bridge_uuid":"t2","bridge_uepoch":"'"$start"'"'
	leg '"uuid":"t1","direction":"outbound","originator":"a",
		"sip_gateway_name":"one","billsec":"0"'
	leg '"uuid":"t2","direction":"outbound","originator":"a",
		"sip_gateway_name":"two","answer_uepoch":"'"$start"'",
		"bridge_uuid":"a","bridge_uepoch":"'"$start"'","billsec":"61"'
	leg '"uuid":"i","direction":"inbound","sip_gateway_name":"one"'
	flushed
	run -0 sql "select call_uuid, direction, gateway, trunk_seconds, legs
		from voip.calls order by 1"
	[ "$output" = $'a\toutbound\ttwo\t61\t3\ni\tinbound\tone\t0\t1' ]
}

@test "the two halves of a loopback are one call" {
	enqueue cdr-json-rawvalues/loopback-aleg cdr-json-rawvalues/loopback-aleg-2
	flushed
	run -0 sql 'select legs from voip.calls'
	[ "$output" -eq 2 ]
}

@test "legs that name each other in a ring, or by the hundred, end somewhere" {
	sql "insert into voip.cdr (leg_uuid, start_time, direction,
		originator_uuid, received_at)
	select 'r' || i, timestamptz '2026-11-20 12:00Z', 'inbound', 'r' || (i + 1) % 3, now()
		from generate_series(0, 2) as i
	union all
	select 'h' || i, '2026-11-20 12:00Z', 'inbound', 'h0', now()
		from generate_series(0, 500) as i"
	run -0 sql "select call_uuid, legs from voip.calls order by 1"
	[ "$output" = $'h0\t200\nr0\t3' ]
}

@test "reports read records and calls, and nothing else of them" {
	leg '"uuid":"a","direction":"inbound"'
	flushed
	local view
	for view in cdr calls queue_statistics agent_statistics; do
		psql -XqAt -v ON_ERROR_STOP=1 -U voip_report \
			-c "select * from monitoring.$view" >/dev/null
	done
	run -0 psql -XqAt -U voip_report -c 'select count(*) from voip.calls'
	[ "$output" -eq 1 ]
	run -1 psql -XqAt -U voip_report -c 'select * from voip.cdr'
	[[ $output == *'permission denied for table cdr'* ]]
}

@test "a leg without a tenant takes that of the leg it was made for, in any order" {
	sql "insert into voip.domains (domain) values ('a.example')"
	leg '"uuid":"t","direction":"outbound","originator":"a",
		"sip_from_host":"carrier.example","sip_gateway_name":"one"'
	leg '"uuid":"g","direction":"outbound","cc_member_session_uuid":"a"'
	leg '"uuid":"o","direction":"outbound","originator":"nobody"'
	leg '"uuid":"k","direction":"outbound","originator":"a",
		"dialed_domain":"own.example"'
	flushed
	[ -z "$(sql "select domain from voip.cdr where leg_uuid in ('t', 'g')
		and domain is not null")" ]
	leg '"uuid":"a","direction":"inbound","domain_name":"A.example"'
	flushed
	run -0 sql "select leg_uuid, domain, domain_id = (select id
		from voip.domains where domain = 'a.example')
		from voip.cdr order by 1"
	[ "$output" = "a	a.example	t
g	a.example	t
k	own.example	
o		
t	a.example	t" ]
	run -0 voip-cdr list --domain A.example -f tsv \
		--set database="dbname=$PGDATABASE user=voip_cdr"
	[ "${#lines[@]}" -eq 4 ]
}
