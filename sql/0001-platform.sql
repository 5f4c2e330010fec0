-- Schema voip: the one place where tenants, accounts, numbers and what they
-- point to are written.
--
-- Rules that hold for every table of a tenant:
--   * domain_id names the tenant, also where a parent row would tell it, so
--     that foreign keys hold both ends in one tenant and row-level security
--     needs no join.  Rows of a queue, group or menu take it from their
--     parent (voip.inherit_domain()).
--   * a row never moves to another tenant (voip.stay()).
--   * inactive rows are found nowhere; deleting what is in use is refused.

create schema if not exists voip authorization voip_owner;
create schema kamailio authorization voip_owner;
create schema monitoring authorization voip_owner;

-- Nothing of ours is for everybody; grant.sql says who may do what.
alter default privileges for role voip_owner
	revoke execute on functions from public;

set local role voip_owner;

-- --- what names and numbers may look like --------------------------------
-- The same rules as lib/valid.c, so that no way in is wider than another.

create function voip.is_domain(value text) returns boolean
language sql immutable parallel safe return
	length(value) <= 253 and value ~
	'^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$';

-- The alphabet that Kamailio's configuration admits.
create function voip.is_username(value text) returns boolean
language sql immutable parallel safe return
	value ~ '^[A-Za-z0-9_.+*#-]{1,64}$';

-- Text for people: no control characters.
create function voip.is_text(value text) returns boolean
language sql immutable parallel safe return
	length(value) between 1 and 128
	and value !~ '[\u0001-\u001f\u007f-\u009f]';

create function voip.is_host(value text) returns boolean
language sql immutable parallel safe return
	length(value) <= 253
	and value ~ '^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?|[[]?[0-9A-Fa-f:.]+[]]?)$';

-- An address list's name, an address or a network.
create function voip.is_acl(value text) returns boolean
language sql immutable parallel safe return
	value ~ '^[A-Za-z0-9_.:/-]{1,128}$';

create function voip.is_file(value text) returns boolean
language sql immutable parallel safe return
	length(value) between 1 and 1024
	and value !~ '[\u0001-\u001f\u007f-\u009f]';

-- --- patterns ------------------------------------------------------------
-- X is 0-9, Z is 1-9, N is 2-9, [15-7] one of these digits, '.' one or more
-- digits, at the end only; everything else stands for itself.

create function voip.is_pattern(value text) returns boolean
language sql immutable parallel safe return
	length(value) <= 64
	and value ~ '^[+]?([0-9*#XZN]|\[([0-9](-[0-9])?)+\])+[.]?$'
	-- no range that runs backwards
	and value !~ '(9-[0-8]|8-[0-7]|7-[0-6]|6-[0-5]|5-[0-4]|4-[0-3]|3-[0-2]|2-[01]|1-0)';

-- The anchored regular expression, or null when the value is a plain number.
create function voip.pattern_regex(value text) returns text
language sql immutable strict parallel safe return
	case when value ~ '[XZN.[]' and voip.is_pattern(value) then
		'^' || replace(replace(replace(replace(replace(replace(value,
			'+', '[+]'), '*', '[*]'), '.', '[0-9]+'),
			'X', '[0-9]'), 'Z', '[1-9]'), 'N', '[2-9]') || '$'
	end;

