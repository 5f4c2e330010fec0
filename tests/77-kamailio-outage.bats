#!/usr/bin/env bats
# etc/kamailio while PostgreSQL is away, under load and under attack.
#
# OUTAGE is how many seconds the database is away (4).
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell

load helper
load cluster
load kamailio
load proxy

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cluster_base
	export cluster_base
	cluster_init db
	cluster_start db
	export PGHOST=$cluster_base/db PGDATABASE=voip_platform
	export VOIP_DATABASE=dbname=voip_platform
	voip-schema init >"$BATS_FILE_TMPDIR/init"
	# answers are kept for a second: the outage lasts longer
	proxy_setup kamailio_number_ttl=1s kamailio_account_ttl=1s \
		kamailio_negative_ttl=1s
	proxy_accounts a.example {1001..1080}
	proxy_media fs1 fs2
	sql "insert into voip.emergency_numbers (number) values ('112'),
			('11X');
		insert into voip.emergency_numbers (number)
			select n::text from generate_series(20001, 20200) as n;
		insert into voip.trunks (name, host, port)
			values ('direct', '127.0.0.21', $peer_port);
		insert into voip.trusted_addresses (address)
			values ('127.0.0.50')"
	proxy_start
	for name in fs1 fs2; do
		peer "$name"
	done
	peer ua2 -q
	wait_for dispatcher_knows AP "$fs1_address"
	wait_for dispatcher_knows AP "$fs2_address"
}

teardown_file() {
	peer_stop fs1 fs2 ua2
	kamailio_stop
	cluster_remove
}

setup() {
	load_pid=''
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$folder/kamailio.log"
	cluster_thaw db 2>/dev/null || :
	[ -z "$load_pid" ] || stop_process "$load_pid"
	[ -e "$PGHOST/postmaster.pid" ] || cluster_start db
}

# fields FIRST LAST [CALLEE]: what sipp sends, for these accounts
fields() {
	local n
	echo SEQUENTIAL
	for ((n = $1; n <= $2; n++)); do
		echo "$n;a.example;[authentication username=$n password=pw$n]${3:+;$3}"
	done
}

# traffic SCENARIO FIELDS COUNT RATE: with sipp; 0 when all were answered as
# the scenario says, however late.
traffic() {
	local name=$BATS_TEST_TMPDIR/$1
	(cd "$BATS_TEST_TMPDIR" && exec sipp \
		-sf "$BATS_TEST_DIRNAME/data/sipp/$1.xml" -inf "$2" \
		"$proxy" -i 127.0.0.1 -nostdin -trace_err \
		-error_file "$name.err" -key contact "$ua2_address" \
		-key expires 600 -d 0 -m "$3" -r "$4" -l 5000 -timeout 120 \
		-timeout_error -trace_stat -stf "$name.stat" -fd 1 \
		>"$name.out" 2>&1 3>&- 4>&-)
}

traffic_worked() {
	traffic "$@" || {
		head -n 20 "$BATS_TEST_TMPDIR/$1.err"
		return 1
	}
}

# What is known works while the database is away, what is not is told to come
# back; then all is as before, and nothing is lost.
outage() { # HOW (stopped or frozen) NEVER-SEEN
	local seconds=${OUTAGE:-4} begin calls

	fields 1001 1020 >"$BATS_TEST_TMPDIR/r"
	fields 1001 1020 8001 >"$BATS_TEST_TMPDIR/q"
	fields 1001 1010 1015 >"$BATS_TEST_TMPDIR/u"
	sql 'truncate kamailio.acc'
	traffic_worked register "$BATS_TEST_TMPDIR/r" 20 50
	traffic_worked call "$BATS_TEST_TMPDIR/q" 20 50
	traffic_worked call "$BATS_TEST_TMPDIR/u" 10 50

	if [ "$1" = stopped ]; then
		cluster_stop db immediate
	else
		cluster_freeze db
	fi
	begin=$SECONDS calls=30
	while [ $((SECONDS - begin)) -lt "$seconds" ]; do
		traffic_worked register "$BATS_TEST_TMPDIR/r" 60 60 &
		load_pid=$!
		traffic_worked call "$BATS_TEST_TMPDIR/q" 20 30
		traffic_worked call "$BATS_TEST_TMPDIR/u" 10 30
		calls=$((calls + 30))
		wait "$load_pid"
		load_pid=''
	done
	run -0 phone "$2@a.example" register
	[ "$output" = 503 ]
	run -0 phone 1001@a.example call 7777
	[ "$output" = 503 ]
	for number in 112 117 20001 20200; do
		run -0 phone 1001@a.example call "$number"
		[ "$output" = "200 200" ]
		calls=$((calls + 1))
	done
	grep -q 'trunk_out;emergency=1' "$folder/fs1" "$folder/fs2"

	if [ "$1" = stopped ]; then
		cluster_start db
	else
		cluster_thaw db
	fi
	known_again() {
		[ "$(phone "$1@a.example" register)" = 200 ]
	}
	wait_for known_again "$2"
	# what was accounted for meanwhile waited in the queue
	complete() {
		[ "$(sql "select count(*) filter (where method = 'INVITE'),
			count(*) filter (where method = 'BYE')
			from kamailio.acc")" = "$calls"$'\t'"$calls" ]
	}
	wait_for complete
}

