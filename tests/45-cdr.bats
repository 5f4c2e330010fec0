#!/usr/bin/env bats
# voip-cdr: what can be asked of the records, and the dead letters.

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr"
	export captures=tests/data/freeswitch/cdr-json-rawvalues
}

teardown_file() {
	drop_db
}

setup() {
	sql 'truncate voip.cdr_queue, voip.cdr, voip.cdr_dead'
}

# legs COUNT: one each ten seconds, up to a known time; every third answered.
legs() {
	sql "insert into voip.cdr (leg_uuid, start_time, domain, direction,
		channel_direction, caller_number, destination, destination_last, answer_time,
		end_time, billsec, hangup_cause, gateway, received_at)
	select 'leg-' || i, at, case when i % 2 = 0 then 'a.example.com'
			else 'b.example.com' end,
		way, way, '100' || i % 3, '2000', '2000',
		case when i % 3 = 0 then at + interval '2 s' end,
		at + interval '25 s', case when i % 3 = 0 then 23 else 0 end,
		case when i % 3 = 0 then 'NORMAL_CLEARING' else 'NO_ANSWER' end,
		case when i % 5 = 0 then 'carrier1' end, at + interval '26 s'
	from (select i, timestamptz '2026-11-20 12:00Z' + i * interval '10 s'
		as at, case when i % 5 = 0 then 'outbound' else 'inbound' end
		as way from generate_series(1, $1) as i) as x"
}

# The records of real calls, as ingest and flush store them.
captured() {
	sed '1,/^\r$/d' "$captures/$1.http" |
		VOIP_CDR_SPOOL_DIR=$BATS_TEST_TMPDIR/spool \
		VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_ingest" \
			voip-cdr-ingest >/dev/null
	VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_flush" \
		voip-cdr-flush >/dev/null
}

@test "list prints the newest legs first, in each format" {
	legs 3
	run -0 --separate-stderr voip-cdr list -f tsv
	[ "${#lines[@]}" -eq 4 ]
	[[ ${lines[0]} == $'leg_uuid\tstart_time\t'* ]]
	[[ ${lines[1]} == $'leg-3\t2026-11-20T12:00:30.000000Z\t'* ]]
	run -0 voip-cdr list
	[[ ${lines[0]} == 'start_time '*'leg_uuid'* ]]
	[[ ${lines[1]} == '2026-11-20T12:00:30.000000Z'*' 23 '*leg-3* ]] ||
		[[ ${lines[2]} == '2026-11-20T12:00:30.000000Z'*' 23 '*leg-3* ]]
	run -0 voip-cdr list -f jsonl --limit 1
	[[ ${lines[0]} == *'"leg_uuid":"leg-3"'*'"billsec":23'* ]] ||
		[[ ${lines[0]} == *'"leg_uuid": "leg-3"'*'"billsec": 23'* ]]
}

@test "each filter of list leaves its legs only" {
	legs 30
	local count filter
	while read -r count filter; do
		# shellcheck disable=SC2086 # words
		run -0 --separate-stderr voip-cdr list -f tsv --limit 100 $filter
		[ "$((${#lines[@]} - 1))" -eq "$count" ] || {
			echo "$filter: ${#lines[@]}"
			return 1
		}
	done <<-'END'
	30
	15 --domain a.example.com
	0 --domain A%
	10 --number 1001
	30 --number 2000
	6 --direction outbound
	10 --cause NORMAL_CLEARING
	6 --trunk carrier1
	10 --min-duration 23
	0 --min-duration 24
	11 --since 2026-11-20T12:03:20Z
	19 --until 2026-11-20T12:03:20Z
	2 --since 2026-11-20T12:03:20Z --until 2026-11-20T12:03:40Z
	0 --queue sales@a.example.com
	0 --agent 1001@a.example.com
	0 --node fs1
	END
}