-- A sort key with one character for each place, the narrowest first: a
-- literal, a class by how many digits it holds, N, Z, X, and '.' last.  Two
-- patterns are compared from the left (collation C), so the one that is
-- narrower at the first place where they differ wins.
create function voip.pattern_rank(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
	place text;
	rank text := '';
begin
	for place in select m[1]
		from regexp_matches(value, '(\[[^]]*\]|.)', 'g') as m
	loop
		rank := rank || case
			when place = 'N' then 'L'
			when place = 'Z' then 'M'
			when place = 'X' then 'N'
			when place = '.' then 'Z'
			when place like '[%' then chr(ascii('A') + (
				select count(*)::int
				from generate_series(0, 9) as digit
				where digit::text ~ place))
			else 'A'
		end;
	end loop;
	return rank;
end
$$;

-- --- tenants -------------------------------------------------------------

create table voip.domains (
	id bigint generated always as identity primary key,
	domain text not null unique
		check (voip.is_domain(domain)),
	tenant_name text not null default ''
		check (tenant_name = '' or voip.is_text(tenant_name)),
	active boolean not null default true,
	auth_acl text check (voip.is_acl(auth_acl)),
	user_agent_filter text check (voip.is_text(user_agent_filter)),
	max_calls integer check (max_calls >= 0),
	max_registrations integer check (max_registrations >= 0),
	caller_id_name text check (voip.is_text(caller_id_name)),
	caller_id_number text check (voip.is_username(caller_id_number)),
	-- less than the platform keeps CDRs; null: as the platform
	cdr_keep_days integer check (cdr_keep_days between 1 and 36500),
	cdr_anonymise_days integer
		check (cdr_anonymise_days between 1 and 36500),
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);

create table voip.users (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	username text not null check (voip.is_username(username)),
	-- HA1: md5(user:domain:password), md5(user@domain:domain:password) for
	-- phones that send user@domain, sha256(user:domain:password).  Both the
	-- names are in it, so renaming an account needs new ones.  Without HA1
	-- nobody can log in.
	ha1 text check (ha1 ~ '^[0-9a-f]{32}$'),
	ha1b text check (ha1b ~ '^[0-9a-f]{32}$'),
	ha1_sha256 text check (ha1_sha256 ~ '^[0-9a-f]{64}$'),
	email text check (length(email) <= 254
		and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
	full_name text not null default ''
		check (full_name = '' or voip.is_text(full_name)),
	role text not null default 'agent'
		check (role in ('agent', 'supervisor', 'admin')),
	accountcode text check (voip.is_text(accountcode)),
	toll_allow text check (voip.is_text(toll_allow)),
	user_context text check (user_context ~ '^[A-Za-z0-9_.-]{1,64}$'),
	caller_id_name text check (voip.is_text(caller_id_name)),
	caller_id_number text check (voip.is_username(caller_id_number)),
	auth_acl text check (voip.is_acl(auth_acl)),
	user_agent_filter text check (voip.is_text(user_agent_filter)),
	forbid_register boolean not null default false,
	max_registrations integer check (max_registrations >= 0),
	max_calls integer check (max_calls >= 0),
	cidr cidr[] check (array_position(cidr, null) is null),
	reverse_auth_user text check (voip.is_username(reverse_auth_user)),
	reverse_auth_pass bytea,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, username),
	unique (domain_id, id),
	constraint users_ha1_both_check check ((ha1 is null) = (ha1b is null))
);

create table voip.groups (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	name text not null check (voip.is_text(name)),
	description text not null default ''
		check (description = '' or voip.is_text(description)),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, name),
	unique (domain_id, id)
);

create table voip.group_members (
	id bigint generated always as identity primary key,
	domain_id bigint not null,
	group_id bigint not null,
	user_id bigint not null,
	position integer not null default 1 check (position >= 0),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (group_id, user_id),
	foreign key (domain_id, group_id)
		references voip.groups (domain_id, id) on delete cascade,
	foreign key (domain_id, user_id) references voip.users (domain_id, id)
);
-- Indexes of references hold both their columns: a check of the foreign key
-- then never walks a whole tenant.
create index group_members_user_idx on voip.group_members (user_id, domain_id);

-- --- what a number can point to ------------------------------------------

create table voip.queues (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	name text not null check (voip.is_text(name)),
	extension text check (voip.is_username(extension)),
	strategy text not null default 'longest-idle-agent'
		check (strategy in ('ring-all', 'longest-idle-agent',
		'round-robin', 'top-down', 'agent-with-least-talk-time',
		'agent-with-fewest-calls', 'sequentially-by-agent-order',
		'random', 'ring-progressively')),
	-- seconds; 0 is without end
	max_wait_time integer not null default 300
		check (max_wait_time >= 0),
	max_wait_time_with_no_agent integer not null default 120
		check (max_wait_time_with_no_agent >= 0),
	tier_rules_apply boolean not null default true,
	discard_abandoned_after integer not null default 60
		check (discard_abandoned_after >= 0),
	music text check (voip.is_file(music)),
	record boolean not null default false,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, name),
	-- a file may let two change places
	unique (domain_id, extension) deferrable,
	unique (domain_id, id)
);

