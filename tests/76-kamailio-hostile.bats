#!/usr/bin/env bats
# etc/kamailio against those who have an account and want more than it gives,
# and those who have none.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # each test is a subshell

load helper
load kamailio
load proxy

setup_file() {
	clone_db
	proxy_setup kamailio_node_ping=60s kamailio_flush=1s
	proxy_accounts a.example 1001 1002 1003
	proxy_media fs1 fs2
	sql "insert into voip.trunks (name, host, port)
			values ('direct', '127.0.0.21', $peer_port);
		insert into voip.extensions (domain_id, extension, type,
			need_media, trunk_id) select d.id, v.* from
			voip.domains as d, (select '00X.', 'trunk_out', false,
			t.id from voip.trunks as t) as v
			where d.domain = 'a.example'"
	proxy_start
	peer fs1 -v
	peer fs2 -v
	peer gw1
	peer ua2
}

teardown_file() {
	peer_stop fs1 fs2 gw1 ua2
	kamailio_stop
	drop_db
}

setup() {
	for name in fs1 fs2 gw1 ua2; do
		: >"$folder/$name"
	done
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$folder/kamailio.log"
}

contact() {
	echo "<sip:$1@$ua2_address>"
}

# request METHOD URI [LINE...]: without a password, in a call that is not
request() {
	local method=$1 uri=$2
	shift 2
	printf '%s\n' "$method $uri SIP/2.0" \
		'Via: SIP/2.0/UDP @VIA@;branch=z9hG4bK@ID@' \
		'From: <sip:1001@a.example>;tag=1' 'Call-ID: @ID@' \
		'Contact: <sip:1001@@VIA@>' "Max-Forwards: ${HOPS:-70}" \
		"CSeq: 1 $method" "$@" 'Content-Length: 0' '' |
		sip-phone -t "${WAIT:-20000}" "$proxy" raw x@a.example
}

# Nobody but the proxy's callers of this test was told of a call.
nobody_called() {
	run -1 grep -h '^INVITE' "$folder/fs1" "$folder/fs2" "$folder/gw1" \
		"$folder/ua2"
}

@test "a To tag and a Route are no password, whatever the method" {
	for method in INVITE UPDATE REFER MESSAGE INFO OPTIONS REGISTER; do
		for target in "$gw1_address" "$fs1_address"; do
			run -0 request "$method" "sip:00900@$target" \
				'To: <sip:00900@a.example>;tag=2' \
				"Route: <sip:$proxy;lr>" 'X-VOIP-SERVICE: x'
			[ "$output" = 481 ]
		done
	done
	for file in fs1 fs2 gw1; do
		run -1 grep -v listening "$folder/$file"
	done
}

@test "a call stays with the gateway or FreeSWITCH that it has" {
	for uri in "sip:00900@$gw1_address" "sip:00900@localhost:$peer_port" \
		"sip:00900@192.0.2.1;alias=127.0.0.21~$peer_port~1"; do
		run -0 phone 1001@a.example call 8001 -i "$uri"
		[ "$output" = "200 403 200" ]
	done
	run -1 grep '^INVITE' "$folder/gw1"
	run -0 phone 1001@a.example call 0044123 -i "sip:8001@$fs1_address"
	[ "$output" = "200 403 200" ]
	run -0 phone 1001@a.example call 0044123 -i "sip:peer@$gw1_address"
	[ "$output" = "200 200 200" ]
	phone 1002@a.example register -c "$(contact 1002)"
	run -0 phone 1001@a.example call 1002 -i "sip:00900@$gw1_address"
	[ "$output" = "200 403 200" ]
	run -0 phone 1001@a.example call 1002 -i "sip:peer@$ua2_address"
	[ "$output" = "200 200 200" ]
}

@test "a phone that FreeSWITCH or a gateway called may speak to that one only" {
	peer_stop gw1
	phone 1002@a.example register -c "$(contact 1002)"
	run -0 phone +4312@carrier.example call 1002@a.example \
		-a "$gw1_address" -i "sip:peer@$ua2_address"
	[ "$output" = "200 200 200" ]
	peer gw1
}

