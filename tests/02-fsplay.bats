#!/usr/bin/env bats
# fsplay, which the demo, the crash test and the benchmarks rely on.

setup() {
	bats_require_minimum_version 1.5.0
	cd "$BATS_TEST_DIRNAME/data/freeswitch" || return
	seen=$BATS_TEST_TMPDIR/seen
	# a unix socket's path is short
	sockets=$(mktemp -d /tmp/vp.XXXXXX)
	socket=$sockets/s
}

teardown() {
	[ -z "${server:-}" ] || kill "$server"
	rm -rf "$sockets"
}

# Answers each request with status $1 when it has it whole, in $seen.
serve() {
	cat >"$sockets/answer" <<'END'
#!/bin/bash
length=0
while IFS= read -r line; do
	printf '%s\n' "$line" >>"$2"
	case $line in
	Content-Length:*) length=${line//[^0-9]/} ;;
	$'\r') break ;;
	esac
done
head -c "$length" >>"$2"
printf 'HTTP/1.1 %s X\r\nContent-Length: 3\r\n\r\nyes' "$1"
END
	chmod 755 "$sockets/answer"
	socat UNIX-LISTEN:"$socket",fork EXEC:"$sockets/answer $1 $seen" 3>&- &
	server=$!
	for _ in {1..600}; do
		[ ! -S "$socket" ] || return 0
		sleep 0.05
	done
	return 1
}

@test "a request is sent as it was captured but for its target" {
	serve 202
	run -0 fsplay --target /fs/cdr unix:"$socket" \
		cdr-json-rawvalues/latin1_name-aleg.http
	run -0 cmp "$seen" \
		<(sed '1s#^POST /cdr#POST /fs/cdr#' cdr-json-rawvalues/latin1_name-aleg.http)
}

@test "a target that ends with a slash keeps the captured path's last part" {
	serve 200
	run -0 fsplay --body --target /fs/xml/ unix:"$socket" \
		lookups-get/directory-gateways.http
	[ "$output" = yes ]
	[[ $(head -n 1 "$seen") == 'GET /fs/xml/directory?'* ]]
}

@test "without 2xx the status is 1 and each request is told" {
	serve 503
	run -1 fsplay unix:"$socket" cdr-json-rawvalues/busy-aleg.http
	[[ ${lines[1]} == '503 '*busy-aleg.http ]]
	run -1 fsplay --repeat-until-2xx --delay 10 --give-up 1 --summary \
		unix:"$socket" cdr-json-rawvalues/busy-aleg.http
	[ "$(grep -ao 'POST /' "$seen" | grep -c .)" -gt 2 ]
}

@test "a round has uuids of its own, the same for the same seed, and linked legs" {
	local ledger=$BATS_TEST_TMPDIR/ledger
	serve 202
	run -0 fsplay -s -n 40 --spread 600 --ledger "$ledger" unix:"$socket" \
		cdr-json-rawvalues/answered-{a,b}leg.http
	[ "$(cut -f1 "$ledger" | sort -u | grep -c .)" -eq 41 ]
	[ "$(cut -f3 "$ledger" | sort -u | tr '\n' ' ')" = '202 status ' ]
	# what was sent: uuid in the target and the body; b-legs name an a-leg
	run -0 diff <(sed 1d "$ledger" | cut -f1 | sort) \
		<(grep -aoE '"variables":\{"direction":"[a-z]*"(,"is_outbound":"true")?,"uuid":"[^"]*' "$seen" |
			grep -o '[^"]*$' | sort)
	run -0 diff <(grep -aoE '"originator":"[^"]*' "$seen" | grep -o '[^"]*$' | sort) \
		<(awk 'NR > 1 && NR % 2 == 0 { print $1 }' "$ledger" | sort)
	run -0 diff <(sed 1d "$ledger" | cut -f2 | sort) \
		<(grep -aoE '"start_uepoch":"[0-9]*' "$seen" | grep -o '[0-9]*$' | sort)
	run -1 fsplay -s -n 40 --ledger "$ledger.2" unix:/nowhere \
		cdr-json-rawvalues/answered-{a,b}leg.http
	run -0 diff <(cut -f1 "$ledger") <(cut -f1 "$ledger.2")
	run -1 fsplay -s -n 40 --seed 2 --ledger "$ledger.2" unix:/nowhere \
		cdr-json-rawvalues/answered-{a,b}leg.http
	[ "$(cut -f1 "$ledger" "$ledger.2" | sort | uniq -d)" = leg_uuid ]
}

@test "--now moves the call so that it has just ended, in base64 too" {
	serve 202
	run -0 fsplay --now unix:"$socket" cdr-base64/answered-aleg.http
	local body end
	body=$(sed -n 's/^cdr=//p' "$seen" | base64 -d)
	end=$(jq -r .variables.end_epoch <<<"$body")
	[ "$(date -u +%s)" -ge "$end" ]
	[ "$(($(date -u +%s) - 60))" -lt "$end" ]
	# the stamps are of a zone one hour east, percent-encoded
	[ "$(jq -r .variables.end_stamp <<<"$body")" = \
		"$(date -u -d "@$((end + 3600))" +%Y-%m-%d%%20%H%%3A%M%%3A%S)" ]
	[ "$(grep -a Content-Length "$seen")" = \
		"$(grep -a Content-Length cdr-base64/answered-aleg.http)" ]
}