@test "with PostgreSQL stopped known phones register and call, and others are told to come back" {
	outage stopped 1070
}

@test "with PostgreSQL silent it is the same" {
	outage frozen 1071
}

@test "a change of the database is in effect within the second that voip-watch and voip-reload need" {
	proxy_configure
	kamailio_stop
	proxy_start
	phone 1030@a.example register
	phone 1001@a.example call 7000
	mkfifo "$BATS_TEST_TMPDIR/lines"
	VOIP_FREESWITCH_EVENT_SOCKET='' PGUSER=voip_reload voip-reload \
		<"$BATS_TEST_TMPDIR/lines" 2>"$BATS_TEST_TMPDIR/log" 3>&- &
	load_pid=$!
	PGUSER=voip_watch voip-watch >"$BATS_TEST_TMPDIR/lines" 2>&1 3>&- &
	watch=$!
	wait_for grep -q 'applied peer=kamailio' "$BATS_TEST_TMPDIR/log"
	has() { rpc htable.get "$1" "$2" >/dev/null; }
	phone 1030@a.example register
	phone 1001@a.example call 7000
	sql "update voip.users set active = false where username = '1030';
		insert into voip.extensions (domain_id, extension, type)
			select id, '7000', 'queue' from voip.domains
			where domain = 'a.example';
		insert into voip.domains (domain) values ('new.example')"
	begin=${EPOCHREALTIME/[.,]/}
	refused() { [ "$(phone 1030@a.example register)" = 401 ]; }
	wait_for refused
	end=${EPOCHREALTIME/[.,]/}
	echo "# from the UPDATE to the refusal: $(((end - begin) / 1000)) ms" >&3
	answered() { [ "$(phone 1001@a.example call 7000)" = '200 200' ]; }
	wait_for answered
	ours() { rpc domain.dump | grep -q new.example; }
	wait_for ours
	stop_process "$watch"
	stop_process "$load_pid"
	load_pid=''
}

@test "a changed password works at once, also when nobody told Kamailio" {
	run -0 phone 1040@a.example register
	[ "$output" = 200 ]
	sql "update voip.users set ha1 = md5('1040:a.example:new'),
		ha1b = md5('1040@a.example:a.example:new')
		where username = '1040'"
	run -0 phone 1040@a.example register -p new
	[ "$output" = 200 ]
	run -0 phone 1040@a.example register
	[ "$output" = 401 ]
}

@test "what phones write is never SQL, a header or a key" {
	ha1=$(printf attacker | md5sum | cut -c1-32)
	# shellcheck disable=SC1003,SC2016 # a backslash, dollars
	for name in "x' union select \$\$$ha1|$ha1|0|||||||\$\$ -- " \
		"1001'" '1001\' '1001"' "1001;drop" '$var(x)' '1001 ' "é"; do
		run -0 phone 1001@a.example register -d "$name" -H "$ha1"
		[[ "$output" = 40[0-9] ]]
		run -0 phone "$name@a.example" register -H "$ha1" -t 300
		[[ "$output" = 4* || "$output" = 0 ]]
	done
	# not even asked for a password
	run -0 sip-phone "$proxy" register "1001'@a.example"
	[ "$output" = 403 ]
	for number in "8001'--" '8001;x=y' '%27%20or%201=1' '8001|trunk_out' \
		'%0d%0aX-VOIP-EVIL:1'; do
		run -0 phone 1001@a.example call "$number" -t 2000
		[ "$output" != "200 200" ] || [ "$number" = '8001;x=y' ]
	done
	run -1 grep -l 'X-VOIP-EVIL=' "$folder/fs1" "$folder/fs2"
	run -1 grep -i 'syntax error' "$folder/kamailio.log" \
		"$cluster_base/db.log"
	run -0 sql 'select count(*) from voip.users'
	[ "$output" = 80 ]
	run -0 phone 1001@a.example register
	[ "$output" = 200 ]
}

