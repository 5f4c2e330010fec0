#!/usr/bin/env bats
# The schema itself, loaded file by file into a cluster of its own.
# shellcheck disable=SC2154

bats_require_minimum_version 1.5.0
load cluster

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export cluster_base
	cluster_init node
	cluster_start node
	export PGHOST=$cluster_base/node PGUSER=postgres
	cluster_load template
}

teardown_file() {
	cluster_remove
}

# Each test has a database of its own, and two tenants in it.
setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	export PGDATABASE=t$BATS_TEST_NUMBER
	psql -Xq -d postgres -c "create database $PGDATABASE
		template template owner voip_owner"
	sql "insert into voip.domains (domain)
		values ('a.example.com'), ('b.example.com');
	insert into voip.users (domain_id, username, ha1, ha1b)
		select d.id, n, md5(n), md5(d.domain || n)
		from voip.domains as d, (values ('1001'), ('1002')) as v(n)
		where d.domain <> 'default.local';
	insert into voip.extensions (domain_id, extension, type, user_id)
		select domain_id, username, 'user', id from voip.users"
}

teardown() {
	psql -Xq -d postgres -c "drop database $PGDATABASE with (force)"
}

sql() {
	psql -XqAt -v ON_ERROR_STOP=1 -c "$1"
}

sql_as() {
	psql -XqAt -v ON_ERROR_STOP=1 -c "set role $1" -c "$2"
}

# Standard input: the constraint, a tab, the statement that it refuses.
refuses_each() {
	local constraint statement

	while IFS=$'\t' read -r constraint statement; do
		run -1 sql "$statement"
		[[ $output == *"constraint \"$constraint\""* ]] || {
			echo "$statement: $output"
			return 1
		}
	done
}

@test "cluster.sql and grant.sql change nothing when they are run again" {
	local before after rights="select string_agg(x::text, ' ' order by x::text)
		from (select relname, relacl::text from pg_class
		where relnamespace::regnamespace::text in ('voip', 'kamailio')
		union all select proname, proacl::text from pg_proc
		where pronamespace::regnamespace::text = 'voip'
		union all select polname, polrelid::regclass::text || polroles::text
		from pg_policy
		union all select nspname, nspacl::text from pg_namespace) as x"

	before=$(sql "$rights")
	psql -Xq -d postgres -v ON_ERROR_STOP=1 -1 -f sql/cluster.sql
	psql -XqAt -v ON_ERROR_STOP=1 -1 -f sql/grant.sql
	after=$(sql "$rights")
	[ -n "$before" ]
	[ "$before" = "$after" ]
}

@test "a copy of the template has its roles' settings after grant.sql" {
	run -0 psql -XqAt -U kamailio -c 'show search_path'
	[ "$output" != kamailio ]
	psql -XqAt -v ON_ERROR_STOP=1 -1 -f sql/grant.sql
	run -0 psql -XqAt -U kamailio -c 'show search_path' \
		-c 'show statement_timeout' -c 'show lock_timeout'
	[ "$output" = $'kamailio\n3s\n1s' ]
	psql -XqAt -U kamailio -c 'select count(*) from subscriber'
}

