#!/usr/bin/env bats
# voip-cdr-ingest with a database of its own that can be stopped and frozen.
# shellcheck disable=SC2154,SC2030,SC2031

load helper
load cluster

captured=tests/data/freeswitch

setup_file() {
	cluster_base
	export cluster_base PGHOST=$cluster_base/node PGDATABASE=voip_platform
	cluster_init node
	cluster_start node
	VOIP_DATABASE=dbname=voip_platform voip-schema init >/dev/null
}

teardown_file() {
	cluster_remove
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	sql 'truncate voip.cdr_queue, voip.cdr_dead'
	spool=$BATS_TEST_TMPDIR/spool
	export VOIP_CDR_SPOOL_DIR=$spool
	export VOIP_DATABASE="user=voip_cdr_ingest dbname=voip_platform"
	# A busy machine is late: only a frozen database is given up.
	export VOIP_CDR_DEADLINE=60s VOIP_DATABASE_BACKOFF=100ms
}

teardown() {
	cluster_thaw node 2>/dev/null || :
	[ -z "${pid:-}" ] || stop_process "$pid"
	[ -e "$cluster_base/node/postmaster.pid" ] || cluster_start node
}

start() {
	log=$BATS_TEST_TMPDIR/log
	voip-cdr-ingest --listen 127.0.0.1:0 3>&- 4>&- </dev/null \
		>"$log" 2>&1 &
	pid=$!
	wait_for grep -q 'listening on' "$log"
	address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p' "$log" | head -n 1)
}

# Under strace, whose words are OPTION...: its process is $tracer.
start_traced() { # OPTION...
	log=$BATS_TEST_TMPDIR/log
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
		strace -f "$@" voip-cdr-ingest --listen 127.0.0.1:0 \
		3>&- 4>&- </dev/null >"$log" 2>&1 &
	tracer=$!
	wait_for grep -q 'listening on' "$log"
	pid=$(pgrep -P "$tracer" voip-cdr-ingest)
	address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p' "$log" | head -n 1)
}

# Status and body of a post of standard input.
post() {
	curl -sS -o "$BATS_TEST_TMPDIR/body" -w '%{http_code} ' \
		--data-binary @- "$@"
	cat "$BATS_TEST_TMPDIR/body"
}

is_taken() { # UUID
	[[ $(post "http://$address/fs/cdr?uuid=$1" \
		<"$captured/cdr-json/echo-aleg.json") == 202* ]]
}

queued() {
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq "$1" ]
}

spooled() {
	find "$spool" -maxdepth 1 -type f -name '[0-9]*' | wc -l
}

spool_is_empty() {
	[ "$(spooled)" -eq 0 ]
}

