#!/usr/bin/env bats
# voip-cdr-ingest import: whatever lies in the directory, no record is lost.
# shellcheck disable=SC2016 # for eval, and names that look like commands

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="user=voip_cdr_ingest dbname=$PGDATABASE"
}

teardown_file() {
	drop_db
}

setup() {
	sql 'truncate voip.cdr_queue, voip.cdr_dead'
	export VOIP_CDR_SPOOL_DIR=$BATS_TEST_TMPDIR/spool
	left=$BATS_TEST_TMPDIR/left
	mkdir "$left"
}

# left_behind NAME BODY: a file as mod_json_cdr writes it.
left_behind() {
	mkdir -p "$(dirname "$left/$1")"
	printf '%s\n' "$2" >"$left/$1"
}

record() {
	printf '{"variables":{"uuid":"%s","start_uepoch":"1795227092281418"}}' "$1"
}

@test "import takes what FreeSWITCH left in every encoding, and moves it aside" {
	left_behind u-1.cdr.json "$(record u-1)"
	left_behind a_u-2.cdr.json "$(record u-2 | base64 -w 0)"
	left_behind u-3.cdr.json "$(record u-3 | sed 's/{/%7B/g; s/"/%22/g; s/}/%7D/g')"
	left_behind 2026-11-21-10-30-00/u-4.cdr.json "$(record u-4)"
	left_behind u-5.cdr.json 'no record at all'
	left_behind notes.txt 'not ours'
	left_behind elsewhere/u-6.cdr.json "$(record u-6)"
	run -0 voip-cdr-ingest import "$left"
	[ "$output" = '5 imported, 1 of them dead letters, 0 refused, 0 left' ]
	[ "$(sql "select string_agg(query_uuid, ' ' order by query_uuid)
		from voip.cdr_queue")" = 'u-1 u-2 u-3 u-4' ]
	[ "$(sql 'select query_uuid from voip.cdr_dead')" = u-5 ]
	run -0 ls "$left/imported"
	[ "${#lines[@]}" -eq 5 ]
	[ -e "$left/notes.txt" ]
	[ -e "$left/elsewhere/u-6.cdr.json" ]
	run -0 voip-cdr-ingest import "$left"
	[ "$output" = '0 imported, 0 of them dead letters, 0 refused, 0 left' ]
}

@test "import leaves a half-written file alone until it is complete, or old" {
	local whole
	whole=$(record u-1)
	left_behind u-1.cdr.json ''
	printf '%s' "${whole%\}}" >"$left/u-1.cdr.json"
	printf 'eyJ2' >"$left/u-2.cdr.json"
	run -0 voip-cdr-ingest import "$left"
	[ "$output" = '0 imported, 0 of them dead letters, 0 refused, 2 left' ]
	printf '}' >>"$left/u-1.cdr.json"
	run -0 voip-cdr-ingest import "$left"
	[ "$output" = '1 imported, 0 of them dead letters, 0 refused, 1 left' ]
	touch -d '1 hour ago' "$left/u-2.cdr.json"
	: >"$left/u-3.cdr.json"
	touch -d '1 hour ago' "$left/u-3.cdr.json"
	run -0 voip-cdr-ingest import "$left"
	[[ ${lines[-1]} == '1 imported, 1 of them dead letters, 1 refused, 0 left' ]]
	[ -e "$left/refused/u-3.cdr.json" ]
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 1 ]
}

@test "import goes to the spool while the database is away, and steps over what is no file" {
	left_behind u-1.cdr.json "$(record u-1)"
	mkfifo "$left/u-2.cdr.json"
	ln -s /etc/hostname "$left/u-3.cdr.json"
	mkdir "$left/u-4.cdr.json"
	run -0 voip-cdr-ingest --set database='host=/nonexistent' import "$left"
	[[ $output == *"'$left/u-2.cdr.json' is no file"* ]]
	[[ $output == *"cannot read '$left/u-3.cdr.json'"* ]]
	[[ ${lines[-1]} == '1 imported, 0 of them dead letters, 0 refused, 3 left' ]]
	run -0 voip-cdr-ingest drain
	[ "$(sql 'select query_uuid from voip.cdr_queue')" = u-1 ]
	run -78 voip-cdr-ingest import "$left/nowhere"
	[[ $output == *"cannot read '$left/nowhere': No such file or directory"* ]]
}

