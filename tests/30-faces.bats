#!/usr/bin/env bats
# The four faces of an endpoint, each with the real thing.
# shellcheck disable=SC2030,SC2031,SC2154 # a test is a subshell; service.bash

setup() {
	load port.bash
	load service.bash
	service_setup
}

teardown() {
	service_teardown
}

activate() {
	start_process systemd-socket-activate -l "$address" \
		-E VOIP_CONFIG=/dev/null "$@"
	wait_for listens "${address##*:}"
}

gone() {
	! kill -0 "$pid" 2>/dev/null
}

@test "a service serves the socket that systemd passes" {
	address=127.0.0.1:$(free_port)
	activate echo-service
	[ "$(ask /echo -d hello)" = hello ]
	[ "$(ask /echo -d again)" = again ]
	service_stop
	[ "$status" -eq 0 ]
	grep -q 'stopping: SIGTERM' "$dir/log"
}

@test "an activated service exits when idle, and the next connection starts it again" {
	address=127.0.0.1:$(free_port)
	for _ in 1 2 3; do
		activate -E VOIP_IDLE_EXIT=200ms echo-service
		[ "$(ask /echo -d hello)" = hello ]
		status=0
		wait "$pid" || status=$?
		[ "$status" -eq 0 ]
	done
	[ "$(grep -c 'stopping: idle' "$dir/log")" -eq 3 ]
}

@test "an activated service that is busy does not exit when idle" {
	address=127.0.0.1:$(free_port)
	: >"$dir/busy"
	activate -E VOIP_IDLE_EXIT=50ms -E "ECHO_BUSY=$dir/busy" echo-service
	[ "$(ask /echo -d hello)" = hello ]
	sleep 0.3
	[ "$(ask /echo -d hello)" = hello ]
	run ! grep stopping "$dir/log"
	rm "$dir/busy"
	wait_for gone
	grep -q 'stopping: idle' "$dir/log"
}

@test "a service with several passed sockets serves each of them" {
	local other
	other=127.0.0.1:$(free_port)
	address=127.0.0.1:$(free_port)
	activate -l "$other" -l "$dir/s" echo-service
	[ "$(ask /echo -d a)" = a ]
	address=$other
	[ "$(ask /echo -d b)" = b ]
	address=unix:$dir/s
	[ "$(ask /echo -d c)" = c ]
}

@test "a service takes no sockets that were passed to another process" {
	run -0 env LISTEN_PID=1 LISTEN_FDS=1 echo-service word </dev/null
	[ "$output" = word ]
	run -0 env LISTEN_PID=1 LISTEN_FDS=1 echo-service </dev/null
	[ -z "$output" ]
}

@test "passed descriptors that are no sockets are a fault of the configuration" {
	run -78 bash -c 'exec 3</dev/null
		LISTEN_PID=$$ LISTEN_FDS=1 exec echo-service'
	[ "$output" = "echo-service: passed descriptor 3 is no stream socket" ]
	run -78 bash -c 'LISTEN_PID=$$ LISTEN_FDS=17 exec echo-service'
	[ "$output" = "echo-service: 17 sockets were passed, 16 are the limit" ]
}

@test "inetd runs the service for each connection" {
	local user port
	port=$(free_port)
	address=127.0.0.1:$port
	user=$(id -un)
	printf '%s stream tcp nowait %s %s echo-service --config /dev/null --inetd\n' \
		"127.0.0.1:$port" "$user" "$(command -v echo-service)" \
		>"$dir/inetd.conf"
	start_process inetd -i "$dir/inetd.conf"
	wait_for listens "$port"
	[ "$(ask /echo -d hello)" = hello ]
	run -0 ask /echo -d two --next -sS "http://$address/echo" -d three
	[ "$output" = twothree ]
	[ "$(ask /later/50)" = later ]
}

@test "inetd's wait mode hands over the listening socket, served until idle" {
	local user port
	port=$(free_port)
	address=127.0.0.1:$port
	user=$(id -un)
	printf '%s stream tcp wait %s %s echo-service --config /dev/null --set idle_exit=200ms\n' \
		"127.0.0.1:$port" "$user" "$(command -v echo-service)" \
		>"$dir/inetd.conf"
	start_process inetd -i "$dir/inetd.conf"
	wait_for listens "$port"
	[ "$(ask /echo -d hello)" = hello ]
	[ "$(ask /echo -d hello)" = hello ]
	wait_for bash -c "! pgrep -P $pid"
	[ "$(ask /echo -d again)" = again ]
}

