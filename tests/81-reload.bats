#!/usr/bin/env bats
# voip-reload: changes reach a real Kamailio, and a stand-in for FreeSWITCH.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell

load helper
load kamailio

setup_file() {
	clone_db
	sql "insert into voip.domains (domain) values ('a.example'),
			('b.example');
		insert into voip.users (domain_id, username)
			select id, u from voip.domains,
			unnest('{alice,bob}'::text[]) as u
			where domain = 'a.example';
		insert into voip.extensions (domain_id, extension, type, user_id)
			select domain_id, '1001', 'user', id from voip.users
			where username = 'alice';
		insert into voip.trunks (name, host) values
			('carrier', 'sip.example.net')"
	kamailio_start
	export VOIP_FREESWITCH_GATEWAY_WAIT=50ms VOIP_DATABASE_BACKOFF=50ms
	export VOIP_RELOAD_TIMEOUT=20s
}

teardown_file() {
	kamailio_stop
	drop_db
}

setup() {
	dir=$BATS_TEST_TMPDIR
	started=()
	mkdir "$dir/fs"
	printf 'name|strategy\n+OK\n' >"$dir/fs/queues"
	printf 'name|contact\n+OK\n' >"$dir/fs/agents"
	printf 'queue|agent|state|level|position\n+OK\n' >"$dir/fs/tiers"
	printf '<gateways>\n</gateways>\n' >"$dir/fs/gateways"
	touch "$dir/fs/log"
}

teardown() {
	local pid
	for pid in "${started[@]}"; do
		stop_process "$pid"
	done
}

# freeswitch [MODE]: the stand-in, at the port that it had before.
freeswitch() {
	fs_port=${fs_port:-$(free_port)}
	export VOIP_FREESWITCH_EVENT_SOCKET=127.0.0.1:$fs_port
	: >"$dir/fs/out"
	esl-peer "$fs_port" "$dir/fs" "${1:-ok}" >"$dir/fs/out" 2>&1 3>&- 9>&- &
	fs=$!
	started+=("$fs")
	wait_for grep -q listening "$dir/fs/out"
}

# The commands that it got, a word after the other with spaces between.
told() {
	sed 's/^api\t//' "$dir/fs/log" | tr '\t' ' '
}

reload() {
	PGUSER=voip_reload voip-reload --wait 30s "$@"
}

# away ARGUMENT...: one change, and the end when the log says that the peer is
# away; $output is the log, $status the exit status.
away() {
	reload_lines --wait 50ms "$@"
	printf 'update\textension\t1@a.example\ta.example\n' >&9
	wait_for grep -q 'peer is away' "$dir/log"
	lines_end
	output=$(<"$dir/log")
	rm "$dir/lines"
}

# reload_lines: in the background; its lines come through descriptor 9.
reload_lines() {
	mkfifo "$dir/lines"
	PGUSER=voip_reload voip-reload "$@" <"$dir/lines" >"$dir/out" \
		2>"$dir/log" 3>&- &
	reload=$!
	started+=("$reload")
	exec 9>"$dir/lines"
}

lines_end() {
	exec 9>&-
	status=0
	wait "$reload" || status=$?
}

@test "an account leaves both of Kamailio's tables, with the numbers that point to it" {
	freeswitch
	remember auth alice@a.example bob@a.example
	remember authst alice@a.example
	remember ext a.example:1001 a.example:1002
	remember extst a.example:1001
	run -0 reload user alice@a.example
	gone auth alice@a.example
	gone authst alice@a.example
	gone ext a.example:1001
	gone extst a.example:1001
	has auth bob@a.example
	has ext a.example:1002
	run -0 told
	[[ "$output" == *"xml_flush_cache id alice a.example"* ]]
	[[ "$output" == *"xml_flush_cache id 1001 a.example"* ]]
}

