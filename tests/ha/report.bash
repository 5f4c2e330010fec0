# report.bash: the figures of tests/ha/run as tables.  $figures has a line for
# each run: the name and its columns, with tabs between.

# shellcheck shell=bash
# shellcheck disable=SC2154 # of tests/ha/run

median() { # NAME COLUMN
	awk -F '\t' -v f="$1" -v c="$2" '$1 == f && $c != "" { print $c }' \
		"$figures" | sort -n | awk '{ v[NR] = $1 } END {
		print NR ? (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 : "-" }'
}

range() { # NAME COLUMN
	awk -F '\t' -v f="$1" -v c="$2" '$1 == f && $c != "" { print $c }' \
		"$figures" | sort -n | sed -n '1p;$p' | paste -sd-
}

total() { # NAME COLUMN
	awk -F '\t' -v f="$1" -v c="$2" '$1 == f { n += $c }
		END { print n + 0 }' "$figures"
}

count() { # NAME
	awk -F '\t' -v f="$1" '$1 == f' "$figures" | wc -l
}

# In the order in which they came first.
names() {
	awk -F '\t' '!seen[$1]++ { print $1 }' "$figures" |
		grep -Ev '^(failed|idle|busy|sequences|switchover)$'
}

fault_table() {
	local name

	echo '| fault | runs | detect | move | promote | first write | range | whole again | lost |'
	echo '|---|---|---|---|---|---|---|---|---|'
	names | while read -r name; do
		printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' \
			"$name" "$(count "$name")" "$(median "$name" 2)" \
			"$(median "$name" 3)" "$(median "$name" 4)" \
			"$(median "$name" 5)" "$(range "$name" 5)" \
			"$(median "$name" 6)" "$(total "$name" 7)"
	done
}

# The median of COLUMN against the target of the pair's issue.
target() { # WHAT NAME COLUMN MS
	local seen

	seen=$(median "$2" "$3")
	[ "$seen" != - ] || return 0
	printf '| %s | %s | %s | %s |\n' "$1" "$4" "$seen" \
		"$(awk -v a="$seen" -v b="$4" \
			'BEGIN { print a <= b ? "met" : "missed" }')"
}

targets() {
	echo '| median of | target | seen | |'
	echo '|---|---|---|---|'
	target 'postmaster killed: first write' kill9 5 150
	target 'node dead: first write' death 5 900
	target 'cable out: first write' cable 5 900
	target 'node dead, adverts of 0.1 s: first write' \
		'death, advert 0.1' 5 500
	target 'cable out, adverts of 0.1 s: first write' \
		'cable, advert 0.1' 5 500
	target 'postmaster frozen: first write' freeze 5 1300
	target 'switchover: no write for' switchover 2 500
	target 'rejoin with 200 MB' 'kill9, 200 MB' 8 5000
}

peace_table() {
	grep -qE '^(idle|busy)	' "$figures" || return 0
	echo
	echo '| nothing done to the pair, which is | s | promotions | longest time between two writes, ms |'
	echo '|---|---|---|---|'
	awk -F '\t' '$1 == "idle" || $1 == "busy" {
		printf "| %s | %s | %s | %s |\n", $1, $2, $3, $4 }' "$figures"
}

ha_longest_gap() {
	awk '$4 == "OK" { if (last && $3 - last > most) most = $3 - last
		last = $3 } END { printf "%d", most * 1000 }' "$ha_client_log"
}

report() {
	cat <<-HEAD
	# What a fault costs

	Written by \`make check-ha-long\`.  Milliseconds from the fault to each stage,
	medians; the range is of the first write.  Two nodes, a client and a switch in
	network namespaces of one machine with $(nproc) cores, $("$ha_bin/postgres" -V |
		cut -d ' ' -f 1-3), keepalived
	$(keepalived -v 2>&1 | sed -n 's/^Keepalived v\([0-9.]*\).*/\1/p'), the settings as they come, adverts of 0.3 s unless said otherwise,
	asynchronous replication.  The client takes a new connection for each write,
	every 20 ms, and waits 0.4 s for it.  Scheduling: $(chrt -p $$ |
		sed -n 's/.*policy: //p'); load average now $(cut -d ' ' -f 1-3 /proc/loadavg).

	HEAD
	fault_table
	cat <<-'NOTES'

	* detect: the verdict of voip-healthd on that node; with a node, a cable or
	  keepalived it is not what moves the address.
	* move: keepalived told voip-failover of the other node MASTER.
	* whole again: the former primary streams, both verdicts are fit, nothing is
	  at work.  It contains what the lab waits for first.
	* lost: acknowledged through the virtual address and not on the primary at
	  the end, of all runs; replication is asynchronous.

	NOTES
	targets
	peace_table
	printf '\nRandom sequences of states: %s.  Failed: %s.\n' \
		"$(total sequences 2)" \
		"$(awk -F '\t' '$1 == "failed" { printf "%s%s", n++ ? ", " : "", $2 }
			END { if (!n) printf "none" }' "$figures")"
}