@test "the first rows are there" {
	run -0 sql "select domain, tenant_name from voip.domains where id = 1"
	[ "$output" = 'default.local|Default Tenant' ]
	run -0 sql "select name, record_inbound, record_outbound,
		record_internal, record_queue, retention_days, storage_path
		from voip.recording_policies"
	[ "$output" = \
	'Default Queue Recording|f|f|f|t|90|/storage/recordings' ]
	run -0 sql "select table_name, action, key from voip.audit
		where key in ('default.local', 'Default Queue Recording')
		order by table_name"
	[ "$output" = $'domains|insert|default.local
recording_policies|insert|Default Queue Recording' ]
}

@test "columns have the defaults of the specification" {
	run -0 sql "insert into voip.queues (domain_id, name) values (1, 'q')
		returning max_wait_time, max_wait_time_with_no_agent,
		tier_rules_apply, discard_abandoned_after, active"
	[ "$output" = '300|120|t|60|t' ]
	run -0 sql "insert into voip.ivr_menus (domain_id, name)
		values (1, 'm') returning max_failures, max_timeouts,
		timeout_seconds"
	[ "$output" = '3|3|5' ]
	run -0 sql "insert into voip.trunks (name, host) values ('t', 'h')
		returning type, port, register, domain_id is null"
	[ "$output" = 'sip|5060|f|t' ]
	run -0 sql "insert into voip.queue_members (queue_id, user_id)
		select (select id from voip.queues), id from voip.users
		limit 0; insert into voip.users (domain_id, username)
		values (1, '1') returning role, forbid_register, ha1 is null"
	[ "$output" = 'agent|f|t' ]
}

@test "every check refuses what it must" {
	refuses_each <<-'TABLE'
	domains_domain_check	insert into voip.domains (domain) values ('A.example.com')
	domains_domain_check	insert into voip.domains (domain) values ('-a.example.com')
	domains_domain_check	insert into voip.domains (domain) values ('a..b')
	domains_domain_check	insert into voip.domains (domain) values (E'a.b\n')
	domains_domain_check	insert into voip.domains (domain) values ('')
	domains_domain_check	insert into voip.domains (domain) values (repeat('a', 64))
	domains_domain_key	insert into voip.domains (domain) values ('a.example.com')
	domains_tenant_name_check	insert into voip.domains (domain, tenant_name) values ('x', E'a\tb')
	domains_max_calls_check	insert into voip.domains (domain, max_calls) values ('x', -1)
	users_username_check	insert into voip.users (domain_id, username) values (1, 'a b')
	users_username_check	insert into voip.users (domain_id, username) values (1, '')
	users_username_check	insert into voip.users (domain_id, username) values (1, E'a\n')
	users_domain_id_username_key	insert into voip.users (domain_id, username) values (2, '1001')
	users_ha1_check	insert into voip.users (domain_id, username, ha1, ha1b) values (1, 'a', 'x', md5('b'))
	users_ha1_check	insert into voip.users (domain_id, username, ha1, ha1b) values (1, 'a', upper(md5('a')), md5('b'))
	users_ha1b_check	insert into voip.users (domain_id, username, ha1, ha1b) values (1, 'a', md5('b'), '')
	users_ha1_both_check	insert into voip.users (domain_id, username, ha1) values (1, 'a', md5('b'))
	users_ha1_sha256_check	insert into voip.users (domain_id, username, ha1_sha256) values (1, 'a', md5('b'))
	users_role_check	insert into voip.users (domain_id, username, role) values (1, 'a', 'root')
	users_email_check	insert into voip.users (domain_id, username, email) values (1, 'a', 'nobody')
	users_full_name_check	insert into voip.users (domain_id, username, full_name) values (1, 'a', repeat('x', 129))
	users_cidr_check	insert into voip.users (domain_id, username, cidr) values (1, 'a', '{10.0.0.0/8,null}')
	users_domain_id_fkey	insert into voip.users (domain_id, username) values (99, 'a')
	extensions_type_check	insert into voip.extensions (domain_id, extension, type) values (1, '1', 'fax')
	extensions_extension_check	insert into voip.extensions (domain_id, extension, type) values (1, '[1-2]', 'queue')
	extensions_extension_check	insert into voip.extensions (domain_id, extension, type) values (1, '[2-1]X', 'trunk_out')
	extensions_extension_check	insert into voip.extensions (domain_id, extension, type) values (1, '[]X', 'trunk_out')
	extensions_extension_check	insert into voip.extensions (domain_id, extension, type) values (1, '0.X', 'trunk_out')
	extensions_extension_check	insert into voip.extensions (domain_id, extension, type) values (1, 'abc', 'trunk_out')
	extensions_extension_check	insert into voip.extensions (domain_id, extension, type) values (1, '.', 'trunk_out')
	extensions_user_check	insert into voip.extensions (domain_id, extension, type) values (1, '1', 'user')
	extensions_user_check	insert into voip.extensions (domain_id, extension, type, user_id) values (2, '1', 'queue', 1)
	extensions_trunk_check	insert into voip.trunks (name, host) values ('t', 'h'); insert into voip.extensions (domain_id, extension, type, trunk_id) select 2, '1', 'queue', id from voip.trunks
	extensions_need_media_check	insert into voip.extensions (domain_id, extension, type, need_media) values (1, '1', 'queue', false)
	extensions_service_ref_check	insert into voip.extensions (domain_id, extension, type, service_ref) values (1, '1', 'queue', '[]')
	extensions_domain_id_extension_key	insert into voip.extensions (domain_id, extension, type) values (2, '1001', 'queue')
	extensions_domain_id_user_id_fkey	insert into voip.extensions (domain_id, extension, type, user_id) select 3, '9', 'user', id from voip.users where domain_id = 2 limit 1
	queues_strategy_check	insert into voip.queues (domain_id, name, strategy) values (1, 'q', 'fair')
	queues_max_wait_time_check	insert into voip.queues (domain_id, name, max_wait_time) values (1, 'q', -1)
	ivr_entries_action_check	insert into voip.ivr_menus (domain_id, name) values (1, 'm'); insert into voip.ivr_entries (ivr_id, digit, action, action_data) select id, '1', 'dial', 'x' from voip.ivr_menus
	ivr_entries_digit_check	insert into voip.ivr_menus (domain_id, name) values (1, 'm'); insert into voip.ivr_entries (ivr_id, digit, action, action_data) select id, 'a', 'queue', 'x' from voip.ivr_menus
	trunks_name_check	insert into voip.trunks (name, host) values ('a b', 'h')
	trunks_type_check	insert into voip.trunks (name, host, type) values ('a', 'h', 'isdn')
	trunks_port_check	insert into voip.trunks (name, host, port) values ('a', 'h', 65536)
	trunks_host_check	insert into voip.trunks (name, host) values ('a', 'h;transport=tcp')
	trunks_register_needs_username_check	insert into voip.trunks (name, host, register) values ('a', 'h', true)
	recording_policies_retention_days_check	insert into voip.recording_policies (name, retention_days) values ('p', 0)
	recording_policies_storage_path_check	insert into voip.recording_policies (name, storage_path) values ('p', '/a/../b')
	recording_policies_storage_path_check	insert into voip.recording_policies (name, storage_path) values ('p', 'a')
	media_nodes_destination_check	insert into voip.media_nodes (destination) values ('10.0.0.1')
	media_nodes_destination_check	insert into voip.media_nodes (destination) values (E'sip:a\r\nb')
	media_nodes_weight_check	insert into voip.media_nodes (destination, weight) values ('sip:a', 101)
	trusted_addresses_port_check	insert into voip.trusted_addresses (address, port) values ('10.0.0.1', -1)
	emergency_numbers_number_check	insert into voip.emergency_numbers (number) values ('abc')
	api_keys_hash_check	insert into voip.api_keys (key_name, hash) values ('k', 'secret')
	api_keys_permissions_check	insert into voip.api_keys (key_name, hash, permissions) values ('k', encode(sha256('x'), 'hex'), '1')
	TABLE
}

@test "a number points to a row of its own tenant, and what is in use stays" {
	run -1 sql "delete from voip.users where username = '1001'"
	[[ $output == *'is still referenced from table "extensions"'* ]]
	run -1 sql "insert into voip.trunks (name, host, domain_id)
		values ('t', 'h', 2); insert into voip.extensions
		(domain_id, extension, type, trunk_id)
		select 3, '0X', 'trunk_out', id from voip.trunks"
	[[ $output == *'belongs to another domain'* ]]
	sql "insert into voip.queues (domain_id, name) values (2, 'sales')"
	run -1 sql "insert into voip.queue_members (queue_id, user_id)
		select 1, id from voip.users where domain_id = 3"
	[[ $output == *'queue_members_domain_id_user_id_fkey'* ]]
	sql "insert into voip.queue_members (queue_id, user_id)
		select 1, id from voip.users where domain_id = 2"
	run -1 sql "update voip.queues set domain_id = 3"
	[[ $output == *'a row of queues cannot move to another domain'* ]]
	sql "delete from voip.queues"
	run -0 sql "select count(*) from voip.queue_members"
	[ "$output" = 0 ]
}

@test "need_media follows the type, and updated_at the change" {
	run -0 sql "insert into voip.extensions (domain_id, extension, type)
		values (1, '8001', 'queue') returning need_media"
	[ "$output" = t ]
	run -0 sql "select bool_or(need_media) from voip.extensions
		where type = 'user'"
	[ "$output" = f ]
	run -0 sql "update voip.extensions set description = 'x'
		returning updated_at > created_at"
	[ "${lines[0]}" = t ]
}

# The lines `KIND VALUE` of a golden file, as statements.
route_setup() {
	local kind value

	while IFS= read -r line; do
		kind=${line%% *} value=${line#* }
		case $kind in
		emergency) echo "insert into voip.emergency_numbers (number)
			values ('$value');" ;;
		pattern | exact) echo "insert into voip.extensions
			(domain_id, extension, type)
			values (2, '$value', 'trunk_out');" ;;
		user) echo "with u as (insert into voip.users
			(domain_id, username) values (2, '$value')
			on conflict (domain_id, username) do update
			set active = true returning id)
			insert into voip.extensions (domain_id, extension,
			type, user_id) select 2, '$value', 'user', id from u
			on conflict do nothing;" ;;
		esac
	done <"$1"
}