@test "no phone registers where a call would be obeyed" {
	for uri in "00900@$gw1_address" 00900@127.0.0.21 "8001@$fs1_address" \
		"8001@127.0.0.11:5060;transport=tcp" "1001@$proxy" \
		1001@127.0.0.1:8060 1001@0.0.0.0:8060 1001@224.0.1.75; do
		run -0 phone 1003@a.example register -c "<sip:$uri>" \
			-a 127.0.0.60:0
		[ "$output" = 403 ]
	done
	run -0 phone 1003@a.example register \
		-c "<sip:1@$ua2_address>, <sip:00900@$gw1_address>"
	[ "$output" = 403 ]
	run -0 phone 1003@a.example register -c "$(contact 1)" \
		-h "Contact: <sip:00900@$gw1_address>"
	[ "$output" = 403 ]
	run -0 phone 1003@a.example register -c "$(contact 1)" \
		-h "m: <sip:00900@$gw1_address>"
	[ "$output" = 403 ]
	run -1 rpc ul.lookup location 1003@a.example
	run -0 phone 1001@a.example call 1003
	[ "$output" = 480 ]
	# a comma of a name is none between two
	run -0 phone 1003@a.example register \
		-c "\"Doe, John\" <sip:1@$ua2_address>"
	[ "$output" = 200 ]
	run -0 phone 1003@a.example register -e 0 -c '*'
}

@test "a contact with a host name is called where it registered from" {
	run -0 phone 1003@a.example register -c "<sip:00900@localhost:$peer_port>"
	[ "$output" = 200 ]
	run -0 rpc ul.lookup location 1003@a.example
	[[ "$output" == *'"Received":'*'"sip:127.0.0.1:'* ]]
	run -0 phone 1003@a.example register -e 0 -c '*'
}

@test "what answered one challenge is no good for another request" {
	run -0 phone 1003@a.example register -c "$(contact 1)" \
		-r "<sip:thief@127.0.0.103:$peer_port>"
	[ "$output" = "200 401" ]
	run -0 rpc ul.lookup location 1003@a.example
	[[ "$output" != *thief* ]]
	run -0 phone 1001@a.example call 8001 \
		-r "<sip:thief@127.0.0.103:$peer_port>"
	[ "$output" = "200 407" ]
	run -0 grep -ch services= "$folder/fs1" "$folder/fs2"
	[ "$((lines[0] + lines[1]))" = 1 ]
	run -0 phone 1003@a.example register -e 0 -c '*'
}

@test "an account is good for its own name and domain only" {
	run -0 phone 1001@a.example register -d 1002 -p pw1002
	[ "$output" = 403 ]
	run -0 phone 1001@a.example call 8001 -d 1002 -p pw1002
	[ "$output" = 403 ]
	nobody_called
	run -0 phone 1003@A.Example register -p pw1003 \
		-H "$(printf 1003:a.example:pw1003 | md5sum | cut -c1-32)" \
		-c "$(contact upper)"
	[ "$output" = 200 ]
	run -0 phone 1003@a.example register -c "$(contact lower)" -w
	[[ "$output" == *upper*lower* || "$output" == *lower*upper* ||
		"$(rpc ul.lookup location 1003@a.example)" == *upper* ]]
	run -0 phone 1003@a.example register -e 0 -c '*'
}

@test "FreeSWITCH's address is no password for a REGISTER" {
	peer_stop gw1
	run -0 phone 1001@a.example register -a "$gw1_address" -p wrong
	[ "$output" = 401 ]
	peer gw1
}

@test "a phone sends nobody elsewhere who needs no password" {
	phone 1002@a.example register -c "$(contact 1002)"
	peer_stop ua2 fs2 gw1
	peer ua2 -c '302 Moved'
	run -0 phone fs@a.example call 1002 -a "$fs2_address"
	[ "$output" = 480 ]
	run -0 phone x@carrier.example call 1002@a.example -a "$gw1_address"
	[ "$output" = 480 ]
	run -0 phone 1001@a.example call 1002
	[ "$output" = 302 ]
	peer_stop ua2
	for name in ua2 gw1; do
		peer "$name"
	done
	peer fs2 -v
}

