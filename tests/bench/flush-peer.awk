# The peer of voip-cdr-flush: one INSERT ... SELECT inside PostgreSQL, from
# bench_json (received_at, body jsonb) to voip.cdr, made of CDR_FIELDS in
# lib/cdr.h: the same columns from the same sources, and what is no CDR, or of
# no time that is kept, to voip.cdr_dead.  Each object is opened once, by
# jsonb_to_record().  Variable: keep, an interval.

function quoted(s) { gsub(/"/, "\"\"", s); return "\"" s "\"" }

# The expression of a source; what it needs is remembered in need[].
function source(s,    at, path) {
	if (s ~ /^app:/)
		return "(select a ->> 'app_data' from jsonb_array_elements(" \
			"body #> '{app_log,applications}') as a where a ->> " \
			"'app_name' = '" substr(s, 5) "' limit 1)"
	if (s ~ /^\//) {
		path = substr(s, 2)
		gsub("/", ",", path)
		return "body #>> '{" path "}'"
	}
	at = "v"
	if (match(s, /^(first|last|times):/)) {
		at = substr(s, 1, 1)
		s = substr(s, RLENGTH + 1)
	}
	if (!((at, s) in seen)) {
		seen[at, s] = 1
		need[at] = need[at] (need[at] ? ", " : "") quoted(s) " text"
	}
	s = at "." quoted(s)
	# bench_plain() is the percent-decoding of bench/run
	return at == "v" ? "case when encoded then bench_plain(" s \
		") else " s " end" : s
}

function typed(type, s) {
	if (type == "UTIME")
		return "case when " s " ~ '^[1-9][0-9]{0,15}$' then " \
			"to_timestamp((" s ")::numeric / 1000000) end"
	if (type == "TIME")
		return "case when " s " ~ '^[1-9][0-9]{0,9}$' then " \
			"to_timestamp((" s ")::bigint) end"
	if (type == "INT")
		return "case when " s " ~ '^[0-9]{1,9}$' then (" s \
			")::integer end"
	if (type == "DECIMAL")
		return "case when " s " ~ '^[0-9]{1,3}([.][0-9]{0,16})?$' " \
			"then (" s ")::numeric(5,2) end"
	return "nullif(left(" s ", " (type == "KEY" || type == "NAME" ? 256 : 1024) "), '')"
}

/^#define CDR_FIELDS/ { on = 1; next }
/clang-format on/ { on = 0 }
on {
	sub(/\\$/, "")
	gsub(/[\t ]+/, " ")
	text = text $0
}

END {
	gsub(/ +/, " ", text)
	source("start_stamp")
	source("direction")
	source("originate_failed_cause")
	source("sip_from_host")
	while (match(text, /X\([A-Z_0-9]+, "[^"]*", [A-Z]+, "[^"]*"\)/)) {
		row = substr(text, RSTART + 2, RLENGTH - 3)
		text = substr(text, RSTART + RLENGTH)
		split(row, part, "\"")
		column = part[2]
		type = part[3]
		gsub(/[ ,]/, "", type)
		columns = columns column ", "
		n = split(part[4], sources, " ")
		if (!n)
			continue
		list = ""
		for (i = 1; i <= n; i++)
			list = list (i > 1 ? ", " : "") \
				typed(type, source(sources[i]))
		from[column] = 1
		fields = fields "coalesce(" list ") as " column ",\n"
	}
	print "with taken as (delete from bench_json"
	print "	returning received_at, body),"
	print "opened as (select received_at, body, body -> 'variables' as vars,"
	print "	body #> '{callflow,0}' as newest,"
	print "	body #> '{callflow,-1,caller_profile}' as oldest"
	print "	from taken offset 0),"
	print "fields as (select received_at, body,"
	print fields
	print "	v.\"direction\" as leg_direction,"
	print "	v.\"originate_failed_cause\" as failed_cause,"
	print "	v.\"sip_from_host\" as from_host"
	print "	from opened"
	print "	left join lateral jsonb_to_record(vars) as v(" need["v"] ") on true"
	print "	left join lateral (select start_stamp ~ '%(20|3A)' as encoded offset 0) as e on true"
	print "	left join lateral jsonb_to_record(newest -> 'caller_profile') as f(" need["f"] ") on true"
	print "	left join lateral jsonb_to_record(oldest) as l(" need["l"] ") on true"
	print "	left join lateral jsonb_to_record(newest -> 'times') as t(" need["t"] ") on true"
	print "	offset 0),"
	print "computed as (select *, coalesce(leg_direction = 'outbound', false) as made,"
	print "	sip_hangup_disposition as how,"
	print "	leg_uuid is not null and start_time > now() - interval '" keep "'"
	print "		and start_time < now() + interval '1 day' as good"
	print "	from fields offset 0),"
	print "dead as (insert into voip.cdr_dead (received_at, leg_uuid, start_time,"
	print "	body, body_sha256, reason)"
	print "	select received_at, leg_uuid, start_time, convert_to(body::text, 'UTF8'),"
	print "		sha256(convert_to(body::text, 'UTF8')), 'no uuid or no time'"
	print "	from computed where good is not true on conflict do nothing)"
	sub(/, $/, "", columns)
	values = ", " columns
	sub(/, direction/, ", case when c.direction in ('inbound', 'outbound', " \
		"'internal') then c.direction when c.direction = 'local' then " \
		"'internal' when made then 'outbound' else 'inbound' end", values)
	sub(/, channel_direction/, ", case when made then 'outbound' else " \
		"'inbound' end", values)
	sub(/, domain/, ", lower(coalesce(c.domain, case when not (made and " \
		"coalesce(originator_uuid, member_session_uuid) is not null) " \
		"then from_host end))", values)
	people = "('NORMAL_CLEARING', 'USER_BUSY', 'CALL_REJECTED', " \
		"'ORIGINATOR_CANCEL')"
	sub(/, hangup_by/, ", case when how is null then null " \
		"when how like 'recv\\_%' then case when made then 'callee' else " \
		"'caller' end when how = 'send_cancel' and made and " \
		"hangup_cause = 'ORIGINATOR_CANCEL' then 'caller' " \
		"when bridge_time is not null and hangup_cause in " people \
		" then case when made then 'caller' else 'callee' end " \
		"when not made and failed_cause in " people " then 'callee' " \
		"else 'system' end", values)
	sub(/, repaired/, ", false", values)
	sub(/^, /, "", values)
	print "insert into voip.cdr (" columns ", received_at, domain_id, queue_id, agent_id)"
	print "select " values ", received_at,"
	print "	(select d.id from voip.domains as d where d.domain = c.domain),"
	print "	case when queue is not null then (select q.id from voip.queues as q"
	print "		join voip.domains as d on d.id = q.domain_id"
	print "		where q.name = split_part(c.queue, '@', 1) and d.domain ="
	print "		lower(split_part(c.queue, '@', 2))) end,"
	print "	case when agent is not null then (select u.id from voip.users as u"
	print "		join voip.domains as d on d.id = u.domain_id"
	print "		where u.username = split_part(c.agent, '@', 1) and d.domain ="
	print "		lower(split_part(c.agent, '@', 2))) end"
	print "from computed as c where good on conflict do nothing"
}