@test "routes are those of the golden files" {
	local file line expected actual

	for file in tests/data/route/*.in; do
		sql "delete from voip.extensions where type = 'trunk_out';
		delete from voip.emergency_numbers; $(route_setup "$file")"
		actual=$(grep '^dial ' "$file" | while IFS= read -r line; do
			psql -XqAt -F ' ' -v n="${line#dial }" <<-'SQL'
			select :'n', coalesce((select matched || ' ' || pattern
			from voip.route('a.example.com', :'n')), '-');
			SQL
		done)
		expected=$(cat "${file%.in}.out")
		diff <(echo "$expected") <(echo "$actual")
	done
}

@test "route tells type, destination and why; the packed form the same" {
	sql "insert into voip.queues (domain_id, name)
		values (2, E'sales \\042|;x');
	insert into voip.extensions (domain_id, extension, type, queue_id,
		service_ref) values (2, '8001', 'queue', 1,
		'{\"prio\": 3, \"a\\r\\nX-Evil\": \"b;c=1\"}')"
	run -0 sql "select matched, pattern, reason, type, aor_user,
		need_media, dispatcher_set, service
		from voip.route('a.example.com', '8001')"
	[ "$output" = 'exact|8001|extension 8001 of a.example.com|queue|8001|t|1|queue;aX-Evil=bc1;name=salesx;prio=3;queue_id=1' ]
	run -0 sql_as kamailio \
		"select voip.route_packed('a.example.com', '8001')"
	[ "$output" = 'queue|8001|1|1|queue;aX-Evil=bc1;name=salesx;prio=3;queue_id=1|x||||||' ]
	run -0 sql_as kamailio \
		"select voip.route_packed('a.example.com', '1001')"
	[ "$output" = 'user|1001|0|1|user|x||||||' ]
	run -0 sql_as kamailio \
		"select voip.route_packed('c.example.com', '1001')"
	[ -z "$output" ]
}

@test "the packed route has the limits, and the number as a direct trunk wants it" {
	sql "insert into voip.trunks (name, host, prefix, max_calls,
		caller_id_number, caller_id_name)
		values ('direct', '192.0.2.9', '9', 30, '+431234567',
			E'\"Us\" | all');
	insert into voip.trunks (name, host, username)
		values ('password', '192.0.2.10', 'us'),
		('name', 'sip.example.net', null);
	insert into voip.extensions (domain_id, extension, type, trunk_id,
		need_media, service_ref)
		select 2, case name when 'direct' then '0X.' when 'name'
			then '1X.' else '2X.' end, 'trunk_out', id, false,
			'{\"strip\": 1}' from voip.trunks;
	insert into voip.emergency_numbers (number, trunk_id)
		select '112', id from voip.trunks where name = 'direct';
	update voip.domains set max_calls = 20 where id = 2;
	update voip.users set max_calls = 2
		where domain_id = 2 and username = '1001'"
	run -0 sql_as kamailio "select replace(p,
		(select setid::text from kamailio.dispatcher
		where description = 'direct'), 'SET')
		from unnest('{0123,1123,2123,1001,112}'::text[]) as n,
		voip.route_packed('a.example.com', n) as p"
	[ "$output" = 'trunk_out|9123|0|SET|trunk_out;name=direct;strip=1;trunk_id=1|p||20|direct|30|+431234567|Us  all
trunk_out|123|0|2|trunk_out;name=name;strip=1;trunk_id=3|p||20|name|||
trunk_out|123|0|2|trunk_out;name=password;strip=1;trunk_id=2|p||20|password|||
user|1001|0|1|user|x|2|20||||
trunk_out|112|1|1|trunk_out;emergency=1;name=direct;trunk_id=1|e||20|direct|30|+431234567|Us  all' ]
	run -0 sql_as kamailio "select destination, attrs
		from kamailio.dispatcher where setid > 100000"
	[ "$output" = 'sip:192.0.2.9:5060|duid=t1' ]
	run -0 sql_as kamailio "select key_name, key_value
		from kamailio.emergency"
	[ "$output" = '^112$|1' ]
}

@test "an account is one value for Kamailio: secret, limits, caller and where from" {
	local hash other
	hash=$(printf 1001 | md5sum | cut -c1-32)
	other=$(printf a.example.com1001 | md5sum | cut -c1-32)
	run -0 sql_as kamailio \
		"select voip.account_packed('a.example.com', '1001')"
	[ "$output" = "$hash|$other|0|||||||" ]
	sql "update voip.domains set max_calls = 20, max_registrations = 3,
		caller_id_number = '+4311', caller_id_name = 'A|B'
		where id = 2;
	update voip.users set forbid_register = true, max_calls = 2,
		cidr = '{10.0.0.0/8,192.0.2.1/32}',
		user_agent_filter = '^(a|b)'
		where domain_id = 2 and username = '1001'"
	run -0 sql_as kamailio \
		"select voip.account_packed('a.example.com', '1001')"
	[ "$output" = "$hash|$other|1|3|2|20|+4311|AB|10.0.0.0/8,192.0.2.1/32|^(a|b)" ]
	sql "update voip.users set active = false where domain_id = 2"
	run -0 sql_as kamailio \
		"select voip.account_packed('a.example.com', '1001')"
	[ -z "$output" ]
}

@test "inactive rows are found nowhere" {
	local what

	sql "insert into voip.queues (domain_id, name) values (2, 'q');
	insert into voip.extensions (domain_id, extension, type, queue_id)
		values (2, '8001', 'queue', 1)"
	for what in "voip.extensions|8001|extension = '8001'" \
		"voip.queues|8001|id = 1" "voip.users|1001|username = '1001'" \
		"voip.domains|1001|domain = 'a.example.com'"; do
		IFS='|' read -r table number where <<<"$what"
		run -0 sql "begin; select count(*) from
			voip.route('a.example.com', '$number');
			update $table set active = false where $where;
			select count(*) from voip.route('a.example.com', '$number');
			select count(*) from voip.vw_extensions
			where domain = 'a.example.com' and extension = '$number'"
		[ "$output" = $'1\n0\n0' ]
	done
	run -0 sql "update voip.users set active = false;
		select count(*) from kamailio.subscriber"
	[ "$output" = 0 ]
}

@test "vw_extensions keeps its columns" {
	run -0 sql "select string_agg(attname, ',' order by attnum)
		from pg_attribute where attrelid = 'voip.vw_extensions'::regclass"
	[ "$output" = 'id,domain_id,domain,extension,type,description,need_media,service_ref,active,user_username,user_full_name,queue_name,queue_strategy,recording_policy' ]
}

@test "Kamailio finds its tables, their versions and the account" {
	run -0 sql_as kamailio "select string_agg(table_name || ' '
		|| table_version, ', ' order by table_name collate \"C\")
		from kamailio.version"
	[ "$output" = 'acc 5, address 6, dialog 7, dialog_vars 1, dispatcher 4, domain 2, domain_attrs 1, emergency 2, htable 2, location 9, location_attrs 1, missed_calls 4, subscriber 7, version 1' ]
	run -0 sql_as kamailio "select username, domain, ha1
		from kamailio.subscriber where domain = 'a.example.com'
		and username = '1001'"
	[ "$output" = "1001|a.example.com|$(printf 1001 | md5sum | cut -c1-32)" ]
	sql "insert into voip.media_nodes (destination, max_calls)
		values ('sip:10.0.0.1:5080', 500);
	insert into voip.trusted_addresses (address, port)
		values ('10.1.0.0/16', 40000)"
	run -0 sql_as kamailio "select setid, destination, attrs
		from kamailio.dispatcher"
	[ "$output" = '1|sip:10.0.0.1:5080|weight=50;duid=n1;maxload=500' ]
	run -0 sql_as kamailio "select ip_addr, mask, port
		from kamailio.address"
	[ "$output" = '10.1.0.0|16|40000' ]
	sql_as kamailio "insert into kamailio.location (ruid) values ('x');
		update kamailio.location set q = 0.5;
		delete from kamailio.location;
		insert into kamailio.acc (time) values (now());
		insert into kamailio.missed_calls (time) values (now())"
	# db_postgres warns of other types at every query
	run -0 sql "select string_agg(distinct atttypid::regtype::text, ',')
		from pg_attribute as a join pg_class as c on c.oid = attrelid
		where relnamespace = 'kamailio'::regnamespace and attnum > 0
		and relkind in ('r', 'v')"
	[ "$output" = 'character varying,integer,real,timestamp without time zone' ]
}

@test "what a proxy queued about calls becomes rows, whatever is in it" {
	hex() {
		# shellcheck disable=SC2059 # the format is the value
		printf "'%s'" "$(printf "$@" | od -An -v -tx1 | tr -d ' \n')"
	}
	run -0 sql_as kamailio "set search_path = kamailio; select account(
		$(hex 'acc\t0\tINVITE\tf\tt\t%s\t200\tOK\ta\td\ti\to\tu\te\ts' \
			"x'); drop table kamailio.acc; --"),
		$(hex 'missed\t0\tINVITE\tf\t<null>\t\xff\t480\t%0300d\t' 1))"
	[ "$output" = 2 ]
	run -0 sql "set timezone = 'UTC'; select callid, sip_code, time,
		src_user, service from kamailio.acc"
	[ "$output" = "x'); drop table kamailio.acc; --|200|1970-01-01 00:00:00|a|s" ]
	run -0 sql "select callid, to_tag = '', length(sip_reason), dst_user
		from kamailio.missed_calls"
	[ "$output" = 'ÿ|t|128|' ]
}

@test "two proxies write one row of a contact" {
	sql_as kamailio "insert into kamailio.location (ruid, cseq)
		values ('x', 1); insert into kamailio.location (ruid, cseq)
		values ('x', 2)"
	run -0 sql "select cseq from kamailio.location"
	[ "$output" = 2 ]
}

@test "each change is told once with table, domain and key" {
	run -0 psql -XqAt <<-'SQL'
	listen voip_changed;
	begin;
	update voip.users set full_name = 'A' where domain_id = 2 and username = '1001';
	update voip.users set full_name = 'B' where domain_id = 2 and username = '1001';
	commit;
	update voip.users set full_name = full_name;
	update voip.users set username = '1009' where domain_id = 2 and username = '1002';
	begin; delete from voip.extensions; rollback;
	insert into voip.emergency_numbers (number) values ('112');
	update voip.domains set domain = 'c.example.com' where id = 3;
	SQL
	run -0 sed -E 's/.*payload "(.*)" received.*/\1/' <<<"$output"
	[ "$output" = '{"op": "update", "key": "1001", "table": "users", "domain": "a.example.com"}
{"op": "update", "key": "1002", "table": "users", "domain": "a.example.com"}
{"op": "update", "key": "1009", "table": "users", "domain": "a.example.com"}
{"op": "insert", "key": "112", "table": "emergency_numbers", "domain": null}
{"op": "update", "key": "b.example.com", "table": "domains", "domain": "b.example.com"}
{"op": "update", "key": "c.example.com", "table": "domains", "domain": "c.example.com"}' ]
}

@test "a bulk change is told as one of each tenant" {
	run -0 psql -XqAt <<-'SQL'
	set statement_timeout = '60s';
	listen voip_changed;
	insert into voip.extensions (domain_id, extension, type)
		select d, '7' || n, 'queue'
		from generate_series(2, 3) as d, generate_series(1, 3000) as n;
	update voip.extensions set description = 'x' where type = 'queue';
	begin;
	do $$ begin for n in 1..1500 loop
		update voip.extensions set description = 'y'
		where domain_id = 2 and extension = '7' || n; end loop; end $$;
	commit;
	SQL
	run -0 sed -E 's/.*payload "(.*)" received.*/\1/' <<<"$output"
	[ "${lines[0]}" = '{"op": "many", "key": "*", "table": "extensions", "domain": "a.example.com"}' ] ||
		[ "${lines[0]}" = '{"op": "many", "key": "*", "table": "extensions", "domain": "b.example.com"}' ]
	# two inserts, two updates, then 1000 single ones and the rest as one
	[ "${#lines[@]}" -eq 1005 ]
	[ "${lines[1004]}" = '{"op": "many", "key": "*", "table": "extensions", "domain": "a.example.com"}' ]
	run -0 sql "select count(*) from voip.audit
		where table_name = 'extensions' and action = 'update'"
	[ "$output" = 7500 ]
}

@test "the audit says who, what and which transaction, one set for each" {
	run -0 psql -XqAt <<-'SQL'
	set application_name = 'voip-ext';
	set voip.actor = 'os:alice';
	set role voip_ext;
	begin;
	update voip.users set full_name = 'A', email = 'a@b' where domain_id = 2 and username = '1001';
	delete from voip.extensions where domain_id = 2 and extension = '1002';
	commit;
	insert into voip.queues (domain_id, name) values (2, 'q');
	select a.change_id - (select min(id) from voip.change where actor = 'os:alice'),
		c.actor, c.role, c.program, a.action, a.table_name, a.domain, a.key, a.before, a.after
		from voip.audit as a join voip.change as c on c.id = a.change_id
		where c.actor = 'os:alice' and a.action <> 'insert' order by a.id;
	select count(*) from voip.change where actor = 'os:alice';
	SQL
	[ "${lines[0]}" = '0|os:alice|postgres|voip-ext|update|users|a.example.com|1001|{"email": null, "full_name": ""}|{"email": "a@b", "full_name": "A"}' ]
	[[ ${lines[1]} == '0|os:alice|postgres|voip-ext|delete|extensions|a.example.com|1002|{"type": "user", '*'|' ]]
	[ "${lines[2]}" = 2 ]
}

@test "no secret is in the audit, whatever the table" {
	sql "insert into voip.users (domain_id, username, ha1, ha1b, ha1_sha256,
		reverse_auth_pass) values (1, 's', md5('s1'), md5('s2'),
		encode(sha256('s3'), 'hex'), 'sealed4');
	insert into voip.trunks (name, host, password)
		values ('t', 'h', 'sealed5');
	insert into voip.voicemail_boxes (domain_id, number, pin)
		values (1, '1', 'sealed6');
	insert into voip.conferences (domain_id, number, pin, moderator_pin)
		values (1, '1', 'sealed7', 'sealed8');
	insert into voip.api_keys (key_name, hash)
		values ('k', encode(sha256('s9'), 'hex'));
	update voip.users set ha1 = md5('s10'), ha1b = md5('s11'),
		reverse_auth_pass = 'sealed12' where username = 's';
	update voip.conferences set pin = 'sealed13';
	delete from voip.users where username = 's'"
	run -0 sql "select count(*) from voip.audit as a, lateral
		(select concat(before, after) as text) as t where
		t.text ~ '\\\\x' or t.text ~ '[0-9a-f]{32}'"
	[ "$output" = 0 ]
	run -0 sql "select before, after from voip.audit
		where table_name = 'users' and action = 'update' and key = 's'"
	[ "$output" = '{"ha1": "********", "ha1b": "********", "reverse_auth_pass": "********"}|{"ha1": "********", "ha1b": "********", "reverse_auth_pass": "********"}' ]
	# a column that keeps a secret is named to its trigger
	run -0 sql "select string_agg(c.relname || '.' || a.attname, ' ')
		from pg_attribute as a join pg_class as c on c.oid = a.attrelid
		join pg_trigger as t on t.tgrelid = c.oid
			and t.tgname = 'changed_insert'
		where c.relnamespace = 'voip'::regnamespace and a.attnum > 0
		and (a.atttypid = 'bytea'::regtype or a.attname ~ '^ha1|hash|pass|pin$|secret')
		and not a.attname = any (split_part(
			encode(t.tgargs, 'escape'), '\\000', 3)::text[])"
	[ -z "$output" ]
}

