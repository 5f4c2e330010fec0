# fault.bash: what is done to the pair of tests/ha.bash.
#
#   ha_faults           the table: name, whether the other node takes over, what
#   ha_fault NAME N     does NAME to node N
#   ha_end NAME N       what the world or an operator does afterwards
#   ha_survive NAME     both to the primary, and what must hold meanwhile
#   ha_play SEED COUNT  tells both nodes random states of keepalived
#
# tests/ha/client.bash: what the client sees.

# shellcheck shell=bash
# shellcheck disable=SC2154 # of tests/ha.bash

declare -gA ha_before

ha_faults() {
	cat <<-'TABLE'
	kill9           moves  the postmaster is killed
	freeze          moves  the postmaster is frozen
	stop            moves  PostgreSQL is stopped
	keepalived-stop moves  keepalived is stopped, and started again
	keepalived-kill moves  keepalived is killed
	death           moves  everything on the node is killed
	both            stays  everything on both is killed
	both-kill9      stays  the postmasters of both are killed
	cable           moves  the cable is out
	silent          moves  the switch drops all, with the carrier there
	between         moves  the nodes do not see each other, the client does
	mute            moves  the peer does not hear this node
	deaf            stays  this node does not hear the peer
	disk            moves  its disk is full
	clock           moves  its clock is an hour off, then keepalived is killed
	health-kill     moves  voip-healthd is killed
	health-freeze   moves  voip-healthd is frozen
	health-delete   stays  the files of voip-healthd are deleted
	suspend         moves  everything on the node stands still for a while
	blind           moves  it dies, and comes back without voip-healthd
	promote-N       moves  voip-failover is killed at its N-th fsync
	demote-N        moves  the same on the node that has to stop
	switchover-N    stays  switchover is killed at its N-th file
	TABLE
}

ha_moves() { # NAME
	ha_faults | grep -q "^${1/-[0-9]*/-N}  *moves "
}

ha_pid() { # N NAME
	cat "$ha/n$1/$2.pid"
}

ha_postmaster() { # N
	head -n 1 "$ha/disk$1/data/postmaster.pid"
}

# --- means ----------------------------------------------------------------

# The first process of each family collects the others.
ha_kill_node() { # N
	local pid pids

	ip -n "$(ha_ns sw)" link set "pn$1" down
	while pids=$(ip netns pids "$(ha_ns "n$1")") && [ -n "$pids" ]; do
		for pid in $pids; do
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = ha-init ] ||
				kill -KILL "$pid" 2>/dev/null || :
		done
	done
	ip -n "$(ha_ns "n$1")" addr flush dev eth0
	ip -n "$(ha_ns "n$1")" addr add "$(ha_address "$1")/24" dev eth0
}

# As a machine that is suspended: what is started meanwhile, too.
ha_signal_node() { # N SIGNAL
	local pid again=yes

	while [ "$again" = yes ]; do
		again=no
		for pid in $(ip netns pids "$(ha_ns "n$1")"); do
			[ "$2" = CONT ] ||
				! grep -q '^State:.[RSD]' "/proc/$pid/status" 2>/dev/null ||
				again=yes
			kill "-$2" "$pid" 2>/dev/null || :
		done
	done
}

# What leaves node N for address TO is dropped.
ha_drop() { # N TO
	ha_in "n$1" nft -f - <<-RULES
	table ip lab {
		chain out {
			type filter hook output priority 0
			ip daddr $2 drop
		}
	}
	RULES
}

ha_heal() {
	local n

	for n in 1 2; do
		ip -n "$(ha_ns sw)" link set "pn$n" master br0 up
		ip -n "$(ha_ns sw)" link set "pn$n" type bridge_slave isolated off
		ha_in "n$n" nft delete table ip lab 2>/dev/null || :
	done
}

# The next segment of the WAL finds no room.
ha_fill_disk() { # N
	local i

	dd if=/dev/zero of="$ha/disk$1/fill" bs=1M 2>/dev/null || :
	for i in 1 2 3 4 5 6 7 8; do
		ha_sql "$1" "select pg_switch_wal() from
			pg_logical_emit_message(false, 'lab', '$i')" || break
	done >/dev/null 2>&1
}

# A worker of voip-failover on node N ends in the middle of its K-th fsync, and
# what started it at the same time.
ha_kill_at() { # N K
	local parent

	parent=$(ha_pid "$1" failover)
	strace -q -f -e trace=fsync -e "inject=fsync:signal=KILL:when=$2" \
		-o "$ha/strace" -p "$parent" 2>/dev/null 3>&- &
	ha_await grep -q '^TracerPid:.*[1-9]' "/proc/$parent/status"
}

ha_is_cut() {
	grep -q 'killed by SIGKILL' "$ha/strace" || ha_written_by "$s"
}

ha_kill_within() { # N K
	ha_kill_at "$1" "$2" || return
	kill -KILL "$(ha_postmaster "$p")"
	ha_await ha_is_cut || return
	kill -KILL "$(ha_pid "$1" failover)"
	wait $! 2>/dev/null || :
	ha_start_failover "$1"
}

# On a busy machine its checks may stop it before it begins: 1.
ha_try_switch() { # N COMMAND...: before voip-failover; the status in $ha_status
	local n=$1

	shift
	ha_status=0
	ha_node "$n" env ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" "$@" \
		"$ha/bin/voip-failover" switchover || ha_status=$?
	[ "$ha_status" != 1 ]
}

