#!/usr/bin/env bats
# etc/kamailio: a real Kamailio registers and routes out of the database.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # each test is a subshell

load helper
load kamailio
load proxy

setup_file() {
	clone_db
	proxy_setup
	for domain in a.example b.example; do
		proxy_accounts "$domain" 1001 1002 1500 alice limited
	done
	sql "update voip.extensions set extension = '1003'
			where extension = 'alice';
		insert into voip.queues (domain_id, name)
			select id, 'sales' from voip.domains
			where domain = 'a.example';
		insert into voip.extensions (domain_id, extension, type,
			queue_id) select domain_id, '8001', 'queue', id
			from voip.queues;
		insert into voip.trunks (name, host, port, prefix,
			caller_id_number, max_calls)
			values ('direct', '127.0.0.21', $peer_port, '9',
			'+431', 1);
		insert into voip.extensions (domain_id, extension, type,
			need_media, service_ref)
			select d.id, v.* from voip.domains as d, (values
			('3000', 'conference', true,
				'{\"room\": \"board\\r\\nX-VOIP-EVIL: 1\"}'::jsonb),
			('*97', 'voicemail', true, '{\"box\": \"self\"}'),
			('8100', 'ivr', true, '{\"id\": 3}'),
			('0XXXXXXXXX', 'trunk_out', true, '{}')) as v
			where d.domain like '_.example';
		insert into voip.extensions (domain_id, extension, type,
			need_media, trunk_id)
			select d.id, '00X.', 'trunk_out', false, t.id
			from voip.domains as d, voip.trunks as t
			where d.domain like '_.example';
		insert into voip.emergency_numbers (number) values ('112');
		insert into voip.media_nodes (destination) values
			('sip:$fs1_address'), ('sip:$fs2_address')"
	proxy_start
	for name in fs1 fs2 gw1 ua2; do
		peer "$name"
	done
	wait_for dispatcher_knows AP "$fs1_address"
	wait_for dispatcher_knows AP "$fs2_address"
}

teardown_file() {
	peer_stop fs1 fs2 gw1 ua2
	kamailio_stop
	drop_db
}

setup() {
	for name in fs1 fs2 gw1 ua2; do
		[ ! -e "$folder/$name" ] || : >"$folder/$name"
	done
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$folder/kamailio.log"
}

# All that both media servers were told.
media() {
	cat "$folder/fs1" "$folder/fs2"
}

contact() {
	echo "<sip:$1@${ua2_address}>"
}

forget() {
	rpc htable.flush ext >/dev/null
	rpc htable.flush extst >/dev/null
	rpc htable.flush auth >/dev/null
	rpc htable.flush authst >/dev/null
}

@test "the configuration is accepted, with and without TCP, TLS, a peer and IPv6" {
	local settings check=("$kamailio_root/usr/sbin/kamailio" -c -L
		"$(proxy_modules)" -f "$folder/other/kamailio.cfg")
	mkdir "$folder/other"
	for settings in 'kamailio_tcp=no kamailio_accounting=no' \
		'kamailio_tcp=no kamailio_peer=127.0.0.2' \
		'kamailio_peer=127.0.0.2 kamailio_tls_port=5061' \
		'kamailio_address=[::1] kamailio_rpc=http://[::1]:8060/RPC
		kamailio_node=[::1] kamailio_peer=[::2]' \
		'kamailio_tcp=no kamailio_tls_port=5061'; do
		# shellcheck disable=SC2086 # words
		folder=$folder/other proxy_configure $settings
		LD_LIBRARY_PATH=$kamailio_libs ASAN_OPTIONS='' \
			run -0 "${check[@]}"
		[[ "$output" == *"config file ok"* ]]
		[[ "$output" != *ERROR* && "$output" != *WARNING* ]]
	done
	# a later one is told what this one does not know
	for version in KAMAILIO_5_8 KAMAILIO_6; do
		LD_LIBRARY_PATH=$kamailio_libs ASAN_OPTIONS='' \
			run -255 "${check[@]}" -A "$version"
		[[ "$output" == *"unknown config variable"* ]]
	done
}