# in_queue: how many records there are, each counted once
in_queue() {
	sql 'select count(distinct query_uuid) from voip.cdr_queue'
}

@test "two imports at once, and one that could not move files, lose nothing" {
	local pid
	for i in {1..60}; do
		left_behind "u-$i.cdr.json" "$(record "u-$i")"
	done
	voip-cdr-ingest import "$left" >/dev/null 3>&- &
	pid=$!
	voip-cdr-ingest import "$left" >/dev/null
	wait "$pid"
	[ "$(find "$left" -maxdepth 1 -type f | wc -l)" -eq 0 ]
	[ "$(sql 'select count(distinct query_uuid) from voip.cdr_queue')" -eq 60 ]
	left_behind u-61.cdr.json "$(record u-61)"
	rm -rf "$left/imported"
	: >"$left/imported"
	run -78 voip-cdr-ingest import "$left"
	[[ $output == *"cannot move '$left/u-61.cdr.json' to 'imported'"* ]]
	[[ $output == *'1 files could not be moved aside'*'hint: '* ]]
	[ -e "$left/u-61.cdr.json" ]
}

@test "a second import of a directory says so and is done" {
	left_behind u-1.cdr.json "$(record u-1)"
	exec {lock}<"$left"
	flock "$lock"
	run -0 voip-cdr-ingest import "$left"
	[ "${lines[0]##*: }" = "another import of '$left' is at work" ]
	[ -e "$left/u-1.cdr.json" ]
	exec {lock}<&-
	run -0 voip-cdr-ingest import "$left"
	[ ! -e "$left/u-1.cdr.json" ]
}

