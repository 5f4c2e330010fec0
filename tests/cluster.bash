# cluster.bash: PostgreSQL clusters of a test's own, without listening on any
# address: the socket is in the cluster's folder.  For tests that need more
# than one server, or a database that nothing has touched.
#
#   cluster_base            a new short folder, in $cluster_base
#   cluster_init NAME       initdb into $cluster_base/NAME
#   cluster_start NAME [SETTING=VALUE...]
#   cluster_stop NAME [MODE]
#   cluster_copy NAME FROM  a standby of FROM, with a slot, not yet started
#   cluster_remove          stop what runs and remove the folder
#
# NAME's port is its only one, 5432; PGHOST=$cluster_base/NAME reaches it.

# shellcheck shell=bash

cluster_bin=${PG_BIN:-$(find /usr/lib/postgresql -name initdb -printf '%h\n' |
	sort -V | tail -n 1)}

# As root the server's programs run as a user who may.
cluster_run() {
	local user=nobody

	if [ "$(id -u)" -eq 0 ]; then
		id -u postgres >/dev/null 2>&1 && user=postgres
		(cd / && exec setpriv --reuid "$user" --regid "$(id -g "$user")" \
			--clear-groups "$@")
	else
		"$@"
	fi
}

cluster_base() {
	cluster_base=$(mktemp -d /tmp/voip-pg.XXXXXX)
	chmod 755 "$cluster_base"
	if [ "$(id -u)" -eq 0 ]; then
		chown "$(id -u postgres 2>/dev/null || id -u nobody)" \
			"$cluster_base"
	fi
}

cluster_init() {
	cluster_run "$cluster_bin/initdb" -D "$cluster_base/$1" -U postgres \
		-A trust --no-sync -E UTF8 --locale=C.UTF-8 \
		>"$cluster_base/initdb.log"
}

cluster_start() {
	local name=$1 setting settings=''

	shift
	for setting; do
		settings+=" -c $setting"
	done
	cluster_run "$cluster_bin/pg_ctl" -D "$cluster_base/$name" -s -w \
		-l "$cluster_base/$name.log" -o "-k $cluster_base/$name \
		-c listen_addresses= -c fsync=off -c max_connections=40 \
		-c shared_buffers=16MB$settings" start 3>&- </dev/null
}

cluster_stop() {
	cluster_run "$cluster_bin/pg_ctl" -D "$cluster_base/$1" -s -w \
		-m "${2:-fast}" stop
}

# The postmaster first, so that it makes no process that is not frozen.
cluster_freeze() {
	local postmaster

	postmaster=$(head -n 1 "$cluster_base/$1/postmaster.pid")
	kill -STOP "$postmaster"
	until grep -q '^State:.[TZ]' "/proc/$postmaster/status"; do :; done
	pgrep -P "$postmaster" | xargs -r kill -STOP
}

# Also one that is not frozen.
cluster_thaw() {
	local postmaster

	postmaster=$(head -n 1 "$cluster_base/$1/postmaster.pid")
	{ pgrep -P "$postmaster"; echo "$postmaster"; } | xargs kill -CONT
}

# By the server's own backup functions: not every build has pg_basebackup.
cluster_copy() {
	local to=$cluster_base/$1 from=$cluster_base/$2

	psql -XqAt -h "$from" -U postgres -d postgres -v ON_ERROR_STOP=1 \
		-o "$cluster_base/label" <<-SQL
	select pg_create_physical_replication_slot('$1') where not exists (
		select from pg_replication_slots where slot_name = '$1');
	select pg_backup_start('$1', true);
	\\! cp -a '$from' '$to'
	\\o $cluster_base/label
	select labelfile from pg_backup_stop(false);
	SQL
	rm -f "$to/postmaster.pid" "$to"/.s.* "$to/postmaster.opts" \
		"$to/standby.signal"
	rm -rf "$to"/pg_replslot/*
	cat >>"$to/postgresql.auto.conf" <<-CONF
	cluster_name = '$1'
	primary_conninfo = 'host=$from user=postgres application_name=$1'
	primary_slot_name = '$1'
	wal_retrieve_retry_interval = 100ms
	CONF
	cat "$cluster_base/label" >"$to/backup_label"
	: >"$to/standby.signal"
	[ "$(id -u)" -ne 0 ] ||
		chown --reference="$from" "$to/backup_label" \
			"$to/standby.signal"
}

cluster_remove() {
	local pid

	for pid in "$cluster_base"/*/postmaster.pid; do
		[ -e "$pid" ] || continue
		cluster_stop "$(basename "$(dirname "$pid")")" immediate || true
	done
	rm -rf "${cluster_base:?}"
}

# The schema of sql/, each file in one transaction, as the runner does it.
cluster_load() {
	local file psql=(psql -XqAt -U postgres -v ON_ERROR_STOP=1)

	"${psql[@]}" -d postgres -1 -f sql/cluster.sql >/dev/null
	"${psql[@]}" -d postgres -c "create database $1 owner voip_owner"
	for file in sql/[0-9]*.sql sql/grant.sql; do
		PGOPTIONS='-c client_min_messages=warning' \
			"${psql[@]}" -d "$1" -1 -f "$file" >/dev/null || return
	done
}
