-- Every change of the directory leaves a row in voip.audit and a notification
-- on channel voip_changed.
--
-- A table takes part by one call of voip.track() at the end of this file: its
-- name, an SQL expression for a row's key (the row is called r), and the
-- columns whose values are secrets.  The triggers run once for each statement,
-- over all its rows.

set local role voip_owner;

-- One row for each transaction that changed something: a change set.  Change
-- sets may be removed with what belongs to them, oldest first, by their number.
create table voip.change (
	id bigint generated always as identity primary key,
	xact xid8 not null default pg_current_xact_id(),
	at timestamptz not null default clock_timestamp(),
	-- who: what the program says (setting voip.actor, such as os:alice or
	-- key:billing), the database role, the program
	actor text not null,
	role text not null,
	program text not null,
	-- from where: the connection's address, and what the program says
	-- (setting voip.origin: the host, and where its user came from)
	address inet,
	origin text,
	-- the words of the command, without secrets (setting voip.command)
	command text,
	-- the change set that this one takes back, and the one that took this
	-- one back
	undoes bigint,
	undone_by bigint
);
create index change_at_idx on voip.change (at);
create index change_undone_by_idx on voip.change (undone_by)
	where undone_by is not null;

-- How many rows of a table and tenant each of its statements changed: what a
-- list of change sets tells without reading their rows.
create table voip.change_part (
	change_id bigint not null,
	domain_id bigint, -- no foreign key: it outlives the tenant
	domain text,
	table_name text not null,
	action text not null,
	rows bigint not null
);
create index change_part_change_idx on voip.change_part (change_id);
create index change_part_domain_idx on voip.change_part (domain_id, change_id);

-- The rows; by id in the order in which each row was changed.
create sequence voip.audit_seq;
create table voip.audit (
	change_id bigint not null,
	id bigint not null,
	row_id bigint not null,
	domain_id bigint,
	action text not null,
	table_name text not null,
	domain text,
	key text collate "C" not null,
	old_key text collate "C", -- when it had another one before
	-- the columns that changed, or that are not null; secrets as ********
	before jsonb,
	after jsonb,
	primary key (change_id, id)
);
create index audit_row_idx on voip.audit (row_id);
create index audit_key_idx on voip.audit (key);

-- What undo needs and nobody may read: secrets as they were before, HA1s and
-- sealed ones, never in clear.  Kept as long as their row of voip.audit.
create table voip.audit_secret (
	change_id bigint not null,
	audit_id bigint not null,
	before jsonb not null,
	primary key (change_id, audit_id)
);

-- The number of this transaction's change set.  Anybody can write into the
-- setting that remembers it, so it counts only where the table agrees.
create function voip.change_id() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	change text := current_setting('voip.change_id', true);
begin
	perform from voip.change as c where c.xact = pg_current_xact_id()
		and c.id = case when change ~ '^[0-9]{1,18}$'
		then change::bigint end;
	if not found then
		insert into voip.change (actor, role, program, address, origin,
			command)
		values (coalesce(nullif(current_setting('voip.actor', true),
				''), session_user), session_user,
			current_setting('application_name'), inet_client_addr(),
			nullif(current_setting('voip.origin', true), ''),
			nullif(current_setting('voip.command', true), ''))
		returning id into change;
		perform set_config('voip.change_id', change, true);
	end if;
	return change;
end
$$;

-- A transaction that changes more rows of a table than this is told as one
-- change of each tenant with the key '*': listeners then drop all that they
-- know of that table and tenant at once.  So is a row whose key is not known.
create function voip.notify_limit() returns integer
language sql immutable parallel safe return 1000;

-- The expressions that make voip.audit's before and after, and the secrets of
-- before, of a row r; an update's old row is o.  Members are put together as
-- text, of those columns only that tell something: that takes a fraction of
-- the time of comparing two JSON objects.
create function voip.audit_columns(relation regclass, op text, secrets text[])
returns text
language sql stable set search_path = pg_catalog, pg_temp return (
	with c as (
		select a.attnum, a.attname::text = any (secrets) as secret,
			format('%L || ', '"' || a.attname || '":') as name,
			format('case when o.%1$I is distinct from r.%1$I then ',
				a.attname) as differs,
			format('to_json(%%s.%I)::text', a.attname) as value,
			format('case when %%s.%I is not null then %L end',
				a.attname, '"********"') as masked
		from pg_attribute as a
		where a.attrelid = relation and a.attnum > 0
			and not a.attisdropped
			-- times and what is generated tell nothing; but what is
			-- deleted comes back with the time of its making
			and a.attgenerated = '' and a.attname <> 'id'
			and a.attname <> 'updated_at'
			and (a.attname <> 'created_at' or op = 'delete')
	), v as (
		select c.*, case when secret then masked else value end as shown
		from c
	)
	select case op
		when 'insert' then format('null::text as before,
			concat_ws('','', %s) as after, null::text as secret',
			string_agg(name || format(shown, 'r'), ', '
				order by attnum))
		when 'delete' then format('concat_ws('','', %s) as before,
			null::text as after, concat_ws('','', %s) as secret',
			string_agg(name || format(shown, 'r'), ', '
				order by attnum),
			coalesce(string_agg(name || format(value, 'r'), ', ')
				filter (where secret), 'null'))
		else format('concat_ws('','', %s) as before,
			concat_ws('','', %s) as after,
			concat_ws('','', %s) as secret',
			string_agg(differs || name || format(
				'coalesce(%s, ''null'') end',
				format(shown, 'o')), ', ' order by attnum),
			string_agg(differs || name || format(
				'coalesce(%s, ''null'') end',
				format(shown, 'r')), ', ' order by attnum),
			coalesce(string_agg(differs || name || format(value, 'o')
				|| ' end', ', ') filter (where secret), 'null'))
		end
	from v);

