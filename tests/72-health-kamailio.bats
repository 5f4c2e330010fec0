#!/usr/bin/env bats
# voip-health asks a real Kamailio, by OPTIONS over UDP and by RPC.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # a test is a subshell; service.bash

setup_file() {
	load helper
	clone_db
}

teardown_file() {
	load helper
	load kamailio.bash
	kamailio_stop KILL
	drop_db
}

setup() {
	load helper
	load service.bash
	load kamailio.bash
	load health.bash
	health_setup
	health_alone
}

teardown() {
	kamailio_stop KILL
	service_teardown
}

@test "Kamailio that answers OPTIONS and RPC is well" {
	kamailio_start
	export VOIP_KAMAILIO_SIP=127.0.0.1:$kamailio_port
	[ "$(row kamailio)" = "ok: OPTIONS to $VOIP_KAMAILIO_SIP: 200" ]
	[[ "$(row kamailio-rpc)" == 'ok: up for '*' s' ]]
	serve
	wait_for verdict_is fit
	ask /metrics >"$dir/metrics"
	grep -qx 'kamailio_up 1' "$dir/metrics"
	grep -q '^kamailio_core_shmmem_total [1-9]' "$dir/metrics"
	grep -q '^kamailio_tm_stats_codes_total{code="2xx"} ' "$dir/metrics"
	grep -q '^kamailio_tm_stats_total_total ' "$dir/metrics"
	grep -qx '# TYPE kamailio_sl_stats_codes_total counter' "$dir/metrics"
	grep -q '^kamailio_sl_stats_codes_total{code="200"} ' "$dir/metrics"
	grep -q '^kamailio_core_tcp_info_readers ' "$dir/metrics"
}

@test "any final answer below 500 is one" {
	OPTIONS_STATUS=404 kamailio_start
	export VOIP_KAMAILIO_SIP=127.0.0.1:$kamailio_port
	[ "$(row kamailio)" = "ok: OPTIONS to $VOIP_KAMAILIO_SIP: 404" ]
	kamailio_stop KILL
	OPTIONS_STATUS=503 kamailio_start
	run -1 voip-health
	[[ "$output" == *"voip-health: unfit: kamailio: OPTIONS to $VOIP_KAMAILIO_SIP: 503" ]]
}

@test "Kamailio that is gone or frozen makes the node unfit" {
	kamailio_start
	export VOIP_KAMAILIO_SIP=127.0.0.1:$kamailio_port
	kill -STOP -- "-$(<"$BATS_FILE_TMPDIR/kamailio.pid")"
	run -1 voip-health
	[[ "$output" == *"voip-health: unfit: kamailio: OPTIONS to $VOIP_KAMAILIO_SIP: no answer" ]]
	kamailio_stop KILL
	run -1 voip-health
	[[ "$output" == *"voip-health: unfit: kamailio: OPTIONS to $VOIP_KAMAILIO_SIP: no answer: Connection refused" ]]
	[[ "$output" == *"kamailio-rpc"*"local degraded"*"failed"* ]]
}

@test "an address of Kamailio that is none is told" {
	VOIP_KAMAILIO_SIP=nowhere run -1 voip-health
	[[ "$output" == *"unfit: kamailio: OPTIONS to nowhere: 'nowhere' is no ADDRESS:PORT" ]]
}