# Recordings come with calls, not by somebody's hand.
@test "every table of the directory is audited and told" {
	run -0 sql "select string_agg(c.relname, ' ') from pg_class as c
		where c.relnamespace = 'voip'::regnamespace and c.relkind = 'r'
		and c.relname <> 'recordings'
		and exists (select from pg_attribute where attrelid = c.oid
			and attname = 'updated_at')
		and 3 <> (select count(*) from pg_trigger where tgrelid = c.oid
			and tgname ~ '^changed_(insert|update|delete)$')"
	[ -z "$output" ]
}

# As voip_api with the tenant $1.
api() {
	psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=terse -c "set role voip_api" \
		-c "set voip.domain = '$1'" -c "$2"
}

@test "voip_api sees and touches only the tenant that it names" {
	local table tables='users groups group_members queues queue_members
		ivr_menus ivr_entries voicemail_boxes conferences extensions
		api_keys'

	sql "insert into voip.groups (domain_id, name) select id, 'g' from voip.domains;
	insert into voip.group_members (group_id, user_id) select g.id, u.id
		from voip.groups as g join voip.users as u using (domain_id);
	insert into voip.queues (domain_id, name) select id, 'q' from voip.domains;
	insert into voip.queue_members (queue_id, user_id) select q.id, u.id
		from voip.queues as q join voip.users as u using (domain_id);
	insert into voip.ivr_menus (domain_id, name) select id, 'm' from voip.domains;
	insert into voip.ivr_entries (ivr_id, digit, action, action_data)
		select id, '1', 'queue', 'q' from voip.ivr_menus;
	insert into voip.voicemail_boxes (domain_id, number) select id, '1' from voip.domains;
	insert into voip.conferences (domain_id, number) select id, '1' from voip.domains;
	insert into voip.api_keys (domain_id, key_name, hash)
		select id, domain, encode(sha256(domain::bytea), 'hex') from voip.domains"
	for table in $tables; do
		run -0 api a.example.com "select distinct domain_id from voip.$table"
		[ "$output" = 2 ] || { echo "$table: $output"; false; }
		run -0 api '' "select count(*) from voip.$table"
		[ "$output" = 0 ]
		run -0 api 'a.example.com' "with w as (update voip.$table
			set active = active where domain_id = 3 returning 1)
			select count(*) from w"
		[ "$output" = 0 ]
		run -0 api '*' "select count(distinct domain_id) > 1 from voip.$table"
		[ "$output" = t ]
	done
	sql "insert into voip.media_nodes (destination) values ('sip:a');
	insert into voip.emergency_numbers (number) values ('112')"
	run -0 api a.example.com "select (select count(*) from voip.media_nodes),
		(select count(*) from voip.emergency_numbers)"
	[ "$output" = '0|1' ]
	run -0 api a.example.com "select string_agg(domain, ',') from voip.domains"
	[ "$output" = a.example.com ]
	run -0 api a.example.com "select distinct domain from voip.vw_extensions"
	[ "$output" = a.example.com ]
	run -0 api a.example.com "select distinct domain from voip.audit"
	[ "$output" = a.example.com ]
	run -0 api a.example.com "select count(*) from voip.route('b.example.com', '1001')"
	[ "$output" = 0 ]
	run -1 api a.example.com "insert into voip.users (domain_id, username) values (3, 'x')"
	[[ $output == *'violates row-level security policy for table "users"'* ]]
	run -1 api a.example.com "insert into voip.queue_members (queue_id, user_id)
		select q.id, u.id from voip.users as u, (values (3)) as q(id)
		where u.username = '1001'"
	[[ $output == *'violates'* ]]
	run -1 api a.example.com "insert into voip.recording_policies (name) values ('x')"
	[[ $output == *'violates row-level security policy'* ]]
	run -1 api a.example.com "insert into voip.domains (domain) values ('x')"
	[[ $output == *'violates row-level security policy'* ]]
	api a.example.com "insert into voip.users (domain_id, username) values (2, 'x')"
}

