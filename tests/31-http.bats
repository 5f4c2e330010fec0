#!/usr/bin/env bats
# The HTTP server: limits, deadlines, credentials, stopping.
# shellcheck disable=SC2030,SC2031,SC2154 # a test is a subshell; service.bash

setup() {
	load service.bash
	service_setup
}

teardown() {
	service_teardown
}

letters() {
	head -c "$1" /dev/zero | tr '\0' x
}

# status PATH [CURL-OPTION...]: of the answer alone.
status() {
	ask "$@" -o /dev/null -w '%{http_code}\n'
}

# A connection of this shell: connect FD.
connect() {
	eval "exec $1<>/dev/tcp/${address%:*}/${address##*:}"
}

# Raw bytes to the service; its answer, also when it does not take them all:
# socat would end at the failed write and not read it.
answer_to() {
	connect 8
	cat >&8 2>/dev/null || :
	timeout 20 cat <&8 2>/dev/null || :
	exec 8>&-
}

@test "the query reaches the handler as it was sent" {
	service_start
	[ "$(ask '/query?a=%41&b=+%00&a=?x')" = 'a=%41&b=+%00&a=?x' ]
	[ "$(ask /query)" = '' ]
	[ "$(ask '/%71uery?x')" = x ]
	[ "$(printf 'GET http://other/query?y HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n' |
		ask_raw | tail -n 1)" = y ]
}

@test "hundreds of query parameters need no more room than their text" {
	local query
	service_start
	query=$(printf 'v%d=&' {1..8000})
	[ "$(ask "/query?$query")" = "$query" ]
}

