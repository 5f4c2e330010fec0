#!/usr/bin/env bats
# voip-schema: migrations, two at once, killed, changed, newer.
# shellcheck disable=SC2154

load helper

setup() {
	export PGDATABASE=schema_$BATS_TEST_NUMBER
	export VOIP_DATABASE=dbname=$PGDATABASE
}

teardown() {
	drop_db
}

migrations() {
	find "$BATS_TEST_DIRNAME/../sql" -name '[0-9]*.sql' -printf '%f\n' | sort
}

@test "init makes database and schema, and status then says that all is applied" {
	run -0 voip-schema init --format=tsv
	[ "$(cut -f2 <<<"$output" | tail -n +2)" = "$(migrations)" ]
	run -0 voip-schema status --format=tsv
	[ "$(cut -f3 <<<"$output" | tail -n +2 | sort -u)" = applied ]
}

@test "a second init changes nothing" {
	voip-schema init >/dev/null
	before=$(sql 'select version, checksum, applied_at from voip.schema_version')
	run -0 voip-schema init --format=tsv
	[ "$(tail -n +2 <<<"$output")" = "" ]
	[ "$(sql 'select version, checksum, applied_at from voip.schema_version')" = "$before" ]
}

@test "two inits at once both succeed, and each migration is applied once" {
	voip-schema init --format=tsv >"$BATS_TEST_TMPDIR/1" &
	first=$!
	run -0 voip-schema init --format=tsv
	wait "$first"
	[ "$( (cat "$BATS_TEST_TMPDIR/1"; echo "$output") | grep -c applied)" -gt 0 ]
	[ "$( (cat "$BATS_TEST_TMPDIR/1"; echo "$output") | cut -f2 | grep sql |
		sort)" = "$(migrations)" ]
}

@test "status lists what is pending and exits with 1" {
	psql -Xq -d postgres -c "create database $PGDATABASE"
	run -1 --separate-stderr voip-schema status --format=tsv
	[ "$(cut -f3 <<<"$output" | tail -n +2 | sort -u)" = pending ]
	[[ $stderr == *"hint: voip-schema upgrade"* ]]
}

@test "an init that is killed leaves whole migrations, and the next one ends it" {
	voip-schema init >/dev/null &
	pid=$!
	wait_for sql 'select from voip.schema_version'
	kill -KILL "$pid"
	wait "$pid" || :
	run -0 voip-schema init
	run -0 voip-schema status
}

@test "a migration whose text changed is refused and nothing is done" {
	voip-schema init >/dev/null
	sql "update voip.schema_version set checksum = 'x' where version = 1"
	run -1 voip-schema upgrade
	[[ $output == *"migration '0001-platform.sql' was applied with another text"* ]]
	run -1 --separate-stderr voip-schema status --format=tsv
	[ "$(grep -c changed <<<"$output")" -eq 1 ]
}

@test "a schema that is newer than the program is refused" {
	voip-schema init >/dev/null
	sql "insert into voip.schema_version (version, name, checksum)
		values (9999, '9999-later.sql', 'x')"
	run -1 voip-schema upgrade
	[[ $output == *"the schema is newer than this program: it has '9999-later.sql'"* ]]
	run -1 --separate-stderr voip-schema status --format=tsv
	[ "$(grep -c unknown <<<"$output")" -eq 1 ]
}

@test "a role that may not create roles is told so, as configuration" {
	voip-schema init >/dev/null
	PGUSER=voip_dirxml run -78 voip-schema init
	[[ $output == *"cannot apply 'cluster.sql'"* ]]
}

@test "a database server that is away is exit 75 and named" {
	PGHOST=127.0.0.1 PGPORT=1 run -75 voip-schema status
	[[ $output == *"connection to server at \"127.0.0.1\", port 1 failed"* ]]
}

@test "grant gives a clone the settings that a template does not pass on" {
	psql -Xq -d postgres -c "create database $PGDATABASE template voip_template"
	[ "$(sql "select count(*) from pg_db_role_setting as s
		join pg_database as d on d.oid = s.setdatabase
		where d.datname = current_database()")" -eq 0 ]
	run -0 voip-schema grant
	[ "$(PGUSER=kamailio sql 'show search_path')" = kamailio ]
}

@test "pg_ident.conf lets root run each program that has a role" {
	local program role count=0
	for program in "$BATS_TEST_DIRNAME"/../bin/*.c; do
		role=$(basename "$program" .c | tr - _)
		grep -q "'$role'" "$BATS_TEST_DIRNAME/../sql/cluster.sql" ||
			continue
		echo "$role"
		grep -qE "^voip +root +$role\$" \
			"$BATS_TEST_DIRNAME/../etc/postgresql/pg_ident.conf"
		count=$((count + 1))
	done
	[ "$count" -gt 5 ]
}

@test "pg_ident.conf lets the user of each unit be the role that the unit names" {
	local unit user role count=0
	for unit in "$BATS_TEST_DIRNAME"/../etc/systemd/voip-*.service; do
		user=$(sed -n 's/^User=//p' "$unit")
		role=$(sed -n 's/^Environment=PGUSER=//p' "$unit")
		echo "$unit: $user $role"
		grep -qE "^voip +$user +$role\$" \
			"$BATS_TEST_DIRNAME/../etc/postgresql/pg_ident.conf"
		count=$((count + 1))
	done
	[ "$count" -gt 5 ]
}
