#!/usr/bin/env bats
# etc/kamailio on the two nodes of a pair, each in a network namespace of its
# own, at addresses of a real link: what phones told the one, the other knows
# when the virtual address has moved to it.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # each test is a subshell

load helper
load kamailio
load proxy

# Addresses that no NAT test takes for private ones.
net=198.51.100

setup_file() {
	clone_db
	proxy_setup
	export spaces=voip${BASHPID}k
	export fs1_address=$net.11:5080 ua2_address=$net.51:5060
	export ua3_address=$net.52:5060 proxy_port=5060 proxy=$net.100:5060
	proxy_accounts a.example {1050..1099}
	proxy_media fs1
	ip netns add "$spaces-c"
	ip -n "$spaces-c" link add switch type bridge
	ip -n "$spaces-c" link set switch up
	ip -n "$spaces-c" link set lo up
	for host in 1 11 51 52; do
		ip -n "$spaces-c" address add "$net.$host/24" dev switch
	done
	for n in 1 2; do
		ip netns add "$spaces-$n"
		ip -n "$spaces-$n" link set lo up
		ip -n "$spaces-c" link add "n$n" type veth peer name eth0 \
			netns "$spaces-$n"
		ip -n "$spaces-c" link set "n$n" master switch up
		ip -n "$spaces-$n" link set eth0 up
		ip -n "$spaces-$n" address add "$net.10$n/24" dev eth0
		mkdir "$folder/n$n"
	done
	peer fs1 -v
	peer ua2 -q
}

teardown_file() {
	peer_stop fs1 ua2 ua3
	for n in 1 2; do
		BATS_FILE_TMPDIR=$folder/n$n kamailio_stop KILL
		ip netns delete "$spaces-$n"
	done
	ip netns delete "$spaces-c"
	drop_db
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] ||
		tail -n 20 "$folder/n1/kamailio.log" "$folder/n2/kamailio.log"
}

# Who speaks SIP is in the client's namespace, who speaks RPC in the node's.
sip-phone() {
	ip netns exec "$spaces-c" sip-phone -a "$net.1:0" "$@"
}

sip-peer() {
	exec ip netns exec "$spaces-c" sip-peer "$@"
}

curl() {
	ip netns exec "$spaces-$here" curl "$@"
}

raw_to() { # ADDRESS:PORT METHOD USER MS
	printf '%s\n' "$2 sip:$3${3:+@}$1 SIP/2.0" \
		'Via: SIP/2.0/UDP @VIA@;branch=z9hG4bK@ID@' \
		'From: <sip:dmq@x>;tag=1' "To: <sip:dmq@$1>" 'Call-ID: @ID@' \
		"CSeq: 1 $2" 'Max-Forwards: 1' \
		'Content-Type: application/json' 'Content-Length: 0' '' |
		sip-phone -t "$4" "$1" raw x@y
}

# node N COMMAND...: speaks to the Kamailio of that node
node() {
	local here=$1 folder=$folder/n$1
	local PROXY_IN="ip netns exec $spaces-$1" BATS_FILE_TMPDIR=$folder
	local VOIP_KAMAILIO_RPC=http://127.0.0.1:8060/RPC
	shift
	"$@"
}

configure() { # N [SETTING...]
	node "$1" proxy_configure kamailio_peer="$net.10$((3 - $1))" \
		kamailio_node="$net.10$1" kamailio_address="$net.100" \
		kamailio_server="$1" kamailio_workers=2 "${@:2}"
}

# The virtual address goes there, and the switch hears of it, as keepalived
# tells it.
address_to() {
	ip -n "$spaces-$((3 - $1))" address del "$net.100/24" dev eth0 \
		2>/dev/null || :
	ip -n "$spaces-$1" address replace "$net.100/24" dev eth0
	ip -n "$spaces-c" neighbour flush all
}

knows() { # N USER
	node "$1" rpc ul.lookup location "$2@a.example" >/dev/null
}

known_to() { # N USERS
	node "$1" rpc ul.dump | grep -c "\"AoR\":.*\"$2@a.example\"" || :
}

joined() {
	node 1 rpc dmq.list_nodes | grep -q "\"$net.102\"" &&
		node 2 rpc dmq.list_nodes | grep -q "\"$net.101\""
}