@test "a phone that is called does not say who it is" {
	phone 1002@a.example register -c "$(contact 1002)"
	peer_stop ua2
	peer ua2 -c $'486 Busy\r\nP-Asserted-Identity: <sip:forged@x>\r
X-VOIP-SERVICE: forged\r\nremote-party-id: <sip:forged@x>\r\nX-Kept: yes'
	run -0 phone 1001@a.example call 1002 -v
	[[ "$output" == *"X-Kept: yes"*486 && "$output" != *forged* ]]
	peer_stop ua2
	peer ua2
}

@test "only FreeSWITCH makes a phone transfer, restart or look for messages" {
	phone 1002@a.example register -c "$(contact 1002)"
	for method in REFER NOTIFY INFO; do
		run -0 phone 1001@a.example call 1002 -M "$method" \
			-h 'Refer-To: <sip:00900@a.example>' -h 'Event: check-sync'
		[ "$output" = 403 ]
	done
	peer_stop gw1
	run -0 phone x@carrier.example call 1002@a.example -M REFER \
		-a "$gw1_address"
	[ "$output" = 403 ]
	peer gw1
	run -1 grep -E 'REFER|NOTIFY|INFO' "$folder/ua2"
	peer_stop fs2
	run -0 phone fs@a.example call 1002 -M NOTIFY -a "$fs2_address"
	[ "$output" = 200 ]
	peer fs2 -v
	run -0 grep -c '^NOTIFY' "$folder/ua2"
}

@test "a header of the platform is dropped however it is written" {
	run -0 phone 1001@a.example call 8001 -h 'x-voip-service: forged' \
		-h 'X-VOIP-SERVICE : forged' -h $'X-Voip-Caller\t: forged' \
		-h $'X-VOIP-DOMAIN:\r\n forged' -h $'X-VOIP-X: a\r\n\tforged' \
		-h 'x-fs-support: forged' -h 'remote-party-id : <sip:forged@x>' \
		-h 'P-ASSERTED-IDENTITY: <sip:forged@x>' \
		-h 'Route: <sip:forged@127.0.0.21;lr>'
	[ "$output" = "200 200" ]
	run -0 cat "$folder/fs1" "$folder/fs2"
	[[ "$output" != *forged* ]]
	[[ "$output" == *'services=1 X-VOIP-SERVICE=[queue] X-VOIP-DOMAIN=[a.example] X-VOIP-CALLER=[1001]'* ]]
	: >"$folder/fs1"
	: >"$folder/fs2"
	run -0 phone 1001@a.example call 8001 -i "sip:peer@$fs1_address" \
		-h 'X-VOIP-Evil: forged'
	run -1 grep -h forged "$folder/fs1" "$folder/fs2"
}

@test "a call that its carrier refuses takes no media server from others" {
	peer_stop fs1 fs2
	peer fs1 -c 503
	peer fs2 -c 503
	for _ in 1 2 3 4 5; do
		run -0 phone 1001@a.example call 8001
		# a proxy may not pass on a 503
		[ "$output" = 500 ]
	done
	run -1 dispatcher_knows I "$fs1_address"
	run -1 dispatcher_knows I "$fs2_address"
	peer_stop fs1 fs2
	peer fs1 -v
	peer fs2 -v
	run -0 phone 1001@a.example call 8001
	[ "$output" = "200 200" ]
}

