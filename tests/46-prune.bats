#!/usr/bin/env bats
# voip-prune: what is old goes, in small steps; what will be needed is made.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_prune"
}

teardown_file() {
	drop_db
}

setup() {
	sql 'truncate voip.cdr, voip.cdr_raw, voip.cdr_dead, voip.prune_mark'
	sql "delete from voip.domains where domain <> 'default.local'"
	# none of the seed's own, and nothing of the machine's
	export VOIP_CDR_IMPORT_DIR=$BATS_TEST_TMPDIR/left
	mkdir "$VOIP_CDR_IMPORT_DIR"
}

# legs COUNT AGE [DOMAIN]: legs of that age, each with its body.
legs() {
	sql "select voip.cdr_partition(now() - interval '$2'),
		voip.cdr_raw_partition(now() - interval '$2')" >/dev/null
	sql "with legs as (insert into voip.cdr (leg_uuid, start_time, domain,
		direction, caller_number, destination, billsec, received_at)
	select format('%s-%s-%s', '${3:-}', '$2', i),
		now() - interval '$2', nullif('${3:-}', ''), 'inbound',
		'420555' || i, E'a,\"b\"\\\\\n\\t', i, now()
	from generate_series(1, $1) as i returning start_time, leg_uuid)
	insert into voip.cdr_raw (leg_uuid, start_time, body)
	select leg_uuid, start_time, '{}' from legs"
}

count() {
	sql "select count(*) from voip.$1"
}

month() {
	sql "select to_char((now() - interval '$1') at time zone 'UTC',
		'\"cdr_\"YYYY\"_\"MM')"
}

@test "prune makes partitions ahead and drops those that are over" {
	local old
	legs 3 '600 days'
	legs 2 '1 hour'
	old=$(month '600 days')
	run -0 voip-prune --format tsv cdr
	[[ $output == *$'\n'"cdr	$old	dropped	3	"* ]]
	[ "$(count cdr)" -eq 2 ]
	[ "$(sql "select to_regclass('voip.$old')")" = '' ]
	run -0 voip-prune --set prune_ahead=5 cdr
	[ "$(sql "select to_regclass('voip.' || to_char(date_trunc('month',
		now() at time zone 'UTC') + interval '5 months',
		'\"cdr_\"YYYY\"_\"MM')) is not null")" = t ]
	run -0 voip-prune --format tsv cdr
	[ "$output" = 'job	object	action	rows	bytes' ]
}

@test "a dry run counts rows and bytes and changes nothing" {
	local answer
	legs 3 '600 days'
	sql "insert into voip.cdr_dead (dead_at, body, body_sha256, reason)
	select now() - interval '1 year', 'x', sha256(i::text::bytea), 'y'
	from generate_series(1, 4) as i"
	run -0 --separate-stderr voip-prune --dry-run --format json cdr dead
	answer=$output
	# shellcheck disable=SC2016 # jq's variable
	run -0 jq -e --arg part "$(month '600 days')" '
		[.[] | select(.bytes > 0) | [.job, .object, .action, .rows]]
		== [["cdr", $part, "drop", 3], ["dead", null, "remove", 4]]' \
		<<<"$answer"
	[ "$(count cdr)" -eq 3 ]
	[ "$(count cdr_dead)" -eq 4 ]
	run -0 voip-prune --dry-run
	[[ ${lines[0]} == 'job '*action* ]]
}

@test "a row in a default partition is an alarm, and the other jobs are done" {
	sql "insert into voip.cdr (leg_uuid, start_time, direction, received_at)
		values ('lost', now() - interval '300 days', 'inbound', now())"
	sql "insert into voip.cdr_dead (dead_at, body, body_sha256, reason)
		values (now() - interval '1 year', 'x', sha256('x'), 'y')"
	run -1 --separate-stderr voip-prune --format tsv
	[[ $output == *$'\n'"cdr	cdr	alarm	1	"* ]]
	[[ $stderr == *"cdr: 1 rows of voip.cdr are in no partition of their own"*"hint: "* ]]
	[ "$(count cdr_dead)" -eq 0 ]
	[ "$(sql "select rows from monitoring.cdr_default where name = 'cdr'")" -eq 1 ]
	sql 'select voip.cdr_partition(start_time) from voip.cdr_default limit 1'
	run -0 voip-prune cdr
	[ "$(count cdr)" -eq 1 ]
}