@test "a number leaves both tables, and so does its user at FreeSWITCH" {
	freeswitch
	remember ext a.example:1001 b.example:1001
	remember extst a.example:1001
	run -0 reload extension 1001@a.example
	gone ext a.example:1001
	gone extst a.example:1001
	has ext b.example:1001
	run -0 told
	[ "$output" = "xml_flush_cache id 1001 a.example
xml_flush_cache id alice a.example" ]
}

@test "a pattern, a trunk and an emergency number empty the cache, not the last good answers" {
	for change in 'extension 0XXXXXXXXX@a.example' 'trunk carrier' \
		'emergency 112'; do
		remember ext a.example:0912345678
		remember extst a.example:0912345678
		# shellcheck disable=SC2086 # entity and key
		run -0 reload --kamailio-only $change
		gone ext a.example:0912345678
		has extst a.example:0912345678
	done
}

@test "nodes, domains and addresses are read again" {
	sql "insert into voip.media_nodes (destination)
			values ('sip:192.0.2.8:5060');
		insert into voip.domains (domain) values ('new.example');
		insert into voip.trusted_addresses (address)
			values ('192.0.2.99')"
	run -1 grep new.example <(rpc domain.dump)
	run -0 reload --kamailio-only node sip:192.0.2.8:5060
	rpc dispatcher.list | grep -q sip:192.0.2.8:5060
	run -0 reload --kamailio-only domain new.example
	rpc domain.dump | grep -q new.example
	run -0 reload --kamailio-only address 192.0.2.99/32
	rpc permissions.addressDump | grep -q 192.0.2.99
	sql "insert into voip.emergency_numbers (number) values ('112')"
	run -0 reload --kamailio-only emergency 112
	has emergency '^112$'
}

@test "a changed gateway is killed before the profile rescans" {
	freeswitch
	run -0 reload --freeswitch-only trunk carrier
	run -0 told
	[ "$output" = "sofia profile internal killgw carrier
sofia profile internal rescan" ]
}

@test "gateways are compared: what is no trunk is killed, what is missing comes by rescan" {
	freeswitch
	cat >"$dir/fs/gateways" <<-END
		<gateways>
		<gateway><name>gone</name><profile>internal</profile></gateway>
		<gateway><name>other</name><profile>external</profile></gateway>
		<gateway><name>bad; name</name><profile>internal</profile></gateway>
		</gateways>
	END
	run -0 reload --freeswitch-only resync
	run -0 told
	[[ "$output" == *"killgw gone"*rescan* ]]
	[[ "$output" != *"killgw other"* ]]
	[[ "$output" != *bad* ]]
}

@test "the call centre becomes what the directory says" {
	freeswitch
	sql "insert into voip.queues (domain_id, name) select id, q
			from voip.domains, unnest('{sales,old}'::text[]) as q
			where domain = 'a.example';
		update voip.queues set active = false where name = 'old';
		insert into voip.queue_members (domain_id, queue_id, user_id,
			tier, position) select q.domain_id, q.id, u.id, 1, 2
			from voip.queues as q, voip.users as u
			where q.name = 'sales' and u.username = 'alice'"
	printf '%s\n' 'name|strategy' 'old@a.example|random' \
		'support@default|random' +OK >"$dir/fs/queues"
	printf '%s\n' 'name|contact' 'bob@a.example|user/bob@a.example' \
		'1000@default|user/1000' +OK >"$dir/fs/agents"
	printf '%s\n' 'queue|agent|state|level|position' \
		'old@a.example|bob@a.example|Ready|1|1' +OK >"$dir/fs/tiers"
	run -0 reload --freeswitch-only member sales/alice@a.example
	run -0 told
	[ "$output" = "callcenter_config queue list
callcenter_config agent list
callcenter_config tier list
callcenter_config tier del old@a.example bob@a.example
callcenter_config agent del bob@a.example
callcenter_config queue unload old@a.example
callcenter_config queue load sales@a.example
callcenter_config agent add alice@a.example callback
callcenter_config agent set max_no_answer alice@a.example 3
callcenter_config agent set wrap_up_time alice@a.example 10
callcenter_config agent set reject_delay_time alice@a.example 10
callcenter_config agent set busy_delay_time alice@a.example 60
callcenter_config agent set status alice@a.example Available
callcenter_config agent set contact alice@a.example [leg_timeout=30]user/alice@a.example
callcenter_config tier add sales@a.example alice@a.example 1 2" ]
	printf '%s\n' 'name|strategy' 'sales@a.example|longest-idle-agent' \
		+OK >"$dir/fs/queues"
	printf '%s\n' 'name|contact' \
		'alice@a.example|[leg_timeout=30]user/alice@a.example' \
		+OK >"$dir/fs/agents"
	printf '%s\n' 'queue|agent|state|level|position' \
		'sales@a.example|alice@a.example|Ready|1|2' +OK >"$dir/fs/tiers"
	: >"$dir/fs/log"
	run -0 reload --freeswitch-only member sales/alice@a.example
	[ "$(told | wc -l)" -eq 3 ]
}

@test "a queue has the name that callcenter.conf has, and no command is injected" {
	freeswitch
	psql -Xq <<-'END'
		insert into voip.queues (domain_id, name) select id, q
			from voip.domains, unnest(array['it''s "big" \s now',
			'a|b', '${system ls}']) as q where domain = 'b.example';
		insert into voip.users (domain_id, username) select id, 'u'
			from voip.domains where domain = 'b.example';
		insert into voip.queue_members (domain_id, queue_id, user_id)
			select q.domain_id, q.id, u.id from voip.queues as q
			join voip.users as u using (domain_id)
			where q.name = 'a|b';
	END
	run -0 reload --freeswitch-only queue "it's \"big\" \\s now@b.example"
	run -0 told
	[[ "$output" == *"queue reload it%27s%20%22big%22%20%5Cs%20now@b.example"* ]]
	[[ "$output" == *"queue load it%27s%20%22big%22%20%5Cs%20now@b.example"* ]]
	[[ "$output" == *"queue load %24%7Bsystem%20ls%7D@b.example"* ]]
	[[ "$output" == *"queue load a%7Cb@b.example"* ]]
	[[ "$output" == *"tier add a%7Cb@b.example u@b.example 1 1"* ]]
	form='section=configuration&key_value=callcenter.conf'
	run -0 env PGUSER=voip_dirxml voip-dirxml <<<"$form"
	for name in $(told | sed -n 's/.*queue load //p'); do
		[[ "$output" == *"<queue name=\"$name\">"* ]]
	done
	: >"$dir/fs/log"
	run -65 reload --freeswitch-only <<-'END'
		{"op":"update","entity":"user","key":"x y@a.example","domain":"a.example"}
		{"op":"update","entity":"user","key":"x@a.example\napi shutdown","domain":"a.example\napi shutdown"}
		{"op":"update","entity":"queue","key":"q\n\nauth x@a.example","domain":"a.example"}
		{"op":"update","entity":"trunk","key":"x rescan; shutdown"}
		{"op":"update","entity":"user","key":"ok@a.example","domain":"a.example"}
	END
	run -0 told
	[[ "$output" == *"xml_flush_cache id ok a.example"* ]]
	[[ "$output" != *shutdown* && "$output" != *auth* ]]
	run -1 grep '^MORE' "$dir/fs/log"
	sql "delete from voip.queues where name <> 'sales';
		delete from voip.users where username = 'u'"
}

@test "a resync empties the caches, reads all again and compares" {
	freeswitch
	remember ext a.example:7
	remember auth x@a.example
	remember extst a.example:7
	sql "insert into voip.domains (domain) values ('later.example')"
	run -0 reload resync
	gone ext a.example:7
	gone auth x@a.example
	has extst a.example:7
	rpc domain.dump | grep -q later.example
	run -0 told
	[[ "$output" == "xml_flush_cache
sofia xmlstatus gateway
callcenter_config queue list"* ]]
}

@test "lines of both formats are read, bad ones are counted and the others delivered" {
	freeswitch
	remember auth alice@a.example bob@a.example
	run -65 reload <<-END
		op	entity	key	domain
		update	user	alice@a.example	a.example
		{"op":"update","entity":"user","key":"bob@a.example","domain":"a.example"}
		{"op":"explode"}
		nonsense

		$(printf '%20000s' x)
	END
	[[ "$output" == *"voip-reload: 3 of 7 lines are no changes"* ]]
	[[ "$output" == *"line 4: unknown operation 'explode'"* ]]
	gone auth alice@a.example
	gone auth bob@a.example
}

@test "a dry run prints the commands of each peer and sends none" {
	remember auth alice@a.example
	run -0 reload --dry-run --format tsv user alice@a.example
	[ "$output" = "peer	command
kamailio	htable.delete auth alice@a.example
kamailio	htable.delete authst alice@a.example
freeswitch	xml_flush_cache id alice a.example
freeswitch	callcenter_config queue list
freeswitch	callcenter_config agent list
freeswitch	callcenter_config tier list
kamailio	htable.delete ext a.example:1001
kamailio	htable.delete extst a.example:1001
freeswitch	xml_flush_cache id 1001 a.example" ]
	has auth alice@a.example
	run -0 reload --dry-run --kamailio-only --format tsv node sip:192.0.2.1
	[ "${lines[1]}" = "kamailio	dispatcher.reload" ]
}

@test "a peer that is away is told when it comes, and holds up nobody" {
	fs_port=$(free_port)
	export VOIP_FREESWITCH_EVENT_SOCKET=127.0.0.1:$fs_port
	remember auth bob@a.example
	reload_lines
	printf 'update\tuser\tbob@a.example\ta.example\n' >&9
	wait_for grep -q 'peer is away peer=freeswitch' "$dir/log"
	wait_for gone auth bob@a.example
	freeswitch
	wait_for grep -q 'id.bob' "$dir/fs/log"
	grep -q 'peer is back peer=freeswitch' "$dir/log"
	# it was never there before: no more than what was to be told
	run -0 told
	[[ "$output" == "xml_flush_cache id bob a.example"* ]]
	lines_end
	[ "$status" -eq 0 ]
}

@test "a Kamailio that accepts and says nothing holds up nobody" {
	freeswitch
	port=$(free_port)
	socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" EXEC:'sleep 60' \
		3>&- &
	started+=($!)
	wait_for bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
	VOIP_KAMAILIO_RPC=http://127.0.0.1:$port/RPC VOIP_RELOAD_TIMEOUT=60s \
		reload_lines --wait 50ms
	printf 'update\tuser\tbob@a.example\ta.example\n' >&9
	wait_for grep -q 'applied peer=freeswitch' "$dir/log"
	grep -q 'id.bob' "$dir/fs/log"
	lines_end
	[ "$status" -eq 75 ]
	grep -q 'voip-reload: kamailio has not got everything: it takes more time' \
		"$dir/log"
}

@test "a peer that was lost gets a resync when it is back" {
	freeswitch
	remember ext a.example:5
	reload_lines
	printf 'update\textension\t6@a.example\ta.example\n' >&9
	wait_for grep -q 'id.6' "$dir/fs/log"
	stop_process "$fs"
	wait_for grep -q 'peer is away peer=freeswitch' "$dir/log"
	: >"$dir/fs/log"
	freeswitch
	wait_for grep -q 'tier.list' "$dir/fs/log"
	run -0 told
	[[ "$output" == "xml_flush_cache"$'\n'"sofia xmlstatus gateway"* ]]
	has ext a.example:5
	lines_end
	[ "$status" -eq 0 ]
}

@test "a connection that breaks in the middle of the work loses nothing" {
	freeswitch dying
	reload_lines --wait 20s
	for n in 1 2 3 4 5; do
		printf 'update\textension\t%s@a.example\ta.example\n' "$n" >&9
	done
	wait "$fs"
	: >"$dir/fs/log"
	freeswitch
	lines_end
	[ "$status" -eq 0 ]
	run -0 told
	[[ "$output" == "xml_flush_cache"$'\n'* ]]
	[[ "$output" == *"callcenter_config tier list"* ]]
}

@test "Kamailio killed and started again gets a resync" {
	reload_lines --kamailio-only
	remember ext a.example:5
	printf 'update\textension\t5@a.example\ta.example\n' >&9
	wait_for gone ext a.example:5
	kamailio_stop KILL
	printf 'update\textension\t5@a.example\ta.example\n' >&9
	wait_for grep -q 'peer is away peer=kamailio' "$dir/log"
	kamailio_start
	wait_for grep -q 'resync peer=kamailio' "$dir/log"
	lines_end
	[ "$status" -eq 0 ]
}

@test "more changes than are kept for an absent peer become one resync" {
	fs_port=$(free_port)
	export VOIP_FREESWITCH_EVENT_SOCKET=127.0.0.1:$fs_port
	reload_lines --freeswitch-only
	for ((n = 0; n < 5000; n++)); do
		echo "update	groupmember	g/u$n@a.example	a.example"
	done >&9
	echo nonsense >&9
	wait_for grep -q 'line 5001' "$dir/log"
	freeswitch
	lines_end
	[ "$status" -eq 65 ]
	run -0 told
	[[ "$output" == "xml_flush_cache"$'\n'* ]]
	[[ "$output" != *"id u"* ]]
}

@test "a storm of changes is taken, and the peers end with what is right" {
	freeswitch
	remember ext a.example:1 a.example:1001 a.example:9999
	remember auth alice@a.example
	for ((n = 0; n < 10000; n++)); do
		echo "update	extension	$n@a.example	a.example"
	done >"$dir/changes"
	echo 'update	user	alice@a.example	a.example' >>"$dir/changes"
	run -0 reload --wait 300s <"$dir/changes"
	gone ext a.example:1
	gone ext a.example:9999
	gone ext a.example:1001
	gone auth alice@a.example
	run -0 told
	[[ $output == *"xml_flush_cache"* ]]
}

@test "half-open peers, and peers that are killed, cost no change" {
	freeswitch
	reload_lines --freeswitch-only --wait 60s
	printf 'update\textension\t1@a.example\ta.example\n' >&9
	wait_for grep -q 'id.1' "$dir/fs/log"
	kill -STOP "$fs" # the kernel still takes what is sent
	printf 'update\textension\t2@a.example\ta.example\n' >&9
	kill -KILL "$fs"
	wait "$fs" || :
	wait_for grep -q 'peer is away peer=freeswitch' "$dir/log"
	printf 'update\textension\t3@a.example\ta.example\n' >&9
	: >"$dir/fs/log"
	freeswitch slow
	wait_for grep -q 'tier.list' "$dir/fs/log"
	lines_end
	[ "$status" -eq 0 ]
	run -0 told
	[[ "$output" == "xml_flush_cache"$'\n'* ]]
}

@test "what is written twice is sent once" {
	freeswitch
	for n in 1 2 3 4 5 6 7 8 9; do
		echo 'update	member	sales/alice@a.example	a.example'
		echo 'update	groupmember	g/alice@a.example	a.example'
	done >"$dir/changes"
	run -0 reload --freeswitch-only <"$dir/changes"
	[ "$(told | grep -c 'queue list')" -eq 1 ]
	[ "$(told | grep -c 'id alice')" -eq 1 ]
}

@test "a wrong password and a refused address are named, with what to do" {
	freeswitch
	VOIP_FREESWITCH_PASSWORD=wrong away --freeswitch-only
	[ "$status" -eq 75 ]
	[[ "$output" == *"freeswitch has not got everything: FreeSWITCH at '127.0.0.1:$fs_port': the password is refused"*"hint: freeswitch_password"* ]]
	stop_process "$fs"
	freeswitch denied
	away --freeswitch-only
	[ "$status" -eq 75 ]
	[[ "$output" == *"this address is refused"*"hint: apply-inbound-acl"* ]]
}

@test "a hostile event socket costs neither memory nor the program" {
	for mode in garbage endless huge silent; do
		freeswitch "$mode"
		VOIP_RELOAD_TIMEOUT=200ms run -75 reload --freeswitch-only \
			--wait 500ms extension 1@a.example
		stop_process "$fs"
	done
	freeswitch events
	run -0 reload --freeswitch-only extension 1@a.example
}

@test "a reload that is refused because it is too soon is tried again" {
	kamailio_stop
	RELOAD_DELTA=1 kamailio_start
	sql "insert into voip.trusted_addresses (address) values ('192.0.2.1')"
	run -0 reload --kamailio-only address 192.0.2.1/32
	sql "insert into voip.trusted_addresses (address) values ('192.0.2.2')"
	run -0 reload --kamailio-only address 192.0.2.2/32
	rpc permissions.addressDump | grep -q 192.0.2.2
	kamailio_stop
	kamailio_start
}

@test "something else at Kamailio's address is told" {
	freeswitch
	VOIP_KAMAILIO_RPC=${VOIP_KAMAILIO_RPC%/RPC}/other away --kamailio-only
	[ "$status" -eq 75 ]
	[[ "$output" == *"the answer with status 404 is not JSON-RPC"*"hint: kamailio.cfg"* ]]
}

@test "a table that Kamailio does not have is told, and the rest is done" {
	remember ext a.example:1
	VOIP_KAMAILIO_NUMBER_TABLES='nix ext' run -0 reload --kamailio-only \
		extension 1@a.example
	[[ "$output" == *'refused peer=kamailio command="htable.delete nix a.example:1" error="500 No such htable"'* ]]
	gone ext a.example:1
}

@test "a database that is away is told once, not for each change" {
	freeswitch
	seq -f 'update	extension	%.0f@a.example	a.example' 50 >"$dir/changes"
	VOIP_DATABASE="host=$dir" run -0 reload --freeswitch-only <"$dir/changes"
	[ "$(grep -c 'forgetting all' <<<"$output")" = 1 ]
	run -0 told
	[[ $output == *xml_flush_cache* ]]
}

asked() { # TIMES COMMAND
	[ "$(told | grep -c "$2")" -ge "$1" ]
}

@test "what waits for the database says so once, and when it is back" {
	freeswitch
	away=$(mktemp -u "$SUITE_BASE/away.XXXXXX")
	VOIP_DATABASE="host=$away dbname=$PGDATABASE" \
		reload_lines --freeswitch-only --wait 60s
	printf 'resync\n' >&9
	# It asks again and again.
	wait_for asked 3 'tier list'
	[ "$(grep -c 'waiting for the database peer=freeswitch error=' "$dir/log")" -eq 1 ]
	run -1 grep 'database is back' "$dir/log"
	ln -s "$PGHOST" "$away"
	wait_for grep -q 'applied peer=freeswitch' "$dir/log"
	lines_end
	rm "$away"
	[ "$status" -eq 0 ]
	[ "$(grep -c 'waiting for the database' "$dir/log")" -eq 1 ]
	[ "$(grep -c 'the database is back peer=freeswitch' "$dir/log")" -eq 1 ]
}

@test "without the database more is forgotten instead" {
	freeswitch
	remember ext a.example:1001
	remember auth alice@a.example
	VOIP_DATABASE="host=$dir" run -0 reload extension 1001@a.example
	[[ "$output" == *"forgetting all"* ]]
	gone ext a.example:1001
	has auth alice@a.example
	run -0 told
	[ "$output" = "xml_flush_cache id 1001 a.example
xml_flush_cache" ]
}

@test "a change is in effect within the second that voip-watch needs for it" {
	freeswitch
	reload_lines
	PGUSER=voip_watch voip-watch >&9 2>"$dir/watch.log" 3>&- &
	watch=$!
	exec 9>&-
	wait_for grep -q 'applied peer=kamailio' "$dir/log"
	wait_for grep -q 'applied peer=freeswitch' "$dir/log"
	remember auth alice@a.example
	start=${EPOCHREALTIME/[.,]/}
	sql "update voip.users set full_name = 'Alice' where username = 'alice'"
	wait_for gone auth alice@a.example
	end=${EPOCHREALTIME/[.,]/}
	wait_for grep -q 'id.alice' "$dir/fs/log"
	echo "# from the UPDATE to Kamailio: $(((end - start) / 1000)) ms," \
		"psql and curl included" >&3
	stop_process "$watch"
	lines_end
	[ "$status" -eq 0 ]
}

@test "a wrong command line is a usage error, a wrong key bad data" {
	run -64 reload nothing 1@a.example
	[[ "$output" == *"there is no entity 'nothing'"*hint:* ]]
	run -64 reload user
	run -64 reload resync now
	run -64 reload --kamailio-only --freeswitch-only resync
	run -64 reload --wait soon resync
	run -65 reload user 'x y@a.example'
	VOIP_KAMAILIO_RPC='' VOIP_FREESWITCH_EVENT_SOCKET='' \
		run -78 reload resync
	[[ "$output" == *"no peer is configured"*hint:* ]]
	VOIP_FREESWITCH_EVENT_SOCKET=localhost:8021 run -78 reload resync
	[[ "$output" == *"'localhost:8021' is not ADDRESS:PORT"*hint:* ]]
	VOIP_KAMAILIO_RPC=unix:/x run -78 reload resync
}
