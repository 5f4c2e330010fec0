#!/usr/bin/env bats
# etc/kamailio and phones that use TCP or TLS, some of them behind a router that
# lets nobody in.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # each test is a subshell

load helper
load kamailio
load proxy

setup_file() {
	clone_db
	proxy_setup kamailio_node_ping=60s kamailio_tcp_idle=1s
	proxy_accounts a.example 1001 1002
	proxy_start
}

teardown_file() {
	peer_stop ua2
	kamailio_stop
	drop_db
}

setup() {
	way=127.0.0.1:$(free_port)
	socat "UDP4-LISTEN:${way#*:},bind=127.0.0.1" "TCP4:$proxy" \
		2>"$BATS_TEST_TMPDIR/socat" 3>&- 4>&- &
	way_pid=$!
}

teardown() {
	stop_process "$way_pid"
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$folder/kamailio.log"
}

# The datagrams of one phone, and those for it, go by one connection.
by_tcp() {
	proxy=$way phone "$@"
}

# What the kernel says of the proxy's ends of connections.
connections() {
	ss -Htno state established "sport = :$proxy_port"
}

@test "an idle connection that showed no password ends, that of a phone stays, and its calls come by it" {
	run -0 by_tcp 1002@a.example register -a "$ua2_address" \
		-c '<sip:1002@10.1.1.1;transport=tcp>'
	[ "$output" = 200 ]
	exec {other}<>"/dev/tcp/127.0.0.1/$proxy_port"
	printf '%s\r\n' 'OPTIONS sip:a.example SIP/2.0' \
		"Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1" \
		'From: <sip:1@a.example>;tag=1' 'To: <sip:a.example>' \
		'Call-ID: idle' 'CSeq: 1 OPTIONS' 'Max-Forwards: 70' \
		'Content-Length: 0' '' >&"$other"
	# until the proxy closes it
	run -0 timeout 60 cat <&"$other"
	exec {other}>&-
	[[ "$output" == "SIP/2.0 200 "* ]]
	peer ua2
	run -0 phone 1001@a.example call 1002 -k
	[ "$output" = 200 ]
	run -0 grep -c '^INVITE sip:1002@10.1.1.1;transport=tcp ' "$folder/ua2"
	[ "$output" = 1 ]
}

@test "the router of a phone hears of its connection before it forgets it" {
	run -0 by_tcp 1002@a.example register
	[ "$output" = 200 ]
	awake() {
		connections | grep -Eq 'timer:[(]keepalive,[0-9.]+m?(sec|s),'
	}
	wait_for awake
}

@test "without TCP nobody is let in there" {
	local let_in='exec 3<>"/dev/tcp/127.0.0.1/$proxy_port"'
	run -0 bash -c "$let_in"
	proxy_configure kamailio_tcp=no
	kamailio_stop
	proxy_start
	run -1 bash -c "$let_in"
	run -0 phone 1002@a.example register
	[ "$output" = 200 ]
}

@test "a phone registers over TLS" {
	local port
	port=$(free_port)
	openssl req -x509 -newkey ec \
		-pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$folder/key.pem" -out "$folder/certificate.pem" \
		2>"$folder/openssl"
	proxy_configure kamailio_tls_port="$port" \
		kamailio_tls_certificate="$folder/certificate.pem" \
		kamailio_tls_key="$folder/key.pem"
	kamailio_stop
	proxy_start
	stop_process "$way_pid"
	socat "UDP4-LISTEN:${way#*:},bind=127.0.0.1" "OPENSSL:127.0.0.1:$port,\
cafile=$folder/certificate.pem" 2>"$BATS_TEST_TMPDIR/socat" 3>&- 4>&- &
	way_pid=$!
	run -0 by_tcp 1002@a.example register -c "<sip:1002@$ua2_address>"
	[ "$output" = 200 ]
	run -0 rpc ul.lookup location 1002@a.example
	[[ "$output" == *"tls:127.0.0.1:$port"* ]]
}
