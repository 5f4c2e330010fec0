# kamailio.bash: how fast the proxy registers and routes, for bench/run.
#
# Kamailio, PostgreSQL, sipp and the stand-ins share the machine.  The figures
# of one run are compared with each other: the same configuration with its
# caches cut off asks the database for each request.  For that ratio Kamailio,
# with one worker, and PostgreSQL have the last processor, and sipp has the
# others: else the most that is offered is the most that sipp can.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of bench/run and of the tests

wait_for() {
	local i
	for ((i = 0; i < 400; i++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	return 1
}

kamailio_begin() {
	export BATS_TEST_DIRNAME=$root/tests BATS_FILE_TMPDIR=$out/kamailio
	export PGDATABASE=voip_platform
	mkdir -p "$BATS_FILE_TMPDIR"
	# shellcheck source=tests/kamailio.bash
	. "$root/tests/kamailio.bash"
	# shellcheck source=tests/proxy.bash
	. "$root/tests/proxy.bash"
	PROXY_MEMORY=512
	proxy_setup kamailio_node_ping=1s kamailio_flush=60s \
		kamailio_node_threshold=3
	proxy_accounts a.example {20000..29999}
	proxy_media fs1
	psql -Xq -c 'vacuum analyze'
	for n in {20000..29999}; do
		echo "$n;a.example;[authentication username=$n password=pw$n];8001"
	done | sed '1i SEQUENTIAL' >"$folder/fields"
	peer fs1 -q
	servers+=("$(<"$folder/fs1.pid")")
	proxy_start
	servers+=("$(<"$folder/kamailio.pid")")
}

# offer SCENARIO COUNT RATE [SIPP-OPTION...]: rate, failures, retransmissions
offer() {
	local name=$folder/$1 status=0
	rm -f "$name.stat"
	# shellcheck disable=SC2086 # words
	${sipp_in:-} sipp -sf "$root/tests/data/sipp/$1.xml" -inf "$folder/fields" "$proxy" \
		-i 127.0.0.1 -nostdin -key contact 127.0.0.102:9 \
		-key expires 3600 -m "$2" -r "$3" -l 20000 -timeout 120 \
		-trace_stat -stf "$name.stat" -fd 1 "${@:4}" \
		>"$name.out" 2>&1 3>&- || status=$?
	awk -F';' 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
		$c["CurrentCall"] > most { most = $c["CurrentCall"] } END {
		printf "%.0f/s failed=%d retransmitted=%d at once=%d\n",
			$c["CallRate(C)"], $c["FailedCall(C)"],
			$c["Retransmissions(C)"], most }' \
		"$name.stat"
}

# The largest of these rates at which nothing is sent twice and none fails.
sustained() { # SCENARIO RATE...
	local scenario=$1 rate best=0 result
	shift
	for rate; do
		# once more: the machine may have been away for a moment
		for _ in 1 2; do
			result=$(offer "$scenario" "$((rate * 3))" "$rate" -d 0)
			echo "$scenario at $rate: $result" >>"$folder/sustained"
			[[ "$result" != *"failed=0 retransmitted=0 "* ]] || break
		done
		[[ "$result" == *"failed=0 retransmitted=0 "* ]] || break
		best=$rate
	done
	echo "$best"
}

percentile() {
	awk '{ print $2 }' | sort -n |
		awk '{ v[NR] = $1 } END { printf "%.2f ms", v[int(NR * 0.95)] / 1000 }'
}

# From here Kamailio and PostgreSQL on the last processor, sipp on the others.
apart() {
	local last=$(($(nproc) - 1)) postmaster
	[ "$last" -gt 0 ] || return 0
	postmaster=$(psql -XqAt -c 'show data_directory')/postmaster.pid
	taskset -a -p -c "$last" "$(head -n 1 "$postmaster")" >/dev/null
	PROXY_IN="taskset -c $last"
	sipp_in="taskset -c 0-$((last - 1))"
}

bench_kamailio() {
	local cached asked concurrent rates
	rates=(250 500 750 1000 1250 1500 1750 2000 2250 2500 2750 3000 3500
		4000 4500 5000 5500 6000 7000 8000 10000)
	kamailio_begin
	phone 20000@a.example register -n 500 -m >"$folder/registers"
	phone 20000@a.example call 8001 -n 300 -m >"$folder/calls"
	echo "kamailio: REGISTER p95 $(percentile <"$folder/registers")," \
		"INVITE to 200 p95 $(percentile <"$folder/calls")"
	offer register 10000 1500 >/dev/null
	echo "kamailio: 1500 REGISTER/s offered: $(offer register 9000 1500)"
	echo "kamailio: 400 calls/s offered: $(offer call 4000 400 -d 0)"
	for concurrent in 100 400 600 800; do
		echo "kamailio: $concurrent calls held:" \
			"$(offer call "$concurrent" 200 -d 6000)"
	done
	kamailio_stop KILL
	apart
	proxy_configure kamailio_node_ping=1s kamailio_flush=60s \
		kamailio_node_threshold=3 kamailio_workers=1
	proxy_start
	servers+=("$(<"$folder/kamailio.pid")")
	offer register 10000 1000 >/dev/null
	cached=$(sustained register "${rates[@]}")
	# the same without the caches
	kamailio_stop KILL
	# shellcheck disable=SC2016 # variables of Kamailio
	sed -i 's/^\t\$vn(\(account\|route\)) = \$sht(\(auth\|ext\)=>/\t$vn(\1) = $sht(wrong=>-/' \
		"$folder/kamailio.cfg"
	proxy_start
	servers+=("$(<"$folder/kamailio.pid")")
	offer register 10000 1000 >/dev/null
	asked=$(sustained register "${rates[@]}")
	report kamailio "$cached" "$asked" 'SQL for each:' REGISTER
	kamailio_stop KILL
	peer_stop fs1
}