@test "pages by key show every leg once, also those of one moment" {
	legs 50
	sql "update voip.cdr set start_time = '2026-11-20 12:00:00.123456Z'
		where domain = 'a.example.com'"
	local after=() seen=$BATS_TEST_TMPDIR/seen pages=0
	while :; do
		run -0 --separate-stderr voip-cdr list -f tsv --limit 7 \
			"${after[@]}"
		printf '%s\n' "${lines[@]:1}" | cut -f1 >>"$seen"
		pages=$((pages + 1))
		[[ ${stderr:-} == *'more: --after '* ]] || break
		after=(--after "${stderr##*--after }")
	done
	[ "$pages" -eq 8 ]
	[ "$(sed '/^$/d' "$seen" | wc -l)" -eq 50 ]
	[ "$(sed '/^$/d' "$seen" | sort -u | wc -l)" -eq 50 ]
}

@test "values that are no times, numbers or keys are usage errors with the option" {
	run -64 voip-cdr list --since yesterdayish
	[[ $output == *"--since: 'yesterdayish' is not a time"* ]]
	run -64 voip-cdr list --min-duration -1
	[[ $output == *"--min-duration: '-1' is not a number from 0 to"* ]]
	run -64 voip-cdr list --direction sideways
	[[ $output == *"--direction: 'sideways' is none of:"* ]]
	run -64 voip-cdr list --after "x'; drop table voip.cdr"
	[[ $output == *'--after: '*'is not START_TIME,LEG_UUID of a leg'* ]]
	run -64 voip-cdr list --after 2026-11-20T12:00:00Z,leg-1
	run -64 voip-cdr list --limit 0
	[[ $output == *'--limit: 0 is not from 1 to 100000'* ]]
	run -64 voip-cdr stats --by moon
	[[ $output == *"--by: 'moon' is none of: hour day"* ]]
	run -64 voip-cdr dead resurrect
	[[ $output == *"'resurrect'"*'hint: one of: list show body'* ]]
	legs 1
	run -65 voip-cdr stats --zone Mars/Olympus
	[[ $output == *'Mars/Olympus'* ]]
}

@test "export prints every leg once, oldest first, over many pages" {
	legs 2500
	voip-cdr export >"$BATS_TEST_TMPDIR/all.csv"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/all.csv")" -eq 2501 ]
	[[ $(sed -n 2p "$BATS_TEST_TMPDIR/all.csv") == leg-1,* ]]
	[[ $(tail -n 1 "$BATS_TEST_TMPDIR/all.csv") == leg-2500,* ]]
	[ "$(sed 1d "$BATS_TEST_TMPDIR/all.csv" | sort -u | wc -l)" -eq 2500 ]
	run -0 voip-cdr export -f jsonl --domain a.example.com --limit 1
	[ "${#lines[@]}" -eq 1250 ]
}

@test "export of no leg is a head only, and a full device is an error" {
	run -0 voip-cdr export
	[ "${#lines[@]}" -eq 1 ]
	legs 10
	run -71 bash -c 'voip-cdr export >/dev/full'
}

@test "show tells a captured call from both legs, whichever is asked for" {
	captured answered-aleg
	captured answered-bleg
	local a b
	a=$(sql "select leg_uuid from voip.cdr where direction = 'inbound'")
	b=$(sql "select leg_uuid from voip.cdr where direction = 'outbound'")
	run -0 voip-cdr show "$a" -f tsv
	local story=$output
	[[ ${lines[0]} == $'time\tleg\tevent\tdetail' ]]
	[[ ${lines[1]} == *$'\tA\tcalls\t1001 '*' calls 1002 of pbx.example.com'* ]]
	[[ $story == *$'\tB\trings\t'*'for leg A'* ]]
	[[ $story == *$'\tA\ttalks\ttalks with leg B'* ]]
	[[ $story == *$'\tA\tends\tNORMAL_CLEARING, by '* ]]
	run -0 voip-cdr show "$b" -f tsv
	[ "$output" = "$story" ]
	[ "$(cut -f1 <<<"$story" | sed 1d)" = \
		"$(cut -f1 <<<"$story" | sed 1d | LC_ALL=C sort)" ]
}

