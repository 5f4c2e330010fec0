# cdr.bash: the parts of bench/run that are about CDRs, from the POST to the
# row in voip.cdr.  Sourced by it.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $tmp, $out, $cdrs, ... of bench/run

# What FreeSWITCH sends by its default, and what our configuration makes of it.
cdr_files() {
	printf '%s\n' "$captures"/cdr-json{,-rawvalues}/*-[ab]leg.http
}

# cpu_of PID...: microseconds that these, what they started and what that
# started have used until now, ended ones included.
cpu_of() {
	local pid all=("$@") children i
	for ((i = 0; i < ${#all[@]}; i++)); do
		mapfile -d ' ' -t children < <(
			cat "/proc/${all[i]}/task/"*/children 2>/dev/null || :)
		all+=("${children[@]}")
	done
	for pid in "${all[@]}"; do
		cat "/proc/$pid/stat" 2>/dev/null || :
	done | awk -v hz="$(getconf CLK_TCK)" '
		{ sub(/^.*\) /, ""); n += $12 + $13 + $14 + $15 }
		END { printf "%.0f\n", n * 1000000 / hz }'
}

postmaster() {
	local pid
	read -r pid <"$tmp/pg/postmaster.pid"
	echo "$pid"
}

queued() {
	psql -XqAt -d voip_platform -c 'select count(*) from voip.cdr_queue'
}

start_cdr() { # PORT
	activate voip-cdr-ingest "$1" voip_cdr_ingest
	ingest=${servers[-1]}
	PGUSER=voip_cdr_flush setsid voip-cdr-flush --follow \
		>"$out/flush-follow.log" 2>&1 &
	follower=$!
	servers+=("$follower")
}

# Count of rows in voip.cdr that came since $1.
stored_since() {
	psql -XqAt -d voip_platform -c "select count(*) - $1 from voip.cdr"
}

bench_cdr() {
	local port files before pg ours flush start took stored
	mapfile -t files < <(cdr_files)
	port=$(free_port)
	start_cdr "$port"
	pg=$(postmaster)
	# a warm start: connections, prepared statements, partitions
	play_cdrs "$port" 1000 7 >"$out/cdr-warm.txt"
	wait_empty
	before=$(psql -XqAt -d voip_platform -c 'select count(*) from voip.cdr')
	set -- "$(cpu_of "$pg")" "$(cpu_of "$ingest")" "$(cpu_of "$follower")"
	start=$EPOCHREALTIME
	play_cdrs "$port" "$cdrs" 1 >"$out/cdr.txt"
	wait_empty
	took=$((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}))
	pg=$(($(cpu_of "$pg") - $1))
	ours=$(($(cpu_of "$ingest") - $2))
	flush=$(($(cpu_of "$follower") - $3))
	stored=$(stored_since "$before")
	[ "$stored" -eq "$cdrs" ] || {
		echo "cdr: only $stored of $cdrs are stored" >&2
		return 1
	}
	awk -v n="$cdrs" -v us="$took" -v i="$ours" -v f="$flush" -v p="$pg" \
		'BEGIN { printf "cdr      %10.0f CDRs/s from POST to voip.cdr; " \
		"CPU per CDR %.0f us: ingest %.0f, flush %.0f, " \
		"PostgreSQL %.0f\n", n * 1e6 / us, (i + f + p) / n,
		i / n, f / n, p / n }'
	stop_cdr
}

stop_cdr() {
	kill -TERM "$follower" "$ingest"
	wait "$follower" "$ingest" || :
}

play_cdrs() { # PORT N SEED [OPTION...]
	fsplay "${@:4}" -s -c "$clients" -n "$2" --seed "$3" --now --spread 86400 \
		--target /fs/cdr "127.0.0.1:$1" "${files[@]}"
}

wait_empty() {
	for _ in {1..3000}; do
		[ "$(queued)" -ne 0 ] || return 0
		sleep 0.02
	done
	echo 'the queue does not become empty' >&2
	return 1
}

# The commits that an answer waits for, without all else: the same rows into a
# table like the queue, at the same pace.
write_insert() { # FILE
	psql -XqAt -d voip_platform \
		-c 'create table if not exists bench_queue (body bytea)'
	sed '1,/^\r$/d' "$1" | sed "s/'/''/g; s/:/::/g" |
		sed "1s/^/insert into bench_queue values (convert_to('/
			\$s/\$/', 'UTF8'));/" >"$tmp/insert.sql"
}

