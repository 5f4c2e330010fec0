-- Every change of the directory leaves a row in voip.audit and a notification
-- on channel voip_changed.
--
-- A table takes part by one call of voip.track() at the end of this file: its
-- name, an SQL expression for a row's key (the row is called r), and the
-- columns whose values are secrets.  The triggers run once for each statement,
-- over all its rows.

set local role voip_owner;

create sequence voip.change_seq;

create table voip.audit (
	id bigint generated always as identity primary key,
	-- the same for all rows of one transaction
	change_id bigint not null,
	at timestamptz not null default clock_timestamp(),
	-- who: what the program says (setting voip.actor, such as os:alice or
	-- key:billing), the database role, the program, its address
	actor text not null,
	role text not null,
	program text not null,
	address inet,
	action text not null check (action in ('insert', 'update', 'delete')),
	table_name text not null,
	row_id bigint not null,
	domain_id bigint, -- no foreign key: it outlives the tenant
	domain text,
	key text not null,
	-- only the columns that changed; secrets as ********
	before jsonb,
	after jsonb
);
create index audit_change_idx on voip.audit (change_id);
create index audit_at_idx on voip.audit using brin (at);
create index audit_row_idx on voip.audit (table_name, row_id, id);
create index audit_domain_idx on voip.audit (domain_id, id);

-- The number of this transaction's change set.
create function voip.change_id() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	id text := current_setting('voip.change_id', true);
begin
	if coalesce(id, '') = '' then
		id := nextval('voip.change_seq');
		perform set_config('voip.change_id', id, true);
	end if;
	return id;
end
$$;

-- Hide the values of secrets; that there is none may be seen.
create function voip.audit_mask(r jsonb, secrets text[]) returns jsonb
language sql immutable parallel safe return
	case when r ?| secrets then (
		select jsonb_object_agg(c.key, case
			when c.key = any (secrets) and c.value <> 'null'
			then '"********"'::jsonb else c.value end)
		from jsonb_each(r) as c)
	else r end;

-- Those members of a that are different in b; null when there is none.
create function voip.jsonb_changed(a jsonb, b jsonb) returns jsonb
language sql immutable parallel safe return (
	select jsonb_object_agg(c.key, c.value) from jsonb_each(a) as c
	where c.value is distinct from b -> c.key);

-- A transaction that changes more rows of a table than this is told as one
-- change of each tenant with the key '*': listeners then drop all that they
-- know of that table and tenant at once.  So is a row that was removed by its
-- parent's removal, which took the first half of its key along.
create function voip.notify_limit() returns integer
language sql immutable parallel safe return 1000;

-- TG_ARGV: the key's expression, the tenant's, the names of secret columns.
create function voip.changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	op constant text := lower(tg_op);
	setting constant text := 'voip.told_' || tg_table_name;
	-- times and what is generated tell nothing, and undo cannot write them
	idle constant text[] := '{created_at,updated_at,pattern_re,pattern_rank}';
	told integer := coalesce(nullif(current_setting(setting, true), ''), '0');
	pairs text;
	r record;