@test "show follows legs that only point back, and no others" {
	legs 3
	sql "update voip.cdr set originator_uuid = 'leg-1' where leg_uuid = 'leg-3'"
	run -0 voip-cdr show leg-1 -f tsv
	[ "$(cut -f2 <<<"$output" | sed 1d | sort -u | tr -d '\n')" = AB ]
	run -1 voip-cdr show nobody
	[[ $output == *"there is no leg 'nobody'"* ]]
	run -1 voip-cdr show "' or true --"
}

@test "stats counts attempts, answers, durations and what was at the same time" {
	legs 30
	run -0 voip-cdr stats -f tsv
	[ "${lines[0]}" = $'day\tattempts\tanswered\tasr\tacd\tpdd\ttalked\tpeak' ]
	# 24 came in, 8 of them answered; three at a time
	[ "${lines[1]}" = $'2026-11-20\t24\t8\t33.3\t23.0\t2.000\t184\t3' ]
	run -0 voip-cdr stats -f tsv --by trunk
	[ "${lines[1]}" = $'carrier1\t6\t2\t33.3\t23.0\t2.000\t46\t1' ]
	run -0 voip-cdr stats -f tsv --by hour --zone Asia/Tokyo
	[[ ${lines[1]} == $'2026-11-20 21:00\t24\t'* ]]
	run -0 voip-cdr stats -f tsv --by domain --cause NO_ANSWER
	[ "${#lines[@]}" -eq 3 ]
	local group
	for group in queue cause node; do
		run -0 voip-cdr stats --by "$group"
	done
}

@test "a call of two hours counts among those at the same time in each" {
	legs 2
	sql "update voip.cdr set start_time = '2026-11-20 09:30Z',
		end_time = '2026-11-20 12:00:15Z' where leg_uuid = 'leg-1'"
	run -0 voip-cdr stats -f tsv --by hour
	[[ ${lines[1]} == $'2026-11-20 09:00\t1\t'*$'\t1' ]]
	# it ends before the other begins
	[[ ${lines[2]} == $'2026-11-20 12:00\t1\t'*$'\t1' ]]
	sql "update voip.cdr set end_time = '2026-11-20 12:00:21Z'
		where leg_uuid = 'leg-1'"
	run -0 voip-cdr stats -f tsv --by hour
	[[ ${lines[2]} == $'2026-11-20 12:00\t1\t'*$'\t2' ]]
}

@test "stats --chart draws a bar for each group" {
	legs 30
	run -0 voip-cdr stats --chart --by cause
	[[ ${lines[0]} == 'NORMAL_CLEARING '*'## 8, 100.0 % answered, '*' at once' ]]
	[[ ${lines[1]} == 'NO_ANSWER '*'.. 16, 0.0 % answered, '*' at once' ]]
}

# dead REASON BODY: a dead letter; its id.
dead() {
	sql "insert into voip.cdr_dead (body, body_sha256, reason, query_uuid)
		values (convert_to('$2', 'UTF8'), sha256(convert_to('$2', 'UTF8')),
		'$1', 'u-1') returning id"
}

@test "dead letters are listed, shown, and printed byte for byte" {
	local id
	id=$(dead 'no JSON' 'hello')
	dead 'cut' 'hell'
	run -0 voip-cdr dead list -f tsv
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[2]} == "$id"$'\t'*$'\t5\t0\t\tno JSON' ]]
	run -0 voip-cdr dead show "$id" -f jsonl
	[[ $output == *'"reason":"no JSON"'* ]] ||
		[[ $output == *'"reason": "no JSON"'* ]]
	[ "$(voip-cdr dead body "$id")" = hello ]
	run -1 voip-cdr dead show 999999
	[[ $output == *'there is no dead letter 999999'* ]]
	run -64 voip-cdr dead show 1x
}

