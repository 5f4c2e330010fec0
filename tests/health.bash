# health.bash: a voip-health of the test's own (load helper and service.bash
# first; service_teardown ends it).
#
#   health_setup        a folder in $dir; the verdict is in $dir/run
#   health_alone        nothing is asked but PostgreSQL
#   serve               in the background; $address is where it listens
#   code PATH           the status of its answer
#   verdict             the word of the verdict: fit, held, unfit
#   verdict_is WORD
#   row PROBE           its state and its detail
#   now_ms              as the files in $dir/run tell the time
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # of service.bash

health_setup() {
	dir=$(mktemp -d /tmp/voip-health.XXXXXX)
	started=()
	mkdir "$dir/run"
	export VOIP_CONFIG=/dev/null VOIP_HEALTH_DIR=$dir/run
	export VOIP_NODE_DATABASE=${VOIP_DATABASE:-}
}

health_alone() {
	export VOIP_DIRXML_LISTEN='' VOIP_CDR_LISTEN='' VOIP_CDR_SPOOL_DIR=''
	export VOIP_FREESWITCH_EVENT_SOCKET='' VOIP_KAMAILIO_RPC=''
	export VOIP_HEALTH_DISKS=''
}

serve() {
	: >"$dir/log"
	start_process voip-health --listen 127.0.0.1:0
	wait_for grep -q 'listening on' "$dir/log"
	address=$(sed -n 's/.*listening on //p' "$dir/log")
}

code() {
	ask "$1" -o /dev/null -w '%{http_code}'
}

verdict() {
	cut -d' ' -f4 "$dir/run/verdict"
}

verdict_is() {
	[ "$(verdict)" = "$1" ]
}

row() {
	voip-health --format tsv | awk -F '\t' -v p="$1" \
		'$1 == p { print $3 ": " $5 }'
}

now_ms() {
	awk '{ printf "%d", $1 * 1000 }' /proc/uptime
}
