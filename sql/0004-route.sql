-- Which row answers a dialled number, for people (voip.vw_extensions,
-- voip.route()) and for Kamailio (voip.route_packed()).

set local role voip_owner;

-- Who asks: the role of the session, whatever function it is in.
create function voip.caller() returns name
language sql stable set search_path = pg_catalog, pg_temp return
	coalesce(nullif(current_setting('role'), 'none')::name, session_user);

-- The members of voip_tenant are held to the tenant that voip.domain_admins
-- gives them; a superuser is a member of nothing here.
create function voip.is_tenant(role name) returns boolean
language sql stable set search_path = pg_catalog, pg_temp return
	pg_has_role(role, 'voip_tenant', 'usage')
	and not (select r.rolsuper from pg_roles as r where r.rolname = role);

-- May the caller see all tenants?  voip_api names the one that it works for in
-- the setting voip.domain ('*': the operator's keys, nothing: none); whoever
-- can act as voip_api is trusted with that.  An owner's view or function is
-- outside of row-level security, so it asks here.
create function voip.scope_all() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
return case when voip.caller() = 'voip_api'
	then coalesce(current_setting('voip.domain', true), '') = '*'
	else not voip.is_tenant(voip.caller()) end;

-- The one tenant that the caller may see, or null.
create function voip.scope_domain() returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
return case when voip.caller() = 'voip_api' then (
	select d.id from voip.domains as d
	where d.domain = current_setting('voip.domain', true))
else (
	select a.domain_id from voip.domain_admins as a
	where a.role_name = voip.caller()::text and a.active
		and voip.is_tenant(voip.caller())) end;

-- May a tenant change rows of this table that are its own?  What it is itself,
-- with its limits, and who administers it, is the operator's.
create function voip.is_tenants(table_name text) returns boolean
language sql immutable parallel safe return table_name in (
	'users', 'groups', 'group_members', 'queues', 'queue_members',
	'ivr_menus', 'ivr_entries', 'voicemail_boxes', 'conferences', 'trunks',
	'extensions', 'api_keys');

create view voip.vw_extensions as
select e.id, e.domain_id, d.domain, e.extension, e.type, e.description,
	e.need_media, e.service_ref, e.active, u.username as user_username,
	u.full_name as user_full_name, q.name as queue_name,
	q.strategy as queue_strategy, p.name as recording_policy
from voip.extensions as e
join voip.domains as d on d.id = e.domain_id
left join voip.users as u on u.id = e.user_id
left join voip.queues as q on q.id = e.queue_id
left join voip.ivr_menus as i on i.id = e.ivr_id
left join voip.voicemail_boxes as b on b.id = e.voicemail_box_id
left join voip.trunks as t on t.id = e.trunk_id
left join voip.conferences as c on c.id = e.conference_id
left join voip.recording_policies as p
	on p.id = e.recording_policy_id and p.active
where e.active and d.active
	and coalesce(u.active, true) and coalesce(q.active, true)
	and coalesce(i.active, true) and coalesce(b.active, true)
	and coalesce(t.active, true) and coalesce(c.active, true)
	and ((select voip.scope_all()) or e.domain_id = (select voip.scope_domain()));

-- Text that is safe as a SIP header's value: no CR, LF, nor separators.
create function voip.header_safe(value text) returns text
language sql immutable strict parallel safe return
	regexp_replace(value, '[^A-Za-z0-9_.:@+*#/-]', '', 'g');

-- {"queue_id": 12, "name": "sales"} of a queue: queue;name=sales;queue_id=12
create function voip.service_header(type text, ref jsonb) returns text
language sql immutable parallel safe return
	left(type || coalesce((
		select string_agg(';' || voip.header_safe(e.key) || '='
			|| voip.header_safe(e.value), '' order by e.key collate "C")
		from jsonb_each_text(ref) as e
		where e.value is not null and voip.header_safe(e.key) <> ''), ''),
	255);

-- What may answer, with what each answer needs.  Reads as its user does, so
-- row-level security holds.
create view voip.vw_routes with (security_invoker = true) as
select e.id, e.domain_id, e.extension, e.pattern_re, e.pattern_rank, e.type,
	coalesce(u.username, e.extension) as aor_user, e.need_media,
	-- gateways are called directly where no media server is wanted: the
	-- trunk's own address, or any gateway of set 2
	case when e.type = 'trunk_out' and not e.need_media
		then coalesce(voip.trunk_set(t.id, t.host, t.username), 2)
		else 1 end as dispatcher_set,
	t.name as trunk,
	e.service_ref || jsonb_strip_nulls(jsonb_build_object(
		'queue_id', e.queue_id, 'ivr_id', e.ivr_id,
		'box', b.number, 'conference_id', e.conference_id,
		'trunk_id', e.trunk_id,
		'name', coalesce(q.name, i.name, t.name))) as ref
from voip.extensions as e
left join voip.users as u on u.id = e.user_id
left join voip.queues as q on q.id = e.queue_id
left join voip.ivr_menus as i on i.id = e.ivr_id
left join voip.voicemail_boxes as b on b.id = e.voicemail_box_id
left join voip.trunks as t on t.id = e.trunk_id
left join voip.conferences as c on c.id = e.conference_id
where e.active
	and coalesce(u.active, true) and coalesce(q.active, true)
	and coalesce(i.active, true) and coalesce(b.active, true)
	and coalesce(t.active, true) and coalesce(c.active, true);

-- The row that answers `number` in `domain`, or no row.  Order: the
-- platform's emergency numbers (whatever the tenant's state), the exact
-- number, the narrowest pattern (voip.pattern_rank()).  An exact row that is
-- inactive, or points to something inactive, is as if it were not there.
--
-- matched: emergency, exact or pattern; pattern: what the matching row says;
-- reason: the same as a sentence; dispatcher_set: where Kamailio sends it.
create function voip.route(domain text, number text)
returns table (matched text, pattern text, reason text, extension_id bigint,
	type text, aor_user text, need_media boolean, dispatcher_set integer,
	trunk text, service text)
