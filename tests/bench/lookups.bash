# lookups.bash: the parts of bench/run about voip-dirxml.
#
# Server and client have a processor each when there are two.  Both servers
# answer the same captured forms in turns, ROUNDS times, and the best of each
# counts: whoever else uses the machine makes things slower, never faster.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $tmp, $out, $captures: bench/run and servers.bash

lookups=${LOOKUPS:-20000}
rounds=${ROUNDS:-5}
users=${USERS:-100000}
server_cpu=()
client_cpu=()
if [ "$(nproc)" -gt 1 ]; then
	server_cpu=(taskset -a -c -p 1)
	client_cpu=(taskset -c 0)
fi

# Nanoseconds on a processor, of all threads.
cpu_ns() { # PID
	cat "/proc/$1"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

pin_server() { # PID
	[ "${#server_cpu[@]}" -eq 0 ] ||
		"${server_cpu[@]}" "$1" >>"$out/taskset.log"
}

load() { # PORT N OPTION...
	"${client_cpu[@]}" fsload -c "$clients" -n "$2" \
		--target /fs/xml/directory "${@:3}" "127.0.0.1:$1" \
		"$captures/lookups/directory-sip-auth-invite--answered.http" \
		"$captures/lookups/directory-sip-auth-register--register.http" \
		"$captures/lookups/directory-user-call--answered.http"
}

# "per_s p99_us cpu_us" of one run.
measure() { # PID PORT N OPTION...
	local before after line
	before=$(cpu_ns "$1")
	line=$(load "${@:2}")
	after=$(cpu_ns "$1")
	echo "$line" >>"$out/lookups.txt"
	awk -v line="$line" -v ns=$((after - before)) -v n="$3" 'BEGIN {
		split(line, w, " ")
		print w[8], w[12], ns / n / 1000 }'
}

# Of several: the most requests, the smallest p99, the least time.
best() {
	awk 'NR == 1 || $1 > r { r = $1 } NR == 1 || $2 < p { p = $2 }
		NR == 1 || $3 < c { c = $3 } END { print r, p, c }' "$1"
}

start_dirxml() {
	[ -z "${dirxml_pid:-}" ] || return 0
	dirxml_port=$(free_port)
	activate voip-dirxml "$dirxml_port" voip_dirxml
	dirxml_pid=${servers[-1]}
	curl -s -o /dev/null "http://127.0.0.1:$dirxml_port/health"
	sleep 1
	dirxml_idle=$(resident "$dirxml_pid")
}

resident() { # PID, in KiB
	awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

# The same POSTs, and for an answer a file of 1 KB.
start_nginx() {
	local i
	nginx_port=$(free_port)
	mkdir -p "$tmp/nginx/html"
	head -c 1024 /dev/zero | tr '\0' x >"$tmp/nginx/html/answer.xml"
	chmod -R a+rX "$tmp/nginx"
	cat >"$tmp/nginx/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $tmp/nginx/pid;
error_log $tmp/nginx/error;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path $tmp/nginx/body;
	proxy_temp_path $tmp/nginx/proxy;
	fastcgi_temp_path $tmp/nginx/fastcgi;
	uwsgi_temp_path $tmp/nginx/uwsgi;
	scgi_temp_path $tmp/nginx/scgi;
	sendfile on;
	keepalive_requests 1000000;
	server {
		listen 127.0.0.1:$nginx_port;
		root $tmp/nginx/html;
		location / {
			rewrite ^ /answer.xml break;
			error_page 405 =200 \$uri;
		}
	}
}
END
	setsid build/deps/nginx/usr/sbin/nginx -p "$tmp/nginx" \
		-e "$tmp/nginx/error" -c "$tmp/nginx/nginx.conf" \
		>"$out/nginx.log" 2>&1 &
	servers+=($!)
	for ((i = 0; i < 100; i++)); do
		nginx_pid=$(pgrep -P "${servers[-1]}") && break
		sleep 0.05
	done
	[ "$(curl -s -d x -o /dev/null -w '%{http_code} %{size_download}' \
		"http://127.0.0.1:$nginx_port/fs/xml/directory")" = '200 1024' ]
	load "$nginx_port" 200 >/dev/null
	pin_server "$nginx_pid"
}

against_nginx() { # NAME OPTION...
	local i
	: >"$tmp/ours"
	: >"$tmp/theirs"
	for ((i = 0; i < rounds; i++)); do
		measure "$dirxml_pid" "$dirxml_port" "$lookups" "${@:2}" >>"$tmp/ours"
		measure "$nginx_pid" "$nginx_port" "$lookups" "${@:2}" >>"$tmp/theirs"
	done
	awk -v name="$1" -v ours="$(best "$tmp/ours")" \
		-v theirs="$(best "$tmp/theirs")" 'BEGIN {
		split(ours, o, " "); split(theirs, t, " ")
		printf "%-12s %6.0f requests/s, nginx %6.0f: ratio %.2f\n",
			name, o[1], t[1], o[1] / t[1]
		printf "%-12s %6.1f us of CPU,  nginx %6.1f: ratio %.2f\n",
			name, o[3], t[3], o[3] / t[3]
		printf "%-12s %6.0f us at p99,  nginx %6.0f: ratio %.2f\n",
			name, o[2], t[2], o[2] / t[2] }'
}