ha_kill_switch() { # N K
	ha_await ha_try_switch "$1" strace -qq -o /dev/null -e trace=rename \
		-e "inject=rename:signal=KILL:when=$2" || return
	[ "$ha_status" = 137 ]
}

# --- what is done ---------------------------------------------------------

ha_fault() { # NAME N
	local n=$2

	case $1 in
	kill9) kill -KILL "$(ha_postmaster "$n")" ;;
	freeze) kill -STOP "$(ha_postmaster "$n")" ;;
	both-kill9) kill -KILL "$(ha_postmaster 1)" "$(ha_postmaster 2)" ;;
	stop) ha_ctl "$n" -m fast stop ;;
	keepalived-stop) kill -TERM "$(ha_pid "$n" keepalived)" ;;
	keepalived-kill) kill -KILL "$(ha_pid "$n" vrrp)" "$(ha_pid "$n" ka)" ;;
	death | blind) ha_kill_node "$n" ;;
	suspend) ha_signal_node "$n" STOP ;;
	both)
		ha_kill_node 1
		ha_kill_node 2
		;;
	cable) ip -n "$(ha_ns sw)" link set "pn$n" down ;;
	silent) ip -n "$(ha_ns sw)" link set "pn$n" nomaster ;;
	between)
		ip -n "$(ha_ns sw)" link set pn1 type bridge_slave isolated on
		ip -n "$(ha_ns sw)" link set pn2 type bridge_slave isolated on
		;;
	mute) ha_drop "$n" "$(ha_address $((3 - n)))" ;;
	deaf) ha_drop $((3 - n)) "$(ha_address "$n")" ;;
	disk) ha_fill_disk "$n" ;;
	clock)
		echo +3600 >"$ha/n$n/clock"
		ha_fault keepalived-kill "$n"
		;;
	health-kill) kill -KILL "$(ha_pid "$n" health)" ;;
	health-freeze) kill -STOP "$(ha_pid "$n" health)" ;;
	health-delete) rm "$ha/n$n/run"/{health,verdict,health.json} ;;
	promote-*) ha_kill_within $((3 - n)) "${1#*-}" ;;
	demote-*) ha_kill_within "$n" "${1#*-}" ;;
	switchover-*) ha_kill_switch "$n" "${1#*-}" ;;
	*) echo "no such fault: $1" >&2; return 1 ;;
	esac
}

ha_lines() { # N LOG
	wc -l <"$ha/n$1/$2.log"
}

# In a line that came after the fault.
ha_log_has() { # N LOG PATTERN
	tail -n "+$((${ha_before[$1.$2]} + 1))" "$ha/n$1/$2.log" | grep -q "$3"
}

ha_only() { # N
	[ "$(ha_primaries)" = "$1" ]
}

ha_end() { # NAME N
	local n=$2

	case $1 in
	death) ha_boot "$n" ;;
	suspend)
		# Long enough for PostgreSQL to be held afterwards.
		ha_pause 3.5
		ha_signal_node "$n" CONT
		;;
	both) ha_boot 1 && ha_boot 2 ;;
	blind)
		ha_boot "$n" blind && ha_await ha_is_standby "$n" &&
			ha_await ha_log_has "$n" keepalived 'Entering FAULT' &&
			! ha_has_vip "$n" && ha_start_health "$n"
		;;
	cable) ha_await ha_only $((3 - n)) && ha_heal ;;
	silent | between)
		[ "$1" = between ] ||
			ha_await ha_log_has "$n" failover 'isolated state=yes'
		ha_heal
		;;
	mute) ha_heal ;;
	deaf)
		ha_await ha_log_has "$n" failover 'peer: no answer' && ha_heal
		;;
	disk) rm "$ha/disk$n/fill" ;;
	keepalived-* | clock)
		ha_await ha_is_standby "$n" && ha_start_keepalived "$n"
		;;
	health-kill) ha_start_health "$n" ;;
	health-freeze) kill -CONT "$(ha_pid "$n" health)" ;;
	health-delete) ha_await test -s "$ha/n$n/run/health" ;;
	esac
}

# To the primary, $p, which has a writer and a reader.
ha_survive() { # NAME
	ha_before=([1.failover]=$(ha_lines 1 failover)
		[2.failover]=$(ha_lines 2 failover)
		[1.keepalived]=$(ha_lines 1 keepalived)
		[2.keepalived]=$(ha_lines 2 keepalived))
	ha_fault "$1" "$p" || return
	! ha_moves "$1" || ha_await ha_written_by "$s" || return
	ha_end "$1" "$p" && ha_await ha_is_settled || return
	ha_stop_writing
	ha_one_writer && ha_one_reader
}

# --- what keepalived never said -------------------------------------------

ha_told() { # N: what keepalived is in
	sed -n 's/.*Entering \([A-Z]*\) STATE.*/\1/p' \
		"$ha/n$1/keepalived.log" | tail -n 1
}

ha_tell_state() { # N STATE
	printf 'INSTANCE "voip" %s 245\n' "$2" >"$ha/n$1/run/keepalived.fifo"
}

# COUNT random lines to random nodes, then the truth.
ha_play() { # SEED COUNT
	local words=(MASTER BACKUP FAULT STOP) n i state

	RANDOM=$1
	for ((i = 0; i < $2; i++)); do
		n=$((1 + RANDOM % 2))
		ha_tell_state $n "${words[RANDOM % 4]}"
		ha_pause "0.$((RANDOM % 4))1"
	done
	for n in 1 2; do
		state=
		until [ "$state" = "$(ha_told $n)" ]; do
			state=$(ha_told $n)
			ha_tell_state $n "$state"
		done
	done
}
