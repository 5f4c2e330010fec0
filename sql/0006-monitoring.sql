-- Schema monitoring: what reports, billing and dashboards may read.  Views
-- belong to voip_owner, so their readers need no right on the tables.

-- Statistics of statements where the server has the extension.  It is not a
-- trusted one, so only a superuser can create it.
do $$
begin
	if current_setting('is_superuser') = 'on' and exists (
		select from pg_available_extensions
		where name = 'pg_stat_statements')
	then
		create extension if not exists pg_stat_statements
			schema monitoring;
	end if;
end
$$;

set local role voip_owner;

create view monitoring.tenants as
select d.id, d.domain, d.tenant_name, d.active, d.max_calls,
	d.max_registrations,
	(select count(*) from voip.users as u
		where u.domain_id = d.id and u.active) as users,
	(select count(*) from voip.extensions as e
		where e.domain_id = d.id and e.active) as extensions,
	(select count(*) from voip.queues as q
		where q.domain_id = d.id and q.active) as queues
from voip.domains as d;

create view monitoring.extensions as
select * from voip.vw_extensions;

create view monitoring.queues as
select q.id, d.domain, q.name, q.extension, q.strategy, q.max_wait_time,
	q.max_wait_time_with_no_agent, q.discard_abandoned_after, q.record,
	q.active,
	(select count(*) from voip.queue_members as m
		where m.queue_id = q.id and m.active) as members
from voip.queues as q join voip.domains as d on d.id = q.domain_id;

create view monitoring.registrations as
select l.username, l.domain, l.contact, l.user_agent, l.expires,
	l.last_modified
from kamailio.location as l;

-- How far each standby is behind, and what the slots hold back.
create view monitoring.replication as
select r.application_name, r.client_addr, r.state, r.sync_state,
	pg_wal_lsn_diff(pg_current_wal_lsn(), r.sent_lsn) as unsent_bytes,
	pg_wal_lsn_diff(r.sent_lsn, r.replay_lsn) as behind_bytes,
	r.replay_lag
from pg_stat_replication as r
where not pg_is_in_recovery();

create view monitoring.table_sizes as
select n.nspname as schema, c.relname as name,
	pg_total_relation_size(c.oid) as bytes, c.reltuples::bigint as rows
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and n.nspname in ('voip', 'kamailio');

reset role;