@test "each role can do what it needs" {
	while IFS='|' read -r role statement; do
		run sql_as "$role" "$statement"
		[ "$status" -eq 0 ] || { echo "$role: $statement: $output"; false; }
	done <<-'TABLE'
	voip_ext|insert into voip.domains (domain) values ('x.example.com')
	voip_ext|insert into voip.extensions (domain_id, extension, type) values (1, '0X', 'trunk_out')
	voip_ext|select * from voip.audit, voip.route('a.example.com', '1')
	voip_dirxml|select * from voip.users, voip.domains, voip.extensions, voip.groups, voip.group_members
	voip_dirxml|select * from voip.vw_extensions
	kamailio|select * from kamailio.subscriber
	voip_cdr_flush|select u.id, u.username, q.name, d.domain from voip.users as u, voip.queues as q, voip.domains as d
	voip_watch|listen voip_changed
	voip_report|select * from monitoring.tenants, monitoring.queues, monitoring.extensions
	voip_report|select * from voip.vw_extensions
	voip_health|select * from pg_stat_replication
	voip_failover|alter system reset synchronous_standby_names
	TABLE
}

@test "no role can do more" {
	while IFS='|' read -r role statement; do
		run sql_as "$role" "$statement"
		[[ $status -eq 1 && $output == *'permission denied'* ]] || {
			echo "$role: $statement: $output"
			false
		}
	done <<-'TABLE'
	voip_dirxml|update voip.users set full_name = 'x'
	voip_dirxml|insert into voip.domains (domain) values ('x')
	voip_dirxml|select * from voip.api_keys
	voip_dirxml|select * from voip.audit
	kamailio|select * from voip.users
	kamailio|insert into kamailio.version (table_name) values ('x')
	kamailio|delete from kamailio.acc
	kamailio|select * from voip.route('a.example.com', '1001')
	voip_cdr_flush|select ha1 from voip.users
	voip_report|select * from voip.users
	voip_cdr_ingest|select * from voip.users
	voip_watch|select * from voip.domains
	voip_health|select * from voip.users
	voip_ext|update voip.audit set key = 'x'
	voip_ext|update voip.change set actor = 'x'
	voip_ext|select * from voip.audit_secret
	voip_api|select * from voip.audit_secret
	voip_ext|delete from voip.audit
	voip_ext|insert into voip.audit (change_id, id, action, table_name, row_id, key) values (1, 1, 'insert', 'd', 1, 'e')
	voip_ext|create table voip.x (i integer)
	voip_ext|create table public.x (i integer)
	voip_ext|truncate voip.users
	voip_ext|select pg_promote()
	voip_api|select voip.track('users', 'x')
	freeswitch|select * from voip.domains
	TABLE
}