@test "the drop-in fits the unit of the package" {
	local dir=$folder/units unit=kamailio.service
	mkdir -p "$dir/$unit.d"
	sed "s|/usr/sbin/|$kamailio_root&|" "$(find "$kamailio_root" \
		-name "$unit")" >"$dir/$unit"
	sed "s|/usr/sbin/|$kamailio_root&|" "etc/systemd/$unit.d/voip.conf" \
		>"$dir/$unit.d/voip.conf"
	run -0 systemd-analyze verify --man=no "$dir/$unit"
	[ -z "$output" ]
}

@test "a phone registers with its password, and is in the table after the flush" {
	run -0 phone 1002@a.example register -c "$(contact 1002)"
	[ "$output" = 200 ]
	located() {
		[ "$(sql "select contact from kamailio.location where
			username = '1002' and domain = 'a.example'")" = \
			"sip:1002@$ua2_address" ]
	}
	wait_for located
}

@test "a wrong password, an unknown account and a foreign domain are refused, the first two alike" {
	run -0 phone 1001@a.example register -p wrong
	[ "$output" = 401 ]
	run -0 phone nobody@a.example register
	[ "$output" = 401 ]
	run -0 phone 1001@c.example register
	[ "$output" = 403 ]
}

@test "user@domain as the name of the digest is the same account" {
	run -0 phone 1001@a.example register -d 1001@a.example
	[ "$output" = 200 ]
}

@test "the same number in two domains is two accounts" {
	run -0 phone 1002@b.example register -c "<sip:other@$ua2_address>"
	[ "$output" = 200 ]
	run -0 phone 1002@a.example register -c "$(contact 1002)" -w
	[[ "$output" == "200 <sip:1002@$ua2_address>"* ]]
	run -0 phone 1001@b.example call 1002
	[ "$output" = "200 200" ]
	run -0 grep -c '^INVITE sip:other@' "$folder/ua2"
	run -0 phone 1001@a.example call 1002@b.example
	[ "$output" = 403 ]
	# nor is an answer that was kept that of the other
	for _ in 1 2; do
		for domain in a b; do
			run -0 phone 1001@$domain.example register
			[ "$output" = 200 ]
		done
	done
	run -0 phone 1001@a.example call 8001
	[ "$output" = "200 200" ]
	run -0 phone 1001@b.example call 8001
	[ "$output" = 404 ]
}

@test "a call goes straight to the phone of its number, also when number and name differ" {
	phone alice@a.example register -c "$(contact alice)"
	run -0 phone 1001@a.example call 1003
	[ "$output" = "200 200" ]
	run -0 grep '^INVITE' "$folder/ua2"
	[[ "$output" == "INVITE sip:alice@$ua2_address "*services=0* ]]
}

@test "a queue goes to FreeSWITCH with one service, ours, and always to the same node" {
	for _ in 1 2 3; do
		run -0 phone 1001@a.example call 8001 \
			-h 'X-VOIP-SERVICE: forged' -h 'X-VOIP-CALLER: boss' \
			-h 'P-Asserted-Identity: <sip:boss@a.example>' \
			-h 'Remote-Party-ID: <sip:boss@a.example>'
		[ "$output" = "200 200" ]
	done
	run -0 media
	[ "$(grep -c '^INVITE' <<<"$output")" = 3 ]
	[[ "$output" == "INVITE sip:8001@a.example SIP/2.0 services=1 X-VOIP-SERVICE=[queue;name=sales;queue_id=1] X-VOIP-DOMAIN=[a.example] X-VOIP-CALLER=[1001]"* ]]
	[[ "$output" != *forged* && "$output" != *boss* ]]
	[ ! -s "$folder/fs1" ] || [ ! -s "$folder/fs2" ]
}

@test "a conference is at home on one node, others go to each in turn" {
	for _ in 1 2 3; do
		run -0 phone 1001@a.example call 3000
		[ "$output" = "200 200" ]
	done
	[ ! -s "$folder/fs1" ] || [ ! -s "$folder/fs2" ]
	wait_for dispatcher_knows AP "$fs1_address"
	wait_for dispatcher_knows AP "$fs2_address"
	for _ in 1 2; do
		run -0 phone 1001@a.example call 8100
		[ "$output" = "200 200" ]
	done
	grep -q '^INVITE sip:8100@' "$folder/fs1"
	grep -q '^INVITE sip:8100@' "$folder/fs2"
}