# Milliseconds below which 99 of 100 transactions of pgbench's logs stayed, from
# their start, which may be later than when they were due: as fsplay counts.
p99_of_logs() {
	cat "$tmp"/pgbench_log.* | awk '{ print $3 - $7 }' | sort -n |
		awk '{ a[NR] = $1 } END { print a[int(NR * 99 / 100) + 1] / 1000 }'
}

# 50 a second is what 800 concurrent calls make at worst.
bench_latency() {
	local port files ours peer n=$((seconds_of_latency * 50))
	mapfile -t files < <(cdr_files)
	port=$(free_port)
	start_cdr "$port"
	play_cdrs "$port" 200 8 >"$out/latency-warm.txt"
	play_cdrs "$port" "$n" 2 --rate 50 >"$out/latency.txt"
	ours=$(column p99_ms <"$out/latency.txt")
	wait_empty
	stop_cdr
	write_insert "$captures/cdr-json-rawvalues/answered-aleg.http"
	(cd "$tmp" && "$cluster_bin/pgbench" -n -c "$clients" \
		-R 50 -T "$seconds_of_latency" -l -f "$tmp/insert.sql" \
		voip_platform >"$out/latency-pgbench.log" 2>&1)
	peer=$(p99_of_logs)
	awk -v a="$ours" -v b="$peer" 'BEGIN { printf "latency  %10.2f ms " \
		"is the p99 of a POST at 50/s   pgbench, one commit each: " \
		"%.2f   ratio %.2f\n", a, b, a / b }'
}

# --- flush ------------------------------------------------------------------

# CDRs in the queue, of the configuration that is recommended, spread over a day.
fill_queue() {
	local port files
	mapfile -t files < <(printf '%s\n' \
		"$captures"/cdr-json-rawvalues/*-[ab]leg.http |
		grep -v latin1) # jsonb takes UTF-8 only
	port=$(free_port)
	activate voip-cdr-ingest "$port" voip_cdr_ingest
	play_cdrs "$port" "$cdrs" 3 >"$out/flush-fill.txt"
	kill -TERM "${servers[-1]}"
	wait "${servers[-1]}" || :
}

# The same records as jsonb, which is how a queue that SQL reads keeps them.
make_peer() {
	awk -v keep='400 days' -f tests/bench/flush-peer.awk lib/cdr.h \
		>"$out/flush-peer.sql"
	psql -XqAt -d voip_platform -v ON_ERROR_STOP=1 <<'SQL'
create table bench_json (received_at timestamptz, body jsonb compression lz4);
insert into bench_json select received_at, convert_from(body, 'UTF8')::jsonb
	from voip.cdr_queue order by id;
create function bench_plain(text) returns text language sql immutable as $$
	select convert_from(string_agg(case when part[1] like '\%%' then
		decode(substr(part[1], 2), 'hex') else convert_to(part[1],
		'UTF8') end, ''), 'UTF8')
	from regexp_matches($1, '%[0-9A-Fa-f]{2}|[^%]+|%', 'g') as part
$$;
vacuum analyze bench_json;
checkpoint;
SQL
}

# What both wrote must be the same, but for when.
differences() {
	psql -XqAt -d voip_platform -c 'alter table bench_cdr drop stored_at' \
		-c 'create table bench_ours as table voip.cdr' \
		-c 'alter table bench_ours drop stored_at' \
		-c 'select count(*) from ((table bench_cdr except table bench_ours)
			union all (table bench_ours except table bench_cdr)) as d'
}

bench_flush() {
	local ours peer rows different
	fill_queue
	rows=$(queued)
	psql -XqAt -d voip_platform -c 'truncate voip.cdr'
	make_peer
	peer=$(seconds psql -XqAt -d voip_platform -v ON_ERROR_STOP=1 \
		-c 'set synchronous_commit = local' -f "$out/flush-peer.sql")
	psql -XqAt -d voip_platform -c 'create table bench_cdr as table voip.cdr' \
		-c 'truncate voip.cdr' -c checkpoint
	ours=$(PGUSER=voip_cdr_flush seconds voip-cdr-flush)
	report flush "$(awk "BEGIN { print $rows / $ours }")" \
		"$(awk "BEGIN { print $rows / $peer }")" 'INSERT ... SELECT:' rows
	different=$(differences)
	[ "$different" -eq 0 ] ||
		echo "flush: $different rows are not the same" >&2
}
