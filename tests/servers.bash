# servers.bash: a private PostgreSQL (cluster.bash) and our endpoints behind
# systemd-socket-activate, in a new folder below /tmp that is removed at the
# end, for the demo and the benchmarks.  The one that sources it has set $out,
# a folder for the logs, and $BUILD, and may define explain_failure.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $out

PATH=$BUILD/bin:$BUILD/tool:$PATH
# shellcheck source=tests/cluster.bash
. tests/cluster.bash
# shellcheck source=tests/port.bash
. tests/port.bash
# The environment of whoever calls must not lead to another database.
for name in $(compgen -e | grep -E '^(PG|VOIP_)' || :); do
	[ "$name" = PG_BIN ] || unset "$name"
done

servers=()
tmp=''
finish() {
	local status=$? pid
	trap '' INT TERM HUP PIPE
	[ "$status" -eq 0 ] || explain_failure || :
	for pid in "${servers[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null || :
	done
	for pid in "${servers[@]}"; do
		wait "$pid" 2>/dev/null || :
	done
	[ -z "$tmp" ] || {
		stop_postgres
		rm -rf "$tmp"
	}
	exit "$status"
}
trap finish EXIT
trap 'exit 0' INT TERM HUP
# A reader that went away is a failed write, and so the end; as a signal it
# could come once more while finish() is at work.
trap '' PIPE

explain_failure() {
	:
}

# private_folder [SETTING...]: the folder, $tmp, with its settings file.
private_folder() {
	tmp=$(mktemp -d "${SERVERS_TMP:-/tmp}/voip.XXXXXX")
	chmod 711 "$tmp"
	[ "$(id -u)" -ne 0 ] || chown postgres "$tmp"
	mkdir -m 700 "$tmp/spool" "$tmp/dirxml"
	(umask 077 && od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' \
		>"$tmp/secret.key")
	export PGHOST=$tmp/pg PGUSER=postgres VOIP_CONFIG=$tmp/voip.conf
	printf '%s\n' "database='host=$tmp/pg dbname=voip_platform'" \
		"cdr_spool_dir=$tmp/spool" "dirxml_state_dir=$tmp/dirxml" \
		"secret_key_file=$tmp/secret.key" idle_exit=0 "$@" \
		>"$VOIP_CONFIG"
}

# A cluster as an installation has it: what is committed is on the disk.
start_postgres() {
	cluster_base=$tmp
	cluster_init pg
	cluster_start pg fsync=on shared_buffers=128MB
}

stop_postgres() {
	[ ! -e "$tmp/pg/postmaster.pid" ] || cluster_stop pg || :
	for log in "$tmp"/*.log; do
		[ ! -e "$log" ] || cp "$log" "$out/postgres-${log##*/}"
	done
}

# activate PROGRAM PORT ROLE: as systemd does it, by the first connection.
activate() {
	setsid systemd-socket-activate -l "127.0.0.1:$2" \
		-E "VOIP_CONFIG=$tmp/voip.conf" -E "PGUSER=$3" \
		-E "ASAN_OPTIONS=${ASAN_OPTIONS:-}" \
		"$BUILD/bin/$1" </dev/null >"$out/$1.log" 2>&1 &
	servers+=($!)
	for _ in {1..1200}; do
		! listens "$2" || return 0
		kill -0 $! 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