@test "every captured CDR is answered with 202 and kept byte for byte" {
	local file files=()
	start
	mapfile -t files < <(ls "$captured"/cdr-json*/*.http \
		"$captured"/cdr-form*/*.http "$captured"/cdr-base64/*.http \
		"$captured"/cdr-basic-auth/*.http)
	run -0 fsplay -t /fs/cdr "$address" "${files[@]}"
	[ "$(grep -c ' 202 ' <<<"$output")" -eq "${#files[@]}" ] ||
		[ "$(sql 'select count(*) from voip.cdr_queue')" -eq "${#files[@]}" ]
	for file in "${files[@]}"; do
		sed '1,/^\r*$/d' "$file" | sha256sum | cut -d' ' -f1
	done | sort >"$BATS_TEST_TMPDIR/sent"
	sql "select encode(sha256(body), 'hex') from voip.cdr_queue" | sort \
		>"$BATS_TEST_TMPDIR/kept"
	diff "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/kept"
	[ "$(sql 'select count(*) from voip.cdr_queue where query_uuid is null
		or node is null or peer is null')" -eq 0 ]
}

@test "the answer names the queue, and the second path does the same" {
	start
	run -0 post "http://$address/api/cdr?uuid=a_leg-1" \
		<"$captured/cdr-json/tone-aleg.json"
	[ "$output" = '202 {"status":"queued"}' ]
	[ "$(sql 'select query_uuid from voip.cdr_queue')" = leg-1 ]
}

@test "a uuid is found behind a second question mark, and never taken from a value" {
	start
	post "http://$address/fs/cdr?site=1?uuid=b" \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null
	post "http://$address/fs/cdr?xuuid=c" \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null
	[ "$(sql "select coalesce(query_uuid, '-') from voip.cdr_queue
		order by id")" = $'b\n-' ]
}

@test "what can never be a CDR is set aside once for FreeSWITCH and refused to others" {
	start
	run -0 post "http://$address/fs/cdr?uuid=bad-1" <<<'no cdr'
	[[ $output == '202 {"status":"dead"}' ]]
	run -0 post "http://$address/fs/cdr?uuid=bad-1" <<<'no cdr'
	[[ $output == 202* ]]
	run -0 post "http://$address/fs/cdr" <<<'no cdr'
	[[ $output == '400 {"status":"error","message":"'* ]]
	run -0 post "http://$address/fs/cdr" </dev/null
	[[ $output == *'the body is empty'* ]]
	[ "$(sql "select query_uuid, count(*), bool_and(reason <> '')
		from voip.cdr_dead group by 1")" = $'bad-1\t1\tt' ]
	[[ $(curl -sS "http://$address/metrics") == *'voip_cdr_refused_total 2'* ]]
	queued 0
}

@test "a body of more than 1 MiB gets 413, one of almost that is kept" {
	start
	filler=$(head -c 1040000 /dev/zero | tr '\0' x)
	run -0 post "http://$address/fs/cdr?uuid=big" < <(
		sed "s/\"direction\"/\"big\":\"$(printf %s "${filler:0:100000}")\",&/" \
			"$captured/cdr-json/tone-aleg.json")
	[[ $output == 202* ]]
	run -0 post "http://$address/fs/cdr?uuid=big" < <(head -c 1048577 /dev/zero)
	[[ $output == 413* ]]
}

@test "credentials are asked for, and mod_json_cdr's are taken" {
	VOIP_CDR_CREDENTIALS=cdruser:cdrpass start
	run -0 post "http://$address/fs/cdr?uuid=x" \
		<"$captured/cdr-json/tone-aleg.json"
	[[ $output == 401* ]]
	run -0 post -u cdruser:cdrpass "http://$address/fs/cdr?uuid=x" \
		<"$captured/cdr-json/tone-aleg.json"
	[[ $output == 202* ]]
	queued 1
}

@test "with the database stopped CDRs are spooled, and drained when it is back" {
	start
	cluster_stop node immediate
	run -0 fsplay -s -n 50 -c 8 -t /fs/cdr "$address" \
		"$captured"/cdr-json/answered-*.http
	[ "$(spooled)" -eq 50 ]
	[ "$(stat -c %a "$spool")" = 700 ]
	[ "$(find "$spool" -name '[0-9]*' -perm 600 | wc -l)" -eq 50 ]
	cluster_start node
	wait_for queued 50
	wait_for spool_is_empty
	[ "$(sql 'select count(distinct query_uuid) from voip.cdr_queue')" -eq 50 ]
}

@test "with the database frozen a CDR is spooled at its deadline" {
	VOIP_CDR_DEADLINE=500ms start
	post "http://$address/fs/cdr?uuid=first" \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null
	cluster_freeze node
	run -0 post "http://$address/fs/cdr?uuid=second" \
		<"$captured/cdr-json/echo-aleg.json"
	[ "$output" = '202 {"status":"spooled"}' ]
	cluster_thaw node
	wait_for spool_is_empty
	[ "$(sql 'select count(distinct query_uuid) from voip.cdr_queue')" -eq 2 ]
}

@test "a database that became read-only is left, and its writer found again" {
	start
	post "http://$address/fs/cdr?uuid=first" \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null
	sql 'alter database voip_platform set default_transaction_read_only = on'
	sql "select pg_terminate_backend(pid) from pg_stat_activity
		where usename = 'voip_cdr_ingest'" >/dev/null
	run -0 post "http://$address/fs/cdr?uuid=second" \
		<"$captured/cdr-json/echo-aleg.json"
	[ "$output" = '202 {"status":"spooled"}' ]
	psql -Xq -d postgres -c 'alter database voip_platform
		reset default_transaction_read_only'
	wait_for spool_is_empty
	queued 2
}

@test "when neither database nor spool can take it: 503 with Retry-After" {
	VOIP_CDR_SPOOL_LIMIT=1M start
	cluster_stop node immediate
	run -0 fsplay -s -n 150 -t /fs/cdr "$address" \
		"$captured"/cdr-json/answered-aleg.http || :
	run -0 curl -sSi --data-binary @"$captured/cdr-json/tone-aleg.json" \
		"http://$address/fs/cdr?uuid=x"
	[[ $output == *' 503 '* && $output == *'Retry-After:'* ]]
	[[ $output == *"is full"* ]]
	cluster_start node
	wait_for spool_is_empty
	run -0 post "http://$address/fs/cdr?uuid=x" \
		<"$captured/cdr-json/tone-aleg.json"
	[[ $output == 202* ]]
}

@test "with the disk full the database still takes it, and without one it is 503" {
	start_traced -o /dev/null -e trace=fsync -e inject=fsync:error=ENOSPC
	run -0 post "http://$address/fs/cdr?uuid=x" \
		<"$captured/cdr-json/tone-aleg.json"
	[ "$output" = '202 {"status":"queued"}' ]
	cluster_stop node immediate
	run -0 curl -sSi --data-binary @"$captured/cdr-json/echo-aleg.json" \
		"http://$address/fs/cdr?uuid=y"
	[[ $output == *' 503 '* && $output == *'Retry-After:'* ]]
	[[ $output == *'No space left on device'* ]]
	[ "$(find "$spool" -type f -size +0 | wc -l)" -eq 0 ]
	cluster_start node
	wait_for is_taken y
	kill -TERM "$pid"
	wait "$tracer"
	pid=
	[ "$(sql "select count(*) from voip.cdr_queue
		where query_uuid = 'y'")" -eq 1 ]
}

@test "files are fsynced, then renamed, then the directory, before the answer" {
	cluster_stop node immediate
	trace=$BATS_TEST_TMPDIR/trace
	start_traced -o "$trace" -s 64 -y \
		-e trace=openat,write,writev,fsync,rename,renameat,renameat2,sendto,sendmsg
	run -0 post "http://$address/fs/cdr?uuid=x" \
		<"$captured/cdr-json/tone-aleg.json"
	[ "$output" = '202 {"status":"spooled"}' ]
	kill -TERM "$pid"
	wait "$tracer"
	pid=
	awk '/writev?\(.*[.]tmp-/ { print "write" }
		/fsync\(.*[.]tmp-/ { print "fsync file" }
		/renameat.*[.]tmp-/ { print "rename" }
		/fsync\(.*spool>/ { print "fsync directory" }
		/(sendto|sendmsg|writev?)\(.*HTTP\/1.1 202/ { print "answer" }' \
		"$trace" >"$BATS_TEST_TMPDIR/order"
	[ "$(cat "$BATS_TEST_TMPDIR/order")" = \
		$'write\nfsync file\nrename\nfsync directory\nanswer' ]
}

@test "SIGTERM answers what was accepted, then ends with 0" {
	start
	fsplay -s -n 300 -c 16 -t /fs/cdr -l "$BATS_TEST_TMPDIR/ledger" \
		"$address" "$captured"/cdr-json/answered-*.http \
		>"$BATS_TEST_TMPDIR/out" 2>&1 &
	player=$!
	wait_for bash -c "[ \"\$(psql -XqAtc 'select count(*) from voip.cdr_queue')\" -gt 20 ]"
	kill -TERM "$pid"
	wait "$pid"
	pid=
	wait "$player" || :
	acknowledged=$(awk -F'\t' '$3 ~ /^2/' "$BATS_TEST_TMPDIR/ledger" | wc -l)
	[ "$acknowledged" -gt 20 ]
	[ "$(sql 'select count(*) from voip.cdr_queue')" -ge "$acknowledged" ]
}

@test "the filter takes documents, lines and the files that FreeSWITCH set aside" {
	mkdir "$BATS_TEST_TMPDIR/in"
	cd "$BATS_TEST_TMPDIR/in"
	data=$BATS_TEST_DIRNAME/../$captured
	cat "$data/cdr-json/tone-aleg.json" "$data/cdr-json/echo-aleg.json" |
		run -0 voip-cdr-ingest --format=tsv
	queued 2
	sed '1,/^\r*$/d; s/^cdr=//' "$data/cdr-base64/busy-aleg.http" >a_leg-3.cdr.json
	echo >>a_leg-3.cdr.json
	sed '1,/^\r*$/d; s/^cdr=//' "$data/cdr-form-rawvalues/busy-aleg.http" >leg-4.cdr.json
	run -0 voip-cdr-ingest --format=tsv a_leg-3.cdr.json leg-4.cdr.json
	[ "${lines[1]}" = $'a_leg-3.cdr.json\t1\tleg-3\tqueued\t' ]
	[ "${lines[2]}" = $'leg-4.cdr.json\t1\tleg-4\tqueued\t' ]
	queued 4
}

@test "the filter names what it refuses and takes the rest" {
	{
		cat "$captured/cdr-json/tone-aleg.json"
		echo nonsense
		cat "$captured/cdr-json/echo-aleg.json"
	} >"$BATS_TEST_TMPDIR/mixed"
	run -65 voip-cdr-ingest --format=tsv "$BATS_TEST_TMPDIR/mixed"
	[[ $output == *$'mixed\t2\t\\N\trefused'* || $output == *$'mixed\t2\t\trefused'* ]]
	[[ $output == *"1 records were refused"* ]]
	queued 2
	run -65 voip-cdr-ingest /nonexistent.cdr.json
	[[ $output == *"cannot open '/nonexistent.cdr.json': No such file or directory"* ]]
}

@test "the filter spools when the database is away, and drain empties the spool" {
	cluster_stop node immediate
	run -0 voip-cdr-ingest --format=tsv <"$captured/cdr-json/tone-aleg.json"
	[[ $output == *$'\tspooled'* ]]
	run -75 voip-cdr-ingest drain
	[[ $output == *"cannot connect to the database"* ]]
	[ "$(spooled)" -eq 1 ]
	cluster_start node
	run -0 voip-cdr-ingest drain
	[ "$output" = '1 drained' ]
	queued 1
	spool_is_empty
}

@test "two drains at once: one does it, the other says so" {
	mkdir -m 700 "$spool"
	exec 9>"$spool/.lock"
	flock 9
	run -0 voip-cdr-ingest drain
	[[ $output == *"another process drains the spool"* ]]
	exec 9>&-
	run -0 voip-cdr-ingest drain
}

@test "a file in the spool that is no record becomes a dead letter, whole" {
	mkdir -m 700 "$spool"
	echo junk >"$spool/00000000001.000000-1-000000"
	cluster_stop node immediate
	voip-cdr-ingest <"$captured/cdr-json/tone-aleg.json" >/dev/null 2>&1
	cluster_start node
	run -0 voip-cdr-ingest drain
	[[ $output == *'2 drained'* ]]
	spool_is_empty
	queued 1
	run -0 sql "select encode(body, 'escape') = E'junk\n', reason
		from voip.cdr_dead"
	[[ $output == $'t\t'*'is no record' ]]
}

@test "a record that the database refuses for good becomes a dead letter" {
	mkdir -m 700 "$spool"
	printf 'voip-spool 1 2\nreceived-at: never\nquery-uuid: u1\n\n{}' \
		>"$spool/00000000001.000000-1-000000"
	VOIP_DATABASE=host=/nothing voip-cdr-ingest \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null 2>&1
	run -0 --separate-stderr voip-cdr-ingest drain
	[ "$output" = '2 drained' ]
	spool_is_empty
	queued 1
	run -0 sql "select query_uuid, convert_from(body, 'UTF8'), reason
		from voip.cdr_dead"
	[[ $output == $'u1\t{}\t'*'invalid input syntax'* ]]
}

@test "a record that cannot be read stays and holds nobody up" {
	mkdir -m 700 "$spool"
	mkdir "$spool/00000000001.000000-1-000000"
	VOIP_DATABASE=host=/nothing voip-cdr-ingest \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null 2>&1
	run -75 voip-cdr-ingest drain
	[[ $output == *'1 drained'* ]]
	[[ $output == *"cannot read '00000000001.000000-1-000000' in spool"* ]]
	queued 1
}

@test "what root leaves in the spool belongs to the service" {
	local owner file
	mkdir -m 700 "$spool"
	[ "$(id -u)" -ne 0 ] || chown nobody "$spool"
	owner=$(stat -c %U "$spool")
	# refused as a dead letter, too
	printf 'voip-spool 1 2\nreceived-at: never\nreason: odd\n\n{}' \
		>"$spool/00000000001.000000-1-000000"
	voip-cdr-ingest drain
	VOIP_DATABASE=host=/nothing voip-cdr-ingest \
		<"$captured/cdr-json/tone-aleg.json" >/dev/null 2>&1
	for file in "$spool"/.lock "$spool"/bad "$spool"/[0-9]*; do
		[ "$(stat -c %U "$file")" = "$owner" ]
	done
}

@test "a spool that cannot be written is a matter of configuration" {
	VOIP_CDR_SPOOL_DIR=/proc/nothing run -78 voip-cdr-ingest --listen 127.0.0.1:0
	[[ $output == *"cannot create spool '/proc/nothing'"* ]]
}