-- TG_ARGV: the key's expression, the tenant's (both of a row r), the names of
-- secret columns.
create function voip.changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	op constant text := lower(tg_op);
	setting constant text := 'voip.told_' || tg_table_name;
	told integer := coalesce(nullif(current_setting(setting, true), ''), '0');
	mark constant bigint := nextval('voip.audit_seq');
	columns constant text := voip.audit_columns(tg_relid, op,
		tg_argv[2]::text[]);
	-- an insert has none from before
	secrets constant boolean := op <> 'insert' and tg_argv[2] <> '{}';
	source text;
	change bigint;
	made bigint;
	many boolean;
	r record;
begin
	source := format('select r.id as row_id, %2$s as domain_id, %1$s as key,
		%3$s as old_key, %4$s from ', tg_argv[0], tg_argv[1],
		case op when 'update' then 'o.key_before' else 'null::text' end,
		columns);
	source := format('select s.*, case when $2 = ''domains'' then s.key
			else d.domain end as domain
		from (%s offset 0) as s
		left join voip.domains as d on d.id = s.domain_id
		where $1 <> ''update'' or s.before <> ''''',
		source || case op
			when 'insert' then 'new_rows as r'
			when 'delete' then 'old_rows as r'
			else format('new_rows as r join (select r.*,
				%s as key_before from old_rows as r) as o
				on o.id = r.id', tg_argv[0])
		end);
	execute format('with x as %s (
		select (select voip.change_id()) as change,
			nextval(''voip.audit_seq'') as id, x.*
		from (%s) as x
	) %s
	insert into voip.audit (change_id, id, row_id, domain_id, action,
		table_name, domain, key, old_key, before, after)
	select x.change, x.id, x.row_id, x.domain_id, $1, $2, x.domain,
		coalesce(x.key, ''#'' || x.row_id), nullif(x.old_key, x.key),
		(''{'' || x.before || ''}'')::jsonb,
		(''{'' || x.after || ''}'')::jsonb
	from x', case when secrets then 'materialized' else 'not materialized'
		end, source, case when secrets then ', kept as (
		insert into voip.audit_secret (change_id, audit_id, before)
		select x.change, x.id, (''{'' || x.secret || ''}'')::jsonb
		from x where x.secret <> '''')' end)
	using op, tg_table_name::text;
	get diagnostics made = row_count;
	if made = 0 then
		return null;
	end if;

	change := voip.change_id();
	insert into voip.change_part (change_id, domain_id, domain, table_name,
		action, rows)
	select change, a.domain_id, a.domain, tg_table_name, op, count(*)
	from voip.audit as a where a.change_id = change and a.id > mark
	group by a.domain_id, a.domain;

	many := told + made > voip.notify_limit();
	for r in
		select distinct case when tg_table_name = 'domains' then k.key
				else a.domain end as domain,
			case when many or w.nameless then '*' else k.key end
				as key, many or w.nameless as many
		from voip.audit as a
		cross join lateral (select a.key = '#' || a.row_id) as w(nameless)
		cross join lateral (values (a.key), (a.old_key)) as k(key)
		where a.change_id = change and a.id > mark
			and k.key is not null
		order by 1, 2
	loop
		perform pg_notify('voip_changed', jsonb_build_object(
			'table', tg_table_name, 'domain', r.domain,
			'key', r.key,
			'op', case when r.many then 'many' else op end)::text);
	end loop;
	perform set_config(setting, least(told + made,
		voip.notify_limit())::text, true);
	return null;
end
$$;

-- Make a table's changes known, its updated_at right and its tenants firm.  Its
-- foreign keys are checked at the end of each statement, but voip.undo() may
-- put that off.
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
	reference name;
begin
	for reference in select conname from pg_constraint
		where conrelid = ('voip.' || table_name)::regclass
		and contype = 'f'
	loop
		execute format('alter table voip.%I alter constraint %I
			deferrable initially immediate', table_name, reference);
	end loop;
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
select voip.track('domain_admins', 'r.role_name');

-- --- first rows, known to the audit ---------------------------------------

insert into voip.domains (domain, tenant_name)
	values ('default.local', 'Default Tenant');
insert into voip.recording_policies (name) values ('Default Queue Recording');

reset role;
