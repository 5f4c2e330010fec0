-- voip.undo(): a change set is taken back by its inverse, which is a change set
-- itself, so it can be taken back too.
--
-- Only the end of a history can be taken back: not what a later change set
-- builds upon.  Two that cancel each other (one, and the one that took it back)
-- count as nothing, so a history can be walked back and forth.

set local role voip_owner;

-- Later members win.
create aggregate voip.jsonb_overlay(jsonb) (
	sfunc = jsonb_concat, stype = jsonb, initcond = '{}', parallel = safe);

-- Does a change set still have an effect?
create function voip.change_stands(change bigint) returns boolean
language sql stable set search_path = pg_catalog, pg_temp return exists (
	select from voip.change as c
	where c.id = change and c.undone_by is null
	and not exists (select from voip.change as u where u.undone_by = c.id));

-- Note that change set c was taken back by change set `taker`, or (null) stands
-- again.  If c itself had taken back another one, that stands again, or not.
create function voip.change_undone(c bigint, taker bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	before bigint;
begin
	while c is not null loop
		update voip.change set undone_by = taker where id = c
			returning undoes into before;
		taker := case when taker is null then c end;
		c := before;
	end loop;
end
$$;

-- The inverse of a change set, one step for each row that it left changed:
-- what must be done with the row, and the columns that it had before.
create function voip.undo_steps(change bigint)
returns table (table_name text, row_id bigint, action text, key text,
	domain text, "row" jsonb, last_id bigint)
language sql stable set search_path = pg_catalog, pg_temp as $$
	select x.table_name, x.row_id, case
			when x.first = 'insert' then 'delete'
			when x.last = 'delete' then 'insert'
			else 'update' end,
		x.key, x.domain, x.row, x.last_id
	from (
		select a.table_name, a.row_id, max(a.id) as last_id,
			(array_agg(a.action order by a.id))[1] as first,
			(array_agg(a.action order by a.id desc))[1] as last,
			(array_agg(a.key order by a.id desc))[1] as key,
			(array_agg(a.domain order by a.id desc))[1] as domain,
			-- the oldest values win
			voip.jsonb_overlay(case when s.before is null
				then a.before else a.before || s.before end
				order by a.id desc) as row
		from voip.audit as a
		left join voip.audit_secret as s
			on s.change_id = a.change_id and s.audit_id = a.id
		where a.change_id = change
		group by a.table_name, a.row_id
	) as x
	-- what came and went in one change set needs nothing
	where not (x.first = 'insert' and x.last = 'delete')
$$;

-- What voip.undo() answers.  Without an obstacle `change` is the new change
-- set; with one nothing was done, and these say why:
--   unknown  there is no such change set (in the caller's tenant)
--   foreign  it changed what the caller's tenant may not change
--   undone   by change set `change`
--   nothing  it left nothing changed
--   later    change set `change` changed the row key@domain of table_name
--   used     the row is used by one that `change` added or changed
--   missing  the row is needed and gone, by `change`
--   taken    another row has its name or number, by `change`
--   renamed  its secrets, of `change`, are bound to the name it has now
create type voip.undo_result as (
	change bigint, obstacle text, table_name text, key text, domain text);

-- The last that is known of a row.
create function voip.undo_obstacle(obstacle text, tab text, row_id bigint)
returns voip.undo_result
language sql stable set search_path = pg_catalog, pg_temp as $$
	select a.change_id, obstacle, tab, coalesce(a.key, '#' || row_id),
		a.domain
	from (select) as one
	left join lateral (select a.change_id, a.key, a.domain
		from voip.audit as a
		where a.row_id = undo_obstacle.row_id and a.table_name = tab
		order by a.id desc limit 1) as a on true
$$;

-- Which columns point to which tables.
create function voip.undo_references()
returns table (child text, col text, parent text)
language sql stable set search_path = pg_catalog, pg_temp as $$
	select c.relname, ca.attname, p.relname
	from pg_constraint as k
	join pg_class as c on c.oid = k.conrelid
	join pg_class as p on p.oid = k.confrelid
	cross join lateral unnest(k.conkey, k.confkey) as n(c, p)
	join pg_attribute as ca on ca.attrelid = c.oid and ca.attnum = n.c
	join pg_attribute as pa on pa.attrelid = p.oid and pa.attnum = n.p
		and pa.attname = 'id'
	where k.contype = 'f' and k.conparentid = 0
		and c.relnamespace = 'voip'::regnamespace
		and p.relnamespace = 'voip'::regnamespace
$$;

-- The tables of the steps; what points to others is deeper than those.
create function voip.undo_tables()
returns table (name text, depth integer)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
	return query with recursive d(name, depth) as (
		select distinct s.table_name, 0 from pg_temp.undo_step as s
		union
		select r.child, d.depth + 1
		from d join voip.undo_references() as r on r.parent = d.name
		where r.child <> r.parent and d.depth < 20
	)
	select d.name, max(d.depth) from d
	where d.name in (select s.table_name from pg_temp.undo_step as s)
	group by d.name;
end
$$;

-- Whatever stands in the way of the steps of a change set; null is nothing.
create function voip.undo_check(undone bigint) returns voip.undo_result
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	result voip.undo_result;
	r record;
	id bigint;
begin
	-- the same row later: any change of a row that goes or comes, else one
	-- of the same columns
	with later as materialized (
		select a.change_id, max(a.id) as id
		from pg_temp.undo_step as s
		join voip.audit as a on a.row_id = s.row_id
			and a.table_name = s.table_name and a.id > s.last_id
		where s.action <> 'update' or a.action <> 'update' or exists (
			select from jsonb_object_keys(s.row) as k
			where a.before ? k)
		group by a.change_id
	)
	select a.change_id, 'later', a.table_name, a.key, a.domain into result
	from later as l
	join voip.audit as a on a.change_id = l.change_id and a.id = l.id
	where voip.change_stands(l.change_id)
	order by a.id desc limit 1;
	if found then
		return result;
	end if;

	for r in select f.* from voip.undo_references() as f
		where f.parent in (select s.table_name
			from pg_temp.undo_step as s where s.action = 'delete')
	loop
		execute format('select c.id from pg_temp.undo_step as s
			join voip.%I as c on c.%I = s.row_id
			where s.table_name = $1 and s.action = ''delete''
			and not exists (select from pg_temp.undo_step as x
				where x.table_name = $2 and x.row_id = c.id
				and (x.action = ''delete'' or x.row ? $3))
			limit 1', r.child, r.col)
			into id using r.parent, r.child, r.col;
		if id is not null then
			return voip.undo_obstacle('used', r.child, id);
		end if;
	end loop;

	for r in select f.* from voip.undo_references() as f
		where f.child in (select s.table_name
			from pg_temp.undo_step as s where s.action <> 'delete')
	loop
		execute format('select (s.row ->> $3)::bigint
			from pg_temp.undo_step as s
			where s.table_name = $1 and s.action <> ''delete''
			and s.row ->> $3 is not null
			and not exists (select from voip.%I as p
				where p.id = (s.row ->> $3)::bigint)
			and not exists (select from pg_temp.undo_step as x
				where x.table_name = $2 and x.action = ''insert''
				and x.row_id = (s.row ->> $3)::bigint)
			limit 1', r.parent)
			into id using r.child, r.parent, r.col;
		if id is not null then
			return voip.undo_obstacle('missing', r.parent, id);
		end if;
	end loop;
	return voip.undo_check_names();
end
$$;

-- HA1 and sealed secrets are bound to the names of their row and its tenant:
-- a name cannot come back while a secret of the present one stays.
create function voip.undo_check_names() returns voip.undo_result
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	r record;
	id bigint;
begin
	for r in
		select c.relname::text as name, n.key, s.secrets
		from pg_trigger as t
		join pg_class as c on c.oid = t.tgrelid
		cross join lateral regexp_split_to_array(
			encode(t.tgargs, 'escape'), '\\000') as g(args)
		cross join lateral (select substring(g.args[1]
			from '^r[.](\w+)') as key) as n
		cross join lateral (select g.args[3]::text[] as secrets) as s
		where t.tgname = 'changed_update'
			and c.relnamespace = 'voip'::regnamespace
			and s.secrets <> '{}' and n.key is not null
			-- a hash of the secret alone is bound to nothing
			and c.relname <> 'api_keys'
	loop
		continue when not exists (select from pg_temp.undo_step as s
			where s.action = 'update' and (s.table_name = r.name
			and s.row ? r.key or s.table_name = 'domains'
			and s.row ? 'domain'));
		execute format('select t.id from voip.%1$I as t
			left join pg_temp.undo_step as s
				on s.table_name = $1 and s.row_id = t.id
			left join pg_temp.undo_step as d
				on d.table_name = ''domains''
				and d.row_id = %2$s
			where (s.action = ''update'' and s.row ? $2
				or d.action = ''update'' and d.row ? ''domain'')
			and s.action is distinct from ''delete''
			and exists (select from jsonb_each(to_jsonb(t)) as c
				where c.key = any ($3) and c.value <> ''null''
				and not coalesce(s.row ? c.key, false))
			limit 1', r.name, case when r.name = 'trunks'
				then 'null::bigint' else 't.domain_id' end)
			into id using r.name, r.key, r.secrets;
		if id is not null then
			return voip.undo_obstacle('renamed', r.name, id);
		end if;
	end loop;
	return null;
end
$$;

-- Do the steps, over whole tables at once: what goes, what changes, what comes.
create function voip.undo_apply(undone bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	r record;
	wanted bigint;
	done bigint;
begin
	for r in
		select t.name, o.op, o.place,
			string_agg(format('%I', a.attname), ', ' order by attnum)
				as names,
			string_agg(format('p.%I', a.attname), ', '
				order by attnum) as parts
		from voip.undo_tables() as t
		cross join lateral (values ('delete', 1, -t.depth),
			('update', 2, 0), ('insert', 3, t.depth))
			as o(op, place, rank)
		join pg_attribute as a on a.attrelid = ('voip.' || t.name)::regclass
			and a.attnum > 0 and not a.attisdropped
			and a.attgenerated = '' and a.attname <> 'updated_at'
			and (o.op = 'insert' or a.attname <> all
				('{id,domain_id,created_at}'))
		where exists (select from pg_temp.undo_step as s
			where s.table_name = t.name and s.action = o.op)
		group by t.name, o.op, o.place, o.rank
		order by o.place, o.rank, t.name
	loop
		select count(*) into wanted from pg_temp.undo_step as s
		where s.table_name = r.name and s.action = r.op;
		execute format(case r.op
			when 'delete' then 'delete from voip.%1$I as t
				using pg_temp.undo_step as s
				where s.table_name = $1 and s.action = $2
				and t.id = s.row_id'
			when 'update' then 'update voip.%1$I as t
				set (%2$s) = row(%3$s)
				from (select p.* from pg_temp.undo_step as s
				join voip.%1$I as o on o.id = s.row_id
				cross join lateral jsonb_populate_record(o, s.row)
					as p
				where s.table_name = $1 and s.action = $2) as p
				where t.id = p.id'
			else 'insert into voip.%1$I (%2$s) overriding system value
				select %3$s from pg_temp.undo_step as s
				cross join lateral jsonb_populate_record(
				null::voip.%1$I, jsonb_build_object(''created_at'',
				now()) || s.row || jsonb_build_object(''id'',
				s.row_id)) as p
				where s.table_name = $1 and s.action = $2'
			end, r.name, r.names, r.parts) using r.name, r.op;
		get diagnostics done = row_count;
		if done <> wanted then
			raise exception 'rows of % are not as change % left them',
				r.name, undone using errcode = 'restrict_violation';
		end if;
	end loop;
	set constraints all immediate;
end
$$;

-- Take a change set back.  The caller's transaction must not have changed
-- anything before; it commits when there was no obstacle.
create function voip.undo(change bigint) returns voip.undo_result
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	whole constant boolean := voip.scope_all();
	own constant bigint := voip.scope_domain();
	taker bigint;
	result voip.undo_result;
	r record;
	name text;
begin
	if coalesce(current_setting('voip.change_id', true), '') <> '' then
		raise exception 'this transaction has changed something already'
			using errcode = 'active_sql_transaction';
	end if;
	-- whoever comes second waits here, and finds it undone
	select c.undone_by into taker from voip.change as c
	where c.id = change and (whole or exists (
		select from voip.change_part as p
		where p.change_id = c.id and p.domain_id = own))
	for update;
	if not found then
		return row(change, 'unknown', null, null, null)::voip.undo_result;
	elsif taker is not null then
		return row(taker, 'undone', null, null, null)::voip.undo_result;
	elsif not whole and exists (select from voip.change_part as p
		where p.change_id = change and (p.domain_id is distinct from own
			or not voip.is_tenants(p.table_name)))
	then
		return row(change, 'foreign', null, null, null)::voip.undo_result;
	end if;

	create temporary table undo_step on commit drop as
		select * from voip.undo_steps(change);
	create index on pg_temp.undo_step (table_name, row_id);
	analyze pg_temp.undo_step;
	-- from here on nobody else changes them
	for r in select t.name from voip.undo_tables() as t order by t.name loop
		execute format('select from voip.%I as t where t.id in (
			select s.row_id from pg_temp.undo_step as s
			where s.table_name = $1) order by t.id for update',
			r.name) using r.name;
	end loop;

	if not exists (select from pg_temp.undo_step) then
		result := row(change, 'nothing', null, null, null);
	else
		result := voip.undo_check(change);
	end if;
	if result.obstacle is null then
		begin
			set constraints all deferred;
			perform voip.undo_apply(change);
			result.change := voip.change_id();
			update voip.change set undoes = undo.change
				where id = result.change;
			perform voip.change_undone(change, result.change);
		exception when unique_violation then
			get stacked diagnostics name = table_name;
			select a.change_id, 'taken', a.table_name, a.key, a.domain
			into result
			from pg_temp.undo_step as s
			left join voip.audit as a on a.table_name = s.table_name
				and a.key = s.key and a.row_id <> s.row_id
				and a.domain is not distinct from s.domain
			where s.table_name = name and s.action <> 'delete'
			order by a.id desc nulls last limit 1;
			result.obstacle := 'taken';
			result.table_name := name;
		end;
	end if;
	drop table pg_temp.undo_step;
	return result;
end
$$;

reset role;