@test "a dead letter is retried, mended or dropped, all or none" {
	local one two three record
	record='{"variables":{"uuid":"u-1","start_uepoch":"1795227092281418"}}'
	one=$(dead 'no partition' "$record")
	two=$(dead 'no JSON' 'hello')
	three=$(dead 'rubbish' 'x')
	run -1 voip-cdr dead drop "$one" 999999
	[ "$(sql 'select count(*) from voip.cdr_dead')" -eq 3 ]
	run -0 voip-cdr dead retry "$one"
	[ "$output" = '1 queued again' ]
	[ "$(sql "select convert_from(body, 'UTF8') from voip.cdr_queue")" = "$record" ]
	run -65 voip-cdr dead fix "$two" <(echo 'hello again')
	[[ $output == *'is neither JSON nor'* ]]
	[ "$(sql 'select count(*) from voip.cdr_dead')" -eq 2 ]
	run -0 bash -c "echo '${record/u-1/u-2}' | voip-cdr dead fix $two -"
	run -0 voip-cdr dead drop "$three"
	[ "$output" = '1 dropped' ]
	[ "$(sql 'select count(*) from voip.cdr_dead')" -eq 0 ]
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 2 ]
	run -1 voip-cdr dead retry all
	[[ $output == *'there are no dead letters'* ]]
}

@test "the role of voip-cdr cannot change records" {
	legs 1
	run psql -XqAt -d "$VOIP_DATABASE" -c 'delete from voip.cdr'
	[[ $output == *'permission denied'* ]]
	run psql -XqAt -d "$VOIP_DATABASE" -c 'select body from voip.cdr_queue'
	[[ $output == *'permission denied'* ]]
}

# written UUID [DAY]: a record as log-http-and-disk leaves it.
written() {
	local start
	start=$(date -u -d "${2:-2026-11-20} 12:00:00" +%s)000000
	mkdir -p "$BATS_TEST_TMPDIR/disk"
	printf '{"switchname":"fs1","variables":{"uuid":"%s","start_uepoch":"%s"}}\n' \
		"$1" "$start" >"$BATS_TEST_TMPDIR/disk/$1.cdr.json"
}

@test "audit accounts for every leg that was produced, and names the missing" {
	local disk=$BATS_TEST_TMPDIR/disk spool=$BATS_TEST_TMPDIR/spool uuid
	for uuid in stored dead queued spooled missing; do
		written "$uuid"
	done
	written gone 2026-11-19
	cp "$disk/stored.cdr.json" "$disk/a_stored.cdr.json"
	echo half >"$disk/broken.cdr.json"
	sql "insert into voip.cdr (leg_uuid, start_time, direction, received_at)
		values ('stored', '2026-11-20 12:00Z', 'inbound', now()),
			('gone', '2026-11-19 12:00:01Z', 'inbound', now())"
	sql "insert into voip.cdr_dead (body, body_sha256, reason, query_uuid)
		values ('', sha256(''), 'x', 'a_dead')"
	sql "insert into voip.cdr_queue (body, query_uuid) values ('', 'queued')"
	VOIP_CDR_SPOOL_DIR=$spool voip-cdr-ingest --set database=host=/nonexistent \
		"$disk/spooled.cdr.json" >/dev/null
	run -1 --separate-stderr voip-cdr audit -f tsv --set cdr_spool_dir="$spool" "$disk"
	[ "$output" = $'day\tnode\tproduced\tstored\tdead\tqueued\tspooled\tmissing
2026-11-19\tfs1\t1\t0\t0\t0\t0\t1
2026-11-20\tfs1\t5\t1\t1\t1\t1\t1' ]
	[[ $stderr == *"broken.cdr.json': the body is neither JSON"* ]]
	[[ $stderr == *'2 legs are missing'* ]]
	run -1 --separate-stderr voip-cdr audit --missing -f tsv \
		--set cdr_spool_dir="$spool" "$disk"
	[ "$(sed 1d <<<"$output" | cut -f1 | sort | tr '\n' ' ')" = 'gone missing ' ]
	rm "$disk"/{gone,missing,broken}.cdr.json
	run -0 voip-cdr audit --set cdr_spool_dir="$spool" "$disk"
	run -78 voip-cdr audit "$disk/nowhere"
}
