# proxy.bash: the Kamailio that we ship, with the tables, modules and stand-ins
# of a test file's own (load kamailio.bash for rpc and others first).
#
#   proxy_setup [SETTING=VALUE...]  database, configuration and addresses
#   proxy_accounts DOMAIN USER...   whose password is pw and the name, each with
#                           the extension of its name
#   proxy_media NAME...     media servers at ${NAME}_address, and the queue 8001
#                           of each domain with accounts for them
#   proxy_start, kamailio_stop [SIGNAL]
#   peer NAME [OPTION...]   sip-peer at ${NAME}_address; its log is $folder/NAME
#   peer_stop NAME...
#   phone WHO ACTION [NUMBER] [OPTION...]   sip-phone of USER@DOMAIN WHO, whose
#                           password is pw and its name
#   dispatcher_knows STATE ADDRESS
#
# Addresses are of 127.0.0.0/8, a port of the file's own.
# shellcheck shell=bash
# shellcheck disable=SC2154 # of kamailio.bash

proxy_setup() {
	folder=$BATS_FILE_TMPDIR
	proxy_port=$(free_port)
	VOIP_KAMAILIO_RPC=http://127.0.0.1:$(free_port)/RPC
	peer_port=$(free_port)
	proxy=127.0.0.1:$proxy_port
	fs1_address=127.0.0.11:$peer_port
	fs2_address=127.0.0.12:$peer_port
	gw1_address=127.0.0.21:$peer_port
	ua2_address=127.0.0.102:$peer_port
	export folder proxy_port VOIP_KAMAILIO_RPC peer_port proxy
	export fs1_address fs2_address gw1_address ua2_address
	proxy_configure "$@"
}

# The configuration as it is shipped, and what voip-config makes of settings.
proxy_configure() {
	local setting settings=()

	for setting in kamailio_port="$proxy_port" \
		kamailio_rpc="$VOIP_KAMAILIO_RPC" \
		kamailio_database="host=$PGHOST dbname=$PGDATABASE" \
		kamailio_workers=4 kamailio_tcp_workers=1 \
		kamailio_flood_requests=100000 kamailio_node_ping=1s \
		kamailio_node_threshold=1 kamailio_flush=2s "$@"; do
		settings+=(--set "$setting")
	done
	cp "$BATS_TEST_DIRNAME/../etc/kamailio/kamailio.cfg" "$folder"
	voip-config "${settings[@]}" kamailio >"$folder/voip-site.cfg"
}

proxy_accounts() {
	local domain=$1 users

	shift
	users=$(IFS=,; echo "$*")
	psql -Xq -v ON_ERROR_STOP=1 -c "
		insert into voip.domains (domain) values ('$domain');
		insert into voip.users (domain_id, username, ha1, ha1b)
			select id, u, md5(u || ':' || domain || ':pw' || u),
			md5(u || '@' || domain || ':' || domain || ':pw' || u)
			from voip.domains, unnest('{$users}'::text[]) as u
			where domain = '$domain';
		insert into voip.extensions (domain_id, extension, type, user_id)
			select domain_id, username, 'user', u.id from voip.users
			as u join voip.domains as d on d.id = domain_id
			where domain = '$domain'"
}

proxy_media() {
	local name address

	for name in "$@"; do
		address=${name}_address
		psql -Xq -v ON_ERROR_STOP=1 -c "insert into
			voip.media_nodes (destination)
			values ('sip:${!address}')"
	done
	psql -Xq -v ON_ERROR_STOP=1 -c "insert into voip.extensions
		(domain_id, extension, type)
		select distinct domain_id, '8001', 'queue' from voip.users"
}

# Where the packages' modules were unpacked.
proxy_modules() {
	find "$kamailio_root"{,-postgres-modules,-tls-modules}/usr/lib \
		-type d -name modules 2>/dev/null | paste -s -d :
}

proxy_start() {
	# shellcheck disable=SC2086 # PROXY_IN: a command before it
	LD_LIBRARY_PATH=$kamailio_libs ASAN_OPTIONS='' setsid ${PROXY_IN:-} \
		"$kamailio_root/usr/sbin/kamailio" -L "$(proxy_modules)" \
		-f "$folder/kamailio.cfg" -DD -E -m "${PROXY_MEMORY:-64}" -M 8 \
		-Y "$folder" -w "$folder" >>"$folder/kamailio.log" 2>&1 \
		3>&- 4>&- 9>&- </dev/null &
	echo $! >"$folder/kamailio.pid"
	disown $!
	wait_for rpc core.version >"$folder/waiting" || {
		cat "$folder/waiting" "$folder/kamailio.log"
		return 1
	}
}

peer() {
	local name=$1 address
	address=${name}_address
	shift
	: >"$folder/$name"
	sip-peer "$@" "${!address}" >>"$folder/$name" 2>&1 3>&- 4>&- </dev/null &
	echo $! >"$folder/$name.pid"
	disown $!
	[[ " $* " == *" -q "* ]] || wait_for grep -q listening "$folder/$name"
}

peer_stop() {
	local name pid

	for name in "$@"; do
		[ -e "$folder/$name.pid" ] || continue
		pid=$(<"$folder/$name.pid")
		rm "$folder/$name.pid"
		kill "$pid" 2>/dev/null || :
		wait_for process_is_gone "$pid"
	done
}

process_is_gone() {
	! kill -0 "$1" 2>/dev/null
}

phone() {
	local who=$1 action=$2 number=()
	shift 2
	if [ "$action" = call ]; then
		number=("$1")
		[[ $1 == *@* ]] || number=("$1@${who#*@}")
		shift
	fi
	sip-phone -p "pw${who%@*}" "$@" "$proxy" "$action" "$who" "${number[@]}"
}

dispatcher_knows() {
	rpc dispatcher.list | jq -r '.. | objects | select(has("URI")) |
		.FLAGS + " " + .URI' | grep -q "^$1.* sip:$2"
}

# The value of a metric, 0 when it has none yet.
proxy_metric() {
	curl -sS -m 20 "${VOIP_KAMAILIO_RPC%/RPC}/metrics" |
		sed -n "s/^$1 \([0-9]*\).*/\1/p" | grep . || echo 0
}
