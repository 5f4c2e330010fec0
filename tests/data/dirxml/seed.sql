-- The tenants of tests 50 to 52 and of the golden answers beside this file.
insert into voip.domains (domain, tenant_name, caller_id_name,
	caller_id_number, auth_acl, active) values
	('pbx.example.com', 'Example', 'Example Ltd', '+420123456789', null,
	true),
	('other.example', 'Other', null, null, '198.51.100.0/24', true),
	('closed.example', 'Closed', null, null, null, false);

insert into voip.users (domain_id, username, ha1, ha1b, full_name,
	accountcode, toll_allow)
select d.id, v.username, md5(v.username || ':' || d.domain || ':pw'),
	md5(v.username || '@' || d.domain || ':' || d.domain || ':pw'),
	v.full_name, 'acct-' || v.username, 'local'
from voip.domains as d, (values ('1001', 'Alice Liddell'),
	('1002', 'Bob & "Bill" <b@x>'), ('1003', ''), ('1004', 'Gone'),
	('carol', 'Žluťoučký kůň ☎')) as v (username, full_name)
where d.domain in ('pbx.example.com', 'closed.example');
insert into voip.users (domain_id, username)
	select id, 'nologin' from voip.domains where domain = 'other.example';

update voip.users as u set active = false where username = '1004';
update voip.users set cidr = '{127.0.0.9/32,192.0.2.0/24}',
	caller_id_name = 'Desk three', caller_id_number = '+420987654321'
	where username = '1003';
update voip.users set auth_acl = 'office', user_agent_filter = 'lab-ua',
	max_registrations = 2, user_context = 'tenant-a', forbid_register = true
	where username = '1002';

insert into voip.extensions (domain_id, extension, type, user_id, active)
	select domain_id, case username when 'carol' then '2001'
		else username end, 'user', id, true
	from voip.users where username <> 'nologin'
	union all
	select domain_id, '2002', 'user', id, true from voip.users
	where username = 'carol'
	union all
	select domain_id, '2003', 'user', id, false from voip.users
	where username = 'carol';

insert into voip.groups (domain_id, name, active)
	select id, n, n <> 'closed' from voip.domains,
	unnest('{sales,empty,closed,"R & D"}'::text[]) as n
	where domain = 'pbx.example.com';
insert into voip.group_members (group_id, user_id, position, active)
	select g.id, u.id, case username when 'carol' then 1 else 2 end,
		username <> '1003'
	from voip.groups as g, voip.users as u
	where g.name = 'sales' and u.domain_id = g.domain_id
	and u.username in ('1001', '1003', '1004', 'carol');

insert into voip.queues (domain_id, name)
	select id, n from voip.domains, unnest('{support,sales}'::text[]) as n
	where domain = 'pbx.example.com';
insert into voip.queue_members (queue_id, user_id, tier, position)
	select q.id, u.id, case username when '1001' then 2 else 1 end, 1
	from voip.queues as q, voip.users as u
	where q.name = 'support' and u.domain_id = q.domain_id
	and u.username in ('1001', '1002');