bench_lookups() {
	start_dirxml
	start_nginx
	load "$dirxml_port" 200 >/dev/null
	pin_server "$dirxml_pid"
	against_nginx 'lookups'
	against_nginx 'kept alive' --keep-alive
}

# Users 100000 and up, each with a number.
many_users() {
	awk -v n="$users" 'BEGIN {
		for (i = 100000; i < 100000 + n; i++) {
			printf "{\"entity\":\"user\",\"key\":\"%d@pbx.example.com\"," \
				"\"full_name\":\"User %d\",\"ha1\":\"%032d\"," \
				"\"ha1b\":\"%032d\"}\n", i, i, i, i
			printf "{\"entity\":\"extension\",\"key\":" \
				"\"%d@pbx.example.com\",\"type\":\"user\"," \
				"\"user\":\"%d\"}\n", i, i
		} }' >"$tmp/users.jsonl"
	PGUSER=voip_ext voip-ext apply "$tmp/users.jsonl" >>"$out/users.log"
	rm "$tmp/users.jsonl"
	psql -XqAt -d voip_platform -c 'vacuum analyze voip.users, voip.extensions'
}

# The statement of such a lookup, as the server's log has it, for pgbench.
lookup_statement() {
	PGOPTIONS='-c log_statement=all' voip-dirxml \
		--user 100000@pbx.example.com >"$out/user.xml"
	# shellcheck disable=SC2016 # parameters of SQL
	sed -n 's/.*execute [^:]*: \(select d\.domain.*\)/\1/p' "$tmp/pg.log" |
		tail -n 1 | sed 's/::/::/g; s/\$1/:domain/g; s/\$2/:name/g'
}

# Each key once, nothing of it in memory, in slices of all users; nobody is
# pinned, since pgbench's sessions are as many as its clients.  pgbench keeps
# its connections: against it stand lookups on kept ones, and on a new one for
# each, whose bound is what known answers reach so.
bench_cold() {
	local i from=100000 slice=$((users / 8)) client_cpu=() peer
	local -A ours=()
	start_dirxml
	many_users
	{
		echo "\\set name random(100000, $((99999 + users)))"
		lookup_statement
	} >"$tmp/lookup.sql"
	for ((i = 0; i < 4; i++)); do
		load "$dirxml_port" "$slice" --users "$from:$slice" |
			awk '{ print $8, 0, 0 }' >>"$tmp/cold"
		load "$dirxml_port" "$slice" --keep-alive \
			--users "$((from + slice)):$slice" |
			awk '{ print $8, 0, 0 }' >>"$tmp/kept"
		load "$dirxml_port" "$slice" |
			awk '{ print $8, 0, 0 }' >>"$tmp/known"
		from=$((from + 2 * slice))
		"$cluster_bin/pgbench" -n -M prepared -c "$clients" -T 3 \
			-D domain=pbx.example.com -f "$tmp/lookup.sql" \
			voip_platform 2>>"$out/pgbench.log" |
			sed -n 's/^tps = \([0-9.]*\).*/\1 0 0/p' >>"$tmp/theirs"
	done
	peer=$(best "$tmp/theirs")
	for i in kept cold known; do
		ours[$i]=$(best "$tmp/$i")
		report "$i" "${ours[$i]%% *}" "${peer%% *}" \
			'pgbench, the same SELECT:' lookups
	done
	echo "cold: $(curl -s "http://127.0.0.1:$dirxml_port/metrics" |
		sed -n 's/^voip_dirxml_cache_entries //p') answers in memory," \
		"$(($(resident "$dirxml_pid") / 1024)) MiB resident;" \
		"idle $((dirxml_idle / 1024)) MiB"
}

# Changes of 10,000 users told one by one while lookups of others go on.
bench_burst() {
	local i quiet noisy writer
	start_dirxml
	load "$dirxml_port" 2000 >/dev/null
	pin_server "$dirxml_pid"
	for ((i = 0; i < rounds; i++)); do
		measure "$dirxml_pid" "$dirxml_port" "$lookups" >>"$tmp/quiet"
		psql -XqAt -d voip_platform -o /dev/null -c "select pg_notify(
			'voip_changed', json_build_object('table', 'users',
			'op', 'update', 'domain', 'pbx.example.com',
			'key', i::text)::text)
			from generate_series(100001, 110000) as i" &
		writer=$!
		measure "$dirxml_pid" "$dirxml_port" "$lookups" >>"$tmp/noisy"
		wait "$writer"
	done
	quiet=$(best "$tmp/quiet" | cut -d' ' -f2)
	noisy=$(best "$tmp/noisy" | cut -d' ' -f2)
	awk -v q="$quiet" -v n="$noisy" 'BEGIN { printf \
		"burst        %6.0f us at p99, without %5.0f: ratio %.2f\n",
		n, q, n / q }'
}
