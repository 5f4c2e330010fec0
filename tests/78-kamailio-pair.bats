#!/usr/bin/env bats
# etc/kamailio on the two nodes of a pair: what phones told the one, the other
# knows when the first is gone.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # each test is a subshell

load helper
load kamailio
load proxy

setup_file() {
	clone_db
	proxy_setup
	sql "insert into voip.domains (domain) values ('a.example');
		insert into voip.users (domain_id, username, ha1, ha1b)
			select id, u, md5(u || ':' || domain || ':pw' || u),
			md5(u || '@' || domain || ':' || domain || ':pw' || u)
			from voip.domains, unnest('{1050,1051}'::text[]) as u
			where domain = 'a.example';
		insert into voip.extensions (domain_id, extension, type, user_id)
			select domain_id, username, 'user', id from voip.users"
	peer ua2 -q
}

teardown_file() {
	peer_stop ua2
	kamailio_stop KILL
	[ ! -e "$folder/other/kamailio.pid" ] ||
		BATS_FILE_TMPDIR=$folder/other kamailio_stop KILL
	drop_db
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] ||
		tail -n 20 "$folder/kamailio.log" "$folder/other/kamailio.log"
}

# node N COMMAND...: speaks to the Kamailio of that node; both are on this
# machine, at addresses of their own.
node() {
	local here=$folder rpcs=("$VOIP_KAMAILIO_RPC" "$other_rpc")
	[ "$1" = 1 ] || here=$folder/other
	local folder=$here BATS_FILE_TMPDIR=$here
	local VOIP_KAMAILIO_RPC=${rpcs[$1 - 1]} proxy=127.0.0.$1:$proxy_port
	shift
	"$@"
}

configure() { # N
	node "$1" proxy_configure kamailio_peer=127.0.0.$((3 - $1)) \
		kamailio_node="127.0.0.$1" kamailio_address="127.0.0.$1" \
		kamailio_node_port="$between" kamailio_server="$1" \
		kamailio_workers=2
}

@test "the other node knows a registration at once, and calls it when the first is killed" {
	other_rpc=http://127.0.0.1:$(free_port)/RPC
	between=$(free_port)
	mkdir "$folder/other"
	configure 1
	configure 2
	node 1 proxy_start
	node 2 proxy_start
	joined() {
		node 1 rpc dmq.list_nodes | grep -q '"127.0.0.2"' &&
			node 2 rpc dmq.list_nodes | grep -q '"127.0.0.1"'
	}
	wait_for joined
	run -0 node 1 phone 1050@a.example register \
		-c "<sip:1050@$ua2_address>"
	[ "$output" = 200 ]
	knows() {
		node 2 rpc ul.lookup location 1050@a.example |
			grep -q "sip:1050@$ua2_address"
	}
	wait_for knows
	node 1 kamailio_stop KILL
	run -0 node 2 phone 1051@a.example call 1050
	[ "$output" = "200 200" ]
	# one row of one contact, whoever wrote it
	written() {
		[ "$(sql "select count(*) from kamailio.location
			where username = '1050'")" = 1 ]
	}
	wait_for written
	# what the database has, a node that comes back reads
	node 1 proxy_start
	run -0 node 1 rpc ul.lookup location 1050@a.example
	node 1 kamailio_stop
	node 2 kamailio_stop
}