@test "--inetd without a connection is a usage error" {
	run -64 --separate-stderr bash -c 'echo-service --inetd </dev/null'
	[[ "$stderr" == "echo-service: standard input is no connection"* ]]
}

@test "--listen serves an IPv4 address" {
	service_start
	[ "$(ask /echo -d hello)" = hello ]
	service_stop
	[ "$status" -eq 0 ]
}

@test "--listen serves an IPv6 address" {
	# A kernel without IPv6 has none to serve, and that is said.
	grep -qs '^0\{31\}1 ' /proc/net/if_inet6 || {
		run -78 echo-service --listen '[::1]:0'
		[[ "$output" == *"address '[::1]:0': cannot "* ]]
		return
	}
	service_start --listen '[::1]:0'
	[[ "$address" == '[::1]:'* ]]
	[ "$(ask /echo -d hello)" = hello ]
	run -0 ask /echo -d x -i
	[[ "$output" == *'X-Peer: [::1]:'* ]]
}

@test "--listen serves a unix socket of mode 0660 and removes it at its end" {
	service_start --listen "unix:$dir/s"
	[ "$(stat -c %a "$dir/s")" = 660 ]
	[ "$(ask /echo -d hello)" = hello ]
	service_stop
	[ "$status" -eq 0 ]
	[ ! -e "$dir/s" ]
}

@test "--listen without an address takes the setting" {
	service_start --listen= --set "dirxml_listen=unix:$dir/s"
	[ "$address" = "unix:$dir/s" ]
}

@test "the unix socket of a killed service is replaced, one in use is not" {
	service_start --listen "unix:$dir/s"
	run -75 echo-service --listen "unix:$dir/s"
	[[ "$output" == *"'$dir/s' is in use"* ]]
	kill -KILL "$pid"
	wait "$pid" || :
	[ -S "$dir/s" ]
	service_start --listen "unix:$dir/s"
	[ "$(ask /echo -d hello)" = hello ]
}

@test "a file that is no socket is never replaced" {
	echo precious >"$dir/s"
	run -78 echo-service --listen "unix:$dir/s"
	[ "$output" = "echo-service: '$dir/s' is there and is no socket" ]
	[ "$(cat "$dir/s")" = precious ]
}

@test "an address in use is a reason to try again, a malformed one to change the settings" {
	service_start
	run -75 echo-service --listen "$address"
	[ "$output" = "echo-service: address '$address': cannot listen: Address already in use" ]
	for wrong in 1.2.3.4 ::1:80 127.0.0.1: 'unix:s'; do
		run -78 echo-service --listen "$wrong"
	done
}

@test "serving beyond loopback needs credentials" {
	run -78 echo-service --listen 0.0.0.0:0
	[[ "$output" == *"refused to serve beyond loopback without credentials"* ]]
	[[ "$output" == *"hint: set 'dirxml_credentials'"* ]]
	VOIP_DIRXML_CREDENTIALS=fs:secret service_start --listen 0.0.0.0:0
	address=127.0.0.1:${address##*:}
	run -0 ask /echo -d x -o /dev/null -w '%{http_code}'
	[ "$output" = 401 ]
	[ "$(ask /echo -d x -u fs:secret)" = x ]
}

@test "without a socket the service is a filter" {
	run -0 echo-service one two
	[ "$output" = $'one\ntwo' ]
	run -0 bash -c 'echo piped | echo-service'
	[ "$output" = piped ]
}

@test "a unix socket pair on standard input is a pipe" {
	run -0 socat -t5 - EXEC:echo-service <<<hello
	[ "$output" = hello ]
}

@test "systemd is told of readiness, reload and end, and the watchdog is fed" {
	start_process socat -u "UNIX-RECV:$dir/notify" "OPEN:$dir/notes,creat"
	wait_for test -S "$dir/notify"
	NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=200000 service_start
	wait_for grep -aq READY=1 "$dir/notes"
	wait_for grep -aq WATCHDOG=1 "$dir/notes"
	kill -HUP "$pid"
	wait_for grep -aq 'MONOTONIC_USEC=[0-9]' "$dir/notes"
	grep -aq RELOADING=1 "$dir/notes"
	service_stop
	[ "$status" -eq 0 ]
	wait_for grep -aq STOPPING=1 "$dir/notes"
}

