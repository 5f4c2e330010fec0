-- Schema kamailio: the tables that Kamailio writes are real, with the version
-- numbers of its modules (the same from 5.6 to 6.1); what it only reads are
-- views over schema voip, so an account is in one place.  Column types are
-- those that db_postgres maps without a warning: varchar, int2, int4.
--
-- Wider than Kamailio's own scripts: domains hold the 253 characters of a DNS
-- name, and the accounting tables have the columns of its db_extra.

set local role voip_owner;

create table kamailio.version (
	id serial primary key,
	table_name varchar(32) not null unique,
	table_version integer not null default 0
);

insert into kamailio.version (table_name, table_version) values
	('version', 1), ('location', 9), ('location_attrs', 1), ('acc', 5),
	('missed_calls', 4), ('dialog', 7), ('dialog_vars', 1),
	('domain_attrs', 1), ('htable', 2),
	('subscriber', 7), ('domain', 2), ('dispatcher', 4), ('address', 6),
	('emergency', 2);

create table kamailio.location (
	id serial primary key,
	ruid varchar(64) not null default '' unique,
	username varchar(64) not null default '',
	domain varchar(253),
	contact varchar(512) not null default '',
	received varchar(128),
	path varchar(512),
	expires timestamp not null default '2030-05-28 21:32:15',
	q real not null default 1.0,
	callid varchar(255) not null default 'Default-Call-ID',
	cseq integer not null default 1,
	last_modified timestamp not null default '2000-01-01 00:00:01',
	flags integer not null default 0,
	cflags integer not null default 0,
	user_agent varchar(255) not null default '',
	socket varchar(64),
	methods integer,
	instance varchar(255),
	reg_id integer not null default 0,
	server_id integer not null default 0,
	connection_id integer not null default 0,
	keepalive integer not null default 0,
	partition integer not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index location_account_contact_idx
	on kamailio.location (username, domain, contact);
create index location_expires_idx on kamailio.location (expires);
create index location_connection_idx
	on kamailio.location (server_id, connection_id);

-- Two proxies that tell each other of registrations write the same rows.
create function kamailio.location_once() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	delete from kamailio.location where ruid = new.ruid;
	return new;
end
$$;

create trigger once before insert on kamailio.location
	for each row execute function kamailio.location_once();

create table kamailio.location_attrs (
	id serial primary key,
	ruid varchar(64) not null default '',
	username varchar(64) not null default '',
	domain varchar(253),
	aname varchar(64) not null default '',
	atype integer not null default 0,
	avalue varchar(512) not null default '',
	last_modified timestamp not null default '2000-01-01 00:00:01'
);
create index location_attrs_account_record_idx
	on kamailio.location_attrs (username, domain, ruid);
create index location_attrs_last_modified_idx
	on kamailio.location_attrs (last_modified);

create table kamailio.acc (
	id serial primary key,
	method varchar(16) not null default '',
	from_tag varchar(128) not null default '',
	to_tag varchar(128) not null default '',
	callid varchar(255) not null default '',
	sip_code varchar(3) not null default '',
	sip_reason varchar(128) not null default '',
	time timestamp not null,
	src_user varchar(64) not null default '',
	src_domain varchar(253) not null default '',
	src_ip varchar(64) not null default '',
	dst_ouser varchar(64) not null default '',
	dst_user varchar(64) not null default '',
	dst_domain varchar(253) not null default '',
	service varchar(255) not null default ''
);
create index acc_callid_idx on kamailio.acc (callid);
create index acc_time_idx on kamailio.acc using brin (time);

create table kamailio.missed_calls (
	like kamailio.acc including defaults including constraints,
	primary key (id)
);
create sequence kamailio.missed_calls_id_seq as integer
	owned by kamailio.missed_calls.id;
alter table kamailio.missed_calls
	alter id set default nextval('kamailio.missed_calls_id_seq');
create index missed_calls_callid_idx on kamailio.missed_calls (callid);
create index missed_calls_time_idx on kamailio.missed_calls using brin (time);

-- What the proxy queued about calls: each argument is a row in hexadecimal
-- digits, its columns separated by tabs, the first of them saying which table.
-- Written by one process when the database has time, never by one that has a
-- call.  The number of rows.
create function kamailio.account(variadic rows text[]) returns integer
language sql set search_path = pg_catalog, pg_temp as $$
	with r as (
		select string_to_array(replace(convert_from(
			decode(h, 'hex'), 'LATIN1'), '<null>', ''), E'\t') as f
		from unnest(rows) as h
	), c as (
		select f[1] as event, left(f[3], 16) as method,
			left(f[4], 128) as from_tag, left(f[5], 128) as to_tag,
			left(f[6], 255) as callid, left(f[7], 3) as sip_code,
			left(f[8], 128) as sip_reason,
			to_timestamp(f[2]::bigint)::timestamp as time,
			left(coalesce(f[9], ''), 64) as src_user,
			left(coalesce(f[10], ''), 253) as src_domain,
			left(coalesce(f[11], ''), 64) as src_ip,
			left(coalesce(f[12], ''), 64) as dst_ouser,
			left(coalesce(f[13], ''), 64) as dst_user,
			left(coalesce(f[14], ''), 253) as dst_domain,
			left(coalesce(f[15], ''), 255) as service
		from r
	), acc as (
		insert into kamailio.acc (method, from_tag, to_tag, callid,
			sip_code, sip_reason, time, src_user, src_domain,
			src_ip, dst_ouser, dst_user, dst_domain, service)
		select method, from_tag, to_tag, callid, sip_code, sip_reason,
			time, src_user, src_domain, src_ip, dst_ouser,
			dst_user, dst_domain, service
		from c where event = 'acc'
	), missed as (
		insert into kamailio.missed_calls (method, from_tag, to_tag,
			callid, sip_code, sip_reason, time, src_user,
			src_domain, src_ip, dst_ouser, dst_user, dst_domain,
			service)
		select method, from_tag, to_tag, callid, sip_code, sip_reason,
			time, src_user, src_domain, src_ip, dst_ouser,
			dst_user, dst_domain, service
		from c where event = 'missed'
	)
	select count(*)::integer from c
$$;

create table kamailio.dialog (
	id serial primary key,
	hash_entry integer not null,
	hash_id integer not null,
	callid varchar(255) not null,
	from_uri varchar(255) not null,
	from_tag varchar(128) not null,
	to_uri varchar(255) not null,
	to_tag varchar(128) not null,
	caller_cseq varchar(20) not null,
	callee_cseq varchar(20) not null,
	caller_route_set varchar(512),
	callee_route_set varchar(512),
	caller_contact varchar(255) not null,
	callee_contact varchar(255) not null,
	caller_sock varchar(64) not null,
	callee_sock varchar(64) not null,
	state integer not null,
	start_time integer not null,
	timeout integer not null default 0,
	sflags integer not null default 0,
	iflags integer not null default 0,
	toroute_name varchar(32),
	req_uri varchar(255) not null,
	xdata varchar(512)
);
create index dialog_hash_idx on kamailio.dialog (hash_entry, hash_id);

create table kamailio.dialog_vars (
	id serial primary key,
	hash_entry integer not null,
	hash_id integer not null,
	dialog_key varchar(128) not null,
	dialog_value varchar(512) not null
);
create index dialog_vars_hash_idx on kamailio.dialog_vars (hash_entry, hash_id);

-- The domain module reads it; we have nothing to say there.
create table kamailio.domain_attrs (
	id serial primary key,
	did varchar(253) not null,
	name varchar(32) not null,
	type integer not null,
	value varchar(255) not null,
	last_modified timestamp not null default '2000-01-01 00:00:01'
);
create index domain_attrs_domain_attrs_idx on kamailio.domain_attrs (did, name);

create table kamailio.htable (
	id serial primary key,
	key_name varchar(256) not null default '',
	key_type integer not null default 0,
	value_type integer not null default 0,
	key_value varchar(512) not null default '',
	expires integer not null default 0
);

-- --- what Kamailio only reads --------------------------------------------

create view kamailio.subscriber as
select u.id::integer as id, u.username::varchar(64) as username,
	d.domain::varchar(253) as domain, ''::varchar(64) as password,
	u.ha1::varchar(128) as ha1, u.ha1b::varchar(128) as ha1b
from voip.users as u join voip.domains as d on d.id = u.domain_id
where u.active and d.active and u.ha1 is not null and u.ha1b is not null;

create view kamailio.domain as
select id::integer as id, domain::varchar(253) as domain,
	domain::varchar(253) as did,
	timestamp '2000-01-01 00:00:01' as last_modified
from voip.domains where active;

-- The dispatcher set of a trunk that can be called without FreeSWITCH: it has
-- an address (a name would be resolved when Kamailio starts, and never again)
-- and asks for no password.  Otherwise null.
create function voip.trunk_set(id bigint, host text, username text)
returns integer
language sql immutable parallel safe return
	case when username is null and host ~
		'^([0-9]{1,3}([.][0-9]{1,3}){3}|[[][0-9A-Fa-f:.]+[]])$'
	then (100000 + id)::integer end;

create view kamailio.dispatcher as
select id::integer as id, set_id as setid,
	destination::varchar(192) as destination, 0 as flags, priority,
	('weight=' || weight || ';duid=n' || id
		|| coalesce(';maxload=' || max_calls, ''))::varchar(128) as attrs,
	description::varchar(64) as description
from voip.media_nodes where active
union all
select -id::integer, voip.trunk_set(id, host, username),
	('sip:' || host || ':' || port)::varchar(192), 0, 0,
	('duid=t' || id)::varchar(128), name::varchar(64)
from voip.trunks
where active and voip.trunk_set(id, host, username) is not null;

-- The emergency numbers, read at start into memory: they are known also when
-- the database is away.  A plain number or a regular expression.
create view kamailio.emergency as
select id::integer as id,
	coalesce(pattern_re, '^'
		|| replace(replace(number, '+', '[+]'), '*', '[*]')
		|| '$')::varchar(256) as key_name,
	0 as key_type, 0 as value_type, '1'::varchar(512) as key_value,
	0 as expires
from voip.emergency_numbers where active;

create view kamailio.address as
select id::integer as id, grp, host(address)::varchar(50) as ip_addr,
	masklen(address) as mask, port, tag::varchar(64) as tag
from voip.trusted_addresses where active;

reset role;
