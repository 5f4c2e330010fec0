#!/usr/bin/env bats
# voip-health among wrong files, wrong settings, full disks and other ones of
# itself.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # a test is a subshell; service.bash

setup_file() {
	load helper
	clone_db
}

teardown_file() {
	load helper
	drop_db
}

setup() {
	load helper
	load service.bash
	load health.bash
	health_setup
	health_alone
}

teardown() {
	! mountpoint -q "$dir/run" || umount -l "$dir/run"
	service_teardown
}

well() {
	echo "1 $(now_ms) 600000 fit primary 1 " >"$dir/run/verdict"
}

@test "check says no to whatever is no verdict, and does not hang" {
	local verdict=$dir/run/verdict
	mkfifo "$verdict"
	run -1 timeout 20 voip-health check
	[[ "$output" == *"is damaged" ]]
	exec 5<>"$verdict"
	run -1 timeout 20 voip-health check
	[[ "$output" == *"no verdict: cannot read '$verdict': "* ]]
	exec 5>&-
	rm "$verdict"
	mkdir "$verdict"
	run -1 timeout 20 voip-health check
	rmdir "$verdict"
	ln -s /dev/zero "$verdict"
	run -1 timeout 20 voip-health check
	[[ "$output" == *"is longer than 512 bytes"* ]]
	ln -sf "$verdict" "$verdict"
	run -1 timeout 20 voip-health check
	rm "$verdict"
	yes "1 $(now_ms) 600000 fit primary 1 " | head -c 1000000 >"$verdict"
	run -1 timeout 20 voip-health check
	printf '1 99999999999999999999 9 fit primary 1 \n' >"$verdict"
	run -1 timeout 20 voip-health check
	printf '\0\0\0\n' >"$verdict"
	run -1 timeout 20 voip-health check
	printf '1 %s 600000 unfit none 0 a\e[31mb\177c\n' "$(now_ms)" >"$verdict"
	run -1 voip-health check
	[ "$output" = 'voip-health: unfit: a?[31mb?c' ]
	well
	run -0 voip-health check
	run -0 voip-health check --role=primary
}

@test "check is over in a second, whatever it is given to read" {
	well
	mkfifo "$dir/voip.conf"
	VOIP_CONFIG=$dir/voip.conf run -1 timeout 20 voip-health check
	mkfifo "$dir/full"
	exec 5<>"$dir/full"
	dd if=/dev/zero of="$dir/full" bs=4096 count=16 2>/dev/null
	rm "$dir/run/verdict"
	status=0
	timeout 20 voip-health check 2>&5 || status=$?
	exec 5>&-
	[ "$status" -eq 1 ]
}

@test "a wrong line in the settings does not make the node unfit" {
	printf '%s\n' "health_dir=$dir/run" 'no such setting=1' 'log_level=loud' \
		>"$dir/voip.conf"
	unset VOIP_HEALTH_DIR
	export VOIP_CONFIG=$dir/voip.conf
	well
	run -0 voip-health check
	[[ "$output" == "voip-health: $dir/voip.conf:2: "* ]]
	VOIP_LOG_LEVEL=loud run -0 voip-health check --config="$dir/voip.conf"
	run -78 voip-health
	VOIP_CONFIG=$dir/none VOIP_HEALTH_DIR=$dir/run run -0 voip-health check
	[[ "$output" == "voip-health: cannot read '$dir/none'"* ]]
}

@test "check refuses what it does not know" {
	well
	run -64 voip-health check --role=standby
	[[ "$output" == "voip-health: check does not know '--role=standby'"* ]]
	run -0 voip-health --role=primary check
	run -64 voip-health check --role
	run -64 voip-health check --set
	run -64 voip-health check --set health_dir
	run -64 voip-health --role=primary status
	run -64 voip-healthd check
}

@test "check takes the options that the other commands take, and is in --help" {
	well
	run -0 voip-health check --role primary --config /dev/null
	unset VOIP_HEALTH_DIR
	run -0 voip-health --set "health_dir=$dir/run" check
	run -1 voip-health check --set="health_dir=$dir"
	[[ "$output" == *"cannot read '$dir/verdict'"* ]]
	run -0 voip-health check --help
	[[ "$output" == *$'\n'"  check "* ]]
	[[ "$output" == *"--role=primary"*"check: "* ]]
	[[ "$output" == *"json, jsonl or nagios"* ]]
	run -0 voip-health check --version
}

@test "a directory without room keeps its verdict fresh, and a new one gets in" {
	mount -t tmpfs -o size=64k tmpfs "$dir/run"
	serve
	wait_for verdict_is fit
	dd if=/dev/zero of="$dir/run/filler" bs=4096 2>/dev/null || :
	run -1 dd if=/dev/zero of="$dir/run/more" bs=1 count=1
	before=$(cut -d' ' -f2 "$dir/run/verdict")
	wait_for eval '[ "$(cut -d" " -f2 "$dir/run/verdict")" -gt "$((before + 3000))" ]'
	run -0 voip-health check
	[ "$(cat "$dir/run/health")" = 0 ]
	psql -Xq -d postgres -c "alter database $PGDATABASE allow_connections false"
	wait_for verdict_is unfit
	[ "$(cat "$dir/run/health")" = 1 ]
	run -1 voip-health check
	psql -Xq -d postgres -c "alter database $PGDATABASE allow_connections true"
	wait_for verdict_is fit
	[ "$(cat "$dir/run/health")" = 0 ]
	# each thing that cannot be written is told once
	[ "$(grep -c 'cannot write' "$dir/log")" -le 2 ]
}

@test "of two services one gives the verdict, and the other when that is gone" {
	serve
	first=$pid
	wait_for verdict_is fit
	VOIP_NODE_DATABASE=host=$dir serve
	wait_for grep -q "no verdict is given: another voip-healthd writes the verdict in '$dir/run'" "$dir/log"
	[ "$(ask /health | jq -r .verdict)" = unfit ]
	verdict_is fit
	stop_process "$pid"
	run -0 voip-health check
	VOIP_NODE_DATABASE=host=$dir serve
	wait_for grep -q 'another voip-healthd' "$dir/log"
	kill -KILL "$first"
	wait_for verdict_is unfit
}

@test "a directory that is missing or not ours is told once, and may come later" {
	export VOIP_HEALTH_DIR=$dir/later
	serve
	wait_for grep -q "no verdict is given: cannot open '$dir/later/verdict.lock'" "$dir/log"
	wait_for eval '[ "$(ask /health | jq -r .verdict)" = fit ]'
	mkdir "$dir/later"
	wait_for test -s "$dir/later/verdict"
	run -0 voip-health check
	[ "$(grep -c 'no verdict is given' "$dir/log")" = 1 ]
	mkdir "$dir/own"
	chmod 755 "$dir" "$dir/own"
	cp "$BUILD/bin/voip-healthd" "$dir"
	: >"$dir/log"
	VOIP_HEALTH_DIR=$dir/own start_process setpriv --reuid nobody \
		--clear-groups "$dir/voip-healthd" --listen 127.0.0.1:0
	wait_for grep -q "no verdict is given: cannot open '$dir/own/verdict.lock': Permission denied" "$dir/log"
}