begin
	pairs := case tg_op
		when 'INSERT' then
			'select r.id, %1$s as key, null::text as old_key,
				%2$s as domain_id, null::jsonb as before,
				to_jsonb(r) - $6 as after
			from new_rows as r'
		when 'DELETE' then
			'select r.id, %1$s as key, null::text as old_key,
				%2$s as domain_id, to_jsonb(r) - $6 as before,
				null::jsonb as after
			from old_rows as r'
		else
			'select n.id, n.key, o.key as old_key, n.domain_id,
				voip.jsonb_changed(o.row, n.row) as before,
				voip.jsonb_changed(n.row, o.row) as after
			from (select r.id, %1$s as key, %2$s as domain_id,
				to_jsonb(r) - $6 as row from new_rows as r) as n
			join (select r.id, %1$s as key,
				to_jsonb(r) - $6 as row from old_rows as r) as o
				on o.id = n.id
			where o.row <> n.row'
		end;
	for r in execute format(
		'with x as materialized (
			select p.*, case when $2 = ''domains'' then p.key
				else d.domain end as domain
			from (' || pairs || ') as p
			left join voip.domains as d on d.id = p.domain_id
		), kept as (
			insert into voip.audit (change_id, actor, role, program,
				address, action, table_name, row_id, domain_id,
				domain, key, before, after)
			select (select voip.change_id()), $5, session_user,
				current_setting(''application_name''),
				inet_client_addr(), $1, $2, x.id, x.domain_id,
				x.domain, coalesce(x.key, ''#'' || x.id),
				voip.audit_mask(x.before, $3),
				voip.audit_mask(x.after, $3)
			from x
		), total as (
			select $4 + count(*) > voip.notify_limit() as many from x
		)
		select distinct case when $2 = ''domains'' then k.key
				else x.domain end as domain,
			case when total.many or x.key is null then ''*''
				else k.key end as key,
			total.many or x.key is null as many
		from x cross join total
		cross join lateral (values (x.key), (x.old_key)) as k(key)
		where k.key is not null or x.key is null',
		tg_argv[0], tg_argv[1])
	using op, tg_table_name::text, tg_argv[2]::text[], told,
		coalesce(nullif(current_setting('voip.actor', true), ''),
			session_user), idle
	loop
		perform pg_notify('voip_changed', jsonb_build_object(
			'table', tg_table_name, 'domain', r.domain,
			'key', r.key,
			'op', case when r.many then 'many' else op end)::text);
		told := case when r.many then voip.notify_limit()
			else told + 1 end;
	end loop;
	perform set_config(setting, told::text, true);
	return null;
end
$$;

-- Make a table's changes known, its updated_at right and its tenants firm.
create function voip.track(table_name text, key text,
	secrets text[] default '{}') returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	tenant text := case when table_name = 'domains' then 'r.id'
		when exists (select from pg_attribute
			where attrelid = ('voip.' || table_name)::regclass
			and attname = 'domain_id' and not attisdropped)
		then 'r.domain_id' else 'null::bigint' end;
	event text;
begin
	if tenant = 'r.domain_id' then
		execute format('create trigger stay before update on voip.%I
			for each row when (old.domain_id is distinct from
			new.domain_id) execute function voip.stay()',
			table_name);
	end if;
	execute format('create trigger touch before update on voip.%I
		for each row execute function voip.touch()', table_name);
	foreach event in array array['insert', 'update', 'delete'] loop
		execute format('create trigger changed_%1$s after %1$s on voip.%2$I
			referencing %3$s for each statement
			execute function voip.changed(%4$L, %5$L, %6$L)',
			event, table_name, case event
				when 'insert' then 'new table as new_rows'
				when 'delete' then 'old table as old_rows'
				else 'old table as old_rows new table as new_rows'
			end, key, tenant, secrets);
	end loop;
end
$$;

select voip.track('domains', 'r.domain');
select voip.track('users', 'r.username',
	'{ha1,ha1b,ha1_sha256,reverse_auth_pass}');
select voip.track('groups', 'r.name');
select voip.track('group_members', '(select g.name || ''/'' || u.username
	from voip.groups as g, voip.users as u
	where g.id = r.group_id and u.id = r.user_id)');
select voip.track('queues', 'r.name');
select voip.track('queue_members', '(select q.name || ''/'' || u.username
	from voip.queues as q, voip.users as u
	where q.id = r.queue_id and u.id = r.user_id)');
select voip.track('ivr_menus', 'r.name');
select voip.track('ivr_entries', '(select i.name || ''/'' || r.digit
	from voip.ivr_menus as i where i.id = r.ivr_id)');
select voip.track('voicemail_boxes', 'r.number', '{pin}');
select voip.track('conferences', 'r.number', '{pin,moderator_pin}');
select voip.track('trunks', 'r.name', '{password}');
select voip.track('recording_policies', 'r.name');
select voip.track('extensions', 'r.extension');
select voip.track('media_nodes', 'r.destination');
select voip.track('trusted_addresses', 'r.address::text');
select voip.track('emergency_numbers', 'r.number');
select voip.track('api_keys', 'r.key_name', '{hash}');

reset role;
