# ha.bash: a pair in network namespaces of a test's own: two nodes, a client and
# a switch, with real keepalived and real PostgreSQL that streams.
#
#   ha_build            once: the two data directories, in $ha/golden
#   ha_up               namespaces, a fresh pair, programs and keepalived; node1
#                       has the address, unless the machine was too busy
#   ha_down             stops everything and removes the namespaces
#   ha_remove           the directory, too
#   ha_hasty=yes        before ha_build: PostgreSQL does not wait for the disk,
#                       as no power fails here; a busy one is no fault then
#   ha_small=yes        before ha_up: disks that can be filled
#   ha_clock=yes        before ha_up: $ha/nN/clock is what the clock of node N
#                       has more, such as +3600
#   ha_template=FILE    before ha_up: of ha/, for keepalived
#   ha_settle           as ha_up, unless the pair is well already; $p is the
#                       number of the primary, $s of the other
#   ha_node N COMMAND   on node N, as the user of PostgreSQL
#   ha_sql N SQL        asks the server of node N by its socket
#   ha_await COMMAND    until it succeeds, 180 s at most
#
# tests/ha/fault.bash: what is done to the pair, and what the client sees.
# Both need $top (the tree) and $build (its programs), which a bats file has.
#
# Addresses: node1 10.77.0.101, node2 10.77.0.102, client and witness 10.77.0.1,
# the virtual one 10.77.0.100.  The names of the namespaces have the pid of the
# test, so several can run.

# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # $top, $build: of the caller; $p, $s: his

