# helper.bash: what test files share.  `load helper`, then in setup_file:
#
#   clone_db            a database of the file's own, with schema and rights;
#                       exports PGDATABASE and VOIP_DATABASE
#   drop_db             in teardown_file
#
# and anywhere:
#
#   sql STATEMENT       psql, tab-separated rows without a head
#   wait_for COMMAND... until it succeeds, 30 s at most, else what it printed
#   stop_process PID    SIGTERM, and wait until it is gone
#
# and what port.bash has.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0
load port

# A test that cannot run here is a failed one.
skip() {
	echo "skipped: $*"
	return 1
}

clone_db() {
	local name

	cd "$BATS_TEST_DIRNAME/.." || return
	name=${1:-$(basename "$BATS_TEST_FILENAME" .bats | tr -c 'a-z0-9\n' _)}
	export PGDATABASE=voip_$name VOIP_DATABASE=dbname=voip_$name
	psql -Xq -d postgres -c "create database $PGDATABASE
		template voip_template owner voip_owner"
	voip-schema grant
}

drop_db() {
	psql -Xq -d postgres -c "drop database if exists ${PGDATABASE:?}
		with (force)"
}

sql() {
	psql -XqAt -F $'\t' -v ON_ERROR_STOP=1 -c "$1"
}

wait_for() {
	local end=$((SECONDS + 30)) output=

	until output=$("$@" 2>&1); do
		[ "$SECONDS" -lt "$end" ] || {
			echo "waited in vain for: $*"
			echo "$output"
			return 1
		}
		read -rt 0.02 <> <(:) || :
	done
}

stop_process() {
	local end=$((SECONDS + 20))

	kill -TERM "$1" 2>/dev/null || :
	while kill -0 "$1" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do
		read -rt 0.02 <> <(:) || :
	done
	kill -KILL "$1" 2>/dev/null || :
	wait "$1" 2>/dev/null || :
}
