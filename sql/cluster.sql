-- Roles belong to the whole cluster, not to a database: this file may be run
-- any number of times, for any number of databases, as a superuser.
--
-- voip_owner owns every object and never logs in.  Each program has a login
-- role of its own name with the least that it needs (grant.sql).  No role has
-- a password here: peer authentication, or `alter role ... password` and a
-- password file, as the site likes.

do $$
declare
	name text;
begin
	foreach name in array array[
		'voip_ext', 'voip_dirxml', 'voip_cdr_ingest', 'voip_cdr_flush',
		'voip_cdr', 'voip_rec', 'voip_prune', 'voip_api', 'voip_watch',
		'voip_reload', 'voip_health', 'voip_failover', 'voip_report',
		'kamailio', 'freeswitch'
	] loop
		if to_regrole(name) is null then
			execute format('create role %I login', name);
		end if;
	end loop;
	-- its members are the logins of people who administer one tenant each
	if to_regrole('voip_tenant') is null then
		create role voip_tenant nologin;
	end if;
	if to_regrole('voip_owner') is null then
		create role voip_owner nologin;
	end if;
end
$$;

-- Server settings that no table holds: who may see replication and promote.
grant pg_monitor to voip_health, voip_failover;
grant pg_read_all_stats to voip_report;
grant pg_checkpoint to voip_failover;
grant alter system on parameter synchronous_standby_names to voip_failover;
alter role voip_failover replication;

-- A fault in one program must not take every connection from the others.
alter role voip_ext connection limit 20;
alter role voip_dirxml connection limit 20;
alter role voip_cdr_ingest connection limit 20;
alter role voip_cdr_flush connection limit 20;
alter role voip_cdr connection limit 20;
alter role voip_rec connection limit 10;
alter role voip_prune connection limit 5;
alter role voip_api connection limit 40;
alter role voip_watch connection limit 10;
alter role voip_reload connection limit 10;
alter role voip_health connection limit 10;
alter role voip_failover connection limit 10;
alter role voip_report connection limit 20;
-- Two proxies with some 12 connections beyond their workers each.
alter role kamailio connection limit 120;