[ -z "${BATS_TEST_DIRNAME:-}" ] ||
	top=${BATS_TEST_DIRNAME%/*} build=${BUILD:?}
ha_bin=${PG_BIN:-$(find /usr/lib/postgresql -name initdb -printf '%h\n' |
	sort -V | tail -n 1)}
ha_vip=10.77.0.100
# Unpacked by tests/deps.
for name in keepalived nftables; do
	PATH=$PATH:$top/build/deps/$name/usr/sbin
done
ha_client=10.77.0.1

# For faults in `make check`: a busy machine is late, and nobody who is late is
# dead; whatever becomes of a node it comes back.
ha_patient='peer_timeout=2s
	witness_timeout=2s
	rejoin_policy=reclone
	rejoin_copies=99'

# A pipe that says nothing, to wait at; a process for each pause would be
# thousands, and a shell that lives long loses one when the pids come again.
[ -n "${ha_silence:-}" ] || exec {ha_silence}<> <(:)

ha_pause() { # SECONDS
	read -rt "$1" -u "$ha_silence" || :
}

# Nothing of the caller's may lead elsewhere, nor keep his descriptors open.
ha_clean=(env -u PGHOST -u PGUSER -u PGDATABASE -u VOIP_DATABASE
	-u VOIP_DATABASE_CONNECT_TIMEOUT)

ha_user() {
	(cd / && exec setpriv --reuid postgres --regid postgres --clear-groups \
		"$@") 3>&-
}

ha_ns() { # NAME of a namespace
	echo "voip${ha##*.}-$1"
}

ha_in() { # NAME COMMAND...
	ip netns exec "$(ha_ns "$1")" "${@:2}"
}

ha_address() {
	echo "10.77.0.10$1"
}

ha_node() {
	local n=$1

	shift
	(cd / && ha_in "n$n" "${ha_clean[@]}" VOIP_CONFIG="$ha/n$n/voip.conf" \
		setpriv --reuid postgres --regid postgres --clear-groups \
		"$@") 3>&-
}

ha_sql() { # N SQL
	PGCONNECT_TIMEOUT=5 timeout 10 psql -XqAt -h "$ha/n$1" -U postgres -d voip_platform -c "$2"
}

ha_pg_conf() { # N
	local own peer

	own=$(ha_address "$1")
	peer=$(ha_address $((3 - $1)))
	cat "$top/ha/postgresql.conf"
	cat <<-CONF
	cluster_name = 'node$1'
	data_directory = '$ha/disk$1/data'
	hba_file = '$ha/pg_hba.conf'
	listen_addresses = '*'
	unix_socket_directories = '$ha/n$1'
	max_connections = 60
	shared_buffers = 16MB
	wal_keep_size = 128MB
	max_slot_wal_keep_size = 1GB
	max_wal_size = 64MB
	min_wal_size = 32MB
	logging_collector = off
	# own address $own, peer $peer
	CONF
	[ -z "${ha_hasty:-}" ] || echo 'fsync = off'
}

ha_follow_conf() { # N
	cat <<-CONF
	primary_conninfo = 'host=$(ha_address $((3 - $1))) user=postgres application_name=node$1 connect_timeout=2 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=3000'
	primary_slot_name = 'node$1'
	CONF
}

# As on Debian the configuration is not in the data directory, where pg_rewind
# would bring the other side's.
ha_pg_options() { # N
	echo "-c config_file=$ha/n$1/postgresql.conf"
}

ha_ctl() { # N ARGUMENT...: pg_ctl within the namespace
	local n=$1

	shift
	ha_node "$n" "$ha_bin/pg_ctl" -D "$ha/disk$n/data" -s -w -t 60 \
		-l "$ha/n$n/pg.log" -o "$(ha_pg_options "$n")" "$@" </dev/null
}

ha_answers() { # N
	"$ha_bin/pg_isready" -q -h "$ha/n$1"
}

ha_start_server() { # N
	ha_start "$1" pg_ctl "$ha_bin/pg_ctl" -D "$ha/disk$1/data" -s -W \
		-l "$ha/n$1/pg.log" -o "$(ha_pg_options "$1")" start
	ha_await ha_answers "$1"
}

ha_voip_conf() { # N
	local data=$ha/disk$1/data ctl bin=$ha_bin

	[ -z "${ha_hasty:-}" ] || bin=$ha/pg
	ctl="$ha_bin/pg_ctl -D $data -s -w"
	cat <<-CONF
	node_name=node$1
	node_database='host=$ha/n$1 dbname=voip_platform user=voip_failover'
	database='host=$ha/n$1 dbname=voip_platform'
	postgresql_data_directory=$data
	postgresql_bin_dir=$bin
	postgresql_config_file=$ha/n$1/postgresql.conf
	service.postgresql.start='$ctl -l $ha/n$1/pg.log -o "$(ha_pg_options "$1")" start'
	service.postgresql.stop='$ctl -m fast stop'
	service.postgresql.kill='true'
	service.postgresql.status='$ha_bin/pg_ctl -D $data status'
	health_dir=$ha/n$1/run
	failover_fifo=$ha/n$1/run/keepalived.fifo
	failover_state_dir=$ha/n$1/state
	peer_listen=$(ha_address "$1"):8084
	peer_address=$(ha_address $((3 - $1))):8084
	peer_key_file=$ha/peer.key
	peer_replication='host=$(ha_address $((3 - $1))) user=postgres dbname=voip_platform connect_timeout=2 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=3000'
	peer_slot=node$((3 - $1))
	own_slot=node$1
	witnesses=$ha_client
	virtual_address=$ha_vip
	kamailio_sip=
	kamailio_rpc=
	freeswitch_event_socket=
	${ha_settings:-}
	dirxml_listen=
	cdr_listen=
	cdr_spool_dir=$ha/n$1/spool
	CONF
}

ha_network() {
	local n

	for n in sw n1 n2 cl; do
		ip netns add "$(ha_ns "$n")"
		ip -n "$(ha_ns "$n")" link set lo up
	done
	ip -n "$(ha_ns sw)" link add br0 type bridge stp_state 0 \
		forward_delay 0 mcast_snooping 0
	ip -n "$(ha_ns sw)" link set br0 up
	ha_in cl sysctl -qw net.ipv4.icmp_ratelimit=0
	for n in n1 n2 cl; do
		ip -n "$(ha_ns sw)" link add "p$n" type veth peer name eth0 \
			netns "$(ha_ns "$n")"
		ip -n "$(ha_ns sw)" link set "p$n" master br0 up
		ip -n "$(ha_ns "$n")" link set eth0 up
		ha_in "$n" sysctl -qw net.ipv4.ping_group_range='0 2147483647'
	done
	ip -n "$(ha_ns n1)" addr add 10.77.0.101/24 dev eth0
	ip -n "$(ha_ns n2)" addr add 10.77.0.102/24 dev eth0
	ip -n "$(ha_ns cl)" addr add $ha_client/24 dev eth0
}

ha_filter() { # N
	sed -e "s|@PEER@|$(ha_address $((3 - $1)))|; s|@ADDRESS@|$ha_vip|" \
		"$top/ha/nftables.conf" >"$ha/n$1/nftables.conf"
	ha_in "n$1" nft -f "$ha/n$1/nftables.conf"
}

ha_streams() { # N of the primary
	[ "$(ha_sql "$1" "select count(*) from pg_stat_replication
		where state = 'streaming'" 2>/dev/null)" = 1 ]
}

ha_make_hasty() {
	local name

	mkdir "$ha/pg"
	ln -s "$ha_bin"/* "$ha/pg"
	for name in pg_rewind pg_basebackup; do
		rm "$ha/pg/$name"
		printf '#!/bin/sh\nexec %s --no-sync "$@"\n' \
			"$ha_bin/$name" >"$ha/pg/$name"
		chmod 755 "$ha/pg/$name"
	done
}

ha_build() {
	local n file

	export ha
	ha=$(mktemp -d /tmp/voip-ha.XXXXXX)
	chmod 755 "$ha"
	mkdir -p "$ha"/{bin,disk1,disk2,golden,n1/run,n1/state,n2/run,n2/state}
	# The user of PostgreSQL may not get to ours.
	cp "$build"/bin/voip-{failover,health,healthd} "$build/tool/ha-init" \
		"$ha/bin"
	printf '%064d\n' 7 >"$ha/peer.key"
	chmod 640 "$ha/peer.key"
	[ -z "${ha_hasty:-}" ] || ha_make_hasty
	for n in 1 2; do
		ha_voip_conf $n >"$ha/n$n/voip.conf"
		chmod 640 "$ha/n$n/voip.conf"
	done
	chown -R postgres:postgres "$ha"
	ha_network
	ha_user "$ha_bin/initdb" -D "$ha/disk1/data" -U postgres -A trust \
		--no-sync -E UTF8 --locale=C.UTF-8 >"$ha/initdb.log"
	{
		echo 'local all all trust'
		echo 'host all,replication all 10.77.0.0/24 trust'
		echo 'local replication all trust'
	} >"$ha/pg_hba.conf"
	for n in 1 2; do
		ha_pg_conf $n >"$ha/n$n/postgresql.conf"
	done
	rm "$ha"/disk1/data/{postgresql,pg_hba,pg_ident}.conf
	ha_start_server 1
	ha_load || return
	ha_sql 1 "create table public.w (src text, id bigint,
		at timestamptz default clock_timestamp(), primary key (src, id));
		grant usage on schema public to public;
		grant all on public.w to public;
		create role writer login;
		grant connect on database voip_platform to writer"
	ha_sql 1 "select pg_create_physical_replication_slot('node2', true)" \
		>/dev/null
	ha_user "$ha_bin/pg_basebackup" -h "$ha/n1" -U postgres -X stream \
		-c fast -D "$ha/disk2/data"
	ha_follow_conf 2 >>"$ha/disk2/data/postgresql.auto.conf"
	: >"$ha/disk2/data/standby.signal"
	chown postgres "$ha/disk2/data/standby.signal"
	ha_start_server 2
	ha_await ha_streams 1
	ha_ctl 1 -m fast stop
	ha_ctl 2 -m fast stop
	for n in 1 2; do
		mv "$ha/disk$n/data" "$ha/golden/n$n"
	done
	ha_delete_network
}

# The schema, as cluster_load of cluster.bash does it.
ha_load() {
	local file psql=(psql -XqAt -h "$ha/n1" -U postgres
		-v ON_ERROR_STOP=1)

	cd "$top" || return
	"${psql[@]}" -d postgres -1 -f sql/cluster.sql >/dev/null
	"${psql[@]}" -d postgres \
		-c 'create database voip_platform owner voip_owner'
	for file in sql/[0-9]*.sql sql/grant.sql; do
		PGOPTIONS='-c client_min_messages=warning' \
			"${psql[@]}" -d voip_platform -1 -f "$file" >/dev/null ||
			return
	done
}

ha_keepalived_conf() { # N
	sed -e "s|@NODE@|node$1|; s|@USER@|postgres|; s|@RUN@|$ha/n$1/run|" \
		-e "s|@HEALTH@|/usr/bin/env VOIP_CONFIG=$ha/n$1/voip.conf $ha/bin/voip-health|" \
		-e "s|@FAILOVER@|/usr/bin/env VOIP_CONFIG=$ha/n$1/voip.conf $ha/bin/voip-failover|" \
		-e "s|@INTERFACE@|eth0|; s|@ADVERT@|${ha_advert:-0.3}|" \
		-e "s|@OWN@|$(ha_address "$1")|" \
		-e "s|@PEER@|$(ha_address $((3 - $1)))|" \
		-e "s|@VIP@|$ha_vip/24|" "$top/ha/${ha_template:-keepalived.conf}"
}

# A process of node N as its user; its pid in $ha/nN/NAME.pid.
ha_start() { # N NAME COMMAND...
	local n=$1 name=$2 faked=()

	shift 2
	case ${ha_clock:-}$name in
	yesfailover | yeshealth)
		faked=(env LD_PRELOAD="$(find "$top/build/deps/libfaketime/" \
			-name libfaketime.so.1)"
			ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
			FAKETIME_TIMESTAMP_FILE="$ha/n$n/clock"
			FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
			DONT_FAKE_MONOTONIC=1)
		;;
	esac
	rm -f "$ha/n$n/$name.pid"
	(cd / && exec ip netns exec "$(ha_ns "n$n")" "${ha_clean[@]}" \
		VOIP_CONFIG="$ha/n$n/voip.conf" \
		setpriv --reuid postgres --regid postgres --clear-groups \
		"$ha/bin/ha-init" "$ha/n$n/$name.pid" \
		"${faked[@]}" "$@") >>"$ha/n$n/$name.log" 2>&1 </dev/null 3>&- &
	ha_await test -s "$ha/n$n/$name.pid"
}

ha_start_keepalived() { # N
	local n=$1

	ha_keepalived_conf "$n" >"$ha/n$n/keepalived.conf"
	rm -f "$ha/n$n"/{keepalived,ka,vrrp}.pid
	(cd / && exec ip netns exec "$(ha_ns "n$n")" \
		"$ha/bin/ha-init" "$ha/n$n/keepalived.pid" keepalived -n -l -D -G -P \
		-f "$ha/n$n/keepalived.conf" -p "$ha/n$n/ka.pid" \
		-r "$ha/n$n/vrrp.pid") >>"$ha/n$n/keepalived.log" 2>&1 \
		</dev/null 3>&- &
	ha_await test -s "$ha/n$n/keepalived.pid"
}

ha_start_failover() { # N
	ha_start "$1" failover "$ha/bin/voip-failover" follow
	ha_await test -p "$ha/n$1/run/keepalived.fifo"
}

ha_start_health() { # N
	ha_start "$1" health "$ha/bin/voip-healthd" --listen 127.0.0.1:8083
}

ha_has_vip() { # N
	ip -n "$(ha_ns "n$1")" -o addr show dev eth0 | grep -q " $ha_vip/"
}

ha_await() { # COMMAND...: until it succeeds
	local end=$((SECONDS + 180))

	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || {
			echo "in vain: $*" >&2
			return 1
		}
		ha_pause 0.03
	done
}

# One that can be filled.
ha_small_disk() { # N
	mount -t tmpfs -o size=300m,mode=755 voip-ha "$ha/disk$1" &&
		chown postgres:postgres "$ha/disk$1"
}

ha_up() {
	local n

	ha_network || return
	for n in 1 2; do
		rm -rf "$ha/n$n/run" "$ha/n$n/state"
		[ -z "${ha_small:-}" ] || ha_small_disk $n || return
		cp -a "$ha/golden/n$n" "$ha/disk$n/data"
		echo +0 >"$ha/n$n/clock"
		mkdir "$ha/n$n/run" "$ha/n$n/state"
		chown postgres:postgres "$ha/n$n/run" "$ha/n$n/state"
		# A killed server leaves the lock of its socket, and a zombie
		# has its pid for a while.
		rm -f "$ha/n$n"/*.log "$ha/n$n"/.s.PGSQL.*
		ha_start_server $n || return
	done
	ha_await ha_streams 1 || return
	for n in 1 2; do
		ha_filter $n
		ha_start_failover $n || return
		ha_start_health $n || return
	done
	ha_start_keepalived 1
	ha_await ha_has_vip 1 || return
	ha_start_keepalived 2
	ha_await ha_is_settled
}

# What a machine does when it has been switched on: PostgreSQL is not started,
# voip-failover decides that.
ha_boot() { # N
	local n=$1

	ip -n "$(ha_ns sw)" link set "pn$n" up
	rm -rf "$ha/n$n/run"
	mkdir "$ha/n$n/run"
	chown postgres:postgres "$ha/n$n/run"
	ha_start_failover "$n" || return
	[ "${2:-}" = blind ] || ha_start_health "$n" || return
	ha_start_keepalived "$n"
}

ha_is_alive() { # N NAME
	[ -s "$ha/n$1/$2.pid" ] && kill -0 "$(cat "$ha/n$1/$2.pid")"
}

# PRIMARY has the address and writes, OTHER streams from it, all programs run.
ha_is_well() { # PRIMARY OTHER
	local n name

	for n in 1 2; do
		for name in failover health keepalived; do
			ha_is_alive $n $name || return
		done
	done
	ha_has_vip "$1" && ! ha_has_vip "$2" && ha_streams "$1" &&
		[ "$(ha_primaries)" = "$1" ] && ha_is_standby "$2" &&
		grep -q '"held":true' "$ha/n$1/state/state.json" &&
		! grep -q '"doing":"[^"]' "$ha"/n?/state/state.json &&
		[ "$(cat "$ha/n1/run/health")$(cat "$ha/n2/run/health")" = 00 ]
}

ha_is_settled() {
	ha_is_well 1 2 || ha_is_well 2 1
}

ha_settle() {
	if ! ip netns list 2>/dev/null | grep -q "^$(ha_ns n1)\b"; then
		ha_up || return
	elif ! ha_is_settled; then
		ha_down
		ha_up || return
	fi 2>/dev/null
	p=1 s=2
	ha_has_vip 1 || p=2 s=1
}

ha_delete_network() {
	local n pid end

	for n in n1 n2 cl sw; do
		ip netns list | grep -q "^$(ha_ns "$n")\b" || continue
		end=$((SECONDS + 20))
		while pid=$(ip netns pids "$(ha_ns "$n")") && [ -n "$pid" ] &&
			[ "$SECONDS" -lt "$end" ]; do
			# shellcheck disable=SC2086 # one word each
			kill -KILL $pid 2>/dev/null
			ha_pause 0.03
		done
		ip netns del "$(ha_ns "$n")"
	done
}

ha_down() {
	local n

	ha_delete_network
	for n in 1 2; do
		! mountpoint -q "$ha/disk$n" || umount -l "$ha/disk$n"
		rm -rf "$ha/disk$n"/*
	done
}

ha_remove() {
	ha_down
	rm -rf "${ha:?}"
}

# Which nodes are primaries now, e.g. "2".
ha_primaries() {
	local n

	for n in 1 2; do
		[ "$(ha_sql $n 'select pg_is_in_recovery()' 2>/dev/null)" = f ] &&
			printf '%s' $n
	done
	return 0
}

ha_is_standby() { # N
	[ "$(ha_sql "$1" "select status from pg_stat_wal_receiver" \
		2>/dev/null)" = streaming ]
}