create table voip.queue_members (
	id bigint generated always as identity primary key,
	domain_id bigint not null,
	queue_id bigint not null,
	user_id bigint not null,
	tier integer not null default 1 check (tier >= 0),
	position integer not null default 1 check (position >= 0),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (queue_id, user_id),
	foreign key (domain_id, queue_id)
		references voip.queues (domain_id, id) on delete cascade,
	foreign key (domain_id, user_id) references voip.users (domain_id, id)
);
create index queue_members_user_idx on voip.queue_members (user_id, domain_id);

create table voip.ivr_menus (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	name text not null check (voip.is_text(name)),
	extension text check (voip.is_username(extension)),
	greeting_sound text check (voip.is_file(greeting_sound)),
	invalid_sound text check (voip.is_file(invalid_sound)),
	timeout_sound text check (voip.is_file(timeout_sound)),
	max_failures integer not null default 3
		check (max_failures between 1 and 100),
	max_timeouts integer not null default 3
		check (max_timeouts between 1 and 100),
	timeout_seconds integer not null default 5
		check (timeout_seconds between 1 and 600),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, name),
	-- a file may let two change places
	unique (domain_id, extension) deferrable,
	unique (domain_id, id)
);

create table voip.ivr_entries (
	id bigint generated always as identity primary key,
	domain_id bigint not null,
	ivr_id bigint not null,
	digit text not null check (digit ~ '^[0-9*#]{1,8}$'),
	action text not null
		check (action in ('transfer', 'queue', 'voicemail', 'sub-menu')),
	-- a number, a queue's name, a box's number, a menu's name
	action_data text not null check (voip.is_text(action_data)),
	order_num integer not null default 1 check (order_num >= 0),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (ivr_id, digit),
	foreign key (domain_id, ivr_id)
		references voip.ivr_menus (domain_id, id) on delete cascade
);

create table voip.voicemail_boxes (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	number text not null check (voip.is_username(number)),
	pin bytea, -- sealed
	email text check (length(email) <= 254
		and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
	-- keep the message after it was mailed
	keep boolean not null default true,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, number),
	unique (domain_id, id)
);

create table voip.conferences (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	number text not null check (voip.is_username(number)),
	description text not null default ''
		check (description = '' or voip.is_text(description)),
	pin bytea,           -- sealed
	moderator_pin bytea, -- sealed
	max_members integer check (max_members > 0),
	record boolean not null default false,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, number),
	unique (domain_id, id)
);

