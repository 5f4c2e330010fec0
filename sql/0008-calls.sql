-- Conversations, from the legs that belong together, and what reports read of
-- them.

set local role voip_owner;

-- A leg and the legs that it names: the one it talked to last, the one it was
-- made for, the caller whom a queue offered to it, and those that transfers
-- put it together with (`...:uuid_br:UUID`, `att:UUID`, `blind:UUID`).
create view voip.cdr_links as
select c.start_time, c.leg_uuid, c.originator_uuid, c.member_session_uuid,
	(array_remove(array[c.bridge_uuid, c.originator_uuid,
		c.member_session_uuid], null)
	|| case when c.transfer is null and c.transfer_to is null then '{}'
	else array(select m[1] from regexp_matches(
		concat_ws(' ', c.transfer, c.transfer_to),
		'(?:\muuid_br|\matt|\mblind):([0-9A-Za-z_-]+)', 'g') as m)
	end) collate "C" as others
from voip.cdr as c;

-- The keys of a leg and of all that belong to its conversation, in no order.
-- Links lead in both directions, to legs of the day before and after, 200 at
-- most.  A function, since the planner takes the recursion for a thousand
-- times what it is, and looks at the partitions of these two days only; it
-- reads as its owner does.
create function voip.call_legs(at timestamptz, leg text)
returns table (start_time timestamptz, leg_uuid text)
language sql stable security definer cost 100000 rows 3
set search_path = pg_catalog, pg_temp as $$
	with recursive l as (
		select c.start_time, c.leg_uuid, c.others
		from voip.cdr_links as c
		where c.start_time = at and c.leg_uuid = leg
		union
		select x.* from l cross join lateral (
			select c.start_time, c.leg_uuid, c.others
			from unnest(l.others) as o
			join voip.cdr_links as c on c.leg_uuid = o collate "C"
			and c.start_time between at - interval '1 day'
				and at + interval '1 day'
			union all
			select c.start_time, c.leg_uuid, c.others
			from voip.cdr_links as c
			where c.originator_uuid = l.leg_uuid
			and c.start_time between at - interval '1 day'
				and at + interval '1 day'
			union all
			select c.start_time, c.leg_uuid, c.others
			from voip.cdr_links as c
			where c.member_session_uuid = l.leg_uuid
			and c.start_time between at - interval '1 day'
				and at + interval '1 day'
		) as x
	)
	select l.start_time, l.leg_uuid from l limit 200
$$;

-- One row for each conversation.  It is that of its first leg, and has that
-- leg's columns where nothing else is said.  First is what no other leg led
-- to, then what is oldest: FreeSWITCH's clock ticks every 20 ms, so that a leg
-- may have the time of the one that it was made for.
--
-- Ask for a time (and domain): start_time is the first leg's own column, and
-- the legs of each are gathered one conversation after another.
create view voip.calls as
select f.leg_uuid as call_uuid, f.start_time, f.domain, f.domain_id,
	case
	when f.direction <> f.channel_direction then f.direction
	when f.channel_direction = 'outbound' or f.gateway is not null
		or f.account is null then f.direction
	when s.trunk_legs > 0 then 'outbound'
	else 'internal' end as direction,
	f.caller_number, f.caller_name, f.account, f.accountcode,
	f.destination, f.context,
	-- who talked last
	s.answered_by,
	case
	when s.talk_start is not null then 'answered'
	when (s.member).cc_cancel_reason = 'BREAK_OUT' then 'abandoned'
	when (s.member).cc_cause = 'cancel' then 'unanswered'
	when f.answer_time is not null then 'service'
	when f.hangup_cause = 'USER_BUSY' then 'busy'
	when f.hangup_cause = 'CALL_REJECTED' then 'rejected'
	when f.hangup_cause = 'ORIGINATOR_CANCEL' then 'cancelled'
	when f.hangup_cause in ('NO_ANSWER', 'NO_USER_RESPONSE',
		'ALLOTTED_TIMEOUT') then 'unanswered'
	else 'failed' end as result,
	f.progress_time, f.answer_time,
	s.talk_start, -- the first time that two legs were connected
	s.end_time,
	extract(epoch from s.end_time - f.start_time)::integer as duration,
	f.billsec,
	coalesce(extract(epoch from s.talk_end - s.talk_start), 0)::integer
		as talk_seconds,
	s.hold_seconds,
	s.trunk_seconds, -- answered time of all legs over trunks
	f.hangup_cause, f.hangup_cause_q850, f.sip_hangup_disposition,
	f.hangup_by,
	(s.member).queue, (s.member).queue_id, (s.member).cc_cause,
	(s.member).cc_cancel_reason, (s.member).queue_joined_at,
	(s.member).queue_answered_at, (s.member).queue_ended_at,
	extract(epoch from coalesce((s.member).queue_answered_at,
		(s.member).queue_ended_at, (s.member).end_time)
		- (s.member).queue_joined_at)::integer as queue_seconds,
	s.offers, -- agents that the queue rang
	(s.member).agent, (s.member).agent_id,
	s.gateway, s.recordings, s.mos, f.read_codec, f.write_codec,
	f.sip_call_id, f.network_ip, f.user_agent, f.node,
	s.transfers, s.legs, s.leg_uuids
