-- What tests 53 and 54 add to the tenants of ../dirxml/seed.sql; what is sealed
-- is added by services.bash.
insert into voip.recording_policies (name, record_inbound, record_outbound,
	record_internal, record_queue) values
	('everything', true, true, true, true),
	('inbound', true, false, false, false),
	('queues', false, false, false, true);

update voip.queues set music = 'silence_stream://-1', record = true
	where name = 'support';
insert into voip.queues (domain_id, name, music, active)
	select id, v.name, v.music, v.active from voip.domains,
	(values ('R & D "x" ${system(id)}', '/nowhere/x.wav', true),
	('closed', null, false)) as v (name, music, active)
	where domain = 'pbx.example.com';
insert into voip.queue_members (queue_id, user_id, tier, position)
	select q.id, u.id, 1, 1 from voip.queues as q, voip.users as u
	where q.name in ('closed', 'R & D "x" ${system(id)}')
	and u.domain_id = q.domain_id and u.username in ('1001', '1004');

insert into voip.ivr_menus (domain_id, name, greeting_sound, invalid_sound,
	timeout_sound, active)
	select id, v.name, v.greeting, v.invalid, v.timeout, v.active
	from voip.domains, (values
	('main_menu', 'ivr/welcome.wav', 'tone_stream://%(200,50,300)', null,
	true),
	('lunch menu', 'shell_stream://id', '${system(id)}', '../../etc/x.wav',
	true),
	('closed', null, null, null, false)) as v (name, greeting, invalid,
	timeout, active) where domain = 'pbx.example.com';
insert into voip.ivr_entries (ivr_id, digit, action, action_data, order_num,
	active)
	select i.id, v.digit, v.action, v.data, v.place, v.active
	from voip.ivr_menus as i, (values
	('main_menu', '1', 'transfer', '1002', 2, true),
	('main_menu', '2', 'queue', 'support', 1, true),
	('main_menu', '3', 'voicemail', '1001', 3, true),
	('main_menu', '4', 'sub-menu', 'lunch menu', 4, true),
	('main_menu', '5', 'transfer', '1 ${system(id)}', 5, true),
	('main_menu', '6', 'queue', 'closed', 6, true),
	('main_menu', '7', 'sub-menu', 'closed', 7, true),
	('main_menu', '8', 'transfer', '1003', 8, false),
	('main_menu', '9', 'transfer', '-bleg', 9, true),
	('main_menu', '##', 'queue', 'R & D "x" ${system(id)}', 9, true),
	('lunch menu', '*', 'sub-menu', 'main_menu', 1, true))
	as v (menu, digit, action, data, place, active) where i.name = v.menu;

insert into voip.trusted_addresses (grp, address, tag) values
	(1, '192.0.2.0/24', 'office'), (1, '2001:db8::/32', 'office'),
	(1, '198.51.100.7', 'text for <people>'), (1, '198.51.100.8', '');

insert into voip.extensions (domain_id, extension, type, queue_id, ivr_id,
	recording_policy_id, service_ref)
	select d.id, v.number, v.type,
		(select id from voip.queues where v.type = 'queue'
			and name = v.name and domain_id = d.id),
		(select id from voip.ivr_menus where v.type = 'ivr'
			and name = v.name and domain_id = d.id),
		(select id from voip.recording_policies where name = v.policy),
		v.ref::jsonb
	from voip.domains as d, (values
		('8001', 'queue', 'support', 'everything', '{}'),
		('8002', 'queue', 'sales', 'inbound', '{}'),
		('8003', 'queue', 'R & D "x" ${system(id)}', null, '{}'),
		('8004', 'queue', null, null, '{"name": "support"}'),
		('8005', 'queue', 'closed', null, '{}'),
		('5000', 'ivr', 'main_menu', 'inbound', '{}'),
		('5001', 'ivr', null, null, '{"name": "lunch menu"}'),
		('*98', 'voicemail', null, null, '{}'))
		as v (number, type, name, policy, ref)
	where d.domain = 'pbx.example.com';
update voip.extensions as e set recording_policy_id = p.id
	from voip.recording_policies as p, voip.domains as d
	where d.id = e.domain_id and d.domain = 'pbx.example.com'
	and (e.extension, p.name) in (('1003', 'inbound'),
		('1002', 'everything'));
update voip.users set max_calls = 2, accountcode = 'a"b<c>${x}'
	where username = '1003';