@test "a partition is written to a compressed file before it is dropped" {
	local dir=$BATS_TEST_TMPDIR/dump old
	old=$(month '600 days')
	mkdir "$dir"
	legs 2 '600 days'
	run -0 voip-prune --set prune_dump_dir="$dir" \
		--set prune_dump_format=jsonl cdr
	run -0 jq -se 'length == 2 and .[0].billsec == 1 and
		.[0].destination == "a,\"b\"\\\n\t" and .[0].repaired == false
		and .[1].caller_number == "4205552" and .[0].domain == null' \
		< <(gzip -dc "$dir/$old.jsonl.gz")
	# one that came late has a file of its own
	legs 1 '600 days' late.example
	run -0 voip-prune --set prune_dump_dir="$dir" cdr
	legs 1 '600 days' later.example
	run -0 voip-prune --set prune_dump_dir="$dir" cdr
	run -0 ls -A "$dir"
	[ "$output" = "$old.2.csv.gz
$old.csv.gz
$old.jsonl.gz" ]
	run -0 gzip -dc "$dir/$old.2.csv.gz"
	[[ ${lines[0]} == leg_uuid,start_time,* ]]
	[[ $output == *"\"a,\"\"b\"\"\\"* ]]
}

@test "what cannot be written is not dropped, and the next run takes it up" {
	local dir=$BATS_TEST_TMPDIR/dump old
	old=$(month '600 days')
	legs 2 '600 days'
	run -78 voip-prune --set prune_dump_dir="$dir" cdr
	[[ $output == *"cannot dump into '$dir': No such file or directory"* ]]
	[ "$(count "old_$old")" -eq 2 ]
	if [ -e /dev/full ] && mkdir "$dir" && ln -s /dev/full "$dir/.$old.tmp"
	then
		run -0 voip-prune --set prune_dump_dir="$dir" cdr
	fi
	[ "$(sql "select to_regclass('voip.old_$old')")" = '' ]
	run -0 ls -A "$dir"
	[ "$output" = "$old.csv.gz" ]
}

@test "a call that holds the table is not waited for behind a lock" {
	legs 1 '600 days'
	psql -Xq >"$BATS_TEST_TMPDIR/held" <<-'END' 3>&- &
		begin;
		select count(*) from voip.cdr;
		\o /dev/null
		select pg_sleep(60);
	END
	wait_for test -s "$BATS_TEST_TMPDIR/held"
	run -75 voip-prune --set prune_lock_wait=300ms cdr
	[[ $output == *'cdr: '*'lock'* ]]
	sql "select pg_terminate_backend(pid) from pg_stat_activity
		where datname = '$PGDATABASE' and query ~ 'pg_sleep'
		and pid <> pg_backend_pid()" >/dev/null
	wait || :
	run -0 voip-prune cdr
	[ "$(count cdr)" -eq 0 ]
}

@test "two at once are safe: the second says so and is done" {
	psql -Xq >"$BATS_TEST_TMPDIR/held" <<-'END' 3>&- &
		select pg_advisory_lock(hashtext('voip.prune'));
		\o /dev/null
		select pg_sleep(60);
	END
	wait_for test -s "$BATS_TEST_TMPDIR/held"
	legs 1 '600 days'
	run -0 voip-prune
	[[ $output == *'another voip-prune is at work' ]]
	[ "$(count cdr)" -eq 1 ]
	sql "select pg_terminate_backend(pid) from pg_stat_activity
		where datname = '$PGDATABASE' and query ~ 'pg_sleep'
		and pid <> pg_backend_pid()" >/dev/null
	wait || :
}

@test "a kill at any moment leaves nothing that the next run does not finish" {
	local dir=$BATS_TEST_TMPDIR/dump old at
	old=$(month '600 days')
	mkdir "$dir"
	for at in sendto:when=8 sendto:when=11 fsync:when=1 fsync:when=2
	do
		legs 3 '600 days'
		sql "insert into voip.cdr_dead (dead_at, body, body_sha256,
			reason) select now() - interval '1 year', 'x',
			sha256(i::text::bytea), 'y'
			from generate_series(1, 5) as i"
		run -137 strace -f -qqq -o /dev/null -e "trace=${at%%:*}" \
			-e "inject=${at%%:*}:signal=KILL:${at#*:}" voip-prune \
			--set prune_dump_dir="$dir" --set prune_batch=2 cdr dead
		# its lock goes with its session
		# shellcheck disable=SC2016 # for eval
		wait_for eval '[ "$(sql "select count(*) from pg_stat_activity
			where usename = '"'voip_prune'"'")" -eq 0 ]'
		run -0 voip-prune --set prune_dump_dir="$dir" cdr dead
		[ "$(count cdr)$(count cdr_dead)" = 00 ]
		[ "$(sql "select count(*) from pg_class
			where relname ~ '$old'")" -eq 0 ]
		run -0 find "$dir" -name '.*.tmp'
		[ "$output" = '' ]
		[ "$(gzip -dc "$dir"/*.gz | grep -c "^-600 days-")" -ge 3 ]
		rm "$dir"/*
	done
}

@test "a tenant may keep its legs for less time, in batches" {
	sql "insert into voip.domains (domain, cdr_keep_days)
		values ('short.example', 30), ('long.example', null)"
	legs 25 '40 days' short.example
	legs 5 '20 days' short.example
	legs 7 '40 days' long.example
	run -0 voip-prune --set prune_batch=10 --format tsv tenants
	[[ ${lines[1]} == "tenants	short.example	removed	25	"* ]]
	run -0 sql 'select domain, count(*) from voip.cdr group by 1 order by 1'
	[ "$output" = "long.example	7
short.example	5" ]
	[ "$(count cdr_raw)" -eq 12 ]
}

@test "anonymising erases numbers and bodies and keeps the statistics" {
	local before
	sql "insert into voip.domains (domain, cdr_anonymise_days)
		values ('soon.example', 10), ('late.example', 300)"
	legs 25 '40 days' soon.example
	legs 5 '5 days' soon.example
	legs 6 '40 days' late.example
	legs 7 '40 days'
	before=$(sql 'select domain, count(*), sum(billsec) from voip.cdr
		group by 1 order by 1')
	run -0 voip-prune --dry-run --set cdr_anonymise=30d --format tsv anonymise
	[[ $output == *"anonymise	soon.example	anonymise	25	"* ]]
	[[ $output == *"anonymise		anonymise	7	"* ]]
	run -0 voip-prune --set cdr_anonymise=30d --set prune_batch=10 \
		--format tsv anonymise
	[[ $output == *"anonymise	soon.example	anonymised	25	"* ]]
	[[ $output == *"anonymise		anonymised	7	"* ]]
	[ "$(sql 'select domain, count(*), sum(billsec) from voip.cdr
		group by 1 order by 1')" = "$before" ]
	run -0 sql 'select domain, count(*) from voip.cdr
		where num_nonnulls(caller_number, destination) > 0
		group by 1 order by 1'
	[ "$output" = "late.example	6
soon.example	5" ]
	[ "$(count cdr_raw)" -eq 11 ]
	# what came late, and nothing twice
	legs 1 '35 days' soon.example
	run -0 voip-prune --set cdr_anonymise=30d --format tsv anonymise
	[ "${lines[1]}" = "anonymise	soon.example	anonymised	1	" ]
	[ "${#lines[@]}" -eq 2 ]
}

@test "dead letters, change sets and moved files go when they are old" {
	local file
	sql "insert into voip.cdr_dead (dead_at, body, body_sha256, reason)
	select now() - i * interval '40 days', 'x', sha256(i::text::bytea), 'y'
	from generate_series(1, 4) as i"
	sql "insert into voip.domains (domain) values ('audited.example')"
	sql "update voip.change set at = now() - interval '3 years'"
	mkdir "$VOIP_CDR_IMPORT_DIR"/{imported,refused}
	for file in imported/a refused/b c; do
		echo 12345 >"$VOIP_CDR_IMPORT_DIR/$file.cdr.json"
	done
	ln -s ../c.cdr.json "$VOIP_CDR_IMPORT_DIR/imported/link"
	mkdir "$VOIP_CDR_IMPORT_DIR/imported/folder"
	run -0 voip-prune --format tsv
	[[ $output == *"dead		removed	2	"* ]]
	[[ $output == *"audit		removed	"* ]]
	[[ $output != *imported* ]]
	[ "$(sql 'select (select count(*) from voip.change)
		+ (select count(*) from voip.audit)
		+ (select count(*) from voip.change_part)')" -eq 0 ]
	# the clock of files cannot be set: one second later they are old
	# shellcheck disable=SC2016 # expanded each time
	wait_for eval '[ "$(find "$VOIP_CDR_IMPORT_DIR" -name "*.cdr.json" \
		! -newerct "2 seconds ago" | wc -l)" -eq 3 ]'
	run -0 voip-prune --set cdr_keep_imported=1s --format tsv imported
	[ "$output" = 'job	object	action	rows	bytes
imported	imported	removed	1	6
imported	refused	removed	1	6' ]
	run -0 ls "$VOIP_CDR_IMPORT_DIR" "$VOIP_CDR_IMPORT_DIR/imported"
	[[ $output == *c.cdr.json*folder*link ]]
}

@test "the role of prune can take away old records and nothing else" {
	local statement
	legs 1 '1 hour'
	for statement in 'drop table voip.cdr_dead' 'truncate voip.cdr' \
		'select * from voip.users' 'delete from voip.domains' \
		"update voip.cdr set billsec = 0" \
		"select before from voip.audit_secret" \
		"select voip.attach_partition('cdr', 'x', now(), now())" \
		"select voip.prune_detach('cdr', '$(month '1 hour')')" \
		"select voip.prune_detach('cdr', 'cdr_default')" \
		"select voip.prune_detach('users', 'users')" \
		"select voip.prune_drop('users')" \
		"select voip.prune_drop('cdr_default')"; do
		echo "$statement"
		run ! psql -XqU voip_prune -v ON_ERROR_STOP=1 -c "$statement"
	done
	[ "$(count cdr)" -eq 1 ]
}

@test "a job that is not there is a usage error" {
	run -64 voip-prune cdr nothing
	[[ $output == *"there is no job 'nothing'"* ]]
}
