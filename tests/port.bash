# port.bash: ports of 127.0.0.1 for the tests, the demo and the benchmarks.
#
#   free_port      prints one that nobody has, TCP or UDP; no two files of one
#                  run get the same, also before they listen at it
#   listens PORT   by the kernel's table: a connection would activate what
#                  waits for its first
# shellcheck shell=bash

free_port() {
	local port hex

	for _ in {1..1000}; do
		port=$((20000 + RANDOM % 12000))
		printf -v hex %04X "$port"
		! grep -q "^ *[0-9]*: [0-9A-F]*:$hex " /proc/net/tcp \
			/proc/net/udp || continue
		[ ! -w "${BATS_RUN_TMPDIR-}" ] ||
			mkdir "$BATS_RUN_TMPDIR/port.$port" 2>/dev/null ||
			continue
		echo "$port"
		return
	done
	return 1
}

listens() {
	grep -q "^ *[0-9]*: 0100007F:$(printf '%04X' "$1") 00000000:0000 0A" \
		/proc/net/tcp
}