-- A trunk without a domain may be used by every tenant.  FreeSWITCH's gateway
-- names are global, so the name is too.
create table voip.trunks (
	id bigint generated always as identity primary key,
	domain_id bigint references voip.domains,
	name text not null unique check (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
	description text not null default ''
		check (description = '' or voip.is_text(description)),
	type text not null default 'sip' check (type in ('sip', 'pstn')),
	host text not null check (voip.is_host(host)),
	port integer not null default 5060 check (port between 1 and 65535),
	username text check (voip.is_text(username)),
	password bytea, -- sealed
	prefix text check (prefix ~ '^[+]?[0-9*#]{1,32}$'),
	register boolean not null default false,
	auth_acl text check (voip.is_acl(auth_acl)),
	user_agent_filter text check (voip.is_text(user_agent_filter)),
	max_calls integer check (max_calls >= 0),
	caller_id_name text check (voip.is_text(caller_id_name)),
	caller_id_number text check (voip.is_username(caller_id_number)),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	constraint trunks_register_needs_username_check
		check (not register or username is not null)
);
create index trunks_domain_idx on voip.trunks (domain_id);

create table voip.recording_policies (
	id bigint generated always as identity primary key,
	name text not null unique check (voip.is_text(name)),
	record_inbound boolean not null default false,
	record_outbound boolean not null default false,
	record_internal boolean not null default false,
	record_queue boolean not null default true,
	retention_days integer not null default 90
		check (retention_days between 1 and 36500),
	storage_path text not null default '/storage/recordings'
		check (storage_path ~ '^/' and voip.is_file(storage_path)
		and storage_path !~ '(^|/)[.][.](/|$)'),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);

-- --- numbers -------------------------------------------------------------
-- One row for each number of a tenant, whatever answers it.  Only trunk_out
-- may be a pattern: a user called "XENA" is no pattern.  A user's number
-- points to the user; the other types point to their row, or say in
-- service_ref what FreeSWITCH is told.

create table voip.extensions (
	id bigint generated always as identity primary key,
	domain_id bigint not null references voip.domains,
	extension text not null,
	type text not null check (type in ('user', 'queue', 'ivr',
		'voicemail', 'trunk_out', 'conference')),
	description text not null default ''
		check (description = '' or voip.is_text(description)),
	user_id bigint,
	queue_id bigint,
	ivr_id bigint,
	voicemail_box_id bigint,
	trunk_id bigint references voip.trunks,
	conference_id bigint,
	service_ref jsonb not null default '{}'
		check (jsonb_typeof(service_ref) = 'object'),
	-- null is written as the type wants it (voip.default_need_media())
	need_media boolean not null,
	recording_policy_id bigint references voip.recording_policies,
	pattern_re text generated always as (case when type = 'trunk_out'
		then voip.pattern_regex(extension) end) stored,
	pattern_rank text collate "C" generated always as (
		case when type = 'trunk_out'
		and voip.pattern_regex(extension) is not null
		then voip.pattern_rank(extension) end) stored,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	unique (domain_id, extension),
	constraint extensions_extension_check check (
		case when type = 'trunk_out' then voip.is_pattern(extension)
		else voip.is_username(extension) end),
	constraint extensions_user_check
		check ((type = 'user') = (user_id is not null)),
	constraint extensions_queue_check
		check (type = 'queue' or queue_id is null),
	constraint extensions_ivr_check
		check (type = 'ivr' or ivr_id is null),
	constraint extensions_voicemail_check
		check (type = 'voicemail' or voicemail_box_id is null),
	constraint extensions_trunk_check
		check (type = 'trunk_out' or trunk_id is null),
	constraint extensions_conference_check
		check (type = 'conference' or conference_id is null),
	constraint extensions_need_media_check
		check (need_media or type in ('user', 'trunk_out')),
	foreign key (domain_id, user_id) references voip.users (domain_id, id),
	foreign key (domain_id, queue_id)
		references voip.queues (domain_id, id),
	foreign key (domain_id, ivr_id)
		references voip.ivr_menus (domain_id, id),
	foreign key (domain_id, voicemail_box_id)
		references voip.voicemail_boxes (domain_id, id),
	foreign key (domain_id, conference_id)
		references voip.conferences (domain_id, id)
);
create index extensions_service_ref_idx on voip.extensions
	using gin (service_ref jsonb_path_ops);
create index extensions_pattern_idx on voip.extensions (domain_id)
	where pattern_re is not null;
create index extensions_user_idx on voip.extensions (user_id, domain_id)
	where user_id is not null;
create index extensions_queue_idx on voip.extensions (queue_id, domain_id)
	where queue_id is not null;
create index extensions_ivr_idx on voip.extensions (ivr_id, domain_id)
	where ivr_id is not null;
create index extensions_voicemail_box_idx
	on voip.extensions (voicemail_box_id, domain_id)
	where voicemail_box_id is not null;
create index extensions_trunk_idx on voip.extensions (trunk_id)
	where trunk_id is not null;
create index extensions_conference_idx
	on voip.extensions (conference_id, domain_id)
	where conference_id is not null;
create index extensions_recording_policy_idx
	on voip.extensions (recording_policy_id)
	where recording_policy_id is not null;

-- --- the platform --------------------------------------------------------

-- Where Kamailio sends calls: set 1 FreeSWITCH, set 2 gateways.
create table voip.media_nodes (
	id bigint generated always as identity primary key,
	set_id integer not null default 1 check (set_id between 0 and 32767),
	destination text not null check (length(destination) <= 192
		and destination ~ '^sips?:[A-Za-z0-9_.:;=@+[\]-]+$'),
	priority integer not null default 0,
	weight integer not null default 50 check (weight between 0 and 100),
	max_calls integer check (max_calls > 0),
	description text not null default ''
		check (description = '' or (voip.is_text(description)
		and length(description) <= 64)),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	-- one address has one place, so that it is a name
	unique (destination)
);

-- Peers that are believed by their address: group 1 is free of the flood
-- limit; the proxy's configuration names the others.
create table voip.trusted_addresses (
	id bigint generated always as identity primary key,
	grp integer not null default 1 check (grp > 0),
	address cidr not null,
	port integer not null default 0 check (port between 0 and 65535),
	tag text not null default '' check (tag = '' or (voip.is_text(tag)
		and length(tag) <= 64)),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	-- as above
	unique (address)
);

-- Looked at before any tenant's numbers, for every tenant.
create table voip.emergency_numbers (
	id bigint generated always as identity primary key,
	number text not null unique check (voip.is_pattern(number)),
	description text not null default ''
		check (description = '' or voip.is_text(description)),
	trunk_id bigint references voip.trunks,
	pattern_re text generated always as (voip.pattern_regex(number)) stored,
	pattern_rank text collate "C"
		generated always as (voip.pattern_rank(number)) stored,
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);

-- Only a hash of the key is kept.  Without a domain it is the operator's.
create table voip.api_keys (
	id bigint generated always as identity primary key,
	domain_id bigint references voip.domains,
	key_name text not null unique check (voip.is_text(key_name)),
	hash text not null unique check (hash ~ '^[0-9a-f]{64}$'),
	-- {"cdr": "read", "users": "write"}
	permissions jsonb not null default '{}'
		check (jsonb_typeof(permissions) = 'object'
		and not jsonb_path_exists(permissions, 'strict $.* ?
			(@.type() != "string" || (@ != "read" && @ != "write"))')),
	active boolean not null default true,
	expires_at timestamptz,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create index api_keys_domain_idx on voip.api_keys (domain_id);

-- Which tenant a role of the database that is a member of voip_tenant is held
-- to (voip.scope_domain()).
create table voip.domain_admins (
	id bigint generated always as identity primary key,
	role_name text not null unique
		check (role_name ~ '^[A-Za-z0-9_.-]{1,63}$'),
	domain_id bigint not null references voip.domains,
	description text not null default ''
		check (description = '' or voip.is_text(description)),
	active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create index domain_admins_domain_idx on voip.domain_admins (domain_id);

-- --- what rows get by themselves -----------------------------------------

create function voip.touch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	new.updated_at := now();
	return new;
end
$$;

create function voip.stay() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	raise exception 'a row of % cannot move to another domain',
		tg_table_name using errcode = 'check_violation',
		hint = 'remove it and add it to the other domain';
end
$$;

-- The tenant of a row that is part of another: TG_ARGV is the parent's table
-- and the column that points to it.
create function voip.inherit_domain() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	execute format('select domain_id from voip.%I where id = $1', tg_argv[0])
		into new.domain_id
		using (to_jsonb(new) ->> tg_argv[1])::bigint;
	if new.domain_id is null then
		raise exception 'there is no row % in %',
			to_jsonb(new) ->> tg_argv[1], tg_argv[0]
			using errcode = 'foreign_key_violation';
	end if;
	return new;
end
$$;

create trigger inherit_domain before insert on voip.group_members
	for each row execute function voip.inherit_domain('groups', 'group_id');
create trigger inherit_domain before insert on voip.queue_members
	for each row execute function voip.inherit_domain('queues', 'queue_id');
create trigger inherit_domain before insert on voip.ivr_entries
	for each row execute function voip.inherit_domain('ivr_menus', 'ivr_id');

-- A whole goes with its parts: they go first, while there is a whole that they
-- can be named after.  TG_ARGV is their table and the column that points here.
create function voip.remove_parts() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	execute format('delete from voip.%I where %I = $1', tg_argv[0],
		tg_argv[1]) using old.id;
	return old;
end
$$;

create trigger remove_parts before delete on voip.groups
	for each row execute function voip.remove_parts('group_members', 'group_id');
create trigger remove_parts before delete on voip.queues
	for each row execute function voip.remove_parts('queue_members', 'queue_id');
create trigger remove_parts before delete on voip.ivr_menus
	for each row execute function voip.remove_parts('ivr_entries', 'ivr_id');

-- A user's phone needs no media server unless somebody says so; everything
-- else does.
create function voip.default_need_media() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	new.need_media := new.type <> 'user';
	return new;
end
$$;

-- A tenant uses its own trunks and the shared ones.
create function voip.own_trunk() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	if exists (select from voip.trunks as t
		where t.id = new.trunk_id and t.domain_id <> new.domain_id)
	then
		raise exception 'trunk % belongs to another domain', new.trunk_id
			using errcode = 'foreign_key_violation';
	end if;
	return new;
end
$$;

create trigger default_need_media before insert or update on voip.extensions
	for each row when (new.need_media is null)
	execute function voip.default_need_media();
create trigger own_trunk before insert or update on voip.extensions
	for each row when (new.trunk_id is not null)
	execute function voip.own_trunk();

reset role;
