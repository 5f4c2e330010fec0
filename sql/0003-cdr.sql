-- Call detail records: the queue that takes what FreeSWITCH sends, the table of
-- legs that it becomes, and what can never become a leg.
--
-- Names of tenants, queues and agents are kept as they were at the time of
-- the call, without foreign keys: a record outlives what it names.

set local role voip_owner;

-- The exact bytes received.  A row leaves in the transaction that writes its
-- leg or its dead letter.
--
-- A row that left stays on its page, and in its index, until no snapshot can
-- see it: one forgotten transaction, here or on a standby with
-- hot_standby_feedback, and a queue that is deleted from grows without end
-- and gets slower with every row, whatever vacuum does.  So there are three
-- tables in turn.  New rows go to the one that cdr_queue_turn points to;
-- cdr_queue_rotate() turns to the next when it has grown, and truncates those
-- that have been emptied, which no snapshot can prevent.
create sequence voip.cdr_queue_turn minvalue 0 start 0;
create sequence voip.cdr_queue_id;
create table voip.cdr_queue (
	id bigint not null default nextval('voip.cdr_queue_id'),
	turn smallint not null default
		(coalesce(pg_sequence_last_value('voip.cdr_queue_turn'), 0) % 3),
	received_at timestamptz not null default clock_timestamp(),
	node text,         -- who took it in
	peer text,         -- who sent it
	query_uuid text,   -- ?uuid= of the request
	content_type text,
	body bytea not null,
	attempts integer not null default 0,
	primary key (id, turn)
) partition by list (turn);
alter sequence voip.cdr_queue_id owned by voip.cdr_queue.id;

do $$
declare
	settings constant text := 'autovacuum_vacuum_scale_factor = 0,
		autovacuum_vacuum_threshold = %s,
		autovacuum_vacuum_cost_delay = 0';
