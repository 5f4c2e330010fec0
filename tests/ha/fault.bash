# fault.bash: what is done to the pair of tests/ha.bash, and what a client sees.
#
#   ha_fault NAME N     does NAME to node N
#   ha_heal             undoes what a fault did to the network
#   ha_write            a client writes to the virtual address each 20 ms
#   ha_stop_writing     ends that
#   ha_one_writer       holds when no two nodes took writes in turns
#   ha_lost N           how many acknowledged writes node N has not
#   ha_gap A B          ms from the last write that A took to the first of B

# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016 # of tests/ha.bash

ha_pid() { # N NAME
	cat "$ha/n$1/$2.pid"
}

ha_postmaster() { # N
	head -n 1 "$ha/data/n$1/postmaster.pid"
}

# The first process of each family collects the others.
ha_kill_node() { # N
	local pid pids

	while pids=$(ip netns pids "$(ha_ns "n$1")") && [ -n "$pids" ]; do
		for pid in $pids; do
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = ha-init ] ||
				kill -KILL "$pid" 2>/dev/null || :
		done
	done
	ip -n "$(ha_ns "n$1")" addr flush dev eth0
	ip -n "$(ha_ns "n$1")" addr add "$(ha_address "$1")/24" dev eth0
}

# What leaves node N for address TO is dropped.
ha_drop() { # N TO
	ha_in "n$1" nft -f - <<-RULES
	table ip lab { chain out { type filter hook output priority 0;
		ip daddr $2 drop; } }
	RULES
}

ha_fault() { # NAME N
	local n=$2 port

	port=pn$n
	case $1 in
	kill9) kill -KILL "$(ha_postmaster "$n")" ;;
	freeze) kill -STOP "$(ha_postmaster "$n")" ;;
	stop) ha_ctl "$n" -m fast stop ;;
	keepalived-stop) kill -TERM "$(ha_pid "$n" keepalived)" ;;
	keepalived-kill) kill -KILL "$(ha_pid "$n" vrrp)" "$(ha_pid "$n" ka)" ;;
	death)
		ip -n "$(ha_ns sw)" link set "$port" down
		ha_kill_node "$n"
		;;
	both)
		ip -n "$(ha_ns sw)" link set pn1 down
		ip -n "$(ha_ns sw)" link set pn2 down
		ha_kill_node 1
		ha_kill_node 2
		;;
	cable) ip -n "$(ha_ns sw)" link set "$port" down ;;
	silent) ip -n "$(ha_ns sw)" link set "$port" nomaster ;;
	between)
		ip -n "$(ha_ns sw)" link set pn1 type bridge_slave isolated on
		ip -n "$(ha_ns sw)" link set pn2 type bridge_slave isolated on
		;;
	mute) ha_drop "$n" "$(ha_address $((3 - n)))" ;;
	deaf) ha_drop $((3 - n)) "$(ha_address "$n")" ;;
	disk) ha_fill_disk "$n" ;;
	health-kill) kill -KILL "$(ha_pid "$n" health)" ;;
	health-freeze) kill -STOP "$(ha_pid "$n" health)" ;;
	health-delete) rm "$ha/n$n/run/health" ;;
	*) echo "no such fault: $1" >&2; return 1 ;;
	esac
}

ha_heal() {
	local n

	for n in 1 2; do
		ip -n "$(ha_ns sw)" link set "pn$n" master br0 up
		ip -n "$(ha_ns sw)" link set "pn$n" type bridge_slave isolated off
		ha_in "n$n" nft delete table ip lab 2>/dev/null || :
	done
}

# --- what the client sees -------------------------------------------------

ha_writer() { # NAMESPACE HOST NAME INTERVAL_MS [fresh]
	(cd / && exec ip netns exec "$(ha_ns "$1")" "${ha_clean[@]}" \
		VOIP_CONFIG=/dev/null \
		VOIP_DATABASE="host=$2 user=writer dbname=voip_platform" \
		VOIP_DATABASE_CONNECT_TIMEOUT=400ms \
		"$build/tool/ha-writer" "${@:3}") >"$ha/writer.$3" \
		2>/dev/null </dev/null 3>&- &
	ha_writers+=($!)
}

ha_write() { # [fresh]
	ha_turn=$((${ha_turn:-0} + 1))
	ha_promoted=$(ha_promotions)
	ha_writers=()
	ha_writer cl "$ha_vip" "t$ha_turn-client" 20 "$@"
	ha_client_log=$ha/writer.t$ha_turn-client
	ha_await ha_written_by "$p"
}

ha_stop_writing() {
	local pid

	for pid in "${ha_writers[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for pid in "${ha_writers[@]}"; do
		wait "$pid" || :
	done
	ha_writers=()
}

ha_written_by() { # N
	grep -q " OK node$1\$" "$ha_client_log"
}

ha_gap() { # A B
	awk -v a="node$1" -v b="node$2" '$4 == "OK" && $5 == a { last = $3 }
		$4 == "OK" && $5 == b { printf "%d\n", ($3 - last) * 1000
			exit }' "$ha_client_log"
}

# All that was acknowledged in this turn: TIME NAME ID NODE.
ha_acknowledged() {
	local file

	for file in "$ha/writer.t$ha_turn"-*; do
		awk -v name="${file##*/writer.}" '$4 == "OK" {
			print $3, name, $1, $5 }' "$file"
	done | sort -n
}

# Promotions that both journals tell.
ha_promotions() {
	cat "$ha"/n?/state/journal.jsonl |
		grep -c '"action":"promote","event":"done"' || :
}

# Who takes writes changes with a promotion; two that take them in turns change
# with each write.
ha_one_writer() {
	ha_acknowledged | awk -v most=$(($(ha_promotions) - ha_promoted)) '
		$4 != node { if (node) changes++; node = $4; where = where "\n" $0 }
		END { if (changes > most) {
			print changes " changes, " most " promotions:" where
			exit 1 } }'
}

ha_lost() { # N
	ha_sql "$1" "select src || ' ' || id from public.w" |
		sort >"$ha/stored"
	ha_acknowledged | awk '{ print $2, $3 }' | sort |
		comm -23 - "$ha/stored" | wc -l
}

# What there is to know when a test has failed.
ha_tell() {
	local n

	for n in 1 2; do
		echo "node$n: $(ha_sql "$n" 'select pg_is_in_recovery(),
			setting from pg_settings
			where name = $$synchronous_standby_names$$' 2>&1)" \
			"vip: $(ha_has_vip "$n" && echo yes)" \
			"tracked: $(head -v -n 1 "$ha/n$n"/run/{health,isolated,timeline} |
				tr '\n' ' ')"
		cat "$ha/n$n/state/state.json"
		tail -n 15 "$ha/n$n"/{failover,health,keepalived,pg}.log
	done 2>&1
	tail -n 3 "$ha"/writer.*
}
