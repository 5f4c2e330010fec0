-- Who may do what in this database.  May be run any number of times, and must
-- be run in a copy of a template database, which inherits none of the
-- database's own settings: as a superuser, after the migrations.
--
-- Everything is taken away first, so that what an older version granted and
-- this one does not is gone.

do $$
declare
	database name := current_database();
	role name;
	grantees constant name[] := array[
		'voip_ext', 'voip_dirxml', 'voip_cdr_ingest', 'voip_cdr_flush',
		'voip_cdr', 'voip_rec', 'voip_prune', 'voip_api', 'voip_watch',
		'voip_reload', 'voip_health', 'voip_failover', 'voip_report',
		'voip_tenant', 'kamailio'];
begin
	execute format('revoke all on database %I from public', database);
	foreach role in array grantees || array['public', 'freeswitch']::name[]
	loop
		execute format('revoke all on all tables in schema
			voip, kamailio, monitoring from %1$s;
			revoke all on all sequences in schema
			voip, kamailio, monitoring from %1$s;
			revoke all on all functions in schema
			voip, kamailio, monitoring from %1$s;
			revoke all on schema voip, kamailio, monitoring, public
			from %1$s', role);
	end loop;
	foreach role in array grantees loop
		execute format('grant connect on database %I to %I', database,
			role);
		execute format('alter role %I in database %I
			set search_path = %s', role, database,
			case role when 'kamailio' then 'kamailio'
			when 'voip_report' then 'monitoring, voip'
			else 'voip' end);
		execute format('alter role %I in database %I
			set idle_in_transaction_session_timeout = %L',
			role, database,
			case role when 'kamailio' then '10s' else '60s' end);
		-- A statement that nobody waits for any more must end: our
		-- programs drop their connection at a deadline, and behind a
		-- locked table each would hold one more until its timeout.
		execute format('alter role %I in database %I
			set client_connection_check_interval = %L', role,
			database, '1s');
		execute format('alter role %I in database %I
			set statement_timeout = %L', role, database,
			case when role = 'kamailio' then '3s'
			when role in ('voip_dirxml', 'voip_health') then '10s'
			when role = 'voip_failover' then '60s'
			when role in ('voip_cdr_ingest', 'voip_api') then '30s'
			else '0' end);
		execute format('alter role %I in database %I
			set lock_timeout = %L', role, database,
			case when role = 'kamailio' then '1s'
			when role in ('voip_prune') then '5s'
			else '10s' end);
	end loop;
end
$$;

-- --- schemas --------------------------------------------------------------

grant usage on schema voip to voip_ext, voip_dirxml, voip_cdr_ingest,
	voip_cdr_flush, voip_cdr, voip_rec, voip_prune, voip_api, voip_watch,
	voip_reload, voip_health, voip_failover, voip_report, voip_tenant,
	kamailio;
grant usage on schema kamailio to kamailio;
grant usage on schema monitoring to voip_report, voip_health;

-- --- the directory --------------------------------------------------------

grant select, insert, update, delete on voip.domains, voip.users, voip.groups,
	voip.group_members, voip.queues, voip.queue_members, voip.ivr_menus,
	voip.ivr_entries, voip.voicemail_boxes, voip.conferences, voip.trunks,
	voip.recording_policies, voip.extensions, voip.media_nodes,
	voip.trusted_addresses, voip.emergency_numbers, voip.api_keys,
	voip.domain_admins
	to voip_ext, voip_api, voip_tenant;
grant select on voip.change, voip.change_part, voip.audit
	to voip_ext, voip_api, voip_tenant;
grant execute on function voip.refresh_statistics(text) to voip_ext;
grant execute on function voip.undo(bigint)
	to voip_ext, voip_api, voip_tenant;
grant select on voip.vw_extensions, voip.vw_routes
	to voip_ext, voip_api, voip_tenant;
grant select on voip.vw_extensions to voip_dirxml, voip_report, kamailio;

grant select on voip.domains, voip.users, voip.groups, voip.group_members,
	voip.queues, voip.queue_members, voip.ivr_menus, voip.ivr_entries,
	voip.voicemail_boxes, voip.conferences, voip.trunks,
	voip.recording_policies, voip.extensions, voip.emergency_numbers,
	voip.trusted_addresses,
	voip.vw_routes
	to voip_dirxml;

-- What the names in a record belong to.
grant select on voip.domains, voip.queues to voip_cdr_flush, voip_cdr;
grant select (id, domain_id, username, full_name, active) on voip.users
	to voip_cdr_flush, voip_cdr;

grant select on voip.domains, voip.recording_policies, voip.extensions
	to voip_rec, voip_prune;

-- What depends on a changed row, and what FreeSWITCH should have: no secrets.
grant select on voip.domains, voip.queues, voip.queue_members, voip.ivr_menus,
	voip.extensions, voip.media_nodes, voip.trusted_addresses
	to voip_reload;
grant select (id, domain_id, username, active) on voip.users to voip_reload;
grant select (id, domain_id, number) on voip.voicemail_boxes,
	voip.conferences to voip_reload;
grant select (id, domain_id, name, active, updated_at) on voip.trunks
	to voip_reload;

grant execute on function voip.is_domain(text), voip.is_username(text),
	voip.is_text(text), voip.is_host(text), voip.is_acl(text),
	voip.is_file(text), voip.is_pattern(text), voip.pattern_regex(text),
	voip.pattern_rank(text) to voip_ext, voip_api, voip_tenant;
grant execute on function voip.route(text, text),
	voip.service_header(text, jsonb), voip.header_safe(text)
	to voip_ext, voip_api, voip_tenant, voip_dirxml;
grant execute on function voip.scope_all(), voip.scope_domain()
	to voip_ext, voip_api, voip_tenant, voip_dirxml, voip_report, kamailio;
-- It reads as its owner does: not for those who are held to one tenant.
grant execute on function voip.route_packed(text, text) to kamailio, voip_ext;
grant execute on function voip.account_packed(text, text) to kamailio;
grant execute on function voip.trunk_set(bigint, text, text)
	to kamailio, voip_ext, voip_api, voip_tenant, voip_dirxml;

-- --- call records ---------------------------------------------------------
-- The intake adds and cannot read what others sent; a conflict names the
-- column that it is found by.  The flusher copies into a temporary table; so
-- does voip-ext apply.

do $$
declare
	g record;
	f regprocedure;
begin
	execute format('grant temporary on database %I
		to voip_owner, voip_ext, voip_tenant, voip_cdr_flush, voip_cdr',
		current_database());
	for g in select * from (values
		('cdr_queue', 'insert, select (id)',
			'voip_cdr_ingest, voip_api, voip_cdr'),
		('cdr_queue', 'select, update, delete',
			'voip_cdr_flush'),
		('cdr_queue', 'select (id, received_at, attempts)',
			'voip_health'),
		('cdr_queue', 'select (id, received_at, attempts, query_uuid)',
			'voip_cdr'),
		('cdr', 'select, insert', 'voip_cdr_flush'),
		('cdr', 'select', 'voip_cdr, voip_rec, voip_prune'),
		('calls', 'select', 'voip_cdr, voip_rec, voip_report'),
		('cdr_raw', 'insert', 'voip_cdr_flush'),
		('cdr_raw', 'select', 'voip_cdr'),
		('cdr_dead', 'insert, select (id, body_sha256)',
			'voip_cdr_ingest'),
		('cdr_dead', 'select, insert, update', 'voip_cdr_flush'),
		('cdr_dead', 'select, update, delete',
			'voip_cdr, voip_prune'),
		('recordings', 'select, insert, update, delete',
			'voip_rec, voip_prune'),
		('recordings', 'select', 'voip_cdr, voip_cdr_flush'),
		-- old legs go, or lose what tells who talked to whom
		('cdr', 'delete, update (caller_number, caller_name,
			destination, destination_last, account, network_ip,
			sip_call_id, recording, transfer, last_app)',
			'voip_prune'),
		('cdr_raw', 'select, delete', 'voip_prune'),
		('cdr_default', 'select', 'voip_prune'),
		('cdr_raw_default', 'select', 'voip_prune'),
		('prune_mark', 'select, insert, update', 'voip_prune'),
		('change', 'select, delete', 'voip_prune'),
		('change_part', 'select (change_id), delete', 'voip_prune'),
		('audit', 'select (change_id), delete', 'voip_prune'),
		('audit_secret', 'select (change_id), delete', 'voip_prune'),
		-- what one node has and the other lacks
		('cdr_queue', 'select', 'voip_failover'),
		('cdr', 'select', 'voip_failover'),
		('cdr_raw', 'select', 'voip_failover'),
		('cdr_dead', 'select', 'voip_failover'),
		('recordings', 'select', 'voip_failover'),
		('change', 'select', 'voip_failover'),
		('audit', 'select', 'voip_failover')
	) as v(name, privileges, grantees)
	where to_regclass('voip.' || name) is not null
	loop
		execute format('grant %s on voip.%I to %s', g.privileges,
			g.name, g.grantees);
	end loop;
	-- an insert asks which of the queue's tables has its turn
	grant usage on sequence voip.cdr_queue_id, voip.cdr_queue_turn
		to voip_cdr_ingest, voip_api, voip_cdr;
	grant execute on function voip.call_legs(timestamptz, text)
		to voip_cdr, voip_rec, voip_report;
	-- the functions that make, list and drop partitions
	for f in select p.oid from pg_proc as p
		where p.pronamespace = 'voip'::regnamespace
		and p.proname like 'cdr\_%' and p.prosecdef
	loop
		execute format('grant execute on function %s
			to voip_cdr_flush, voip_prune', f);
	end loop;
	grant execute on function voip.prune_detach(text, text),
		voip.prune_drop(text) to voip_prune;
end
$$;

-- --- Kamailio -------------------------------------------------------------

grant select on kamailio.version, kamailio.subscriber, kamailio.domain,
	kamailio.domain_attrs, kamailio.dispatcher, kamailio.address,
	kamailio.htable, kamailio.emergency to kamailio;
grant select, insert, update, delete on kamailio.location,
	kamailio.location_attrs, kamailio.dialog, kamailio.dialog_vars
	to kamailio;
grant select, insert on kamailio.acc, kamailio.missed_calls to kamailio;
grant execute on function kamailio.account(text[]) to kamailio;
grant usage on sequence kamailio.location_id_seq,
	kamailio.location_attrs_id_seq, kamailio.acc_id_seq,
	kamailio.missed_calls_id_seq, kamailio.dialog_id_seq,
	kamailio.dialog_vars_id_seq to kamailio;

-- --- reports --------------------------------------------------------------

grant select on all tables in schema monitoring to voip_report, voip_health;
-- who called whom is nothing that a probe needs
revoke select on monitoring.cdr, monitoring.calls from voip_health;

-- --- one tenant at a time -------------------------------------------------
-- voip_api and the members of voip_tenant see one tenant (0004-route.sql); the
-- other programs work for all tenants.

do $$
declare
	everyone constant text := 'voip_ext, voip_dirxml, voip_cdr_ingest,
		voip_cdr_flush, voip_cdr, voip_rec, voip_prune, voip_watch,
		voip_reload, voip_health, voip_failover, voip_report';
	whole constant text := '(select voip.scope_all())';
	own constant text := '(select voip.scope_domain())';
	t record;
begin
	for t in
		select c.relname as name,
			-- what a tenant may read and write
			case
			when c.relname = 'domains' then 'id = ' || own
			when c.relname = 'trunks'
				then 'domain_id is null or domain_id = ' || own
			when c.relname in ('recording_policies',
				'emergency_numbers') then 'true'
			when c.relname = 'change' then 'exists (select
				from voip.change_part as p
				where p.change_id = change.id and p.domain_id = '
				|| own || ')'
			when a.attname is null then 'false'
			else 'domain_id = ' || own end as reads,
			case when voip.is_tenants(c.relname)
				then 'domain_id = ' || own
			else 'false' end as writes
		from pg_class as c
		left join pg_attribute as a on a.attrelid = c.oid
			and a.attname = 'domain_id' and not a.attisdropped
		where c.relnamespace = 'voip'::regnamespace
			and c.relname in ('domains', 'users', 'groups',
			'group_members', 'queues', 'queue_members', 'ivr_menus',
			'ivr_entries', 'voicemail_boxes', 'conferences',
			'trunks', 'recording_policies', 'extensions',
			'media_nodes', 'trusted_addresses',
			'emergency_numbers', 'api_keys', 'domain_admins', 'audit',
			'change', 'change_part', 'audit_secret')
	loop
		execute format('alter table voip.%1$I enable row level security;
			drop policy if exists platform on voip.%1$I;
			drop policy if exists tenant_reads on voip.%1$I;
			drop policy if exists tenant_writes on voip.%1$I;
			create policy platform on voip.%1$I to %2$s using (true);
			create policy tenant_reads on voip.%1$I for select
				to voip_api, voip_tenant using (%3$s or %4$s);
			create policy tenant_writes on voip.%1$I
				to voip_api, voip_tenant using (%3$s or %5$s)
				with check (%3$s or %5$s)',
			t.name, everyone, whole, t.reads, t.writes);
	end loop;
end
$$;

-- --- the server -----------------------------------------------------------

do $$
begin
	-- lz4 takes a third of pglz's time; not every build has it
	if 'lz4' = any (select unnest(enumvals) from pg_settings
		where name = 'default_toast_compression') then
		execute format('alter database %I
			set default_toast_compression = lz4',
			current_database());
	end if;
	-- Statements here are short, or wait for rows and not for the
	-- processor; what is taken for long is compiled, for seconds.
	execute format('alter database %I set jit = off', current_database());
end
$$;

grant execute on function pg_promote(boolean, integer), pg_reload_conf()
	to voip_failover;

-- What pg_rewind(1) reads from the other side.
grant execute on function pg_ls_dir(text, boolean, boolean),
	pg_stat_file(text, boolean), pg_read_binary_file(text),
	pg_read_binary_file(text, bigint, bigint, boolean) to voip_failover;

-- Which timelines there were, and no other file of the server.
grant execute on function monitoring.timelines(bigint) to voip_health;
