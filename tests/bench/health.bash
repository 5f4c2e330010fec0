# bench/health.bash: how long keepalived waits for `voip-health check`.
# shellcheck shell=bash
# shellcheck disable=SC2154 # of bench/run

# Microseconds of one run.
time_of() { # COMMAND...
	local start=${EPOCHREALTIME/[.,]/}

	"$@"
	echo $((${EPOCHREALTIME/[.,]/} - start))
}

# PERCENT of the numbers in FILE.
percent_of() { # PERCENT FILE
	sort -n "$2" | awk -v p="$1" '{ v[NR] = $1 }
		END { print v[int((NR - 1) * p / 100) + 1] }'
}

# Each in turn, so that both have the same neighbours.
bench_health() {
	local round rounds=${CHECKS:-1000} verdict=$tmp/health/verdict

	mkdir -p "$tmp/health"
	awk '{ printf "1 %d 600000 fit primary 1 \n", $1 * 1000 }' \
		/proc/uptime >"$verdict"
	export VOIP_HEALTH_DIR=$tmp/health
	voip-health check
	for ((round = 0; round < rounds; round++)); do
		time_of voip-health check >&8
		time_of /bin/true >&9
	done 8>"$out/check.us" 9>"$out/true.us"
	awk -v n="$rounds" -v a="$(percent_of 50 "$out/check.us")" \
		-v b="$(percent_of 50 "$out/true.us")" \
		-v c="$(percent_of 99 "$out/check.us")" \
		-v d="$(percent_of 99 "$out/true.us")" 'BEGIN {
		printf "health   voip-health check %.2f ms   /bin/true %.2f ms" \
			"   ratio %.2f (medians of %d runs each; 99 %%: %.2f, %.2f)\n",
			a / 1000, b / 1000, a / b, n, c / 1000, d / 1000 }'
}
