# servers.bash: a private PostgreSQL and our endpoints behind
# systemd-socket-activate, in a new folder below /tmp that is removed at the
# end, for the demo and the benchmarks.  The one that sources it has set $out,
# a folder for the logs, and $BUILD, and may define explain_failure.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $out

PATH=$BUILD/bin:$BUILD/tool:$PATH
pg_bin=${PG_BIN:-$(find /usr/lib/postgresql -name initdb -printf '%h\n' |
	sort -V | tail -n 1)}
# The environment of whoever calls must not lead to another database.
for name in $(compgen -e | grep -E '^(PG|VOIP_)' || :); do
	[ "$name" = PG_BIN ] || unset "$name"
done

servers=()
tmp=''
finish() {
	local status=$? pid
	trap '' INT TERM HUP
	[ "$status" -eq 0 ] || explain_failure
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

explain_failure() {
	:
}

# private_folder [SETTING...]: the folder, $tmp, with its settings file.
private_folder() {
	tmp=$(mktemp -d "${SERVERS_TMP:-/tmp}/voip.XXXXXX")
	chmod 711 "$tmp"
	mkdir -m 700 "$tmp/pg" "$tmp/spool"
	[ "$(id -u)" -ne 0 ] || chown postgres: "$tmp/pg"
	(umask 077 && head -c 32 /dev/urandom >"$tmp/secret.key")
	export PGHOST=$tmp/pg PGUSER=postgres VOIP_CONFIG=$tmp/voip.conf
	printf '%s\n' "database=host=$tmp/pg dbname=voip_platform" \
		"cdr_spool_dir=$tmp/spool" \
		"secret_key_file=$tmp/secret.key" idle_exit=0 "$@" \
		>"$VOIP_CONFIG"
}

# PostgreSQL refuses to run as root.
as_postgres() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups "$@"
	else
		"$@"
	fi
}

start_postgres() (
	cd "$tmp/pg" || exit
	as_postgres "$pg_bin/initdb" -D "$tmp/pg/data" -U postgres -A trust \
		-E UTF8 --locale=C.UTF-8
	as_postgres "$pg_bin/pg_ctl" -D "$tmp/pg/data" -w -l "$tmp/pg/log" \
		-o "-c listen_addresses='' -c unix_socket_directories='$tmp/pg'" \
		start
)

stop_postgres() {
	[ ! -e "$tmp/pg/data/postmaster.pid" ] || (cd "$tmp/pg" &&
		as_postgres "$pg_bin/pg_ctl" -D "$tmp/pg/data" -w -m fast \
			stop >/dev/null 2>&1) || :
	[ ! -e "$tmp/pg/log" ] || cp "$tmp/pg/log" "$out/postgres.log"
}

free_port() {
	local port
	for _ in {1..50}; do
		port=$((20000 + RANDOM % 12000))
		listening "$port" || {
			echo "$port"
			return
		}
	done
	return 1
}

# Asking the kernel, since a connection would activate the program.
listening() {
	grep -q "^ *[0-9]*: 0100007F:$(printf '%04X' "$1") 00000000:0000 0A" \
		/proc/net/tcp
}

# activate PROGRAM PORT ROLE: as systemd does it, by the first connection.
activate() {
	setsid systemd-socket-activate -l "127.0.0.1:$2" \
		-E "VOIP_CONFIG=$tmp/voip.conf" -E "PGUSER=$3" \
		"$BUILD/bin/$1" </dev/null >"$out/$1.log" 2>&1 &
	servers+=($!)
	for _ in {1..100}; do
		! listening "$2" || return 0
		kill -0 $! 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