language plpgsql stable rows 1 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
	tenant bigint;
	r voip.vw_routes;
begin
	select n.number, 'trunk_out', t.name,
		jsonb_strip_nulls(jsonb_build_object('emergency', 1,
			'name', t.name, 'trunk_id', t.id))
	into r.extension, r.type, r.trunk, r.ref
	from voip.emergency_numbers as n
	left join voip.trunks as t on t.id = n.trunk_id and t.active
	where n.active and (n.number = $2 or $2 ~ n.pattern_re)
	order by n.number <> $2, n.pattern_rank, n.number collate "C"
	limit 1;
	if found then
		return query select 'emergency', r.extension,
			format('emergency number %s of the platform', r.extension),
			null::bigint, r.type, $2, true, 1, r.trunk,
			voip.service_header(r.type, r.ref);
		return;
	end if;

	select d.id into tenant from voip.domains as d
	where d.domain = $1 and d.active;
	if not found then
		return;
	end if;

	select v.* into r from voip.vw_routes as v
	where v.domain_id = tenant and v.extension = $2
		and v.pattern_re is null;
	if found then
		return query select 'exact', r.extension,
			format('extension %s of %s', r.extension, $1),
			r.id, r.type, r.aor_user, r.need_media, r.dispatcher_set,
			r.trunk, voip.service_header(r.type, r.ref);
		return;
	end if;

	select v.* into r from voip.vw_routes as v
	where v.domain_id = tenant and v.pattern_re is not null
		and $2 ~ v.pattern_re
	order by v.pattern_rank, v.extension collate "C"
	limit 1;
	if found then
		return query select 'pattern', r.extension,
			format('pattern %s of %s', r.extension, $1),
			-- the number that was dialled goes out
			r.id, r.type, $2, r.need_media, r.dispatcher_set,
			r.trunk, voip.service_header(r.type, r.ref);
	end if;
end
$$;

-- Text that may stand between double quotes in a SIP header, and in one of the
-- packed values below.
create function voip.quoted_safe(value text) returns text
language sql immutable strict parallel safe return
	regexp_replace(value, '["\\|<>\u0001-\u001f\u007f-\u009f]', '', 'g');

-- The same as the one value that Kamailio reads, or no row when nothing
-- answers:
--
--   type|user|media|set|service|matched|user calls|domain calls|trunk
--       |trunk calls|caller number|caller name
--
-- `user` is what is called: the account, or the number as the carrier wants it
-- where Kamailio calls the trunk itself.  Limits are empty where there is
-- none; the caller is what the trunk shows of callers that have nothing of
-- their own.  matched is e(mergency), e(x)act or p(attern): e, x, p.
create function voip.route_packed(domain text, number text)
returns setof varchar
language sql stable security definer rows 1
set search_path = pg_catalog, pg_temp as $$
	select array_to_string(array[r.type,
		case when r.dispatcher_set > 1 then coalesce(t.prefix, '')
			|| substr(r.aor_user, 1 + case
				when e.service_ref ->> 'strip' ~ '^[0-9]{1,2}$'
				then (e.service_ref ->> 'strip')::integer
				else 0 end)
		else r.aor_user end,
		r.need_media::integer::text, r.dispatcher_set::text, r.service,
		case r.matched when 'emergency' then 'e'
			when 'exact' then 'x' else 'p' end,
		u.max_calls::text, d.max_calls::text, t.name,
		t.max_calls::text, t.caller_id_number,
		voip.quoted_safe(t.caller_id_name)], '|', '')::varchar
	from voip.route($1, $2) as r
	left join voip.extensions as e on e.id = r.extension_id
	left join voip.users as u on u.id = e.user_id
	left join voip.domains as d on d.domain = $1
	left join voip.trunks as t on t.name = r.trunk
$$;

-- An account as the one value that Kamailio reads, or no row:
--
--   ha1|ha1b|forbidden|contacts|user calls|domain calls|caller number
--       |caller name|networks|user agent
--
-- forbidden (1) may call and not register; contacts is how many phones may
-- register; the caller is what callees outside see; networks (commas between)
-- and user agent (a regular expression, which may hold anything: it is last)
-- say from where and with what.
create function voip.account_packed(domain text, username text)
returns setof varchar
language sql stable security definer rows 1
set search_path = pg_catalog, pg_temp as $$
	select array_to_string(array[u.ha1, u.ha1b,
		u.forbid_register::integer::text,
		coalesce(u.max_registrations, d.max_registrations)::text,
		u.max_calls::text, d.max_calls::text,
		coalesce(u.caller_id_number, d.caller_id_number),
		voip.quoted_safe(coalesce(u.caller_id_name, d.caller_id_name)),
		array_to_string(u.cidr, ','),
		coalesce(u.user_agent_filter, d.user_agent_filter)],
		'|', '')::varchar
	from voip.users as u
	join voip.domains as d on d.id = u.domain_id
	where d.domain = $1 and u.username = $2 and u.active and d.active
		and u.ha1 is not null and u.ha1b is not null
$$;

reset role;
