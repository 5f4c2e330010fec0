-- What voip-prune needs to take old records away, and no more: it owns no
-- table, so it parts with a partition through the functions below, which
-- refuse whatever is not a partition of call records whose time is over.

set local role voip_owner;

-- Anonymising walks through the records in their order; how far it came.
create table voip.prune_mark (
	job text not null,
	object text not null,
	until timestamptz not null,
	primary key (job, object)
);

-- Detach `part` of voip.cdr or voip.cdr_raw and call it old_PART; that name.
-- Concurrently is not possible beside a default partition.  The lock on the
-- parent is held for this change of the catalogue only; it waits no longer
-- than a call could notice, and fails with lock_not_available.
create function voip.prune_detach(parent text, part text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
set lock_timeout = '100ms' as $$
declare
	high timestamptz;
begin
	select substring(pg_get_expr(c.relpartbound, c.oid)
		from $r$TO \('([^']+)'\)$r$)::timestamptz into high
	from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
	where i.inhparent = to_regclass('voip.' || quote_ident(parent))
		and parent in ('cdr', 'cdr_raw') and c.relname = part
		and c.relnamespace = 'voip'::regnamespace;
	if high is null or high > now() - interval '1 day' then
		raise exception '% is no partition of %s whose time is over',
			quote_ident(part), quote_ident(parent)
			using errcode = 'invalid_parameter_value';
	end if;
	execute format('alter table voip.%I detach partition voip.%I', parent,
		part);
	execute format('alter table voip.%I rename to %I', part,
		'old_' || part);
	execute format('grant select on voip.%I to voip_prune', 'old_' || part);
	return 'old_' || part;
end
$$;

-- Drop what prune_detach() took off.
create function voip.prune_drop(part text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
	if part !~ '^old_cdr_(raw_)?[0-9_]+$' or exists (
		select from pg_inherits
		where inhrelid = to_regclass('voip.' || quote_ident(part)))
	then
		raise exception '% was not detached by voip-prune',
			quote_ident(part)
			using errcode = 'invalid_parameter_value';
	end if;
	execute format('drop table voip.%I', part);
end
$$;

-- Records in the default partitions are an alarm: their time had none.
create view monitoring.cdr_default as
select 'cdr' as name, count(*) as rows, min(start_time) as oldest
from voip.cdr_default
union all
select 'cdr_raw', count(*), min(start_time) from voip.cdr_raw_default;

reset role;