@test "a name that is there already is never overwritten" {
	local name long n
	long=$(printf 'x%.0s' {1..246})
	for name in u-1 "$long"; do
		for n in 1 2 3; do
			left_behind "$name.cdr.json" "$(record "u-$n")"
			run -0 voip-cdr-ingest import "$left"
			left_behind "$name.cdr.json" ''
			touch -d '1 hour ago' "$left/$name.cdr.json"
			run -0 voip-cdr-ingest import "$left"
		done
		for n in '' .2 .3; do
			[ "${#name}" -lt 9 ] || name=${long:0:$((246 - ${#n}))}
			grep -q "u-${n:-1}\|u-${n#.}\"" "$left/imported/$name$n.cdr.json"
			[ -e "$left/refused/$name$n.cdr.json" ]
		done
	done
	run -0 ls "$left"
	[ "$output" = $'imported\nrefused' ]
}

@test "a kill at any moment loses no record and no file" {
	local at n
	chmod 770 "$left"
	for at in mkdirat:when=1 renameat2:when=7 \
		sendto:when=3 sendto:when=5; do
		for n in {1..20}; do
			left_behind "u-$n.cdr.json" "$(record "u-$n")"
		done
		run -137 strace -f -qqq -o /dev/null -e "trace=${at%%:*}" \
			-e "inject=${at%%:*}:signal=KILL:${at#*:}" \
			voip-cdr-ingest --set cdr_batch_size=5 import "$left"
		run -0 find "$left" -name '*.cdr.json'
		[ "${#lines[@]}" -eq 20 ]
		run -0 voip-cdr-ingest --set cdr_batch_size=5 import "$left"
		[ "$(in_queue)" -eq 20 ]
		run -0 find "$left/imported" -name '*.cdr.json'
		[ "${#lines[@]}" -eq 20 ]
		[ "$(stat -c %a "$left/imported")" = "$(stat -c %a "$left")" ]
		rm -r "$left/imported"
		sql 'truncate voip.cdr_queue'
	done
}

@test "who may remove files from the directory may remove those moved aside" {
	local mode
	left_behind u-1.cdr.json "$(record u-1)"
	left_behind u-2.cdr.json ''
	touch -d '1 hour ago' "$left/u-2.cdr.json"
	# a group of ours that is not the one that new folders have
	chgrp "$([ "$(id -u)" -eq 0 ] && echo 12345 || id -G | tr ' ' '\n' |
		tail -n 1)" "$left"
	for mode in 2770 770 2750; do
		# a folder keeps setgid unless five digits say otherwise
		chmod "$(printf %05d "$mode")" "$left"
		run -0 voip-cdr-ingest import "$left"
		run -0 stat -c '%a %g' "$left/imported" "$left/refused"
		[ "${lines[0]}" = "$mode $(stat -c %g "$left")" ]
		[ "${lines[1]}" = "${lines[0]}" ]
		left_behind u-1.cdr.json "$(record u-1)"
		left_behind u-2.cdr.json ''
		touch -d '1 hour ago' "$left/u-2.cdr.json"
	done
}

@test "names of all kinds are taken as they are" {
	local name
	for name in $'a\nb' $'\e[31mred' '%s%n' "'; drop table" '$(id)' \
		$'bad\xff\xfeutf' '-rf' ' ' '"' "$(printf 'y%.0s' {1..246})"
	do
		record u-1 >"$left/$name.cdr.json"
	done
	run -0 voip-cdr-ingest import "$left"
	[ "$output" = '10 imported, 0 of them dead letters, 0 refused, 0 left' ]
	[ "$(in_queue)" -eq 10 ]
	run -0 find "$left" -maxdepth 1 -name '*.cdr.json'
	[ "$output" = '' ]
}

@test "what is huge is refused unread, and memory stays small" {
	truncate -s 1T "$left/u-1.cdr.json" || truncate -s 1G "$left/u-1.cdr.json"
	{ printf '{"variables":"'; head -c 3000000 /dev/zero | tr '\0' x; } \
		>"$left/u-2.cdr.json"
	left_behind u-3.cdr.json "$(record u-3)"
	run -0 voip-cdr-ingest import "$left"
	[[ $output == *"'$left/u-1.cdr.json' is refused: it is longer than 16777216 bytes"* ]]
	[[ $output == *"'$left/u-2.cdr.json' is refused: it is longer than 1048576 bytes"* ]]
	[ "${lines[-1]}" = '1 imported, 0 of them dead letters, 2 refused, 0 left' ]
	# a pipe has no size to look at
	run -65 --separate-stderr voip-cdr-ingest --format tsv \
		< <(printf '{"a":"'; head -c 6000000 /dev/zero | tr '\0' x)
	[[ ${lines[1]} == *'refused	it does not end; what follows it was not read' ]]
}

# without_rights COMMAND...: root, too, may then do what modes allow
without_rights() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --bounding-set=-all --inh-caps=-all "$@"
	else
		"$@"
	fi
}

@test "links, sockets and what may not be read or moved stay where they are" {
	local other=$BATS_TEST_TMPDIR/other pid
	mkdir "$other"
	record u-1 >"$other/u-1.cdr.json"
	ln -s "$other" "$left/2026-11-21-10-30-00"
	ln -s "$other/u-1.cdr.json" "$left/u-2.cdr.json"
	# its path may be longer than a socket's
	(cd "$left" && exec socat UNIX-LISTEN:u-3.cdr.json /dev/null) 3>&- &
	pid=$!
	wait_for test -S "$left/u-3.cdr.json"
	left_behind u-4.cdr.json "$(record u-4)"
	chmod 0 "$left/u-4.cdr.json"
	left_behind 2026-11-21-10-30-01/u-5.cdr.json "$(record u-5)"
	chmod 0 "$left/2026-11-21-10-30-01"
	left_behind u-6.cdr.json "$(record u-6)"
	ln -s "$other" "$left/imported"
	run -78 without_rights voip-cdr-ingest import "$left"
	kill "$pid"
	[[ $output == *"cannot read '$left/2026-11-21-10-30-00'"* ]]
	[[ $output == *"cannot read '$left/2026-11-21-10-30-01'"* ]]
	[[ $output == *"cannot read '$left/u-2.cdr.json'"* ]]
	[[ $output == *"cannot read '$left/u-3.cdr.json'"* ]]
	[[ $output == *"cannot read '$left/u-4.cdr.json': Permission denied"* ]]
	[[ $output == *"cannot move '$left/u-6.cdr.json' to 'imported'"* ]]
	chmod 700 "$left/2026-11-21-10-30-01"
	chmod 600 "$left/u-4.cdr.json"
	[ "$(ls "$other")" = u-1.cdr.json ]
	rm "$left/imported"
	run -0 voip-cdr-ingest import "$left"
	[ "${lines[-1]}" = '3 imported, 0 of them dead letters, 0 refused, 1 left' ]
	[ "$(in_queue)" -eq 3 ]
}

@test "a file that is written again while it is stored is read again" {
	local pid
	left_behind u-1.cdr.json "$(record u-1)"
	psql -Xq >"$BATS_TEST_TMPDIR/held" <<-'END' 3>&- &
		begin;
		lock table voip.cdr_queue;
		select 1;
		\o /dev/null
		select pg_sleep(60);
	END
	wait_for test -s "$BATS_TEST_TMPDIR/held"
	voip-cdr-ingest import "$left" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	wait_for eval '[ "$(sql "select count(*) from pg_locks
		where not granted and database = (select oid from pg_database
		where datname = current_database())")" -gt 0 ]'
	record u-2 >"$left/u-1.cdr.json"
	sql "select pg_terminate_backend(pid) from pg_stat_activity
		where datname = '$PGDATABASE' and query ~ 'pg_sleep'
		and pid <> pg_backend_pid()" >/dev/null
	wait "$pid"
	grep -q "'$left/u-1.cdr.json' was changed while it was read" \
		"$BATS_TEST_TMPDIR/out"
	run -0 voip-cdr-ingest import "$left"
	grep -q '"u-2"' "$left/imported/u-1.cdr.json"
	run -0 voip-cdr-ingest drain
	[ "$(sql "select count(*) from voip.cdr_queue
		where position('u-2'::bytea in body) > 0")" -eq 1 ]
}

@test "rows that were saved from an old data directory come back as they were" {
	local body='{"variables":{"uuid":"%s","start_uepoch":"%s"}}'
	local one two

	# shellcheck disable=SC2059 # the format is ours
	one=$(printf "$body" saved-1 1790000000000001 | jq -Rs .)
	# shellcheck disable=SC2059
	two=$(printf "$body" saved-2 1790000000000002 | base64 -w 0)
	mkdir "$BATS_TEST_TMPDIR/set"
	{
		printf '{"salvaged":"cdr_queue","received_at":"2026-11-21 02:20:26.197174+00","peer":"192.0.2.1","body":%s}\n' "$one"
		printf '{"salvaged":"cdr","received_at":"x; drop table","body_base64":"%s"}\n' "$two"
		printf '{"salvaged":"cdr_dead","reason":"it was dead","query_uuid":"q","body_base64":"/wA="}\n'
	} >"$BATS_TEST_TMPDIR/set/cdr_queue.cdr.jsonl"
	cat >"$BATS_TEST_TMPDIR/set/cdr.cdr.jsonl" <<-'LINES'
	{"salvaged":"cdr"}
	{"salvaged":"cdr","body_base64":"*"}
	{"salvaged":"cdr","body":7}
	{"salvaged":"cdr","body":"no call"}
	{"salvaged":"cdr","body":"{\"variables\":{}}"
	LINES
	echo '{"salvaged":"audit","row":{}}' >"$BATS_TEST_TMPDIR/set/audit.jsonl"
	run -0 voip-cdr-ingest import "$BATS_TEST_TMPDIR/set"
	[ "$(sql "select peer, received_at at time zone 'UTC'
		from voip.cdr_queue where received_at < '2026-11-21 03:00Z'")" = \
		$'192.0.2.1\t2026-11-21 02:20:26.197174' ]
	[ "$(sql 'select count(*) from voip.cdr_queue')" = 2 ]
	[ "$(sql "select reason, query_uuid, encode(body, 'hex')
		from voip.cdr_dead")" = $'it was dead\tq\tff00' ]
	[ -e "$BATS_TEST_TMPDIR/set/imported/cdr_queue.cdr.jsonl" ]
	[ -e "$BATS_TEST_TMPDIR/set/refused/cdr.cdr.jsonl" ]
	[ -e "$BATS_TEST_TMPDIR/set/audit.jsonl" ]
}