@test "what is no SIP is answered or dropped, and Kamailio lives" {
	for text in 'nonsense' 'INVITE' 'OPTIONS sip:a.example SIP/2.0

' 'REGISTER sip:a.example SIP/2.0
Via: SIP/2.0/UDP @VIA@;branch=z9hG4bK@ID@
From: <sip:1001@a.example>
CSeq: 1 INVITE
Content-Length: -5

' 'SUBSCRIBE sip:1001@a.example SIP/2.0
Via: SIP/2.0/UDP @VIA@;branch=z9hG4bK@ID@
From: <sip:1001@a.example>;tag=1
To: <sip:1001@a.example>
Contact: <sip:1001@@VIA@>
Call-ID: @ID@
CSeq: 1 SUBSCRIBE
Event: presence
Max-Forwards: 70
Content-Length: 0

'; do
		run -0 sip-phone -t 300 "$proxy" raw x@a.example \
			< <(printf '%s' "$text")
		answers+=" $output"
	done
	[[ "$answers" == *" 489" ]]
	run -0 phone 1001@a.example register
	[ "$output" = 200 ]
}

@test "a node that is silent is left within two seconds, and an error at once" {
	proxy_configure kamailio_node_ping=60s
	kamailio_stop
	proxy_start
	peer_stop fs1
	socat -u "UDP4-RECV:${fs1_address#*:},bind=${fs1_address%:*}" \
		"CREATE:$BATS_TEST_TMPDIR/silent" 3>&- 4>&- &
	load_pid=$!
	hears() { ss -Hlun "src $fs1_address" | grep -q .; }
	wait_for hears
	begin=${EPOCHREALTIME/[.,]/}
	for _ in 1 2 3 4; do
		run -0 phone 1001@a.example call 112
		[ "$output" = "200 200" ]
	done
	end=${EPOCHREALTIME/[.,]/}
	echo "# four calls, a node silent: $(((end - begin) / 1000)) ms" >&3
	run -0 dispatcher_knows IP "$fs1_address"
	# a request is sent again after 0.5 s, 1.5 s and 3.5 s
	run -0 grep -c '^INVITE' "$BATS_TEST_TMPDIR/silent"
	[ "$output" -lt 4 ]
	stop_process "$load_pid"
	load_pid=''
	peer fs1 -c 503
	rpc dispatcher.reload >/dev/null
	for _ in 1 2 3; do
		run -0 phone 1001@a.example call 112
		[ "$output" = "200 200" ]
	done
	grep -q '^INVITE' "$folder/fs1"
	peer_stop fs1 fs2
	run -0 phone 1001@a.example call 112
	run -0 phone 1001@a.example call 112
	[ "$output" = 503 ]
	peer fs1
	peer fs2
	rpc dispatcher.reload >/dev/null
	run -0 phone 1001@a.example call 112
	[ "$output" = "200 200" ]
}

@test "a flood is banned, an exempt address, our nodes and all others are not, and help is called all the same" {
	proxy_configure kamailio_flood_requests=5 kamailio_flood_window=1s
	kamailio_stop
	proxy_start
	for address in 127.0.0.66 127.0.0.50; do
		sip-phone -a "$address:0" -n 60 -t 20 "$proxy" register \
			1001@a.example >"$BATS_TEST_TMPDIR/$address"
	done
	[ "$(grep -c 401 "$BATS_TEST_TMPDIR/127.0.0.66")" -lt 40 ]
	run -0 phone 1001@a.example register -a 127.0.0.66:0 -t 300
	[ "$output" = 0 ]
	run -0 phone 1001@a.example register -a 127.0.0.50:0
	[ "$output" = 200 ]
	run -0 phone 1001@a.example register
	[ "$output" = 200 ]
	run -0 rpc htable.get ipban 127.0.0.66
	# the call, its ACK and its BYE
	run -0 phone 1001@a.example call 112 -a 127.0.0.66:0
	[ "$output" = "200 200" ]
	run -0 phone 1001@a.example call 8001 -a 127.0.0.66:0 -t 300
	[ "$output" = 0 ]
	# not for ever
	run -0 phone 1001@a.example call 112 -a 127.0.0.66:0 -t 20 -p '' -n 60
	[ "${lines[59]}" = 0 ]
	unbanned() {
		rpc htable.delete ipban 127.0.0.66 >/dev/null
		[ "$(phone 1001@a.example register -a 127.0.0.66:0 -t 1000)" = 200 ]
	}
	wait_for unbanned
	for name in fs2 gw1; do
		address=${name}_address
		peer_stop "$name"
		run -0 phone x@a.example call 1060@a.example -n 30 -p '' \
			-a "${!address}"
		[ "$(grep -cx 480 <<<"$output")" = 30 ]
	done
	peer fs2
}