from voip.cdr as f
cross join lateral (
	select count(*)::integer as legs,
		array_agg(c.leg_uuid order by v.led, c.start_time, c.leg_uuid)
			as leg_uuids,
		(array_agg(c.start_time
			order by v.led, c.start_time, c.leg_uuid))[1]
			as first_start,
		max(c.end_time) as end_time,
		min(c.bridge_time) as talk_start,
		max(c.end_time) filter (where c.bridge_time is not null)
			as talk_end,
		(array_agg(c.destination_last order by c.bridge_time desc)
			filter (where c.channel_direction = 'outbound'
			and c.bridge_time is not null))[1] as answered_by,
		max(c.hold_seconds) as hold_seconds,
		count(*) filter (where c.channel_direction = 'outbound'
			and c.gateway is not null) as trunk_legs,
		coalesce(sum(c.billsec) filter (
			where c.channel_direction = 'outbound'
			and c.gateway is not null), 0)::integer as trunk_seconds,
		(array_agg(c.gateway order by c.answer_time, c.start_time)
			filter (where c.gateway is not null))[1] as gateway,
		(array_agg(c order by c.queue_joined_at desc, c.start_time desc)
			filter (where c.cc_side = 'member'))[1] as member,
		count(*) filter (where c.cc_side = 'agent')::integer as offers,
		array_agg(distinct c.recording)
			filter (where c.recording is not null) as recordings,
		min(c.mos) as mos,
		count(c.transfer_to)::integer as transfers
	from voip.call_legs(f.start_time, f.leg_uuid) as l join voip.cdr as c
		on c.start_time = l.start_time and c.leg_uuid = l.leg_uuid
	cross join lateral (select coalesce(c.originator_uuid,
		c.member_session_uuid) is not null as led) as v
) as s
-- only what can be the first needs its legs gathered
where not exists (select from voip.cdr as p
	where p.leg_uuid = coalesce(f.originator_uuid, f.member_session_uuid)
	and p.start_time between f.start_time - interval '1 day'
		and f.start_time + interval '1 day'
	and (coalesce(p.originator_uuid, p.member_session_uuid) is not null,
		p.start_time, p.leg_uuid) < (true, f.start_time, f.leg_uuid))
and s.leg_uuids[1] = f.leg_uuid and s.first_start = f.start_time;

-- --- reports --------------------------------------------------------------

create view monitoring.cdr as
select * from voip.cdr;

create view monitoring.calls as
select * from voip.calls;

-- Callers of a queue by the hour (UTC) in which they came; sums, so that hours
-- make days.
create view monitoring.queue_statistics as
select date_trunc('hour', c.start_time, 'UTC') as hour, c.domain, c.queue,
	count(*) as offered,
	count(*) filter (where c.queue_answered_at is not null) as answered,
	count(*) filter (where c.queue_answered_at is null
		and c.cc_cancel_reason = 'BREAK_OUT') as abandoned,
	count(*) filter (where c.queue_answered_at is null
		and c.cc_cancel_reason in ('TIMEOUT', 'NO_AGENT_TIMEOUT'))
		as timed_out,
	count(*) filter (where c.queue_answered_at - c.queue_joined_at
		<= interval '20 s') as answered_in_20s,
	coalesce(sum(w.seconds), 0)::bigint as waited_seconds,
	coalesce(max(w.seconds), 0)::integer as longest_wait,
	coalesce(sum(extract(epoch from c.end_time - c.queue_answered_at)), 0)
		::bigint as talked_seconds
from voip.cdr as c
cross join lateral (select greatest(extract(epoch from
	coalesce(c.queue_answered_at, c.queue_ended_at, c.end_time)
	- c.queue_joined_at), 0) as seconds) as w
where c.queue is not null and c.cc_side = 'member'
group by 1, 2, 3;

-- What queues offered to their agents, by the hour (UTC).
create view monitoring.agent_statistics as
select date_trunc('hour', c.start_time, 'UTC') as hour, c.domain, c.queue,
	c.agent,
	count(*) as offered,
	count(c.bridge_time) as answered,
	count(*) - count(c.bridge_time) as missed,
	coalesce(sum(extract(epoch from c.end_time - c.bridge_time)), 0)
		::bigint as talked_seconds,
	coalesce(sum(extract(epoch from
		coalesce(c.answer_time, c.end_time) - c.start_time)), 0)::bigint
		as rung_seconds
from voip.cdr as c
where c.queue is not null and c.cc_side = 'agent'
group by 1, 2, 3, 4;

reset role;