@test "nothing of ours is for everybody, and functions keep their search_path" {
	run -0 sql "select string_agg(p.oid::regprocedure::text, ' ')
		from pg_proc as p where p.pronamespace::regnamespace::text
		in ('voip', 'kamailio', 'monitoring') and exists (
			select from aclexplode(coalesce(proacl,
				acldefault('f', proowner))) where grantee = 0)"
	[ -z "$output" ]
	run -0 sql "select string_agg(p.oid::regprocedure::text, ' ')
		from pg_proc as p where p.prosecdef
		and p.pronamespace::regnamespace::text in ('voip', 'kamailio')
		and not coalesce(proconfig::text like '%search_path=%', false)"
	[ -z "$output" ]
	run -0 sql "select has_database_privilege('freeswitch',
		current_database(), 'create')"
	[ "$output" = f ]
}

# A copy of the file stands in for a promotion.
@test "voip_health is told the history of the timelines, and no other file" {
	local data
	data=$(psql -XqAt -d postgres -c 'show data_directory')
	printf '1\t0/3000148\tno recovery target specified\n\n2\t0/4000000\tit'"'"'s so\n' \
		>"$data/pg_wal/0000ABCD.history"
	chmod 644 "$data/pg_wal/0000ABCD.history"
	run -0 sql "set role voip_health;
		select timeline, lsn, reason from monitoring.timelines(43981)"
	rm "$data/pg_wal/0000ABCD.history"
	[ "$output" = $'1|50331976|no recovery target specified\n2|67108864|it\'s so' ]
	run -0 sql "set role voip_health; select * from monitoring.timelines(43982)"
	[ -z "$output" ]
	run -1 sql "set role voip_health; select pg_read_file('PG_VERSION')"
	run -1 sql "set role voip_dirxml; select * from monitoring.timelines(1)"
}