@test "what the database could not take is not kept for it" {
	run -0 request OPTIONS sip:1002@a.example 'To: <sip:1002@a.example>' \
		$'Subject: \xff'
	[ "$output" = 407 ]
	run -0 request OPTIONS $'sip:1002@a.example;x=\xff' \
		'To: <sip:1002@a.example>'
	[ "$output" = 400 ]
	run -0 request OPTIONS sip:1002@a.example \
		$'To: <sip:1002@a.example;x=\xff>'
	[ "$output" = 400 ]
	run -0 phone 1003@a.example register -c $'<sip:\xff@127.0.0.1:9>'
	[ "$output" = 400 ]
	for agent in $'Ph\xf6ne' "$(printf 'x%.0s' {1..400})"; do
		run -0 phone 1003@a.example register -c "$(contact odd)" -u "$agent"
		[ "$output" = 200 ]
	done
	run -0 phone 1003@a.example register \
		-c "<sip:$(printf 'x%.0s' {1..600})@$ua2_address>"
	[ "$output" = 400 ]
	written() {
		[ "$(sql "select count(*) from kamailio.location
			where username = '1003'")" = 1 ]
	}
	wait_for written
	# headers of 50 KB
	run -0 request OPTIONS sip:a.example 'To: <sip:a.example>' \
		"Subject: $(printf '%050000d' 0)"
	[ "$output" = 200 ]
	run -0 request OPTIONS sip:1002@a.example 'To: <sip:1002@a.example>' \
		"Subject: $(printf '%050000d' 0)"
	[ "$output" = 400 ]
	run -1 grep -E 'invalid byte|too long for type|syntax error' \
		"$folder/kamailio.log"
	run -0 phone 1003@a.example register -e 0 -c '*'
}

@test "no callee writes the caller's part of a row" {
	sql 'truncate kamailio.acc, kamailio.missed_calls'
	phone 1002@a.example register -c "$(contact 1002)"
	peer_stop ua2
	peer ua2 -c $'486 Busy\tboss\tb.example\t192.0.2.1'
	run -0 phone 1001@a.example call 1002
	[ "$output" = 486 ]
	missed() {
		[ "$(sql "select src_user, src_domain
			from kamailio.missed_calls")" = $'1001\ta.example' ]
	}
	wait_for missed
	peer_stop ua2
	peer ua2
}

@test "nobody writes a line of the log for another" {
	local line='NOTICE: [{][0-9]+ [A-Z]+ [^ ]+[}] <script>: auth: failed address'
	WAIT=300 run -0 request OPTIONS sip:1002@a.example \
		'To: <sip:1002@a.example>' 'Call-ID: a auth: failed address=192.0.2.9 user=b'
	WAIT=300 run -0 request BAD sip:1002@a.example \
		'From: <sip:x@y' 'Call-ID: a auth: failed address=192.0.2.9 user=b'
	run -0 phone 1001@a.example register -p wrong
	run -0 grep -E "^ *[0-9]+[(][0-9]+[)] $line=127.0.0.1 user=1001" \
		"$folder/kamailio.log"
	run -1 grep -E "$line=192.0.2.9" "$folder/kamailio.log"
}

@test "an answer to no challenge of ours is not worth a query" {
	for n in 1 2 3; do
		run -0 request REGISTER sip:a.example 'To: <sip:1001@a.example>' \
			"Authorization: Digest username=\"1001\", realm=\"a.example\", \
nonce=\"made up $n\", uri=\"sip:a.example\", response=\"$(printf %032d "$n")\""
		[ "$output" = 401 ]
		run -0 request REGISTER sip:a.example 'To: <sip:n@a.example>' \
			"Authorization: Digest username=\"nobody$n\", realm=\"a.example\", \
nonce=\"made up $n\", uri=\"sip:a.example\", response=\"$(printf %032d "$n")\""
		[ "$output" = 401 ]
		run -0 gone auth "nobody$n@a.example"
	done
}

@test "a request that goes in circles ends" {
	HOPS=0 run -0 request INVITE sip:8001@a.example \
		'To: <sip:8001@a.example>'
	[ "$output" = 483 ]
	run -0 request OPTIONS sip:a.example 'To: <sip:a.example>' \
		"$(for ((i = 0; i < 300; i++)); do
			echo "Via: SIP/2.0/UDP 192.0.2.$((i % 250));branch=z9hG4bK$i"
		done)"
	[ "$output" = 200 ]
}