@test "menus, boxes and conferences are told with what they refer to, and no header is injected" {
	for number in 8100 '*97' 3000; do
		run -0 phone 1001@a.example call "$number"
		[ "$output" = "200 200" ]
	done
	run -0 media
	[[ "$output" == *"=[ivr;id=3]"* ]]
	[[ "$output" == *"=[voicemail;box=self]"* ]]
	[[ "$output" == *"=[conference;room=boardX-VOIP-EVIL:1]"* ]]
	[[ "$output" != *"X-VOIP-EVIL=["* ]]
}

@test "a number of a pattern goes out through FreeSWITCH, a trunk without media is called directly" {
	run -0 phone 1001@a.example call 0912345678
	[ "$output" = "200 200" ]
	run -0 media
	[[ "$output" == *"sip:0912345678@a.example "*"=[trunk_out]"* ]]
	run -0 phone 1001@a.example call 0044123
	[ "$output" = "200 200" ]
	run -0 cat "$folder/gw1"
	[[ "$output" == *"INVITE sip:90044123@"*"P-Asserted-Identity=[\"\" <sip:+431@a.example>]"* ]]
	[[ "$output" == *services=0* ]]
}

@test "no pattern, no number and nobody there are 404, 404 and 480" {
	run -0 phone 1001@a.example call 091234567
	[ "$output" = 404 ]
	run -0 phone 1001@a.example call 7777
	[ "$output" = 404 ]
	run -0 phone 1001@a.example call 1500
	[ "$output" = 480 ]
}

@test "an emergency number goes to FreeSWITCH before all else" {
	run -0 phone 1001@a.example call 112
	[ "$output" = "200 200" ]
	run -0 media
	[[ "$output" == *"=[trunk_out;emergency=1]"* ]]
}

@test "FreeSWITCH calls phones by account and number, and nothing comes back to it" {
	phone alice@a.example register -c "$(contact alice)"
	peer_stop fs1
	for number in alice 1003; do
		run -0 phone fs@a.example call "$number" -a "$fs1_address"
		[ "$output" = "200 200" ]
	done
	run -0 grep -c "^INVITE sip:alice@$ua2_address" "$folder/ua2"
	[ "$output" = 2 ]
	run -0 phone fs@a.example call 8001 -a "$fs1_address"
	[ "$output" = 404 ]
	run -0 phone fs@a.example call 1500 -a "$fs1_address"
	[ "$output" = 480 ]
	peer fs1
	wait_for dispatcher_knows AP "$fs1_address"
}

# ask FIELD...: what FreeSWITCH gets for this lookup.
ask() {
	local IFS='&'
	VOIP_DATABASE="dbname=$PGDATABASE user=voip_dirxml" voip-dirxml \
		--set proxy="$proxy" --set dirxml_state_dir= <<<"hostname=fs1&$*"
}