# Errors of a node since its log was so long.
errors() { # N LENGTH
	tail -c "+$(($2 + 1))" "$folder/n$1/kamailio.log" |
		grep -E 'ERROR|CRITICAL|WARNING'
}

length() {
	stat -c %s "$folder/n$1/kamailio.log"
}

asked() { # NAME: by OPTIONS
	grep -q '^OPTIONS' "$folder/$1"
}

@test "the other node has each registration, keeps quiet, and works when it gets the address" {
	local n
	configure 1 kamailio_nat_ping=1s
	configure 2 kamailio_nat_ping=1s
	address_to 1
	node 1 proxy_start
	node 2 proxy_start
	wait_for joined
	wait_for asked fs1
	# behind NAT: called, and asked, where it sends from
	phone 1060@a.example register -a "$ua3_address" -c '<sip:1060@10.1.1.1>'
	peer ua3 -v
	wait_for asked ua3
	run -0 phone 1050@a.example register -c "<sip:1050@$ua2_address>"
	[ "$output" = 200 ]
	wait_for knows 2 1050
	wait_for knows 2 1060
	# the one without the address calls nobody, and complains of nothing
	: >"$folder/fs1"
	: >"$folder/ua3"
	n=$(length 2)
	wait_for asked fs1
	wait_for asked ua3
	run -1 errors 2 "$n"
	run -0 node 2 dispatcher_knows A "$fs1_address"

	# registrations until the very moment
	for n in {1070..1089}; do
		phone "$n@a.example" register -c "<sip:$n@$ua2_address>"
	done >"$BATS_TEST_TMPDIR/answers"
	node 1 kamailio_stop KILL
	[ "$(sort -u "$BATS_TEST_TMPDIR/answers")" = 200 ]
	known=$(known_to 2 '10[78][0-9]')
	echo "# of 20 registrations until the kill the other node knows $known" >&3
	[ "$known" -gt 0 ]

	address_to 2
	for number in 1050 1060 8001; do
		run -0 phone 1051@a.example call "$number"
		[ "$output" = "200 200" ]
	done
	: >"$folder/fs1"
	: >"$folder/ua3"
	wait_for asked fs1
	wait_for asked ua3
	# who was lost comes again when he registers again
	run -0 phone 1089@a.example register -c "<sip:1089@$ua2_address>"
	[ "$output" = 200 ]
	run -0 phone 1051@a.example call 1089
	[ "$output" = "200 200" ]
	# one row of one contact, whoever wrote it
	written() {
		[ "$(sql "select count(*) from kamailio.location
			where username in ('1050', '1060')")" = 2 ]
	}
	wait_for written
}

@test "a node that comes back is told by the other, also what no row has" {
	phone 1061@a.example register -c "<sip:1061@$ua2_address>"
	node 1 proxy_start
	wait_for joined
	wait_for knows 1 1050
	wait_for knows 1 1061
}

@test "between the nodes nobody else is heard" {
	for n in 1 2; do
		for text in KDMQ MESSAGE; do
			run -0 raw_to "$net.10$n:5062" "$text" dmq 300
			[ "$output" = 0 ]
			run -0 raw_to "$net.100:5060" KDMQ dmq 300
			[[ "$output" = 4* || "$output" = 0 ]]
		done
		run -0 raw_to "$net.10$n:5062" OPTIONS "" 20000
		[ "$output" = 200 ]
	done
	run -1 knows 1 thief
	run -1 knows 2 thief
}

@test "without a peer a node that starts at the failover knows what was written" {
	local begin
	node 1 kamailio_stop KILL
	node 2 kamailio_stop KILL
	configure 1 kamailio_peer= kamailio_flush=10s
	configure 2 kamailio_peer= kamailio_flush=10s
	sql 'truncate kamailio.location'
	address_to 1
	node 1 proxy_start
	for n in {1050..1069}; do
		phone "$n@a.example" register -c "<sip:$n@$ua2_address>"
	done >/dev/null
	node 1 kamailio_stop KILL
	address_to 2
	begin=${EPOCHREALTIME/[.,]/}
	node 2 proxy_start
	echo "# the other node started in" \
		"$(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms and knows" \
		"$(known_to 2 '10[56][0-9]') of 20" >&3
	run -0 phone 1050@a.example register -c "<sip:1050@$ua2_address>"
	[ "$output" = 200 ]
	run -0 phone 1051@a.example call 1050
	[ "$output" = "200 200" ]
}
