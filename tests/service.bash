# service.bash: start the echo service, or another program, and wait for it.
#
#   service_setup            a folder of the test's own, in $dir
#   service_start ARGUMENT...  the echo service; its address is in $address
#                            (127.0.0.1:PORT, [::1]:PORT or unix:PATH), its
#                            process in $pid, its log is $dir/log
#   service_stop [SIGNAL]    and wait for its end; $status is its exit status
#   service_teardown         ends what was started
#   wait_for COMMAND...      until it succeeds, half a minute at most
#   ask PATH [CURL-OPTION...]  curl to the service
# shellcheck shell=bash
# shellcheck disable=SC2034 # $status is for the tests

service_setup() {
	bats_require_minimum_version 1.5.0
	dir=$(mktemp -d /tmp/voip-service.XXXXXX)
	started=()
	export VOIP_CONFIG=/dev/null
	unset "${!LISTEN_@}" "${!PG@}" NOTIFY_SOCKET WATCHDOG_USEC
}

service_teardown() {
	local process
	for process in "${started[@]}"; do
		kill -KILL -- "-$process" "$process" 2>/dev/null || :
		wait "$process" 2>/dev/null || :
	done
	rm -rf "$dir"
}

wait_for() {
	local end=$((SECONDS + 30))
	while [ "$SECONDS" -lt "$end" ]; do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	echo "waited in vain for: $*"
	cat "$dir"/log* 2>/dev/null
	return 1
}

# In a process group of its own, and without the descriptors of bats.
start_process() {
	setsid "$@" 3>&- 4>&- </dev/null >>"$dir/log" 2>&1 &
	pid=$!
	started+=("$pid")
}

service_start() {
	: >"$dir/log"
	start_process echo-service --listen 127.0.0.1:0 "$@"
	# shellcheck disable=SC2016 # for eval
	wait_for eval '! kill -0 "$pid" || grep -q "listening on" "$dir/log"'
	grep -q "listening on" "$dir/log" || {
		cat "$dir/log"
		return 1
	}
	address=$(sed -n 's/.*listening on \([^" ]*\).*/\1/p' "$dir/log" | head -n 1)
}

service_stop() {
	kill "-${1:-TERM}" "$pid"
	status=0
	wait "$pid" || status=$?
}

ask() {
	local path=$1
	shift
	case $address in
	unix:*) curl -sS -m 20 --unix-socket "${address#unix:}" \
		"http://localhost$path" "$@" ;;
	*) curl -sS -m 20 -g "http://$address$path" "$@" ;;
	esac
}

# Raw bytes to the service; its answer until it closes.
ask_raw() {
	case $address in
	unix:*) socat -t10 - "UNIX-CONNECT:${address#unix:}" ;;
	*) socat -t10 - "TCP:$address" ;;
	esac
}

metric() {
	ask /metrics | sed -n "s/^$1 //p"
}