# dials user/USER@DOMAIN: as FreeSWITCH does it, by the dial-string of the
# directory, from the address of a media server.
dials() {
	local name=${1#user/} dial
	name=${name%@*}
	dial=$(ask section=directory tag_name=domain key_name=name \
		"key_value=${1#*@}" "user=$name" "domain=${1#*@}" \
		action=user_call |
		sed -n 's/.*name="dial-string" value="\([^"]*\)".*/\1/p')
	dial=${dial//'${dialed_user}'/$name}
	dial=${dial//'${dialed_domain}'/${1#*@}}
	[[ "$dial" =~ sofia/internal/([^\;]*)\;fs_path=sip:(.*) ]]
	sip-phone -a "$fs1_address" "${BASH_REMATCH[2]}" call \
		fs@a.example "${BASH_REMATCH[1]}"
}

@test "a queue's agent and a menu's transfer reach the phone that registered here" {
	local menu number
	phone alice@a.example register -c "$(contact alice)"
	sql "insert into voip.queue_members (queue_id, user_id) select q.id, u.id
		from voip.queues as q join voip.users as u using (domain_id)
		where q.name = 'sales' and u.username = 'alice';
	insert into voip.ivr_menus (domain_id, name) select id, 'main'
		from voip.domains where domain = 'a.example';
	insert into voip.ivr_entries (ivr_id, digit, action, action_data)
		select id, '1', 'transfer', '1003' from voip.ivr_menus"
	peer_stop fs1
	run -0 ask section=configuration tag_name=configuration key_name=name \
		key_value=callcenter.conf
	[[ "$output" =~ contact=\"[^\"]*(user/alice@a.example)\" ]]
	run -0 dials "${BASH_REMATCH[1]}"
	[ "$output" = "200 200" ]
	menu=$(ask section=configuration tag_name=configuration key_name=name \
		key_value=ivr.conf Menu-Name=main%40a.example)
	[[ "$menu" =~ action=\"menu-exec-app\"[^/]*digits=\"1\"[^/]*param=\"transfer\ ([0-9]+) ]]
	number=${BASH_REMATCH[1]}
	run -0 ask section=dialplan Hunt-Context=default \
		"Hunt-Destination-Number=$number" \
		variable_domain_name=a.example
	[[ "$output" =~ application=\"bridge\"\ data=\"(user/[^\"]*)\" ]]
	run -0 dials "${BASH_REMATCH[1]}"
	[ "$output" = "200 200" ]
	run -0 grep -c "^INVITE sip:alice@$ua2_address" "$folder/ua2"
	[ "$output" = 2 ]
	peer fs1
	wait_for dispatcher_knows AP "$fs1_address"
}

@test "a gateway reaches numbers of ours and nothing beyond" {
	phone 1002@a.example register -c "$(contact 1002)"
	peer_stop gw1
	run -0 phone +4312@carrier.example call 1002@a.example -a "$gw1_address"
	[ "$output" = "200 200" ]
	run -0 phone +4312@carrier.example call 0912345678@a.example \
		-a "$gw1_address"
	[ "$output" = 403 ]
	run -0 phone +4312@carrier.example call 1@elsewhere.example \
		-a "$gw1_address"
	[ "$output" = 403 ]
	peer gw1
}

@test "a phone is refused a register, a network or an agent that its account does not allow" {
	sql "update voip.users set forbid_register = true
		where username = 'limited'"
	run -0 phone limited@a.example register
	[ "$output" = 403 ]
	sql "update voip.users set forbid_register = false,
		cidr = '{10.0.0.0/8,127.0.0.7/32}' where username = 'limited'"
	forget
	run -0 phone limited@a.example register
	[ "$output" = 403 ]
	run -0 phone limited@a.example register -a 127.0.0.7:0
	[ "$output" = 200 ]
	sql "update voip.users set cidr = null,
		user_agent_filter = '^(Good|Best)' where username = 'limited'"
	forget
	run -0 phone limited@a.example register -u Bad
	[ "$output" = 403 ]
	run -0 phone limited@a.example register -u Better
	[ "$output" = 403 ]
	run -0 phone limited@a.example register -u Best
	[ "$output" = 200 ]
	sql "update voip.users set user_agent_filter = null"
	forget
}

@test "one phone too many ends the oldest, and none is locked out" {
	sql "update voip.users set max_registrations = 2
		where username = '1500'"
	forget
	for n in 1 2 3 2 3; do
		run -0 phone 1500@a.example register -e "$((100 * n))" \
			-c "<sip:phone$n@$ua2_address>" -w
		[[ "$output" == 200* ]]
	done
	[[ "$output" == *phone3* && "$output" != *phone1* ]]
	[ "$(rpc ul.lookup location 1500@a.example | grep -c '"Address"')" = 2 ]
	run -0 phone 1500@a.example register -e 0 -c '*'
	[ "$output" = 200 ]
}

@test "calls of a user, a domain and a trunk are limited, emergencies are not" {
	phone 1002@a.example register -c "$(contact 1002)"
	sql "update voip.users set max_calls = 1
		where username = 'limited'"
	forget
	run -0 phone limited@a.example call 8001 -k
	[ "$output" = 200 ]
	run -0 phone limited@a.example call 8001
	[ "$output" = 403 ]
	sql "insert into voip.emergency_numbers (number) values ('113')"
	# 113 is not in Kamailio's list yet
	for number in 112 113; do
		run -0 phone limited@a.example call "$number"
		[ "$output" = "200 200" ]
	done
	phone limited@a.example register -c "$(contact limited)"
	run -0 phone 1001@a.example call limited
	[ "$output" = 486 ]
	run -0 phone 1001@a.example call 0044123 -k
	run -0 phone 1001@a.example call 0044124
	[ "$output" = 503 ]
	sql "update voip.domains set max_calls = 2 where domain = 'a.example'"
	forget
	run -0 phone 1001@a.example call 8001
	[ "$output" = 403 ]
	run -0 phone 1001@b.example call 3000
	[ "$output" = "200 200" ]
	rpc dlg.end_dlg >/dev/null || :
	# what is counted survives Kamailio
	stored() {
		[ "$(sql 'select count(*) from kamailio.dialog')" -ge 2 ]
	}
	wait_for stored
	kamailio_stop
	# more than a hundred contacts may be kept, and no more than were said
	sql "update voip.users set max_registrations = 105
			where username = '1500';
		insert into kamailio.location (ruid, username, domain, contact,
			expires, socket, server_id)
			select 'many-' || n, '1500', 'b.example',
			'sip:' || n || '@$ua2_address', now() + interval '2 d',
			'udp:$proxy', 1 from generate_series(1, 105) as n"
	proxy_start
	run -0 phone 1500@b.example register
	[ "$output" = 200 ]
	run -0 rpc ul.lookup location 1500@b.example
	[ "$(grep -c '"Address"' <<<"$output")" = 105 ]
	wait_for dispatcher_knows AP "$fs2_address"
	run -0 phone limited@a.example call 8001
	[ "$output" = 403 ]
	sql "update voip.users set max_calls = null;
		update voip.domains set max_calls = null;
		update voip.trunks set max_calls = null;
		update voip.users set max_registrations = null;
		delete from kamailio.dialog"
	forget
}

@test "what was called is accounted for, in the table and in the log" {
	phone 1002@a.example register -c "$(contact 1002)"
	sql "truncate kamailio.acc, kamailio.missed_calls"
	peer_stop ua2
	# its 200 is sent again
	peer ua2 -d
	phone 1001@a.example call 1002
	accounted() {
		[ "$(sql "select string_agg(concat_ws(' ', method, sip_code,
			src_user, dst_ouser, dst_user, src_domain), ','
			order by id) from kamailio.acc")" = \
			'INVITE 200 1001 1002 1002 a.example,BYE 200 1001 1002 1002 a.example' ]
	}
	wait_for accounted
	peer_stop ua2
	peer ua2 -c 486
	run -0 phone 1001@a.example call 1002
	[ "$output" = 486 ]
	missed() {
		[ "$(sql "select sip_code from kamailio.missed_calls")" = 486 ]
	}
	wait_for missed
	peer_stop ua2
	peer ua2
}

@test "metrics tell routes, caches and logins" {
	phone 1001@a.example call 8001
	phone 1001@a.example call 8001
	run -0 curl -sS "${VOIP_KAMAILIO_RPC%/RPC}/metrics"
	[[ "$output" == *'voip_auth{result="ok"}'* ]]
	[[ "$output" == *'voip_routes{type="queue"}'* ]]
	[[ "$output" == *'voip_lookups{table="ext", result="hit"}'* ]]
	# as the module's own dashboards call them
	for name in core_rcv_requests core_rcv_replies core_drop_requests \
		shmem_free_size shmem_used_size sl_sent_replies tmx_2xx_transactions \
		tmx_5xx_transactions tmx_UAS_transactions \
		usrloc_registered_users usrloc_location_contacts \
		registrar_accepted_regs registrar_rejected_regs \
		dialog_active_dialogs dialog_processed_dialogs \
		tcp_current_opened_connections; do
		[[ "$output" == *"kamailio_$name "* ]] || {
			echo "no kamailio_$name"
			return 1
		}
	done
	# nor is anybody else told of it, nor on a socket of SIP
	run -0 curl -sS -o /dev/null -w '%{http_code}' --interface 127.0.0.5 \
		"${VOIP_KAMAILIO_RPC%/RPC}/metrics"
	[ "$output" = 403 ]
	run -0 curl -sS -o /dev/null -w '%{http_code}' "http://$proxy/metrics"
	[ "$output" = 403 ]
}