begin
	for i in 0 .. 2 loop
		execute format('create table voip.cdr_queue_%1$s
			partition of voip.cdr_queue for values in (%1$s)
			with (' || format(settings, 2000) || ', '
			|| replace(format(settings, 10000), 'auto', 'toast.auto')
			|| ')', i);
	end loop;
end
$$;

-- Turn to the next table when the present one is larger than `bytes`, and
-- truncate the others where nothing is left.  How many were truncated.  It
-- waits for nobody: what is busy is left for the next time.
create function voip.cdr_queue_rotate(bytes bigint default 16777216)
returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '50ms' as $$
declare
	present constant integer := coalesce(
		pg_sequence_last_value('voip.cdr_queue_turn'), 0) % 3;
	part text;
	used boolean;
	done integer := 0;
begin
	for i in 1 .. 2 loop
		part := 'voip.cdr_queue_' || (present + i) % 3;
		continue when pg_table_size(part::regclass) < bytes / 16;
		begin
			execute 'lock table only ' || part
				|| ' in access exclusive mode';
			execute 'select exists (select from ' || part || ')'
				into used;
			if not used then
				execute 'truncate only ' || part;
				done := done + 1;
			end if;
		exception when lock_not_available then
			null;
		end;
	end loop;
	if pg_table_size(('voip.cdr_queue_' || present)::regclass) > bytes
	then
		-- somebody else may have turned meanwhile
		perform nextval('voip.cdr_queue_turn')
		where coalesce(pg_sequence_last_value('voip.cdr_queue_turn'), 0)
			% 3 = present;
	end if;
	return done;
end
$$;

-- One row for each leg.  The columns that come from the body are the table
-- CDR_FIELDS of lib/cdr.h.
create table voip.cdr (
	-- FreeSWITCH lets a dialer choose it
	leg_uuid text collate "C" not null
		check (length(leg_uuid) between 1 and 256),
	start_time timestamptz not null, -- the channel's creation
	-- both ends and what led to this leg
	bridge_uuid text collate "C",    -- the leg that it talked to
	call_group text collate "C",     -- moves with transfers: no key
	originator_uuid text collate "C", -- what it was made for
	member_session_uuid text collate "C", -- of an agent's leg: the caller's
	domain text collate "C",
	domain_id bigint,
	-- of the call, where the dialplan says so; else the channel's
	direction text not null
		check (direction in ('inbound', 'outbound', 'internal')),
	-- inbound: FreeSWITCH received the leg; outbound: it made it
	channel_direction text not null default 'inbound'
		check (channel_direction in ('inbound', 'outbound')),
	caller_number text,
	caller_name text,
	destination text,      -- what was dialled first
	destination_last text, -- after transfers
	account text,          -- who logged in to call
	context text,
	progress_time timestamptz,
	answer_time timestamptz,
	bridge_time timestamptz,
	end_time timestamptz,
	duration integer,
	billsec integer,
	duration_ms integer,
	billsec_ms integer,
	hold_seconds integer,
	hangup_cause text,
	hangup_cause_q850 integer,
	sip_hangup_disposition text,
	hangup_by text check (hangup_by in ('caller', 'callee', 'system')),
	sip_term_status text,
	queue text collate "C",
	queue_id bigint,
	cc_side text,
	cc_cause text,
	cc_cancel_reason text,
	queue_joined_at timestamptz,
	queue_answered_at timestamptz,
	queue_ended_at timestamptz,
	agent text collate "C",
	agent_id bigint,
	recording text,
	mos numeric(5,2),
	read_codec text,
	write_codec text,
	gateway text,
	sip_call_id text collate "C",
	network_ip text,
	user_agent text,
	accountcode text,
	transfer text,         -- how it was transferred, each time
	transfer_to text,      -- whom it transferred, blind:UUID or att:UUID
	last_app text,         -- where the dialplan left it
	node text, -- the switch
	-- the text was not what FreeSWITCH meant byte for byte
	repaired boolean not null default false,
	received_at timestamptz not null,
	stored_at timestamptz not null default clock_timestamp(),
	primary key (start_time, leg_uuid)
) partition by range (start_time);
create index cdr_leg_idx on voip.cdr (leg_uuid);
create index cdr_domain_idx on voip.cdr (domain, start_time, leg_uuid);
create index cdr_queue_idx on voip.cdr (queue, start_time)
	where queue is not null;
create index cdr_agent_idx on voip.cdr (agent, start_time)
	where agent is not null;
-- what leads from a leg to those that it brought about
create index cdr_originator_idx on voip.cdr (originator_uuid)
	where originator_uuid is not null;
create index cdr_member_session_idx on voip.cdr (member_session_uuid)
	where member_session_uuid is not null;

-- legs that wait for their tenant (cdr_adopt)
create index cdr_homeless_idx on voip.cdr (stored_at) where domain is null
	and coalesce(originator_uuid, member_session_uuid) is not null;

-- A row here is an alarm: its month had no partition.
create table voip.cdr_default partition of voip.cdr default;

-- What FreeSWITCH sent of a leg, for as long as cdr_keep_raw says: JSON text,
-- whatever its encoding was, without its secrets (lib/cdrraw.h).  Text, since
-- a column of type jsonb would refuse an escaped NUL and with it the leg.
-- Partitions are days.
create table voip.cdr_raw (
	leg_uuid text collate "C" not null,
	start_time timestamptz not null,
	body text not null,
	primary key (start_time, leg_uuid)
) partition by range (start_time);
create index cdr_raw_leg_idx on voip.cdr_raw (leg_uuid);
create table voip.cdr_raw_default partition of voip.cdr_raw default;

-- What can never be stored, and why.  The same body is kept once, however
-- often it is sent.
create table voip.cdr_dead (
	id bigint generated always as identity primary key,
	received_at timestamptz not null default clock_timestamp(),
	dead_at timestamptz not null default clock_timestamp(),
	node text,
	peer text,
	query_uuid text,
	content_type text,
	leg_uuid text collate "C",
	start_time timestamptz,
	body bytea not null,
	body_sha256 bytea not null unique check (length(body_sha256) = 32),
	reason text not null,
	sqlstate text,
	attempts integer not null default 0
);
create index cdr_dead_at_idx on voip.cdr_dead (dead_at);
create index cdr_dead_leg_idx on voip.cdr_dead (leg_uuid);

create table voip.recordings (
	id bigint generated always as identity primary key,
	leg_uuid text collate "C" not null,
	-- with leg_uuid the record's key, once it is known
	cdr_start_time timestamptz,
	domain_id bigint,
	recording_policy_id bigint references voip.recording_policies,
	file_path text not null unique check (voip.is_file(file_path)),
	file_size bigint check (file_size >= 0),
	duration integer check (duration >= 0), -- seconds
	format text not null default 'wav'
		check (format ~ '^[a-z0-9]{1,8}$'),
	start_time timestamptz,
	end_time timestamptz,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create index recordings_leg_idx on voip.recordings (leg_uuid);
create index recordings_start_idx on voip.recordings (start_time);
create trigger touch before update on voip.recordings
	for each row execute function voip.touch();

-- lz4 takes a third of pglz's time; not every build has it.
do $$
begin
	if 'lz4' = any (select unnest(enumvals) from pg_settings
		where name = 'default_toast_compression') then
		for i in 0 .. 2 loop
			execute format('alter table voip.cdr_queue_%s
				alter column body set compression lz4', i);
		end loop;
		alter table voip.cdr_dead
			alter column body set compression lz4;
		alter table voip.cdr_raw
			alter column body set compression lz4;
		alter table voip.cdr_raw_default
			alter column body set compression lz4;
	end if;
end
$$;

-- --- partitions ------------------------------------------------------------

-- Make sure that `parent`, a table that is partitioned by start_time, has
-- `part` for the times from `low` to `high`: true when it is new.  What is in
-- the default partition moves.  Attaching needs a weaker lock than creating
-- in place, so readers and writers go on.  For the functions below only.
create function voip.attach_partition(parent text, part text, low timestamptz,
	high timestamptz)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
begin
	if low is null or not isfinite(low) or low < '2000-01-01'
		or low >= '2200-01-01'
	then
		raise exception 'no partition for %', low
			using errcode = 'datetime_field_overflow';
	end if;
	if to_regclass('voip.' || part) is not null then
		return false;
	end if;
	-- One at a time: the second finds the first one's, by a query, since
	-- to_regclass() may remember that there was none.
	perform pg_advisory_xact_lock(hashtext('voip.cdr_partition'));
	if exists (select from pg_class where relname = part
		and relnamespace = 'voip'::regnamespace)
	then
		return false;
	end if;
	execute format('create table voip.%I (like voip.%I including all)',
		part, parent);
	execute format('lock table voip.%I in access exclusive mode',
		parent || '_default');
	execute format('with moved as (delete from voip.%I
		where start_time >= %L and start_time < %L returning *)
		insert into voip.%I select * from moved', parent || '_default',
		low, high, part);
	execute format('alter table voip.%I attach partition voip.%I
		for values from (%L) to (%L)', parent, part, low, high);
	return true;
end
$$;

-- The month (UTC) of `at`: the name of its partition when it was made, else
-- null.
create function voip.cdr_partition(at timestamptz) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
	low constant timestamptz := date_trunc('month', at);
	part constant text := to_char(low, '"cdr_"YYYY"_"MM');
begin
	return case when voip.attach_partition('cdr', part, low,
		low + interval '1 month') then part end;
end
$$;

-- The same for what is kept of the bodies, by day.
create function voip.cdr_raw_partition(at timestamptz) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
	low constant timestamptz := date_trunc('day', at);
	part constant text := to_char(low, '"cdr_raw_"YYYY"_"MM"_"DD');
begin
	return case when voip.attach_partition('cdr_raw', part, low,
		low + interval '1 day') then part end;
end
$$;

-- The partitions of this month and of the next `months`; how many are new.
create function voip.cdr_partitions_ahead(months integer default 1)
returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
	made integer := 0;
begin
	for i in 0 .. least(greatest(months, 0), 120) loop
		if voip.cdr_partition(date_trunc('month', now())
			+ make_interval(months => i)) is not null
		then
			made := made + 1;
		end if;
	end loop;
	return made;
end
$$;

-- The partitions of today and of the next `days`.
create function voip.cdr_raw_partitions_ahead(days integer default 1)
returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
	made integer := 0;
begin
	for i in 0 .. least(greatest(days, 0), 120) loop
		if voip.cdr_raw_partition(now() + make_interval(days => i))
			is not null
		then
			made := made + 1;
		end if;
	end loop;
	return made;
end
$$;

select voip.cdr_partitions_ahead(3);

-- --- tenants ---------------------------------------------------------------

-- A leg that FreeSWITCH made for another one and that names no tenant, as one
-- over a trunk, gets the other's, which is often stored after it.  How many
-- did, of the `most` that were stored last, within a day.  One at a time.
create function voip.cdr_adopt(most integer default 1000) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
	done integer;
begin
	if not pg_try_advisory_xact_lock(hashtext('voip.cdr_adopt')) then
		return 0;
	end if;
	with homeless as materialized (
		select c.start_time, c.leg_uuid,
			coalesce(c.originator_uuid, c.member_session_uuid)
				as parent
		from voip.cdr as c
		where c.domain is null
		and coalesce(c.originator_uuid, c.member_session_uuid) is not null
		and c.stored_at > now() - interval '1 day'
		order by c.stored_at desc limit most
	)
	update voip.cdr as c set domain = p.domain, domain_id = p.domain_id
	from homeless as h cross join lateral (
		select p.domain, p.domain_id from voip.cdr as p
		where p.leg_uuid = h.parent and p.domain is not null
		and p.start_time between h.start_time - interval '1 day'
			and h.start_time + interval '1 day' limit 1) as p
	where c.start_time = h.start_time and c.leg_uuid = h.leg_uuid
	and c.domain is null;
	get diagnostics done = row_count;
	return done;
end
$$;

-- --- the flusher is told ---------------------------------------------------

create function voip.cdr_notify() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	perform pg_notify('voip_cdr', '');
	return null;
end
$$;
create trigger notify after insert on voip.cdr_queue
	for each statement execute function voip.cdr_notify();

reset role;