@test "a request line of 64 KiB is taken, one of a byte more is refused" {
	local query
	service_start
	# "GET /query?" and " HTTP/1.1" are 20 bytes.
	query=$(letters $((65536 - 20)))
	[ "$(printf 'GET /query?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$query" |
		ask_raw | tail -n 1)" = "$query" ]
	run -0 answer_to < <(printf 'GET /query?x%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$query")
	[[ "$output" == "HTTP/1.1 414 "* ]]
}

@test "a request line or head without an end is refused" {
	service_start
	letters 300000 >"$dir/line"
	run -0 answer_to < <(printf 'GET /query?'; cat "$dir/line")
	[[ "$output" == "HTTP/1.1 414 "* ]]
	run -0 answer_to < <(printf 'GET /query HTTP/1.1\r\nX-A: '; cat "$dir/line")
	[[ "$output" == "HTTP/1.1 431 "* ]]
}

@test "a body of the route's limit is taken, one above is refused" {
	service_start
	letters $((1024 * 1024)) >"$dir/fits"
	letters $((1024 * 1024 + 1)) >"$dir/over"
	for how in X-None: Transfer-Encoding:\ chunked; do
		run -0 status /echo -H "$how" -H Expect: --data-binary "@$dir/fits"
		[ "$output" = 200 ]
		run -0 ask /echo -H "$how" -H Expect: --data-binary "@$dir/over" \
			-w '%{http_code}'
		[ "$output" = '{"status":"error","message":"the body is too large"}
413' ]
	done
	run -0 cmp <(ask /echo --data-binary "@$dir/fits") "$dir/fits"
}

@test "a body announced above the limit is refused before it is sent" {
	service_start
	run -0 bash -c "exec 5<>/dev/tcp/${address/://}
		printf 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n' >&5
		read -t 10 -r line <&5 && echo \"\$line\""
	[[ "$output" == "HTTP/1.1 413 "* ]]
	run -0 ask /echo -H 'Expect: 100-continue' -H 'Content-Length: 99999999' \
		-d x -o /dev/null -v
	[[ "$output" == *"< HTTP/1.1 413"* ]]
	[[ "$output" != *"< HTTP/1.1 100"* ]]
}

@test "an endless chunked body is cut" {
	service_start
	run -0 answer_to < <(
		printf 'POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
		while printf '8000\r\n' && head -c 32768 /dev/zero && printf '\r\n'
		do :; done 2>/dev/null
	)
	[[ "${lines[0]}" == "HTTP/1.1 413 "* ]]
	[ "$(ask /echo -d still)" = still ]
}

@test "Expect: 100-continue is answered" {
	service_start
	run -0 ask /echo -d hello -H 'Expect: 100-continue' -v
	[[ "$output" == *"< HTTP/1.1 100 Continue"* ]]
	[[ "$output" == *"< HTTP/1.1 200 OK"* ]]
	[[ "$output" == *hello* ]]
}

@test "unknown paths, methods and lengths have their statuses" {
	service_start
	[ "$(status /nowhere)" = 404 ]
	[ "$(status /nowhere -d body)" = 404 ]
	run -0 ask /echo -i
	[[ "$output" == *"405 Method Not Allowed"*"Allow: POST"* ]]
	[ "$(status /echo -X DELETE)" = 405 ]
	[ "$(status /echo -X POST)" = 411 ]
	[ "$(status '/qu%00ery')" = 400 ]
	[ "$(status /echo -d x -H 'Transfer-Encoding: gzip' -H 'Content-Length:')" = 501 ]
	run -0 ask /query?x -I
	[[ "$output" == "HTTP/1.1 200 OK"*"Content-Length: 1"* ]]
	[ "$(metric voip_http_refused_total)" = 6 ]
}

@test "a length given twice, or two ways, is refused" {
	local head
	service_start
	for head in 'Content-Length: 3\r\nContent-Length: 3' \
		'Content-Length: 3\r\nTransfer-Encoding: chunked'; do
		# shellcheck disable=SC2059 # escapes
		run -0 answer_to < <(printf "POST /echo HTTP/1.1\r\nHost: x\r\n$head\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		[[ "$output" == "HTTP/1.1 400 "* ]]
	done
}

@test "an error says what and when to try again" {
	service_start
	run -0 ask /error -i
	[[ "$output" == *"503 Service Unavailable"*"Retry-After: 1"* ]]
	[[ "$output" == *'{"status":"unavailable","message":"the \"database\" is away"}' ]]
	[ "$(metric voip_http_unavailable_total)" = 1 ]
}

@test "credentials are asked for on the same connection" {
	VOIP_DIRXML_CREDENTIALS=fs:s3cret service_start
	run -0 ask /echo -d '' -i --next -sS "http://$address/echo" -d body -i \
		--next -sS "http://$address/echo" -d body -u fs:s3cret \
		-w ' %{num_connects}'
	[ "$(grep -c '401 Unauthorized' <<<"$output")" -eq 2 ]
	[ "$(grep -c 'WWW-Authenticate: Basic realm="voip"' <<<"$output")" -eq 2 ]
	[[ "$output" == *"body 0" ]]
	[ "$(metric voip_http_connections_total)" = 2 ]
}

@test "wrong credentials are refused, open routes need none" {
	VOIP_DIRXML_CREDENTIALS=fs:s3cret service_start
	for wrong in fs:s3cre fs:s3crett f:s3cret fs: :s3cret fs:S3CRET; do
		[ "$(status /query -u "$wrong")" = 401 ]
	done
	[ "$(status /query -H 'Authorization: Digest username="fs"')" = 401 ]
	[ "$(status /query -H 'Authorization: basic  ZnM6czNjcmV0')" = 200 ]
	[ "$(status /metrics)" = 200 ]
	[ "$(status /nowhere)" = 401 ]
	run ! grep -rq s3cret "$dir/log"
}

@test "a client that sends a byte now and then is cut at the head's deadline" {
	service_start --set http_head_timeout=400ms
	# Each byte alone would keep an inactivity timeout away for ever.
	run -0 timeout 60 bash -c "exec 5<>/dev/tcp/${address/://}
		trap '' PIPE
		for c in G E T ' ' / q u e r y '?' {1..200}; do
			printf '%s' \"\$c\" >&5 || exit 0
			sleep 0.1
		done 2>/dev/null
		exit 1"
	[ "$(metric voip_http_deadlines_total)" = 1 ]
	grep -q 'connection closed at its deadline' "$dir/log"
}

@test "a body that comes too slowly is cut at the request's deadline" {
	service_start --set http_timeout=400ms
	run -0 timeout 60 bash -c "exec 5<>/dev/tcp/${address/://}
		trap '' PIPE
		printf 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n' >&5
		for c in {1..200}; do
			printf x >&5 || exit 0
			sleep 0.1
		done 2>/dev/null
		exit 1"
	[ "$(metric voip_http_deadlines_total)" = 1 ]
}

@test "a client that does not read its answer is cut at the request's deadline" {
	service_start --set http_timeout=400ms
	connect 5
	printf 'GET /large/50000000 HTTP/1.1\r\nHost: x\r\n\r\n' >&5
	wait_for grep -q 'closed at its deadline' "$dir/log"
	exec 5>&-
	[ "$(ask /echo -d still)" = still ]
}

@test "a silent connection is closed at the head's deadline" {
	service_start --set http_head_timeout=300ms
	run -0 timeout 60 bash -c "exec 5<>/dev/tcp/${address/://}; cat <&5"
	[ -z "$output" ]
	# One that was used before is closed, too, but that is no fault.
	run -0 timeout 60 bash -c "exec 5<>/dev/tcp/${address/://}
		printf 'GET /query HTTP/1.1\r\nHost: x\r\n\r\n' >&5; cat <&5"
	[[ "$output" == "HTTP/1.1 200 OK"* ]]
	[ "$(metric voip_http_deadlines_total)" = 1 ]
}

@test "a request that nobody answers in time ends its connection" {
	service_start --set http_timeout=200ms
	run -52 ask /later/700
	wait_for bash -c "curl -s http://$address/released | grep -qx '1 of 1'"
}

@test "requests that wait do not hold up others" {
	service_start
	connect 7
	printf 'GET /later/60000 HTTP/1.1\r\nHost: x\r\n\r\n' >&7
	wait_for bash -c "curl -s http://$address/released | grep -qx '0 of 1'"
	[ "$(ask /echo -d now)" = now ]
	[ "$(ask /released)" = '0 of 1' ]
	exec 7>&-
	[ "$(ask /later/10)" = later ]
}

@test "a client that vanishes while its request waits leaves nothing behind" {
	local gone=() connection
	service_start
	for _ in {1..20}; do
		connect "{connection}"
		gone+=("$connection")
		printf 'GET /later/1000 HTTP/1.1\r\nHost: x\r\n\r\n' >&"${gone[-1]}"
	done
	wait_for bash -c "curl -s http://$address/released | grep -q ' of 20$'"
	for connection in "${gone[@]}"; do
		exec {connection}>&-
	done
	wait_for bash -c "curl -s http://$address/released | grep -qx '20 of 20'"
	# shellcheck disable=SC2016 # for eval
	wait_for eval '[ "$(metric voip_http_connections)" = 1 ]'
	service_stop
	[ "$status" -eq 0 ]
}

@test "hundreds of connections at once are served" {
	local urls
	service_start
	urls=$(printf "url = http://$address/later/300\n%.0s" {1..400})
	run -0 bash -c "curl -s --parallel --parallel-immediate \
		--parallel-max 300 -K - 2>/dev/null <<<'$urls' | sort | uniq -c"
	[ "$(tr -d ' ' <<<"$output")" = 400later ]
}

@test "above the limit of connections others wait until one ends" {
	service_start --set http_connections=2 --set http_head_timeout=60s
	connect 5
	connect 6
	wait_for grep -q . <(ask /query -m 1 2>&1)
	run -28 ask /echo -d x -m 0.3
	exec 5>&-
	[ "$(ask /echo -d x)" = x ]
	exec 6>&-
}

@test "a service without descriptors waits for them and does not spin" {
	local before after i
	service_start --set http_connections=1000 --set http_head_timeout=60s
	prlimit --pid "$pid" --nofile=20:20
	for i in {30..60}; do
		connect "$i" || break
	done 2>/dev/null
	wait_for grep -q 'cannot accept a connection: Too many open files' \
		"$dir/log"
	before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	sleep 0.5
	after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	[ $((after - before)) -lt 20 ]
	for ((; i >= 30; i--)); do
		eval "exec $i>&-"
	done
	[ "$(ask /echo -d again)" = again ]
}

@test "SIGTERM lets requests in progress finish" {
	service_start
	ask /later/700 >"$dir/late" &
	local client=$!
	wait_for bash -c "curl -s http://$address/released | grep -q ' of 1$'"
	service_stop
	[ "$status" -eq 0 ]
	wait "$client"
	[ "$(cat "$dir/late")" = later ]
}

@test "SIGTERM lets a body that is still on its way finish" {
	service_start
	connect 5
	printf 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst' >&5
	wait_for bash -c "curl -s http://$address/metrics | grep -q 'connections 2'"
	kill -TERM "$pid"
	wait_for grep -q stopping "$dir/log"
	printf 'later' >&5
	run -0 timeout 20 cat <&5
	[[ "$output" == *"Connection: close"*firstlater ]]
	wait "$pid"
	exec 5>&-
}

@test "SIGTERM serves what waits in the backlog of our own listener" {
	local i
	service_start
	kill -STOP "$pid"
	for i in {1..20}; do
		ask /echo -d "$i" >"$dir/answer.$i" &
	done
	# All have connected, as the kernel sees it: nobody accepts.
	wait_for bash -c "[ \$(ss -Htn state established dst $address | wc -l) -ge 20 ]"
	kill -TERM "$pid"
	kill -CONT "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 0 ]
	wait
	for i in {1..20}; do
		[ "$(cat "$dir/answer.$i")" = "$i" ]
	done
}

@test "after SIGTERM who connects is refused, while what was accepted is served" {
	service_start
	ask /later/1500 >"$dir/late" &
	local client=$!
	wait_for bash -c "curl -s http://$address/released | grep -q ' of 1$'"
	kill -TERM "$pid"
	wait_for grep -q stopping "$dir/log"
	wait_for eval '! connect 5 2>/dev/null'
	wait "$client"
	[ "$(cat "$dir/late")" = later ]
	wait "$pid"
}

@test "SIGTERM ends unused connections at once and silent ones soon" {
	service_start --set http_head_timeout=60s
	connect 5
	printf 'GET /query?a HTTP/1.1\r\nHost: x\r\n\r\n' >&5
	connect 6
	wait_for bash -c "curl -s http://$address/metrics | grep -q 'connections 3'"
	service_stop
	[ "$status" -eq 0 ]
	run -0 timeout 20 cat <&5
	[[ "$output" == "HTTP/1.1 200 OK"* ]]
	run -0 timeout 20 cat <&6
	[ -z "$output" ]
	exec 5>&- 6>&-
}

@test "a second signal ends at once, and waiting requests are released" {
	service_start
	ask /later/60000 >/dev/null 2>&1 &
	wait_for bash -c "curl -s http://$address/released | grep -qx '0 of 1'"
	kill -INT "$pid"
	wait_for grep -q stopping "$dir/log"
	service_stop INT
	[ "$status" -eq 0 ]
}

@test "SIGHUP reads the settings again, and keeps the old when they are wrong" {
	echo 'dirxml_credentials=fs:one' >"$dir/conf"
	chmod 600 "$dir/conf"
	VOIP_CONFIG=$dir/conf service_start
	[ "$(status /query -u fs:one)" = 200 ]
	echo 'dirxml_credentials=fs:two' >"$dir/conf"
	kill -HUP "$pid"
	wait_for grep -q 'settings reloaded' "$dir/log"
	[ "$(status /query -u fs:one)" = 401 ]
	[ "$(status /query -u fs:two)" = 200 ]
	echo 'no such line' >"$dir/conf"
	kill -HUP "$pid"
	wait_for grep -q 'error: settings not reloaded' "$dir/log"
	[ "$(status /query -u fs:two)" = 200 ]
	service_stop
	[ "$status" -eq 0 ]
}

@test "SIGHUP does not take the credentials from a public service" {
	echo 'dirxml_credentials=fs:one' >"$dir/conf"
	chmod 600 "$dir/conf"
	VOIP_CONFIG=$dir/conf service_start --listen 0.0.0.0:0
	address=127.0.0.1:${address##*:}
	: >"$dir/conf"
	kill -HUP "$pid"
	wait_for grep -q 'refused to serve beyond loopback' "$dir/log"
	[ "$(status /query)" = 401 ]
	[ "$(status /query -u fs:one)" = 200 ]
}

@test "each request is a line of the log at debug" {
	service_start --set log_level=debug --set log_format=json
	ask /echo -d x
	run -0 jq -r 'select(.event == "request") | .method, .path, .status' \
		"$dir/log"
	[ "$output" = $'POST\n/echo\n200' ]
}
